"""Scenes in MuJoCo, stepped together at about MuJoCo's own cost; bit-exact for one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import mujoco
import numpy as np

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco.rows import rows_of
from dexgrasp_sim.backends.mujoco.scene_model import SceneModel, scene_model
from dexgrasp_sim.backends.mujoco.wrist_drive import WristDrives, wrist_drives
from dexgrasp_sim.interface import Snapshot
from dexgrasp_sim.placement import draw_placement
from dexgrasp_sim.scene import SceneConfig

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class _Environment(NamedTuple):
    """A scene's state and the views of it that are written in every step."""

    scene: SceneModel
    data: mujoco.MjData
    controls: np.ndarray
    positions: np.ndarray
    quaternions: np.ndarray


@dataclass(frozen=True, eq=False)
class SavedEnvironments:
    """What `MujocoBatch.save` keeps of n environments, in arrays of n rows."""

    objects: tuple[tuple[str, float], ...]
    """Names and scales."""
    physics: np.ndarray
    wrists: np.ndarray
    targets: np.ndarray
    fingers: np.ndarray
    seeds: np.ndarray
    ticks: np.ndarray
    efforts: np.ndarray
    contacts: np.ndarray


class MujocoBatch:
    """Environments in MuJoCo; see `interface.BatchPhysics` for what the public methods promise.

    MuJoCo releases Python's lock while it steps, so threads run in parallel; results don't depend
    on their number.

    Args:
        config: of all environments.
        object_models: the N objects; environments with the same `ObjectModel` share its model.
        threads: that step the environments.

    Raises:
        ValueError: there is no environment or no thread.
    """

    def __init__(
        self, config: SceneConfig, object_models: Sequence[ObjectModel], threads: int = 1
    ) -> None:
        count = len(object_models)
        if count < 1 or threads < 1:
            raise ValueError(f"{count} environments on {threads} threads: one is the least of both")
        self.config = config
        self.object_models = tuple(object_models)
        self._environments = [_environment(scene_model(config, item)) for item in object_models]
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        hand = load_hand()
        model = self._environments[0].scene.model
        self._control_count = model.nu
        coupled = config.hand == "coupled"
        drives = hand.actuators if coupled else hand.finger_joints
        self._finger_controls = [model.actuator(name).id for name in drives]
        self._to_drives = hand.reduction if coupled else np.eye(len(drives))
        self._wrists: WristDrives = wrist_drives(model, config, count)
        self._targets = np.tile(config.home_pose, (count, 1, 1))
        self._fingers = np.zeros((count, len(hand.joints)))
        self._arms: np.ndarray | None = None
        """(N, 6) targets of the arms' joints in place of the wrists'."""
        self._seeds = np.zeros(count, dtype=np.int64)
        self._ticks = np.zeros(count, dtype=np.int64)
        self._faults: dict[int, str] = {}
        self._moved = np.ones(count, dtype=bool)
        """Whose bodies' poses lag behind the joints, as MuJoCo's do after a step."""
        self._unread = np.zeros(count, dtype=bool)
        """Whose efforts and contacts are newer than those kept here."""
        self._efforts = np.zeros((count, len(config.joint_names)))
        self._contacts = np.zeros((count, len(hand.links)))

    @property
    def models(self) -> list[mujoco.MjModel]:
        """MuJoCo's model of each environment."""
        return [environment.scene.model for environment in self._environments]

    @property
    def data(self) -> list[mujoco.MjData]:
        """MuJoCo's state of each environment."""
        return [environment.data for environment in self._environments]

    # Beginning

    def reset(
        self,
        indices: Sequence[int],
        seeds: Sequence[int],
        object_poses: np.ndarray | None = None,
    ) -> None:
        if object_poses is not None:
            object_poses = rows_of("object_poses", object_poses, (len(indices), 4, 4))
        for row, (index, seed) in enumerate(zip(indices, seeds, strict=True)):
            scene, data = self._environments[index][:2]
            mujoco.mj_resetData(scene.model, data)
            self._wrists.reset(index, data)
            if object_poses is None:
                scene.put_object(data, draw_placement(self.config, scene.resting, seed))
            else:
                scene.put_object(data, object_poses[row])
            self._seeds[index], self._ticks[index] = seed, 0
            self._fingers[index] = 0.0
            self._begin(index)
            self._targets[index] = self._pose(index, scene.palm)

    def place(
        self,
        indices: Sequence[int],
        *,
        wrist_poses: np.ndarray | None = None,
        joints: np.ndarray | None = None,
        object_poses: np.ndarray | None = None,
    ) -> None:
        if wrist_poses is not None and self.config.scene == "arm":
            raise ValueError("the arm's joints place the wrist in arm scenes: give joints")
        count, fingers = len(indices), self._fingers.shape[1]
        if wrist_poses is not None:
            wrist_poses = rows_of("wrist_poses", wrist_poses, (count, 4, 4))
        if joints is not None:
            joints = rows_of("joints", joints, (count, self._efforts.shape[1]))
        if object_poses is not None:
            object_poses = rows_of("object_poses", object_poses, (count, 4, 4))
        for row, index in enumerate(indices):
            scene, data = self._environments[index][:2]
            if joints is not None:
                data.qpos[scene.qpos], data.qvel[scene.dofs] = joints[row], 0.0
                self._fingers[index] = joints[row, :fingers]
            if wrist_poses is not None:
                scene.put_palm(data, wrist_poses[row])
            if object_poses is not None:
                scene.put_object(data, object_poses[row])
            data.qacc_warmstart[:] = 0.0  # what follows depends on nothing that was before
            data.xfrc_applied[scene.object] = 0.0
            self._begin(index)
            if wrist_poses is not None or (joints is not None and self.config.scene == "arm"):
                self._targets[index] = self._pose(index, scene.palm)
                self._wrists.hold(index, data, self._targets[index])

    def _begin(self, index: int) -> None:
        """From where the environment was put, with no step behind it."""
        scene, data = self._environments[index][:2]
        data.warning.number[:] = 0
        if self._arms is not None:
            self._arms[index] = data.qpos[scene.qpos[self._fingers.shape[1] :]]
        self._faults.pop(index, None)
        self._moved[index] = True
        self._unread[index] = False
        self._efforts[index] = self._contacts[index] = 0.0

    def save(self, indices: Sequence[int]) -> SavedEnvironments:
        self._read()
        at = np.asarray(indices, dtype=int)
        size = mujoco.mj_stateSize(self.models[0], _STATE)
        states = np.empty((len(at), size))
        for state, index in zip(states, at, strict=True):
            scene, data = self._environments[index][:2]
            mujoco.mj_getState(scene.model, data, state, _STATE)
        return SavedEnvironments(
            self._objects(indices),
            states,
            self._wrists.memory(at),
            *(
                kept[at]
                for kept in (
                    self._targets,
                    self._fingers,
                    self._seeds,
                    self._ticks,
                    self._efforts,
                    self._contacts,
                )
            ),
        )

    def restore(self, indices: Sequence[int], saved: SavedEnvironments) -> None:
        if self._objects(indices) != saved.objects:
            raise ValueError(
                f"the saved states are of {saved.objects}, the environments of"
                f" {self._objects(indices)}"
            )
        at = np.asarray(indices, dtype=int)
        for state, index in zip(saved.physics, at, strict=True):
            scene, data = self._environments[index][:2]
            mujoco.mj_setState(scene.model, data, state, _STATE)
            self._begin(index)
        self._wrists.recall(at, saved.wrists)
        self._targets[at], self._fingers[at] = saved.targets, saved.fingers
        self._seeds[at], self._ticks[at] = saved.seeds, saved.ticks
        self._efforts[at], self._contacts[at] = saved.efforts, saved.contacts

    def _objects(self, indices: Sequence[int]) -> tuple[tuple[str, float], ...]:
        models = [self.object_models[index] for index in indices]
        return tuple((model.name, model.scale) for model in models)

    def vary(
        self,
        indices: Sequence[int],
        *,
        masses: np.ndarray | None = None,
        frictions: np.ndarray | None = None,
        gains: np.ndarray | None = None,
    ) -> None:
        count, config = len(indices), self.config
        rows = np.column_stack(
            [
                np.full(count, usual) if given is None else rows_of(name, given, (count,))
                for name, given, usual in (
                    ("masses", masses, config.object_mass),
                    ("frictions", frictions, config.friction),
                    ("gains", gains, 1.0),
                )
            ]
        )
        if not ((rows > 0.0) & np.isfinite(rows)).all():
            raise ValueError("masses, frictions and gains have to be positive")
        for index, (mass, friction, gain) in zip(indices, rows.tolist(), strict=True):
            shared = scene_model(config, self.object_models[index])
            if (mass, friction, gain) == (config.object_mass, config.friction, 1.0):
                scene = shared
            else:
                scene = shared.varied(mass, friction, gain, self._finger_controls)
            self._environments[index] = self._environments[index]._replace(scene=scene)

    # Moving

    def set_targets(self, wrists: np.ndarray, fingers: np.ndarray) -> None:
        wrists = rows_of("wrists", wrists, self._targets.shape)
        fingers = rows_of("fingers", fingers, self._fingers.shape)
        odd = np.flatnonzero(~np.isfinite(wrists).all(axis=(1, 2))).tolist()
        if bad := [index for index in odd if index not in self._faults]:
            raise ValueError(f"the wrist targets of environments {bad} are not finite")
        self._targets, self._fingers, self._arms = wrists.copy(), fingers.copy(), None

    def set_joint_targets(self, targets: np.ndarray) -> None:
        targets = rows_of("targets", targets, self._efforts.shape)
        if self.config.scene != "arm":
            raise ValueError("the hand floats: there is no arm whose joints could have targets")
        if not np.isfinite(targets).all():
            raise ValueError("a joint's target is not finite")
        count = self._fingers.shape[1]
        self._fingers, self._arms = targets[:, :count].copy(), targets[:, count:].copy()

    def push(self, forces: np.ndarray) -> None:
        forces = rows_of("forces", forces, (len(self._environments), 3))
        bad = np.flatnonzero(~np.isfinite(forces).all(axis=1)).tolist()
        if bad:
            raise ValueError(f"the forces on the objects of environments {bad} are not finite")
        for (scene, data, *_), force in zip(self._environments, forces, strict=True):
            data.xfrc_applied[scene.object, :3] = force  # MuJoCo's too act on centres of mass

    def step(self, ticks: int = 1) -> None:
        for _ in range(ticks):
            sound = [i for i in range(len(self._environments)) if i not in self._faults]
            if not sound:
                return
            if self._arms is None:
                wrists = self._wrists.tick(sound, self._targets[sound])
            else:
                wrists = self._wrists.follow(sound, self._arms[sound])
            fingers = self._fingers[sound] @ self._to_drives.T
            controls = np.empty((*wrists.controls.shape[:2], self._control_count))
            controls[:, :, self._wrists.controls] = wrists.controls
            controls[:, :, self._finger_controls] = fingers[:, None]
            jobs = zip(sound, controls, wrists.positions, wrists.quaternions, strict=True)
            if self._pool:
                parts = np.array_split(np.fromiter(jobs, dtype=object), self._threads)
                list(self._pool.map(self._advance, parts))
            else:
                self._advance(jobs)
            self._ticks[sound] += 1
            self._moved[sound] = self._unread[sound] = True

    def _advance(self, jobs: Iterable[tuple[int, np.ndarray, np.ndarray, np.ndarray]]) -> None:
        step = mujoco.mj_step
        for index, *inputs in jobs:
            scene, data, controls, positions, quaternions = self._environments[index]
            model = scene.model
            changing, *places = inputs
            if len(changing) == 1:  # the free hand's, whose target moves on
                controls[:] = changing[0]
                for positions[:], quaternions[:] in zip(*places, strict=True):
                    step(model, data)
            else:
                for controls[:] in changing:
                    step(model, data)
            if fault := physics.fault(data):
                self._faults[index] = fault

    @property
    def faults(self) -> Mapping[int, str]:
        return dict(self._faults)

    # Measurements

    @property
    def ticks(self) -> np.ndarray:
        return self._ticks.copy()

    def joints(self) -> np.ndarray:
        return np.array([data.qpos[scene.qpos] for scene, data, *_ in self._environments])

    def joint_velocities(self) -> np.ndarray:
        return np.array([data.qvel[scene.dofs] for scene, data, *_ in self._environments])

    def efforts(self) -> np.ndarray:
        self._read()
        return self._efforts.copy()

    def wrist_poses(self) -> np.ndarray:
        return self._each(lambda index, scene: self._pose(index, scene.palm))

    def wrist_velocities(self) -> np.ndarray:
        return self._each(lambda index, scene: self._velocity(index, scene.palm))

    def object_poses(self) -> np.ndarray:
        return self._each(lambda index, scene: self._pose(index, scene.object))

    def object_velocities(self) -> np.ndarray:
        return self._each(lambda index, scene: self._velocity(index, scene.object))

    def hand_contacts(self) -> np.ndarray:
        self._read()
        return self._contacts.copy()

    def snapshot(self, index: int) -> Snapshot:
        scene, data = self._environments[index][:2]
        angles = data.qpos[scene.qpos].tolist()
        return Snapshot(
            round(int(self._ticks[index]) * self.config.control_period, 9),
            dict(zip(self.config.joint_names, angles, strict=True)),
            self._pose(index, scene.palm),
            self._pose(index, scene.object),
            int(self._seeds[index]),
        )

    def _each(self, measure: Callable[[int, SceneModel], np.ndarray]) -> np.ndarray:
        return np.array([measure(i, each.scene) for i, each in enumerate(self._environments)])

    def _pose(self, index: int, body: int) -> np.ndarray:
        data = self._kinematics(index)
        pose = np.eye(4)
        pose[:3, :3] = data.xmat[body].reshape(3, 3)
        pose[:3, 3] = data.xpos[body]
        return pose

    def _velocity(self, index: int, body: int) -> np.ndarray:
        return self._environments[index].scene.velocity(self._kinematics(index), body)

    def _kinematics(self, index: int) -> mujoco.MjData:
        """The state, its bodies' poses up to date with the joints."""
        scene, data = self._environments[index][:2]
        if self._moved[index]:
            mujoco.mj_kinematics(scene.model, data)
            self._moved[index] = False
        return data

    def _read(self) -> None:
        """Take efforts and contacts of the last step, which MuJoCo has no other place for."""
        for index in np.flatnonzero(self._unread):
            scene, data = self._environments[index][:2]
            self._efforts[index] = data.qfrc_actuator[scene.dofs]
            self._contacts[index] = scene.hand_contacts(data)
        self._unread[:] = False


def _environment(scene: SceneModel) -> _Environment:
    data = mujoco.MjData(scene.model)
    return _Environment(scene, data, data.ctrl, data.mocap_pos, data.mocap_quat)
