"""The MuJoCo simulator: bit-exact for one seed, about ten times real time on one core."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.arm.servo import PoseServo
from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco.mujoco_model import OBJECT, OBJECT_JOINT, build_scene
from dexgrasp_sim.backends.mujoco.stable_pose import find_stable_poses
from dexgrasp_sim.backends.mujoco.wrist_drive import ArmDrive, PalmServoDrive, WristDrive
from dexgrasp_sim.interface import Snapshot
from dexgrasp_sim.placement import draw_placement
from dexgrasp_sim.scene import SceneConfig

_FULL_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True, eq=False)
class SavedState:
    """A snapshot of a `MujocoPhysics`."""

    physics: np.ndarray
    wrist_memory: np.ndarray
    command: Command
    seed: int
    tick: int


class MujocoPhysics:
    """A scene in MuJoCo; see `interface.Physics` for what the public methods promise."""

    def __init__(self, config: SceneConfig, object_model: ObjectModel) -> None:
        self.config = config
        self.object_model = object_model
        self.model = build_scene(config, object_model)
        self.data = mujoco.MjData(self.model)
        self._hand = load_hand()
        self._palm = self.model.body(self._hand.root).id
        self._object = self.model.body(OBJECT).id
        joints = [self.model.joint(name) for name in self._hand.finger_joints]
        self._joint_positions = np.array([joint.qposadr[0] for joint in joints])
        self._joint_speeds = np.array([joint.dofadr[0] for joint in joints])
        coupled = config.hand == "coupled"
        drives = self._hand.actuators if coupled else self._hand.finger_joints
        self._finger_controls = np.array([self.model.actuator(name).id for name in drives])
        self._to_drives = self._hand.reduction if coupled else np.eye(len(drives))
        self._wrist = _wrist_drive(self.model, config)
        self._reported_joints = {
            joint.name: joint.qposadr[0]
            for joint in map(self.model.joint, range(self.model.njnt))
            if joint.type[0] == mujoco.mjtJoint.mjJNT_HINGE
        }
        self._seed = 0
        self._tick = 0
        self._command = Command(config.home_pose, np.zeros(len(joints)))

    # Time and control

    @property
    def time(self) -> float:
        # To the nanosecond, as message stamps have it.
        return round(self._tick * self.config.control_period, 9)

    def reset(self, seed: int) -> None:
        resting = find_stable_poses(self.object_model)
        mujoco.mj_resetData(self.model, self.data)
        self._wrist.reset(self.data)
        self.place_object(draw_placement(self.config, resting, seed))
        self._seed, self._tick = seed, 0
        self.set_targets(Command(self._palm_pose(), np.zeros(len(self._joint_positions))))

    def place_object(self, pose: np.ndarray) -> None:
        """Put the object at rest at a (4, 4) pose of its mesh frame in `world`."""
        joint = self.model.joint(OBJECT_JOINT)
        position, speed = joint.qposadr[0], joint.dofadr[0]
        self.data.qpos[position : position + 3] = pose[:3, 3]
        attitude = Rotation.from_matrix(pose[:3, :3]).as_quat(scalar_first=True)
        self.data.qpos[position + 3 : position + 7] = attitude
        self.data.qvel[speed : speed + 6] = 0.0
        self._moved()

    def set_targets(self, command: Command) -> None:
        self._command = command

    def step(self, ticks: int = 1) -> None:
        steps = self.config.steps_per_tick
        for _ in range(ticks):
            self.data.ctrl[self._finger_controls] = self._to_drives @ self._command.finger_targets
            self._wrist.begin_tick(self.data, self._command.wrist_target)
            for index in range(steps):
                self._wrist.advance(self.data, index)
                mujoco.mj_step(self.model, self.data)
            physics.check(self.data)
            self._tick += 1
        self._moved()

    def snapshot(self) -> Snapshot:
        return Snapshot(
            self.time, self.joint_positions(), self._palm_pose(), self.object_pose(), self._seed
        )

    def save_state(self) -> SavedState:
        physics = np.empty(mujoco.mj_stateSize(self.model, _FULL_STATE))
        mujoco.mj_getState(self.model, self.data, physics, _FULL_STATE)
        return SavedState(physics, self._wrist.memory(), self._command, self._seed, self._tick)

    def restore_state(self, saved: SavedState) -> None:
        mujoco.mj_setState(self.model, self.data, saved.physics, _FULL_STATE)
        self.data.warning.number[:] = 0
        self._wrist.recall(saved.wrist_memory)
        self._command, self._seed, self._tick = saved.command, saved.seed, saved.tick
        self._moved()

    def _moved(self) -> None:
        """Bring body poses up to date with the joints; MuJoCo's own lag one step behind."""
        mujoco.mj_kinematics(self.model, self.data)

    # Measurements

    def state(self) -> RobotState:
        return RobotState(
            time=self.time,
            wrist_pose=self._palm_pose(),
            joints=self.data.qpos[self._joint_positions].copy(),
            joint_velocities=self.data.qvel[self._joint_speeds].copy(),
        )

    def joint_positions(self) -> dict[str, float]:
        return {name: float(self.data.qpos[at]) for name, at in self._reported_joints.items()}

    def object_pose(self) -> np.ndarray:
        return self._body_pose(self._object)

    def hand_contacts(self) -> dict[str, float]:
        forces: dict[str, float] = {}
        wrench = np.empty(6)
        for index in range(self.data.ncon):
            bodies = self.model.geom_bodyid[self.data.contact.geom[index]]
            if self._object not in bodies:
                continue
            other = self.model.body(bodies[0] if bodies[1] == self._object else bodies[1])
            if other.name in self._hand.link_names:
                mujoco.mj_contactForce(self.model, self.data, index, wrench)
                forces[other.name] = forces.get(other.name, 0.0) + float(wrench[0])
        return forces

    def _palm_pose(self) -> np.ndarray:
        return self._body_pose(self._palm)

    def _body_pose(self, body: int) -> np.ndarray:
        pose = np.eye(4)
        pose[:3, :3] = self.data.xmat[body].reshape(3, 3)
        pose[:3, 3] = self.data.xpos[body]
        return pose


def _wrist_drive(model: mujoco.MjModel, config: SceneConfig) -> WristDrive:
    if config.scene == "arm":
        servo = PoseServo(ArmKinematics(), config.control_period)
        return ArmDrive(model, servo, config.steps_per_tick)
    return PalmServoDrive(model, config.home_pose, config.steps_per_tick)
