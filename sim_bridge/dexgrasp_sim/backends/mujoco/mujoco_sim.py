"""The MuJoCo simulator: bit-exact for one seed, about ten times real time on one core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import mujoco
import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.arm.servo import PoseServo
from dexgrasp_models.config import find_config
from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_models.perception.cameras import CameraModel, load_rig
from dexgrasp_models.perception.ray_casting import Body, Hits, RayCaster
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco.mujoco_model import OBJECT, OBJECT_JOINT, TABLE, build_scene
from dexgrasp_sim.backends.mujoco.robot_model import PALM_JOINT, Collides
from dexgrasp_sim.backends.mujoco.stable_pose import find_stable_poses
from dexgrasp_sim.backends.mujoco.wrist_drive import ArmDrive, PalmServoDrive, WristDrive
from dexgrasp_sim.interface import Snapshot
from dexgrasp_sim.noise import measure_depth
from dexgrasp_sim.placement import draw_placement
from dexgrasp_sim.scene import SceneConfig

_FULL_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_TABLE_THICKNESS = 0.03  # m, drawn
_COLORS = {
    TABLE: (0.80, 0.72, 0.60),
    OBJECT: (0.90, 0.45, 0.12),
    Collides.HAND: (0.30, 0.33, 0.38),
    Collides.ARM: (0.62, 0.70, 0.80),
}


@dataclass(frozen=True, eq=False)
class SavedState:
    """A snapshot of a `MujocoSimulator`."""

    physics: np.ndarray
    wrist_memory: np.ndarray
    command: Command
    seed: int
    tick: int


class MujocoSimulator:
    """A scene in MuJoCo; see `interface.Simulator` for what the public methods promise."""

    def __init__(self, config: SceneConfig, object_model: ObjectModel) -> None:
        self.config = config
        self.object_model = object_model
        self.model = build_scene(config, object_model)
        self.data = mujoco.MjData(self.model)
        self.cameras: Mapping[str, CameraModel] = {
            camera.name: camera for camera in load_rig(find_config(config.cameras))
        }
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
        self._hits: dict[str, Hits] = {}
        self._placed = False
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
        self._place(OBJECT_JOINT, pose)

    def _place(self, free_joint: str, pose: np.ndarray) -> None:
        joint = self.model.joint(free_joint)
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
        return Snapshot(self.time, self.joint_positions(), self._palm_pose(), self.object_pose())

    def show(self, snapshot: Snapshot) -> None:
        for name, angle in snapshot.joints.items():
            if name in self._reported_joints:
                self.data.qpos[self._reported_joints[name]] = angle
        if self.config.scene == "floating":
            self._place(PALM_JOINT, snapshot.wrist_pose)
        self._place(OBJECT_JOINT, snapshot.object_pose)

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
        self._hits = {}
        self._placed = False

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

    # Cameras

    def read_depth(self, camera: str) -> np.ndarray:
        hits = self._look(camera)
        stream = np.random.SeedSequence([self._seed, list(self.cameras).index(camera), self._tick])
        return measure_depth(
            hits.depth,
            hits.cosine,
            self.cameras[camera].fx,
            self.config.noise,
            np.random.default_rng(stream),
            self.cameras[camera].depth_unit,
        )

    def read_color(self, camera: str) -> np.ndarray:
        return self._ray_caster.shade(self._look(camera))

    def cast(self, camera: CameraModel) -> tuple[Hits, RayCaster]:
        """What any camera sees now, and the caster that can shade it."""
        if not self._placed:
            self._ray_caster.place(self._surface_poses())
            self._placed = True
        return self._ray_caster.cast(camera), self._ray_caster

    def _look(self, camera: str) -> Hits:
        if camera not in self.cameras:
            raise KeyError(f"no camera {camera!r}; there are {', '.join(self.cameras)}")
        if camera not in self._hits:
            self._hits[camera], _ = self.cast(self.cameras[camera])
        return self._hits[camera]

    @cached_property
    def _drawn_geoms(self) -> list[int]:
        """Ids of the robot's and the table's geoms; the object is drawn by its visual mesh."""
        return [g for g in range(self.model.ngeom) if self.model.geom_bodyid[g] != self._object]

    @cached_property
    def _ray_caster(self) -> RayCaster:
        bodies = [Body(self.object_model.visual, _COLORS[OBJECT])]
        for geom in self._drawn_geoms:
            bodies.append(Body(_geom_mesh(self.model, geom), _geom_color(self.model, geom)))
        return RayCaster(bodies)

    def _surface_poses(self) -> np.ndarray:
        poses = np.tile(np.eye(4), (1 + len(self._drawn_geoms), 1, 1))
        poses[0] = self.object_pose()
        poses[1:, :3, :3] = self.data.geom_xmat[self._drawn_geoms].reshape(-1, 3, 3)
        poses[1:, :3, 3] = self.data.geom_xpos[self._drawn_geoms]
        return poses


def _wrist_drive(model: mujoco.MjModel, config: SceneConfig) -> WristDrive:
    if config.scene == "arm":
        servo = PoseServo(ArmKinematics(), config.control_period)
        return ArmDrive(model, servo, config.steps_per_tick)
    return PalmServoDrive(model, config.home_pose, config.steps_per_tick)


def _geom_color(model: mujoco.MjModel, geom: int) -> tuple[float, float, float]:
    if model.geom(geom).name == TABLE:
        return _COLORS[TABLE]
    return _COLORS[Collides(int(model.geom_contype[geom]))]


def _geom_mesh(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh:
    """Surface of a primitive geom in its own frame."""
    size = model.geom_size[geom]
    match mujoco.mjtGeom(model.geom_type[geom]):
        case mujoco.mjtGeom.mjGEOM_PLANE:
            slab = trimesh.creation.box(extents=(2 * size[0], 2 * size[1], _TABLE_THICKNESS))
            return slab.apply_translation((0.0, 0.0, -_TABLE_THICKNESS / 2))
        case mujoco.mjtGeom.mjGEOM_BOX:
            return trimesh.creation.box(extents=2 * size)
        case mujoco.mjtGeom.mjGEOM_CAPSULE:
            return trimesh.creation.capsule(height=2 * size[1], radius=size[0], count=(24, 16))
        case mujoco.mjtGeom.mjGEOM_CYLINDER:
            return trimesh.creation.cylinder(radius=size[0], height=2 * size[1], sections=32)
        case kind:
            raise ValueError(f"no surface for geoms of type {kind.name}")
