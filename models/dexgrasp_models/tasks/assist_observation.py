"""What a policy of the human-assisting task sees (GraspGF, 2 and A.1).

One function makes it, for N environments of a simulator and for the one hand of a controller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.geometry.farthest_points import farthest_points
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.joint_ranges import angles_of, normalised
from dexgrasp_models.tasks.wrist_filter import WristFilter

if TYPE_CHECKING:  # environments need nothing of the controllers
    from dexgrasp_models.control.types import Observation


@dataclass(frozen=True, eq=False)
class AssistObservation:
    """What is seen of N environments; lengths in m, poses in the present wrist, `rh_palm`."""

    actuated: np.ndarray
    """(N, 18) actuator angles in the order of `HandSpec.actuators`, -1 and 1 at their limits."""
    coupled: np.ndarray
    """(N, 4) angles of the joints that tendons move along (J1), -1 and 1 at their limits."""
    wrists: np.ndarray
    """(N, H, 7) last wrists, the present one last: position, quaternion (x, y, z, w), w >= 0."""
    cloud: np.ndarray
    """(N, P, 3) points of the object."""
    pressing: np.ndarray | None = None
    """(N, 18) rad by which the present targets are beyond the measured angles of the actuators, for
    policies that know what they asked for."""
    hint: np.ndarray | None = None
    """(N, 18) as `actuated`, of a posture that policies may be told (`AssistEpisodes.hints`)."""


class WristHistory:
    """The last wrists of N environments; `reset` each before its first use.

    Args:
        count: N.
        length: H.
        smoothed: by which noise is taken from them; without it they are kept as measured.

    Attributes:
        measured: (N, 4, 4) in `world`, the newest as they came.
    """

    def __init__(self, count: int, length: int = 5, smoothed: WristFilter | None = None) -> None:
        self._poses = np.full((count, length, 4, 4), np.nan)
        self._smoothed = smoothed
        self.measured = self._poses[:, -1].copy()

    @property
    def poses(self) -> np.ndarray:
        """(N, H, 4, 4) in `world`, the newest last.

        Raises:
            ValueError: an environment was never reset.
        """
        known = np.isfinite(self._poses).all(axis=(1, 2, 3))
        if not known.all():
            raise ValueError(
                f"the wrist history of environment {np.argmin(known)} is empty: reset it first"
            )
        return self._poses.copy()

    def reset(self, indices: Sequence[int] | np.ndarray, poses: np.ndarray) -> None:
        """Fill those of the environments `indices` with their first pose.

        Args:
            indices: n environments.
            poses: (n, 4, 4) in `world`.

        Raises:
            ValueError: the shape does not fit, or a number isn't finite.
        """
        first = batch("first wrist", poses, len(indices), 4, 4)
        self._poses[indices] = first[:, None]
        self.measured[indices] = first
        if self._smoothed is not None:
            self._smoothed.reset(indices, first)

    def push(self, poses: np.ndarray) -> None:
        """Take in the present pose of each environment, and forget its oldest.

        Args:
            poses: (N, 4, 4) in `world`.

        Raises:
            ValueError: the shape does not fit, or a number isn't finite.
        """
        newest = batch("wrist", poses, len(self._poses), 4, 4)
        self.measured = newest.copy()
        if self._smoothed is not None:
            newest = self._smoothed.filtered(newest)
        self._poses = np.concatenate((self._poses[:, 1:], newest[:, None]), axis=1)


def assist_observation(
    joints: np.ndarray,
    wrists: np.ndarray,
    cloud: np.ndarray,
    hand: HandSpec,
    targets: np.ndarray | None = None,
    hints: np.ndarray | None = None,
) -> AssistObservation:
    """What is seen; each environment's numbers depend on it alone, to the bit.

    Args:
        joints: (N, 22) measured finger joints, rad.
        wrists: (N, H, 4, 4) last poses of `rh_palm` in `world`, of `WristHistory.poses`.
        cloud: (N, P, 3) points of the object in `world`, m.
        hand: whose joints these are.
        targets: (N, 22) present joint targets, rad; None: nobody knows them.
        hints: (N, 22) joints of a posture that is told, rad; None: nobody tells one.

    Raises:
        ValueError: a shape does not fit, there is no point, or a number isn't finite.
    """
    joints = batch("joints", joints, None, len(hand.joints))
    count = len(joints)
    wrists = batch("wrists", wrists, count, None, 4, 4)
    cloud = batch("cloud", cloud, count, None, 3)
    if not cloud.shape[1]:
        raise ValueError("the cloud has no points: capture the object first")
    coupled = [hand.joint_index(tendon.distal) for tendon in hand.tendons]
    # Each actuator's angle is one joint's or the sum of two, so that no order of adding matters.
    actuated = joints @ hand.reduction.T
    pressing = hint = None
    if targets is not None:
        targets = batch("targets", targets, count, len(hand.joints))
        pressing = targets @ hand.reduction.T - actuated
    if hints is not None:
        told = batch("hint", hints, count, len(hand.joints)) @ hand.reduction.T
        hint = normalised(told, hand.actuator_limits)

    present = wrists[:, -1]
    rotations = np.ascontiguousarray(present[:, :3, :3])
    to_wrist = rotations.swapaxes(1, 2)[:, None]
    moved = (wrists[:, :, None, :3, 3] - present[:, None, None, :3, 3]) @ rotations[:, None]
    turned = Rotation.from_matrix((to_wrist @ wrists[:, :, :3, :3]).reshape(-1, 3, 3))
    quaternions = turned.as_quat(canonical=True).reshape(count, -1, 4)
    return AssistObservation(
        normalised(actuated, hand.actuator_limits),
        normalised(joints[:, coupled], hand.limits[coupled]),
        np.concatenate((moved[:, :, 0], quaternions), axis=2),
        (cloud - present[:, None, :3, 3]) @ rotations,
        pressing,
        hint,
    )


def from_observation(
    observation: Observation,
    history: WristHistory,
    hand: HandSpec,
    points: int = 1024,
    targets: np.ndarray | None = None,
) -> AssistObservation:
    """What a controller sees of its one hand, as an environment sees it: all arrays have N = 1.

    Args:
        observation: of this tick.
        history: of one wrist, that of `observation` already pushed.
        hand: the one observed.
        points: P. A larger cloud is thinned evenly, of a smaller one points are repeated.
        targets: (22,) present joint targets, rad, where they are known.

    Raises:
        ValueError: the cloud is missing, empty or not finite; the history is of more than one, or
            its newest pose another; a number of the state isn't finite.
    """
    if observation.object_points is None:
        raise ValueError("the observation has no cloud of the object, which this policy needs")
    cloud = batch("cloud", np.asarray(observation.object_points)[None], 1, None, 3)[0]
    if not len(cloud):
        raise ValueError("the observation's cloud of the object is empty: capture it again")
    wrists, newest = history.poses, history.measured
    if len(wrists) != 1 or not np.array_equal(newest[0], observation.state.wrist_pose):
        raise ValueError(
            "the wrist history is not this observation's: push its wrist pose, of one hand, first"
        )
    cloud = as_many(cloud, points)
    return assist_observation(
        observation.state.joints[None],
        wrists,
        cloud[None],
        hand,
        None if targets is None else targets[None],
    )


def as_many(cloud: np.ndarray, points: int) -> np.ndarray:
    """(P, 3) of a cloud (M, 3) with a point or more: thinned evenly, or some points repeated."""
    return cloud[np.resize(farthest_points(cloud, points), points)]


def state_vector(
    seen: AssistObservation, *, pressing: bool = False, hint: bool = False
) -> np.ndarray:
    """(N, 22 + 7 H) all that is seen but for the cloud, in the order of the fields.

    They are 57 numbers with a history of five wrists: 18 actuated, 4 coupled, 35 of the wrists; and
    with `pressing` or `hint` 18 of each.

    Raises:
        ValueError: one of these is wanted, and nobody tells it.
    """
    count = len(seen.actuated)
    parts = [seen.actuated, seen.coupled, seen.wrists.reshape(count, -1)]
    if pressing:
        if seen.pressing is None:
            raise ValueError("this policy has to be told the present joint targets")
        parts.append(seen.pressing)
    if hint:
        if seen.hint is None:
            raise ValueError("this policy has to be told a posture of the object (PPO (Goal))")
        parts.append(seen.hint)
    return np.concatenate(parts, axis=1)


def seen_angles(seen: AssistObservation, hand: HandSpec) -> np.ndarray:
    """(N, 18) actuator angles, rad, that are seen."""
    return angles_of(seen.actuated, hand.actuator_limits)


def seen_joints(seen: AssistObservation, hand: HandSpec) -> np.ndarray:
    """(N, 22) joints, rad, that are seen."""
    joints = seen_angles(seen, hand) @ hand.reduction  # at both joints of a tendon their sum
    distal = [hand.joint_index(tendon.distal) for tendon in hand.tendons]
    middle = [hand.joint_index(tendon.middle) for tendon in hand.tendons]
    joints[:, distal] = angles_of(seen.coupled, hand.limits[distal])
    joints[:, middle] -= joints[:, distal]
    return joints
