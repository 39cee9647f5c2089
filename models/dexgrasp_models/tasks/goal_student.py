"""What a student of the goal-conditioned task sees, and how its outputs become actions.

UniDexGrasp, 3.3: cloud and proprioception only. Nothing here is known of the object but its cloud
and where the grasp was wanted when the cameras looked, so a robot's controller and the environments
make the same of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.goal_action import WRIST, action_size, wrist_leads
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_frame import turned_into
from dexgrasp_models.tasks.joint_ranges import normalised

_NEAR, _NEAR_ANGLE = 0.01, 0.1
"""m and rad of the way that is left to the grasp, within which it is seen enlarged."""


@dataclass(frozen=True, eq=False)
class StudentView:
    """What is known of N hands; poses and points in `world`, m and rad.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """

    joints: np.ndarray
    """(N, 22) measured."""
    joint_velocities: np.ndarray
    """(N, 22) measured, rad/s."""
    targets: np.ndarray
    """(N, 22) present targets of the joints."""
    wrists: np.ndarray
    """(N, 4, 4) of `rh_palm`, measured."""
    wrist_targets: np.ndarray
    """(N, 4, 4) its present target."""
    actions: np.ndarray
    """(N, 24) the last ones; zeros at first."""
    frames: np.ndarray
    """(N, 4, 4) of `reference_frames`."""
    goals: np.ndarray
    """(N, 4, 4) of `rh_palm`, where the grasp is wanted."""
    goal_joints: np.ndarray
    """(N, 22) of the grasp."""
    pressed: np.ndarray
    """(N, 22) targets that press from there, as the proposer tells them."""
    clouds: np.ndarray
    """(N, P, 3) of the object."""

    def __post_init__(self) -> None:
        count = len(self.joints)
        joints, pose = (np.shape(self.joints)[-1],), (4, 4)
        shapes: dict[str, tuple[int | None, ...]] = {
            "joints": joints,
            "joint_velocities": joints,
            "targets": joints,
            "wrists": pose,
            "wrist_targets": pose,
            "actions": (None,),
            "frames": pose,
            "goals": pose,
            "goal_joints": joints,
            "pressed": joints,
            "clouds": (None, 3),
        }
        for item in fields(self):
            values = batch(item.name, getattr(self, item.name), count, *shapes[item.name])
            object.__setattr__(self, item.name, values)

    def __len__(self) -> int:
        return len(self.joints)


def state_size(hand: HandSpec) -> int:
    """Numbers of a state: 158 of the Shadow Hand."""
    return len(hand.joints) + 5 * len(hand.actuators) + 46


def student_states(view: StudentView, hand: HandSpec) -> np.ndarray:
    """(N, S) all but the cloud's shape, along the axes of the reference frame.

    Of the fingers the joints, and in the actuators' angles their speeds, targets, the goal, how far
    the targets are from it, and how far it is from there to what presses. Of the wrist its height,
    rotation, last move and by how much its target is ahead; the way that is left to the grasp, near
    its end also enlarged; the grasp's height and rotation. Of the cloud the box around it, from
    the grasp.
    """
    frames, wrists, goals = view.frames, view.wrists, view.goals
    targets, closed, pressed, speeds = (
        each @ hand.reduction.T
        for each in (view.targets, view.goal_joints, view.pressed, view.joint_velocities)
    )
    way, turn = (turned_into(frames, each) for each in wrist_leads(goals, wrists))
    leads = [turned_into(frames, each) for each in wrist_leads(view.wrist_targets, wrists)]
    points = turned_into(frames, view.clouds - goals[:, None, :3, 3])
    return np.concatenate(
        (
            view.joints,
            speeds,
            targets,
            closed,
            closed - targets,
            pressed - closed,
            wrists[:, 2, 3:],
            _axes(frames, wrists),
            view.actions[:, :WRIST],
            *leads,
            way,
            turn,
            np.tanh(way / _NEAR),
            np.tanh(turn / _NEAR_ANGLE),
            goals[:, 2, 3:],
            _axes(frames, goals),
            _log_length(way, _NEAR),
            _log_length(turn, _NEAR_ANGLE),
            points.min(axis=1),
            points.max(axis=1),
        ),
        axis=1,
    )


def clouds_at_goals(view: StudentView) -> np.ndarray:
    """(N, P, 3) in the frame of the palm at the grasp."""
    return turned_into(view.goals, view.clouds - view.goals[:, None, :3, 3])


def moves_to_actions(
    moves: np.ndarray, targets: np.ndarray, hand: HandSpec, config: GoalConfig
) -> np.ndarray:
    """Actions of a student's outputs.

    Args:
        moves: (N, 24), clipped to (-1, 1): the wrist's as in the task, then changes of the
            actuators' targets, 1 being what a joint's target makes in a step at most.
        targets: (N, 22) present targets of the joints, rad.
        hand: whose joints these are.
        config: of the task.

    Returns:
        (N, 24), see `acted`.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    moves = np.clip(batch("moves", moves, len(targets), action_size(hand)), -1.0, 1.0)
    angles = targets @ hand.reduction.T + config.joint_speed / config.rate * moves[:, WRIST:]
    shares = np.clip(normalised(angles, hand.actuator_limits), -1.0, 1.0)
    return np.concatenate((moves[:, :WRIST], shares), axis=1)


def moves_of(
    actions: np.ndarray,
    wanted: np.ndarray,
    targets: np.ndarray,
    hand: HandSpec,
    config: GoalConfig,
) -> np.ndarray:
    """(N, 24) the moves that lead to what is wanted, in one step or, beyond (-1, 1), in more.

    Args:
        actions: (N, 24) those that lead there, see `actions_to`.
        wanted: (N, 22) the joint targets that are wanted, rad.
        targets: (N, 22) the present ones, rad.
        hand: whose joints these are.
        config: of the task.
    """
    changes = (wanted - targets) @ hand.reduction.T
    longest = config.joint_speed / config.rate
    return np.concatenate((actions[:, :WRIST], changes / longest), axis=1)


def _axes(frames: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """(N, 6) y and z of poses in frames: out of the palm's back, and along the fingers."""
    return turned_into(frames, poses[:, :3, 1:3].swapaxes(1, 2)).reshape(-1, 6)


def _log_length(vectors: np.ndarray, unit: float) -> np.ndarray:
    """(N, 1) 0 of no length, then ever slower more."""
    return np.log1p(np.linalg.norm(vectors, axis=1, keepdims=True) / unit)
