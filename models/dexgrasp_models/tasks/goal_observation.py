"""What is seen in the goal-conditioned task (UniDexGrasp, C.1 and Table 5), in the reference frame.

A teacher sees all of it, a student what the robot itself measures, the cloud, and where the grasp
was wanted at first.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.digit_motion import digit_motion
from dexgrasp_models.tasks.goal_action import action_size, wrist_leads
from dexgrasp_models.tasks.goal_frame import inverses, moved_into, turned_into


@dataclass(frozen=True, eq=False)
class GoalState:
    """What is measured of N environments; poses and velocities in `world`, m and rad.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """

    joints: np.ndarray
    """(N, 22)."""
    joint_velocities: np.ndarray
    """(N, 22) rad/s."""
    efforts: np.ndarray
    """(N, 22) that the drives put on the joints, N m."""
    wrists: np.ndarray
    """(N, 4, 4) of `rh_palm`."""
    wrist_velocities: np.ndarray
    """(N, 6) m/s and rad/s."""
    wrist_targets: np.ndarray
    """(N, 4, 4) of `rh_palm`."""
    fingertip_forces: np.ndarray
    """(N, 5) normal forces on the object by the outermost links, N."""
    objects: np.ndarray
    """(N, 4, 4) of the objects' mesh frames."""
    object_velocities: np.ndarray
    """(N, 6) of these frames, m/s and rad/s."""

    def __post_init__(self) -> None:
        count = len(self.joints)
        shapes = {
            "joint_velocities": np.shape(self.joints)[1:],
            "efforts": np.shape(self.joints)[1:],
            "wrists": (4, 4),
            "wrist_velocities": (6,),
            "wrist_targets": (4, 4),
            "fingertip_forces": (None,),
            "objects": (4, 4),
            "object_velocities": (6,),
        }
        object.__setattr__(self, "joints", batch("joints", self.joints, None, None))
        for name, shape in shapes.items():
            object.__setattr__(self, name, batch(name, getattr(self, name), count, *shape))


