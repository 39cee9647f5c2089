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
from dexgrasp_models.tasks.goal_action import WRIST, action_size, wrist_actions, wrist_leads
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_frame import turned_into
from dexgrasp_models.tasks.joint_ranges import normalised

ACCELERATION, ANGULAR_ACCELERATION = 0.8, 8.0
"""m/s^2 and rad/s^2 at most, at which a wrist speeds up."""
FINGER_SPEED = 0.6
"""rad/s of an actuator's target."""
POSTURE = 1.0
"""rad of an actuator from the grasp, which a move of 1 means."""
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
    """(N, 24) the last ones; zeros at first. They are what a wrist speeds up from."""
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
    """Numbers of a state: 152 of the Shadow Hand."""
    return len(hand.joints) + 5 * len(hand.actuators) + 40


def student_states(view: StudentView, hand: HandSpec) -> np.ndarray:
    """(N, S) all but the cloud's shape, along the axes of the reference frame.

    Of the fingers the joints, and in the actuators' angles their speeds, targets, the goal, how far
    the targets are from it, and how far it is from there to what presses. Of the wrist its height,
    rotation and by how much its target is ahead; the way that is left to the grasp, near
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
    moves: np.ndarray, view: StudentView, hand: HandSpec, config: GoalConfig
) -> np.ndarray:
    """Actions of a student's outputs, which say where to and how fast, and not how to speed up.

    So what is to be done at a place is told by the place alone, and not by what was done before.

    Args:
        moves: (N, 24), clipped to (-1, 1): velocities of the wrist as in the task, then how far
            from the grasp the fingers are wanted, in `POSTURE`.
        view: in which they were given.
        hand: whose joints these are.
        config: of the task.

    Returns:
        (N, 24), see `acted`.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    moves = np.clip(batch("moves", moves, len(view), action_size(hand)), -1.0, 1.0)
    now, last = wrist_actions(moves), wrist_actions(view.actions)
    linear = ACCELERATION / config.rate / config.wrist_speed
    angular = ANGULAR_ACCELERATION / config.rate / config.wrist_angular_speed
    present, closed = (each @ hand.reduction.T for each in (view.targets, view.goal_joints))
    # All fingers arrive together, as the expert's do.
    left = closed + POSTURE * moves[:, WRIST:] - present
    farthest = np.abs(left).max(axis=1, keepdims=True)
    steps = left * np.minimum(1.0, FINGER_SPEED / config.rate / np.maximum(farthest, 1e-12))
    return np.concatenate(
        (
            _sped_up(now[0], last[0], linear),
            _sped_up(now[1], last[1], angular),
            np.clip(normalised(present + steps, hand.actuator_limits), -1.0, 1.0),
        ),
        axis=1,
    )


def moves_of(
    velocities: np.ndarray,
    postures: np.ndarray,
    view: StudentView,
    hand: HandSpec,
    config: GoalConfig,
) -> np.ndarray:
    """(N, 24) the moves that mean something.

    Args:
        velocities: (N, 6) of the wrist in `world`, m/s and rad/s.
        postures: (N, 18) actuator angles where the fingers are wanted, rad.
        view: of the hands.
        hand: whose joints these are.
        config: of the task.
    """
    linear, angular = turned_into(view.frames, velocities.reshape(-1, 2, 3)).swapaxes(0, 1)
    beside = (postures - view.goal_joints @ hand.reduction.T) / POSTURE
    turns = angular / config.wrist_angular_speed
    return np.concatenate((linear / config.wrist_speed, turns, beside), axis=1)


def _sped_up(wanted: np.ndarray, last: np.ndarray, most: float) -> np.ndarray:
    """(N, 3) velocities in the direction that is wanted, faster than the last ones by at most
    this; slower at once."""
    speeds = np.linalg.norm(wanted, axis=1, keepdims=True)
    directions = wanted / np.maximum(speeds, 1e-12)
    present = np.maximum((last * directions).sum(axis=1, keepdims=True), 0.0)
    return np.minimum(speeds, present + most) * directions


def _axes(frames: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """(N, 6) y and z of poses in frames: out of the palm's back, and along the fingers."""
    return turned_into(frames, poses[:, :3, 1:3].swapaxes(1, 2)).reshape(-1, 6)


def _log_length(vectors: np.ndarray, unit: float) -> np.ndarray:
    """(N, 1) 0 of no length, then ever slower more."""
    return np.log1p(np.linalg.norm(vectors, axis=1, keepdims=True) / unit)
