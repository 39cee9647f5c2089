"""How palms are made to follow their target poses: pulled by servos, or carried by the arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.arm.servo import PoseServo
from dexgrasp_sim.backends.mujoco.robot_model import (
    ARM_LAG,
    PALM_JOINT,
    PALM_TARGET,
    PalmServo,
    palm_servo_names,
)
from dexgrasp_sim.scene import SceneConfig


@dataclass(frozen=True)
class WristInputs:
    """MuJoCo's inputs of n scenes for the S physics steps of one tick."""

    controls: np.ndarray
    """(n, S, 6) of the drive's actuators, or (n, 1, 6) where they stay the same and a mocap body
    moves."""
    positions: np.ndarray
    """(n, S, B, 3) of the B mocap bodies, m."""
    quaternions: np.ndarray
    """(n, S, B, 4) of the mocap bodies, (w, x, y, z)."""


class WristDrives(Protocol):
    """Turns the wrist targets of N scenes into MuJoCo's inputs, one control tick after the other.

    A target, (4, 4) of `rh_palm` in `world`, is to be reached when its tick ends; from where the
    next one sets out.
    """

    @property
    def controls(self) -> Sequence[int]:
        """Ids of the drive's actuators."""

    def reset(self, index: int, data: mujoco.MjData) -> None:
        """Put a scene's palm at its home pose, at rest."""

    def hold(self, index: int, data: mujoco.MjData, pose: np.ndarray) -> None:
        """Set out from where the scene's palm was put, at a (4, 4) pose."""

    def tick(self, indices: Sequence[int], targets: np.ndarray) -> WristInputs:
        """The inputs of the next tick of n scenes, for (n, 4, 4) targets."""

    def follow(self, indices: Sequence[int], joints: np.ndarray) -> WristInputs:
        """As `tick`, for (n, 6) targets of the arm's joints, rad.

        Raises:
            ValueError: there is no arm.
        """

    def memory(self, indices: np.ndarray) -> np.ndarray:
        """(n, ...) what the drive remembers from tick to tick."""

    def recall(self, indices: np.ndarray, memory: np.ndarray) -> None:
        """Back to an earlier `memory`."""


def wrist_drives(model: mujoco.MjModel, config: SceneConfig, count: int) -> WristDrives:
    """Those of `count` scenes, which have their parts where `model` has them."""
    if config.scene == "arm":
        servo = PoseServo(ArmKinematics(), config.control_period)
        return ArmDrives(model, servo, config.steps_per_tick, count)
    return PalmServoDrives(model, config.home_pose, config.steps_per_tick, count)


