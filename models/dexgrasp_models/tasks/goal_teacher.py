"""What a teacher of the goal-conditioned task sees (UniDexGrasp, 3.3.1 and C.1), and how it acts.

It knows the object's true state and all of its surface. With state canonicalisation all is in the
frame of the first hand; the ablation without it has that of the world, from h0 above the table.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.spec import HandSpec, load_hand
from dexgrasp_models.nets.teacher_network import TeacherNetwork, TeacherNetworkConfig
from dexgrasp_models.nets.weights import load_network
from dexgrasp_models.tasks.goal_action import WRIST, action_size
from dexgrasp_models.tasks.goal_frame import inverses, turned_into
from dexgrasp_models.tasks.goal_observation import GoalObservation
from dexgrasp_models.tasks.goal_student import StudentView, state_size


def teacher_state_size(hand: HandSpec, config: TeacherNetworkConfig) -> int:
    """Numbers of a state: 232 of the Shadow Hand, 192 without a grasp that is told; 384 of who acts
    by moves."""
    tips, joints, actions = len(hand.distal_links), len(hand.joints), action_size(hand)
    robot = 2 * joints + 14 * tips + 12 + 2 * actions
    beside = state_size(hand) if config.acts == "moves" else 0
    return robot + 18 + config.told * (12 + joints + 6) + beside


def teacher_states(
    seen: GoalObservation, frames: np.ndarray, config: TeacherNetworkConfig
) -> np.ndarray:
    """(N, S) all that is seen but the points, and without a grasp where none is told.

    Who acts by moves also sees what a student sees, which is not among these.

    Args:
        seen: in the reference frames.
        frames: (N, 4, 4) of `reference_frames`.
        config: of the network.
    """
    if not config.canonical:
        seen = along_world(seen, frames)
    return seen.teacher if config.told else seen.untold


def teacher_actions(
    outputs: np.ndarray, frames: np.ndarray, config: TeacherNetworkConfig
) -> np.ndarray:
    """(N, 24) actions as `acted` takes them, of a network's outputs (N, 24).

    Args:
        outputs: along the axes that it sees.
        frames: (N, 4, 4) of `reference_frames`.
        config: of the network.
    """
    return outputs if config.canonical else _wrist_along_world(inverses(frames), outputs)


def actions_seen(
    actions: np.ndarray, frames: np.ndarray, config: TeacherNetworkConfig
) -> np.ndarray:
    """(N, 24) outputs of a network that would do these actions: `teacher_actions` undone."""
    return actions if config.canonical else _wrist_along_world(frames, actions)


def along_world(seen: GoalObservation, frames: np.ndarray) -> GoalObservation:
    """What is seen, from where the first hand was, but along the axes of `world`.

    Args:
        seen: in the reference frames, which differ from `world` by a turn about z.
        frames: (N, 4, 4) of `reference_frames`.
    """
    back = inverses(frames)

    def turned(vectors: np.ndarray) -> np.ndarray:
        return turned_into(back, vectors)

    def turned_poses(numbers: np.ndarray) -> np.ndarray:
        return turned(numbers.reshape(len(frames), -1, 3)).reshape(len(frames), -1)

    turns = np.repeat(frames[:, :3, :3], seen.fingertip_rotations.shape[1], axis=0)
    tips = Rotation.from_matrix(turns) * Rotation.from_quat(seen.fingertip_rotations.reshape(-1, 4))
    pose = 12
    return replace(
        seen,
        efforts=_wrist_along_world(frames, seen.efforts),
        fingertips=turned(seen.fingertips),
        fingertip_rotations=tips.as_quat(canonical=True).reshape(len(frames), -1, 4),
        fingertip_velocities=turned_poses(seen.fingertip_velocities).reshape(len(frames), -1, 6),
        wrist=turned_poses(seen.wrist),
        action=_wrist_along_world(frames, seen.action),
        goal=np.concatenate((turned_poses(seen.goal[:, :pose]), seen.goal[:, pose:]), axis=1),
        object_state=turned_poses(seen.object_state),
        cloud=turned(seen.cloud),
    )


def view_along_world(view: StudentView) -> StudentView:
    """What a student sees, along the axes of `world`."""
    frames = view.frames.copy()
    frames[:, :3, :3] = np.eye(3)
    return replace(view, frames=frames, actions=_wrist_along_world(view.frames, view.actions))


def new_teacher(config: TeacherNetworkConfig, hand: HandSpec | None = None) -> TeacherNetwork:
    """One that has learned nothing."""
    hand = hand or load_hand()
    return TeacherNetwork(config, teacher_state_size(hand, config), action_size(hand))


def load_teacher(weights: str | os.PathLike[str]) -> TeacherNetwork:
    """The teacher in a file that `dexgrasp train teacher` left, in evaluation mode.

    Raises:
        WeightsError: the file is missing, of another hand or kind, or doesn't fit its network.
    """
    network, _ = load_network(weights, TeacherNetworkConfig, new_teacher)
    return network.eval()


def _wrist_along_world(frames: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(N, A) of which the first 6 are two vectors in frames (N, 4, 4), with these in `world`."""
    wrist = turned_into(inverses(frames), numbers[:, :WRIST].reshape(-1, 2, 3))
    return np.concatenate((wrist.reshape(-1, WRIST), numbers[:, WRIST:]), axis=1)
