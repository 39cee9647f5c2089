"""Motions beside the grasp: the wrist back to where it waits, and the hand open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.config import load_config
from dexgrasp_models.control.executor import ExecutorConfig
from dexgrasp_models.control.trajectory import (
    JoinedPath,
    JointMotion,
    MotionBounds,
    PassingPath,
    PosePath,
    WristAndFingerMotion,
    WristPath,
    pose_distance,
)
from dexgrasp_models.control.types import (
    Command,
    Observation,
    Outcome,
    OutcomeKind,
    Phase,
    RobotState,
)
from dexgrasp_models.hand.extent import HAND_REACH

HOME = "home"
OPEN_HAND = "open_hand"

_LONGEST_STEP = 0.04
"""Seconds by which one state advances the motion at most."""


def home_pose(arm: ArmKinematics | None) -> np.ndarray:
    """(4, 4) palm pose in `world` where the hand waits: of the arm's home joints in
    ``mounting.yaml``, or for the free hand as ``scene.yaml`` says.

    Raises:
        FileNotFoundError, ValueError: the file is missing, or doesn't say it.
    """
    if arm is not None:
        return arm.fk(arm.home)
    scene = load_config("scene.yaml")
    try:
        pose = np.eye(4)
        pose[:3, 3] = scene["home_position"]
        pose[:3, :3] = Rotation.from_euler("xyz", scene["home_rpy"]).as_matrix()
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"scene.yaml must give home_position and home_rpy: {error}") from None
    return pose


def clear_height(obstacles: np.ndarray, margin: float, highest: float) -> float:
    """Height of the palm in m at which the hand passes over everything, as far as that is allowed.

    Args:
        obstacles, margin, highest: as of `way_home`; where no obstacles are known, over the table.
    """
    top = float(obstacles[:, 2].max()) if len(obstacles) else 0.0
    return min(top + HAND_REACH + margin, highest)


def way_home(
    start: np.ndarray, home: np.ndarray, obstacles: np.ndarray, margin: float, highest: float
) -> list[np.ndarray]:
    """Palm poses from ``start`` home: up to where nothing is in the way, across, and down.

    Args:
        start: (4, 4) in `world`.
        home: (4, 4) in `world`.
        obstacles: (N, 3) points that may stand around, in `world`, m; empty where none is known.
        margin: height that the hand keeps above them, m.
        highest: height that the palm must not exceed, m.
    """
    height = max(start[2, 3], home[2, 3])
    if len(obstacles):
        height = max(height, clear_height(obstacles, margin, highest))
    above, over_home = start.copy(), home.copy()
    above[2, 3] = over_home[2, 3] = height
    return [start, above, over_home, home]


class PlannedMove:
    """A motion of the wrist along poses and of the fingers to given angles; a `Controller`.

    Args:
        name: its stage.
        waypoints: (4, 4) palm poses in `world`; it starts where the hand is, not at the first.
        passed: (4, 4) palm poses close together, from the last waypoint on, at none of which it
            stops but the last.
        fingers: (22,) targets at its end, rad; None: they stay where they are at the first state.
        config: speeds, and what counts as arrived.
        joint_limits: (22, 2) rad.
    """

    def __init__(
        self,
        name: str,
        waypoints: Sequence[np.ndarray],
        fingers: np.ndarray | None,
        config: ExecutorConfig,
        joint_limits: np.ndarray,
        passed: Sequence[np.ndarray] = (),
    ) -> None:
        self._name = name
        self._waypoints = list(waypoints)
        self._passed = list(passed)
        self._goal = fingers
        self._config = config
        self._limits = joint_limits
        self._elapsed = 0.0
        self._latest = 0.0
        self._motion: WristAndFingerMotion | None = None
        self._command: Command  # from the first step on
        self._outcome: Outcome | None = None

    @property
    def phase(self) -> Phase:
        """The hand opens, or the wrist is on its way."""
        return Phase.REACH if self._goal is None else Phase.RELEASE

    @property
    def stage(self) -> str:
        """Its name."""
        return self._name

    @property
    def progress(self) -> float:
        """Fraction of the planned time that has passed, in [0, 1]."""
        if self._motion is None or self._motion.duration == 0.0:
            return 0.0
        return min(self._elapsed / self._motion.duration, 1.0)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it goes on."""
        return self._outcome

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        """End it now; the first outcome stands."""
        self._outcome = self._outcome or Outcome(kind, reason)

    def step(self, observation: Observation) -> Command:
        """The command for this tick; after the outcome is known, one that holds still."""
        state = observation.state
        if self._motion is None:
            self._motion = self._motion_from(state)
            self._command = self._motion.targets(0.0)
            self._latest = state.time
        if self._outcome is not None:
            return self._command
        self._elapsed += min(state.time - self._latest, _LONGEST_STEP)
        self._latest = state.time
        distance, angle = pose_distance(self._command.wrist_target, state.wrist_pose)
        c = self._config
        overdue = self._elapsed - self._motion.duration
        arrived = distance < c.arrival_distance and angle < c.arrival_angle
        if distance > c.tracking_distance:
            self.abort(f"the wrist is {distance:.3f} m from its target; something is in its way")
        elif overdue >= 0.0 and (arrived or overdue >= c.settle_time):
            self._outcome = Outcome(OutcomeKind.SUCCEEDED, f"{self._name}: done")
        else:
            self._command = self._motion.targets(self._elapsed)
        return self._command

    def _motion_from(self, state: RobotState) -> WristAndFingerMotion:
        c = self._config
        bounds = MotionBounds(
            c.transit_speed, c.transit_acceleration, c.angular_speed, c.angular_acceleration
        )
        start = state.joints
        goal = start if self._goal is None else np.clip(self._goal, *self._limits.T)
        wrist: WristPath = PosePath([state.wrist_pose.copy(), *self._waypoints[1:]], bounds)
        if self._passed:
            wrist = JoinedPath([wrist, PassingPath(self._passed, bounds)])
        return WristAndFingerMotion(
            wrist,
            JointMotion(start.copy(), goal.copy(), c.finger_speed, c.release_time),
        )
