"""How a grasp went: success, faithfulness to the goal, and disturbance of the object.

UniDexGrasp, C.3.2, and GraspGF, sec. 4.2. Arrays may have any leading axes, which are kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LIFT_TARGET = 0.3
"""Height (m) above its first position to which UniDexGrasp lifts the object."""
LIFT_TOLERANCE = 0.05
"""How near (m) it must end for success."""
LIFTED_HEIGHT = 0.1
"""Rise (m) of the object that GraspGF asks for; whatever is said to be lifted here rose so far."""
HELD_TOLERANCE = 0.05
"""Change (m) of the distance between object and hand that GraspGF allows while lifting."""


def reached_lift_target(initial: np.ndarray, final: np.ndarray) -> np.ndarray:
    """UniDexGrasp's success: the object ends within 5 cm of 0.3 m above its first position.

    Args:
        initial: (..., 3) position of the object at the start in ``world``, m.
        final: (..., 3) at the end.

    Returns:
        (...) bool.
    """
    target = np.asarray(initial) + np.array([0.0, 0.0, LIFT_TARGET])
    return np.linalg.norm(np.asarray(final) - target, axis=-1) < LIFT_TOLERANCE


def lifted_in_hand(
    initial_object: np.ndarray,
    initial_hand: np.ndarray,
    final_object: np.ndarray,
    final_hand: np.ndarray,
) -> np.ndarray:
    """GraspGF's success: the object rose over 0.1 m and kept its distance to the hand within 5 cm.

    Sec. 4.2 speaks of a height off the table and of a distance "after lifting"; read as the rise of
    the object's origin, and as the change of its distance to the palm from before the lift to the
    end.

    Args:
        initial_object: (..., 3) position before the lift in ``world``, m.
        initial_hand: (..., 3) position of the palm at the same time.
        final_object: (..., 3) after the lift.
        final_hand: (..., 3) after the lift.

    Returns:
        (...) bool.
    """
    initial_object, final_object = np.asarray(initial_object), np.asarray(final_object)
    before = np.linalg.norm(initial_object - initial_hand, axis=-1)
    after = np.linalg.norm(final_object - final_hand, axis=-1)
    rise = final_object[..., 2] - initial_object[..., 2]
    return (rise > LIFTED_HEIGHT) & (np.abs(after - before) < HELD_TOLERANCE)


def mean_position_error(reached: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """MPE: mean distance between the joints' positions at the grasp and at its goal (Eq. 11).

    The paper takes it over successful grasps only, and over the joints of
    :mod:`~dexgrasp_models.metrics.keypoints`.

    Args:
        reached: (..., J, 3) positions in the object's frame or in ``world``, m.
        goal: (..., J, 3) of the goal, in the same frame.

    Returns:
        (...) m.
    """
    return np.linalg.norm(np.asarray(reached) - goal, axis=-1).mean(axis=-1)


def posture(joints: np.ndarray, target: np.ndarray) -> np.ndarray:
    """GraspGF's posture: distance between the hand's and the person's finger joint angles.

    Sec. 4.2 doesn't say which distance; read as the Euclidean one between the vectors of joint
    angles, the wrist being the person's own.

    Args:
        joints: (..., J) rad.
        target: (..., J) rad.

    Returns:
        (...) rad.
    """
    return np.linalg.norm(np.asarray(joints) - target, axis=-1)


class Disturbance(NamedTuple):
    """How far the grasp moved the object."""

    translation: np.ndarray
    """(...) distance between first and last position, m."""
    angle: np.ndarray
    """(...) angle between the object's x axis before and after, rad, as Table 1's unit has it."""
    cosine_distance: np.ndarray
    """(...) one less that angle's cosine, as the text has it."""


def stability(initial: np.ndarray, final: np.ndarray) -> Disturbance:
    """GraspGF's stability: change of the object's pose while the hand closes.

    Sec. 4.2 defines the rotation as the cosine distance of the x axes, Table 1 gives it in rad;
    both are returned. Neither sees a turn about the x axis.

    Args:
        initial: (..., 4, 4) pose of the object before the grasp in ``world``.
        final: (..., 4, 4) after it.
    """
    initial, final = np.asarray(initial), np.asarray(final)
    moved = np.linalg.norm(final[..., :3, 3] - initial[..., :3, 3], axis=-1)
    cosine = (initial[..., :3, 0] * final[..., :3, 0]).sum(axis=-1).clip(-1, 1)
    return Disturbance(moved, np.arccos(cosine), 1 - cosine)