@dataclass(frozen=True, eq=False)
class GoalObservation:
    """Of N environments, in the reference frame; lengths in m."""

    joints: np.ndarray
    """(N, 22) rad."""
    joint_velocities: np.ndarray
    """(N, 22) rad/s."""
    efforts: np.ndarray
    """(N, 24): m and rad by which the wrist's target is ahead of it, which its drive pulls in
    proportion to, and N m of the 18 actuators."""
    fingertips: np.ndarray
    """(N, 5, 3)."""
    fingertip_rotations: np.ndarray
    """(N, 5, 4) quaternions (x, y, z, w), w >= 0."""
    fingertip_velocities: np.ndarray
    """(N, 5, 6) m/s and rad/s."""
    fingertip_forces: np.ndarray
    """(N, 5) normal to the object, N."""
    wrist: np.ndarray
    """(N, 12) of `rh_palm`: its position, and the columns of its rotation."""
    action: np.ndarray
    """(N, 24) the last one."""
    goal: np.ndarray
    """(N, 34): where the palm is wanted at first, as `wrist`, and the joints of the grasp, rad."""
    object_state: np.ndarray
    """(N, 18) of the object's mesh frame: as `wrist`, then m/s and rad/s. Of a teacher only."""
    to_goal: np.ndarray
    """(N, 6) from the palm to the goal's, both in the present object: m and a rotation vector. Of a
    teacher only."""
    cloud: np.ndarray
    """(N, P, 3) points of the object where it is now."""

    @property
    def robot(self) -> np.ndarray:
        """(N, 174) the robot's state (Table 5)."""
        names = [item.name for item in fields(self)]
        return self._together(names[: names.index("goal")])

    @property
    def student(self) -> np.ndarray:
        """(N, 208) what is known without the object's true state: robot and goal."""
        return self._together(["robot", "goal"])

    @property
    def teacher(self) -> np.ndarray:
        """(N, 232) all but the cloud."""
        return self._together(["student", "object_state", "to_goal"])

    @property
    def untold(self) -> np.ndarray:
        """(N, 192) likewise, without the grasp that is told."""
        return self._together(["robot", "object_state"])

    def _together(self, names: list[str]) -> np.ndarray:
        parts = [getattr(self, name) for name in names]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def goal_observation(
    state: GoalState,
    actions: np.ndarray,
    frames: np.ndarray,
    first_goals: np.ndarray,
    goals: np.ndarray,
    goal_joints: np.ndarray,
    clouds: np.ndarray,
    hand: HandSpec,
) -> GoalObservation:
    """What is seen; each environment's numbers depend on it alone.

    Args:
        state: measured.
        actions: (N, 24) the last ones; zeros at first.
        frames: (N, 4, 4) of `reference_frames`.
        first_goals: (N, 4, 4) of `rh_palm` in `world` where the grasp is wanted at first.
        goals: (N, 4, 4) of `rh_palm` in the objects' mesh frames.
        goal_joints: (N, 22) of the grasps, rad.
        clouds: (N, P, 3) points in the objects' mesh frames.
        hand: whose joints these are.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    count = len(state.joints)
    actions = batch("action", actions, count, action_size(hand))
    frames = batch("reference frame", frames, count, 4, 4)
    first_goals = batch("first goal", first_goals, count, 4, 4)
    goals = batch("goal", goals, count, 4, 4)
    goal_joints = batch("joints of the goal", goal_joints, count, len(hand.joints))
    clouds = batch("cloud", clouds, count, None, 3)

    leads = [turned_into(frames, each) for each in wrist_leads(state.wrist_targets, state.wrists)]
    # A tendon does the work of its two joints at half the travel of each.
    drives = state.efforts @ hand.expansion
    to_frame = inverses(frames)
    digits = digit_motion(
        to_frame @ state.wrists,
        _velocities(frames, state.wrist_velocities),
        state.joints,
        state.joint_velocities,
        hand,
    )
    tips = Rotation.from_matrix(digits.rotations.reshape(-1, 3, 3)).as_quat(canonical=True)
    poses, velocities = state.objects, _velocities(frames, state.object_velocities)
    points = clouds @ poses[:, :3, :3].swapaxes(1, 2) + poses[:, None, :3, 3]
    return GoalObservation(
        joints=state.joints,
        joint_velocities=state.joint_velocities,
        efforts=np.concatenate((*leads, drives), axis=1),
        fingertips=digits.positions,
        fingertip_rotations=tips.reshape(count, -1, 4),
        fingertip_velocities=digits.velocities,
        fingertip_forces=state.fingertip_forces,
        wrist=_flat(to_frame @ state.wrists),
        action=actions,
        goal=np.concatenate((_flat(to_frame @ first_goals), goal_joints), axis=1),
        object_state=np.concatenate((_flat(to_frame @ state.objects), velocities), axis=1),
        to_goal=to_goals(state.wrists, state.objects, goals),
        cloud=moved_into(frames, points),
    )


def to_goals(wrists: np.ndarray, objects: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """(N, 6) from palms to goals in the objects' frames: m, and rad about these frames' axes.

    Args:
        wrists: (N, 4, 4) of `rh_palm` in `world`.
        objects: (N, 4, 4) of the mesh frames in `world`.
        goals: (N, 4, 4) of `rh_palm` in the mesh frames.
    """
    held = inverses(objects) @ wrists
    moves, turns = wrist_leads(goals, held)
    return np.concatenate((moves, turns), axis=1)


def _flat(poses: np.ndarray) -> np.ndarray:
    """(N, 12) position and rotation, column by column, of (N, 4, 4)."""
    columns = poses[:, :3, :3].swapaxes(1, 2).reshape(-1, 9)
    return np.concatenate((poses[:, :3, 3], columns), axis=1)


def _velocities(frames: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    """(N, 6) of `world` in frames."""
    return turned_into(frames, velocities.reshape(-1, 2, 3)).reshape(-1, 6)
