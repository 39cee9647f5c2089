"""Trials of grasps in MuJoCo; bit-exact, and one at a time, as nothing is gained by more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cached_property

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco.mujoco_model import (
    OBJECT,
    OBJECT_JOINT,
    TABLE,
    add_object,
    new_spec,
)
from dexgrasp_sim.backends.mujoco.robot_model import (
    CONTACT,
    Collides,
    add_fixed_hand,
    friction_coefficients,
)
from dexgrasp_sim.interface import SimulatorError
from dexgrasp_sim.trial_physics import Closeness, Contacts, TrialScene

_TABLE_SIDE, _TABLE_THICKNESS = 1.0, 0.1  # m, half of each
FAR = (0.0, 0.0, -10.0)  # m: where a table waits while it is not wanted
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


AT_ONCE = 1
"""See `backends.trials_at_once`."""


def trial_spec(scene: TrialScene, object_model: ObjectModel) -> mujoco.MjSpec:
    """The model of trials around an object, before it is compiled."""
    spec = new_spec(scene.timestep)
    add_object(spec, object_model, scene.mass, scene.friction)
    add_fixed_hand(spec, load_hand(), scene.drive, scene.friction, scene.self_collision)
    _add_leaving_table(spec, scene.friction)
    return spec


class TrialModel:
    """A model of trials, whoever steps it, and where in it everything is.

    Args:
        scene: what all have alike.
        model: compiled.

    Attributes:
        model: the same.
        object: id of its body.
        object_qpos: where its pose is.
        controls: ids of the drives.
    """

    def __init__(self, scene: TrialScene, model: mujoco.MjModel) -> None:
        hand = load_hand()
        self.model = model
        self.object = model.body(OBJECT).id
        self._is_object = model.geom_bodyid == self.object
        self._table = model.geom(TABLE).id
        joint = model.joint(OBJECT_JOINT)
        self.object_qpos = slice(joint.qposadr[0], joint.qposadr[0] + 7)
        joints = [model.joint(name) for name in hand.finger_joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        drives = hand.actuators if scene.drive == "coupled" else hand.finger_joints
        self.controls = [model.actuator(name).id for name in drives]

    @cached_property
    def data(self) -> mujoco.MjData:
        """A state of it."""
        return mujoco.MjData(self.model)

    def put(self, object_pose: np.ndarray, joints: np.ndarray, margin: float) -> Closeness:
        """As `TrialPhysics.place`, of one, in `data`."""
        model, data = self.model, self.data
        mujoco.mj_resetData(model, data)
        data.mocap_pos[0] = FAR
        data.qpos[self.object_qpos] = [
            *object_pose[:3, 3],
            *Rotation.from_matrix(object_pose[:3, :3]).as_quat(scalar_first=True),
        ]
        data.qpos[self._qpos] = joints
        model.geom_margin[~self._is_object] = margin
        mujoco.mj_forward(model, data)
        model.geom_margin[~self._is_object] = 0.0
        return self._closeness()

    def _closeness(self) -> Closeness:
        model, data = self.model, self.data
        nearest: dict[int, tuple[float, np.ndarray, np.ndarray]] = {}
        for contact in data.contact:
            first, second = model.geom_bodyid[contact.geom]
            if self.object not in (first, second):
                continue
            link = second if first == self.object else first
            outward = contact.frame[:3] if first == self.object else -contact.frame[:3]
            if link not in nearest or contact.dist < nearest[link][0]:
                nearest[link] = (contact.dist, contact.pos.copy(), outward.copy())
        distances, points, normals = zip(*nearest.values(), strict=True) if nearest else ((),) * 3
        jacobians, jacobian = [], np.empty((3, model.nv))
        for link, point in zip(nearest, points, strict=True):
            mujoco.mj_jac(model, data, jacobian, None, point, link)
            jacobians.append(jacobian[:, self._dofs])
        return Closeness(
            np.array(distances),
            np.array(points).reshape(-1, 3),
            np.array(normals).reshape(-1, 3),
            jacobians,
            data.xipos[self.object].copy(),
            _deepest(data.contact.dist[~self._is_object[data.contact.geom].any(axis=1)]),
        )

    def contacts(self, distances: np.ndarray, geoms: np.ndarray) -> Contacts:
        """Of (C,) distances between (C, 2) geoms."""
        with_object = self._is_object[geoms].any(axis=1)
        with_table = (geoms == self._table).any(axis=1)
        return Contacts(
            distances[with_object & ~with_table],
            _deepest(distances[with_table & ~with_object]),
        )


class TrialModels(dict[int, TrialModel]):
    """Those of a scene's objects, by their numbers; each is made when it is first asked for."""

    def __init__(self, scene: TrialScene) -> None:
        self._scene = scene

    def __missing__(self, item: int) -> TrialModel:
        spec = trial_spec(self._scene, self._scene.object_models[item])
        self[item] = made = TrialModel(self._scene, spec.compile())
        return made


