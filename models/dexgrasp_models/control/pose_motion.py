"""A pose that follows a target that may move at any time, within bounds of speed and acceleration.

Ruckig plans the fastest way from the present motion to rest at the target, anew at each step.
"""

from __future__ import annotations

import math

import numpy as np
from ruckig import (
    ControlInterface,
    InputParameter,
    Ruckig,
    RuckigError,
    Synchronization,
    Trajectory,
)
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.trajectory import MotionBounds

_REST = 1e-9
"""Speed, m/s or rad/s, that is left by rounding only."""


class PoseMotion:
    """Position and attitude of a pose, each as three coordinates that move by themselves.

    The bounds hold for the vectors: each axis has 1/sqrt(3) of them. The position never leaves a
    box in which all targets lie, as every plan ends at rest at the target of its moment. A step
    turns by so little that its rotation vector, in the axes of the world, moves as the angular
    velocity does.

    Args:
        bounds: of the motion.
        pose: (4, 4), where it rests first.

    Attributes:
        pose: (4, 4), where it is.
        velocity: (3,) m/s.
        angular_velocity: (3,) rad/s, in the axes of the world.
    """

    def __init__(self, bounds: MotionBounds, pose: np.ndarray) -> None:
        self._position = _Axes(bounds.linear_speed, bounds.linear_acceleration)
        self._attitude = _Axes(bounds.angular_speed, bounds.angular_acceleration)
        self.rest_at(pose)

    def rest_at(self, pose: np.ndarray) -> None:
        """Be at rest at a (4, 4) pose, without any motion to there."""
        self.pose = np.array(pose, dtype=float)
        self.velocity = self.angular_velocity = np.zeros(3)

    @property
    def moves(self) -> bool:
        """Whether it is not at rest."""
        return bool(np.abs([self.velocity, self.angular_velocity]).max() > _REST)

    def follow(self, target: np.ndarray, period: float) -> None:
        """Move towards a (4, 4) pose for a time, s."""
        way = target[:3, 3] - self.pose[:3, 3]
        turn = Rotation.from_matrix(target[:3, :3] @ self.pose[:3, :3].T).as_rotvec()
        self._move(
            self._position.towards(way, self.velocity, period),
            self._attitude.towards(turn, self.angular_velocity, period),
        )

    def brake(self, period: float) -> None:
        """Come to rest as soon as the bounds allow, for a time, s."""
        if not self.moves:
            return
        self._move(
            self._position.braking(self.velocity, period),
            self._attitude.braking(self.angular_velocity, period),
        )

    def _move(
        self, shift: tuple[np.ndarray, np.ndarray], turn: tuple[np.ndarray, np.ndarray]
    ) -> None:
        moved, self.velocity = shift
        turned, self.angular_velocity = turn
        pose = np.eye(4)
        pose[:3, 3] = self.pose[:3, 3] + moved
        attitude = Rotation.from_rotvec(turned) * Rotation.from_matrix(self.pose[:3, :3])
        pose[:3, :3] = attitude.as_matrix()
        self.pose = pose


class _Axes:
    """Three coordinates; gives by how much they move in a time, and their speeds after it."""

    def __init__(self, speed: float, acceleration: float) -> None:
        self._ruckig, self._trajectory = Ruckig(3), Trajectory(3)
        self._motion = InputParameter(3)
        # Axes that wait for each other could leave the box on the way.
        self._motion.synchronization = Synchronization.No
        self._motion.max_velocity = [speed / math.sqrt(3.0)] * 3
        self._motion.max_acceleration = [acceleration / math.sqrt(3.0)] * 3

    def towards(
        self, way: np.ndarray, velocity: np.ndarray, period: float
    ) -> tuple[np.ndarray, np.ndarray]:
        self._motion.control_interface = ControlInterface.Position
        self._motion.target_position = way.tolist()
        try:
            return self._moved(velocity, period)
        except RuckigError:  # seldom, where braking leads to the target to the last digit
            return self.braking(velocity, period)

    def braking(self, velocity: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
        self._motion.control_interface = ControlInterface.Velocity
        return self._moved(velocity, period)

    def _moved(self, velocity: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
        self._motion.current_velocity = velocity.tolist()
        self._ruckig.calculate(self._motion, self._trajectory)
        moved, speeds, _ = self._trajectory.at_time(period)
        return np.array(moved), np.array(speeds)
