"""How the palm is made to follow its target pose: pulled by a servo, or carried by the arm."""

from __future__ import annotations

from typing import Protocol

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.servo import PoseServo
from dexgrasp_sim.robot_model import (
    ARM_LAG,
    PALM_JOINT,
    PALM_TARGET,
    PalmServo,
    palm_servo_names,
)


class WristDrive(Protocol):
    """Turns wrist targets into MuJoCo's inputs, one control tick after the other."""

    def reset(self, data: mujoco.MjData) -> None:
        """Put the palm at its home pose, at rest."""

    def begin_tick(self, data: mujoco.MjData, target: np.ndarray) -> None:
        """Head for the (4, 4) target of `rh_palm` in `world`, to be reached when the tick ends."""

    def advance(self, data: mujoco.MjData, fraction: float) -> None:
        """Set the inputs of the next physics step, which ends at `fraction` of the tick."""

    def memory(self) -> np.ndarray:
        """What the drive remembers from tick to tick."""

    def recall(self, memory: np.ndarray) -> None:
        """Back to an earlier `memory`."""


class PalmServoDrive:
    """Moves the free hand's servo target along a straight line and a single turn in each tick."""

    def __init__(
        self, model: mujoco.MjModel, home: np.ndarray, period: float, servo: PalmServo | None = None
    ) -> None:
        servo = servo or PalmServo()
        self._home = home
        self._period = period
        self._lead = np.repeat(
            [servo.damping / servo.stiffness, servo.angular_damping / servo.angular_stiffness], 3
        )
        self._controls = [model.actuator(name).id for name in palm_servo_names()]
        self._address = model.joint(PALM_JOINT).qposadr[0]
        self._mocap = model.body(PALM_TARGET).mocapid[0]
        self._target = home.copy()
        self._begin(home)

    def reset(self, data: mujoco.MjData) -> None:
        self._target = self._home.copy()
        self._begin(self._home)
        self._place_target(data, 1.0)
        data.ctrl[self._controls] = 0.0
        data.qpos[self._address : self._address + 3] = data.mocap_pos[self._mocap]
        data.qpos[self._address + 3 : self._address + 7] = data.mocap_quat[self._mocap]

    def begin_tick(self, data: mujoco.MjData, target: np.ndarray) -> None:
        self._begin(target)
        # The servo damps speed in the world; a lead of damping x speed / stiffness cancels its lag.
        move = target[:3, :3].T @ self._move
        data.ctrl[self._controls] = self._lead * np.concatenate([move, self._turn]) / self._period

    def advance(self, data: mujoco.MjData, fraction: float) -> None:
        self._place_target(data, fraction)

    def memory(self) -> np.ndarray:
        return self._target.copy()

    def recall(self, memory: np.ndarray) -> None:
        self._target = memory.copy()

    def _begin(self, target: np.ndarray) -> None:
        self._start, self._target = self._target, target.copy()
        self._start_rotation = Rotation.from_matrix(self._start[:3, :3])
        self._move = target[:3, 3] - self._start[:3, 3]
        self._turn = (self._start_rotation.inv() * Rotation.from_matrix(target[:3, :3])).as_rotvec()

    def _place_target(self, data: mujoco.MjData, fraction: float) -> None:
        attitude = self._start_rotation * Rotation.from_rotvec(fraction * self._turn)
        data.mocap_pos[self._mocap] = self._start[:3, 3] + fraction * self._move
        data.mocap_quat[self._mocap] = attitude.as_quat(scalar_first=True)


class ArmDrive:
    """Carries the palm on the arm: each tick's joint targets come from the arm's pose servo."""

    def __init__(self, model: mujoco.MjModel, servo: PoseServo, period: float) -> None:
        names = servo.kinematics.arm.joint_names
        self._servo = servo
        self._controls = [model.actuator(name).id for name in names]
        self._addresses = [model.joint(name).qposadr[0] for name in names]
        self._lead = ARM_LAG / period
        self._targets = self._start = servo.kinematics.home.copy()

    def reset(self, data: mujoco.MjData) -> None:
        self._targets = self._start = self._servo.kinematics.home.copy()
        data.qpos[self._addresses] = data.ctrl[self._controls] = self._targets

    def begin_tick(self, data: mujoco.MjData, target: np.ndarray) -> None:
        self._start = self._targets
        self._targets = self._servo.step(self._start, target).joints

    def advance(self, data: mujoco.MjData, fraction: float) -> None:
        # As with the free palm, the lead cancels the lag that the servo's damping causes.
        move = self._targets - self._start
        data.ctrl[self._controls] = self._start + (fraction + self._lead) * move

    def memory(self) -> np.ndarray:
        return self._targets.copy()

    def recall(self, memory: np.ndarray) -> None:
        self._targets = memory.copy()
