"""How palms are made to follow their target poses: pulled by servos, or carried by the arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_sim.backends.mujoco.robot_model import (
    ARM_LAG,
    PALM_JOINT,
    PALM_TARGET,
    PalmServo,
    palm_servo_names,
)
from dexgrasp_sim.backends.wrist_paths import ArmPaths, PalmPaths
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

    A target is (4, 4) of `rh_palm` in `world`.
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


def wrist_drives(
    model: mujoco.MjModel, config: SceneConfig, paths: PalmPaths | ArmPaths
) -> WristDrives:
    """Those of scenes whose wrists go on `paths`, and have their parts where `model` has them."""
    if isinstance(paths, ArmPaths):
        return ArmDrives(model, paths, config.steps_per_tick)
    return PalmServoDrives(model, paths, config.home_pose, config.steps_per_tick)


class PalmServoDrives:
    """Pull free palms with six servos each, at a target that moves evenly in each tick."""

    def __init__(
        self, model: mujoco.MjModel, paths: PalmPaths, home: np.ndarray, steps: int
    ) -> None:
        self.controls = [model.actuator(name).id for name in palm_servo_names()]
        self._paths = paths
        self._home = home
        self._fractions = np.arange(1, steps + 1) / steps
        self._period = steps * model.opt.timestep
        self._servo = PalmServo()
        self._address = model.joint(PALM_JOINT).qposadr[0]
        self._mocap = model.body(PALM_TARGET).mocapid[0]

    def reset(self, index: int, data: mujoco.MjData) -> None:
        self._paths.hold(index, self._home)
        inputs = self.tick([index], self._home[None])
        data.ctrl[self.controls] = 0.0
        data.mocap_pos[:], data.mocap_quat[:] = inputs.positions[0, 0], inputs.quaternions[0, 0]
        data.qpos[self._address : self._address + 3] = data.mocap_pos[self._mocap]
        data.qpos[self._address + 3 : self._address + 7] = data.mocap_quat[self._mocap]

    def hold(self, index: int, data: mujoco.MjData, pose: np.ndarray) -> None:
        self._paths.hold(index, pose)

    def tick(self, indices: Sequence[int], targets: np.ndarray) -> WristInputs:
        """Servo targets that move evenly, each with a single turn."""
        moves = self._paths.tick(indices, targets)
        # The servo damps speed in the world; a lead of damping x speed / stiffness cancels its lag.
        ahead = np.einsum("nji,nj->ni", targets[:, :3, :3], moves.move)
        servo = self._servo
        controls = np.concatenate(
            [
                servo.damping / servo.stiffness / self._period * ahead,
                servo.angular_damping / servo.angular_stiffness / self._period * moves.turn,
            ],
            axis=1,
        )
        quaternions = np.roll(moves.quaternions(self._fractions), 1, axis=-1)
        return WristInputs(
            controls[:, None], moves.positions(self._fractions)[:, :, None], quaternions[:, :, None]
        )

    def follow(self, indices: Sequence[int], joints: np.ndarray) -> WristInputs:
        raise ValueError("the hand floats, and no arm has joints to be driven")


class ArmDrives:
    """Carry palms on arms: each tick's joint targets come from the arm's pose servo."""

    def __init__(self, model: mujoco.MjModel, paths: ArmPaths, steps: int) -> None:
        kinematics = ArmKinematics()
        names = kinematics.arm.joint_names
        self.controls = [model.actuator(name).id for name in names]
        self._addresses = [model.joint(name).qposadr[0] for name in names]
        self._paths = paths
        self._home = kinematics.home
        self._fractions = (np.arange(1, steps + 1) / steps)[:, None]
        # As with the free palm, the lead cancels the lag that the servo's damping causes.
        self._lead = ARM_LAG / (steps * model.opt.timestep)

    def reset(self, index: int, data: mujoco.MjData) -> None:
        self._paths.hold(index, self._home)
        data.qpos[self._addresses] = data.ctrl[self.controls] = self._home

    def hold(self, index: int, data: mujoco.MjData, pose: np.ndarray) -> None:
        self._paths.hold(index, data.qpos[self._addresses])

    def tick(self, indices: Sequence[int], targets: np.ndarray) -> WristInputs:
        return self._inputs(*self._paths.tick(indices, targets), self._lead)

    def follow(self, indices: Sequence[int], joints: np.ndarray) -> WristInputs:
        return self._inputs(*self._paths.follow(indices, joints), 0.0)

    def _inputs(self, starts: np.ndarray, moves: np.ndarray, lead: float) -> WristInputs:
        controls = starts[:, None] + (self._fractions + lead) * moves[:, None]
        shape = (*controls.shape[:2], 0)  # there is no mocap body
        return WristInputs(controls, np.empty((*shape, 3)), np.empty((*shape, 4)))