class MujocoTrials:
    """A trial in MuJoCo; see `trial_physics.TrialPhysics`."""

    count = AT_ONCE

    def __init__(self, scene: TrialScene) -> None:
        self._models = TrialModels(scene)
        self._placed: TrialModel | None = None
        self._timestep = scene.timestep
        self._normal = np.zeros(3)

    @property
    def _trial(self) -> TrialModel:
        assert self._placed is not None, "`place` comes first"
        return self._placed

    @property
    def _data(self) -> mujoco.MjData:
        return self._trial.data

    @property
    def unstable(self) -> Collection[int]:
        return (0,) if physics.fault(self._data) else ()

    def place(
        self, objects: np.ndarray, object_poses: np.ndarray, joints: np.ndarray, margin: float
    ) -> Sequence[Closeness]:
        self._placed = self._models[int(objects[0])]
        self._trial.model.opt.gravity = 0.0
        return [self._trial.put(object_poses[0], joints[0], margin)]

    def set_drives(self, targets: np.ndarray) -> None:
        self._data.ctrl[self._trial.controls] = targets[0]

    def set_gravity(self, accelerations: np.ndarray) -> None:
        self._trial.model.opt.gravity = accelerations[0]

    def set_tables(self, planes: np.ndarray | None) -> None:
        if planes is None:
            self._data.mocap_pos[0] = FAR
        else:
            self._normal = planes[0, :3]
            self._data.mocap_pos[0], self._data.mocap_quat[0] = table_pose(planes[0])

    def step(self, trials: Sequence[int], duration: float, lowering: float = 0.0) -> None:
        if not trials:
            return
        steps = round(duration / self._timestep)
        with suppress(SimulatorError):
            if lowering:
                for _ in range(steps):
                    self._data.mocap_pos[0] -= lowering / steps * self._normal
                    physics.step(self._trial.model, self._data)
            else:
                physics.step(self._trial.model, self._data, steps)

    def object_poses(self) -> np.ndarray:
        return poses(self._data.qpos[None, self._trial.object_qpos])

    def contacts(self, trials: Sequence[int]) -> Sequence[Contacts]:
        if not trials:
            return []
        mujoco.mj_forward(self._trial.model, self._data)
        contact = self._data.contact
        return [self._trial.contacts(contact.dist, contact.geom)]

    def save(self) -> np.ndarray:
        state = np.empty(mujoco.mj_stateSize(self._trial.model, _STATE))
        mujoco.mj_getState(self._trial.model, self._data, state, _STATE)
        return state

    def restore(self, saved: np.ndarray) -> None:
        mujoco.mj_setState(self._trial.model, self._data, saved, _STATE)
        self._data.warning.number[:] = 0


def table_pose(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position, m, and quaternion, (w, x, y, z), of a table whose top is a (4,) plane."""
    normal = plane[:3]
    rotation, _ = Rotation.align_vectors([normal], [[0.0, 0.0, 1.0]])
    position = -(plane[3] + _TABLE_THICKNESS) * normal
    return position, rotation.as_quat(scalar_first=True)


def poses(qpos: np.ndarray) -> np.ndarray:
    """(N, 4, 4) of (N, 7) positions of free joints."""
    found = np.tile(np.eye(4), (len(qpos), 1, 1))
    found[:, :3, :3] = Rotation.from_quat(qpos[:, 3:], scalar_first=True).as_matrix()
    found[:, :3, 3] = qpos[:, :3]
    return found


def _add_leaving_table(spec: mujoco.MjSpec, friction: float) -> None:
    """A table that is moved by its pose. A box: MuJoCo's planes can't move."""
    table = spec.worldbody.add_body(name=TABLE, mocap=True, pos=FAR)
    table.add_geom(
        name=TABLE,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=(_TABLE_SIDE, _TABLE_SIDE, _TABLE_THICKNESS),
        contype=Collides.TABLE,
        conaffinity=0,
        friction=friction_coefficients(friction),
        **CONTACT,
    )


def _deepest(distances: np.ndarray) -> float:
    return float(max(0.0, -distances.min(initial=0.0)))


make_trials = MujocoTrials