class PalmServoDrives:
    """Pull free palms with six servos each, at a target that moves evenly in each tick."""

    def __init__(self, model: mujoco.MjModel, home: np.ndarray, steps: int, count: int) -> None:
        self.controls = [model.actuator(name).id for name in palm_servo_names()]
        self._home = home
        self._steps = steps
        self._period = steps * model.opt.timestep
        self._servo = PalmServo()
        self._address = model.joint(PALM_JOINT).qposadr[0]
        self._mocap = model.body(PALM_TARGET).mocapid[0]
        self._reached = np.tile(home, (count, 1, 1))

    def reset(self, index: int, data: mujoco.MjData) -> None:
        self._reached[index] = self._home
        inputs = self.tick([index], self._home[None])
        data.ctrl[self.controls] = 0.0
        data.mocap_pos[:], data.mocap_quat[:] = inputs.positions[0, 0], inputs.quaternions[0, 0]
        data.qpos[self._address : self._address + 3] = data.mocap_pos[self._mocap]
        data.qpos[self._address + 3 : self._address + 7] = data.mocap_quat[self._mocap]

    def hold(self, index: int, data: mujoco.MjData, pose: np.ndarray) -> None:
        self._reached[index] = pose

    def tick(self, indices: Sequence[int], targets: np.ndarray) -> WristInputs:
        """Servo targets that move evenly, each with a single turn."""
        starts = self._reached[indices]
        self._reached[indices] = targets
        attitudes = Rotation.from_matrix(starts[:, :3, :3])
        move = targets[:, :3, 3] - starts[:, :3, 3]
        turn = (attitudes.inv() * Rotation.from_matrix(targets[:, :3, :3])).as_rotvec()
        # The servo damps speed in the world; a lead of damping x speed / stiffness cancels its lag.
        ahead = np.einsum("nji,nj->ni", targets[:, :3, :3], move)
        servo = self._servo
        controls = np.concatenate(
            [
                servo.damping / servo.stiffness / self._period * ahead,
                servo.angular_damping / servo.angular_stiffness / self._period * turn,
            ],
            axis=1,
        )
        fractions = (np.arange(1, self._steps + 1) / self._steps)[:, None]
        positions = starts[:, None, :3, 3] + fractions * move[:, None]
        starting = np.repeat(attitudes.as_quat(), self._steps, axis=0)
        turned = Rotation.from_quat(starting) * Rotation.from_rotvec(
            (fractions * turn[:, None]).reshape(-1, 3)
        )
        quaternions = turned.as_quat(scalar_first=True).reshape(-1, self._steps, 1, 4)
        return WristInputs(controls[:, None], positions[:, :, None], quaternions)

    def follow(self, indices: Sequence[int], joints: np.ndarray) -> WristInputs:
        raise ValueError("the hand floats, and no arm has joints to be driven")

    def memory(self, indices: np.ndarray) -> np.ndarray:
        return self._reached[indices]

    def recall(self, indices: np.ndarray, memory: np.ndarray) -> None:
        self._reached[indices] = memory


class ArmDrives:
    """Carry palms on arms: each tick's joint targets come from the arm's pose servo."""

    def __init__(self, model: mujoco.MjModel, servo: PoseServo, steps: int, count: int) -> None:
        names = servo.kinematics.arm.joint_names
        self.controls = [model.actuator(name).id for name in names]
        self._addresses = [model.joint(name).qposadr[0] for name in names]
        self._servo = servo
        self._fractions = (np.arange(1, steps + 1) / steps)[:, None]
        # As with the free palm, the lead cancels the lag that the servo's damping causes.
        self._lead = ARM_LAG / (steps * model.opt.timestep)
        self._targets = np.tile(servo.kinematics.home, (count, 1))

    def reset(self, index: int, data: mujoco.MjData) -> None:
        self._targets[index] = self._servo.kinematics.home
        data.qpos[self._addresses] = data.ctrl[self.controls] = self._targets[index]

    def hold(self, index: int, data: mujoco.MjData, pose: np.ndarray) -> None:
        self._targets[index] = data.qpos[self._addresses]

    def tick(self, indices: Sequence[int], targets: np.ndarray) -> WristInputs:
        starts = self._targets[indices]
        for index, start, target in zip(indices, starts, targets, strict=True):
            self._targets[index] = self._servo.step(start, target).joints
        return self._inputs(starts, self._targets[indices] - starts, self._lead)

    def follow(self, indices: Sequence[int], joints: np.ndarray) -> WristInputs:
        starts = self._targets[indices]
        self._targets[indices] = joints
        return self._inputs(starts, joints - starts, 0.0)

    def _inputs(self, starts: np.ndarray, moves: np.ndarray, lead: float) -> WristInputs:
        controls = starts[:, None] + (self._fractions + lead) * moves[:, None]
        shape = (*controls.shape[:2], 0)  # there is no mocap body
        return WristInputs(controls, np.empty((*shape, 3)), np.empty((*shape, 4)))

    def memory(self, indices: np.ndarray) -> np.ndarray:
        return self._targets[indices]

    def recall(self, indices: np.ndarray, memory: np.ndarray) -> None:
        self._targets[indices] = memory
