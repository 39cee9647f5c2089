"""How the palm is made to follow its target pose: pulled by a servo, or carried by the arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.servo import PoseServo
from dexgrasp_sim.backends.mujoco.robot_model import (
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

    def advance(self, data: mujoco.MjData, step: int) -> None:
        """Set the inputs of the tick's physics step number `step`."""

    def memory(self) -> np.ndarray:
        """What the drive remembers from tick to tick."""

    def recall(self, memory: np.ndarray) -> None:
        """Back to an earlier `memory`."""


@dataclass(frozen=True)
class PalmInputs:
    """Inputs of the free palm's servos in one tick, for N scenes and S physics steps."""

    controls: np.ndarray
    """(N, 6) of the palm's actuators."""
    positions: np.ndarray
    """(S, N, 3) of `PALM_TARGET`, m."""
    quaternions: np.ndarray
    """(S, N, 4) of `PALM_TARGET`, (w, x, y, z)."""


def palm_inputs(
    starts: np.ndarray, targets: np.ndarray, steps: int, period: float, servo: PalmServo
) -> PalmInputs:
    """Servo targets that move evenly from (N, 4, 4) to (N, 4, 4), each with a single turn."""
    attitudes = Rotation.from_matrix(starts[:, :3, :3])
    move = targets[:, :3, 3] - starts[:, :3, 3]
    turn = (attitudes.inv() * Rotation.from_matrix(targets[:, :3, :3])).as_rotvec()
    # The servo damps speed in the world; a lead of damping x speed / stiffness cancels its lag.
    ahead = np.einsum("nji,nj->ni", targets[:, :3, :3], move)
    controls = np.concatenate(
        [
            servo.damping / servo.stiffness / period * ahead,
            servo.angular_damping / servo.angular_stiffness / period * turn,
        ],
        axis=1,
    )
    fractions = (np.arange(1, steps + 1) / steps)[:, None, None]
    turned = Rotation.from_quat(np.tile(attitudes.as_quat(), (steps, 1))) * Rotation.from_rotvec(
        (fractions * turn).reshape(-1, 3)
    )
    quaternions = turned.as_quat(scalar_first=True).reshape(steps, len(starts), 4)
    return PalmInputs(controls, starts[:, :3, 3] + fractions * move, quaternions)


class PalmServoDrive:
    """Pulls the free hand's palm with six servos, at a target that moves evenly in each tick."""

    def __init__(
        self, model: mujoco.MjModel, home: np.ndarray, steps: int, servo: PalmServo | None = None
    ) -> None:
        self._servo = servo or PalmServo()
        self._home = home
        self._steps = steps
        self._period = steps * model.opt.timestep
        self._controls = [model.actuator(name).id for name in palm_servo_names()]
        self._address = model.joint(PALM_JOINT).qposadr[0]
        self._mocap = model.body(PALM_TARGET).mocapid[0]
        self._begin(home, home)

    def reset(self, data: mujoco.MjData) -> None:
        self._begin(self._home, self._home)
        self.advance(data, 0)
        data.ctrl[self._controls] = 0.0
        data.qpos[self._address : self._address + 3] = data.mocap_pos[self._mocap]
        data.qpos[self._address + 3 : self._address + 7] = data.mocap_quat[self._mocap]

    def begin_tick(self, data: mujoco.MjData, target: np.ndarray) -> None:
        self._begin(self._target, target)
        data.ctrl[self._controls] = self._inputs.controls[0]

    def advance(self, data: mujoco.MjData, step: int) -> None:
        data.mocap_pos[self._mocap] = self._inputs.positions[step, 0]
        data.mocap_quat[self._mocap] = self._inputs.quaternions[step, 0]

    def memory(self) -> np.ndarray:
        return self._target.copy()

    def recall(self, memory: np.ndarray) -> None:
        self._target = memory.copy()

    def _begin(self, start: np.ndarray, target: np.ndarray) -> None:
        self._target = target.copy()
        self._inputs = palm_inputs(
            start[None], self._target[None], self._steps, self._period, self._servo
        )


class ArmDrive:
    """Carries the palm on the arm: each tick's joint targets come from the arm's pose servo."""

    def __init__(self, model: mujoco.MjModel, servo: PoseServo, steps: int) -> None:
        names = servo.kinematics.arm.joint_names
        self._servo = servo
        self._controls = [model.actuator(name).id for name in names]
        self._addresses = [model.joint(name).qposadr[0] for name in names]
        self._steps = steps
        self._lead = ARM_LAG / (steps * model.opt.timestep)
        self._targets = self._start = servo.kinematics.home.copy()

    def reset(self, data: mujoco.MjData) -> None:
        self._targets = self._start = self._servo.kinematics.home.copy()
        data.qpos[self._addresses] = data.ctrl[self._controls] = self._targets

    def begin_tick(self, data: mujoco.MjData, target: np.ndarray) -> None:
        self._start = self._targets
        self._targets = self._servo.step(self._start, target).joints

    def advance(self, data: mujoco.MjData, step: int) -> None:
        # As with the free palm, the lead cancels the lag that the servo's damping causes.
        move = self._targets - self._start
        fraction = (step + 1) / self._steps
        data.ctrl[self._controls] = self._start + (fraction + self._lead) * move

    def memory(self) -> np.ndarray:
        return self._targets.copy()

    def recall(self, memory: np.ndarray) -> None:
        self._targets = memory.copy()
