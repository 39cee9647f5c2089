"""Scenes in MuJoCo, stepped together at about MuJoCo's own cost; bit-exact for one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import mujoco
import numpy as np

from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco.environments import MujocoEnvironments, Write
from dexgrasp_sim.backends.mujoco.scene_model import SceneModel
from dexgrasp_sim.scene import SceneConfig

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class _Environment(NamedTuple):
    """A scene's state and the views of it that are written in every step."""

    data: mujoco.MjData
    controls: np.ndarray
    positions: np.ndarray
    quaternions: np.ndarray


class MujocoBatch(MujocoEnvironments):
    """Environments in MuJoCo; see `interface.BatchPhysics` for what the public methods promise.

    MuJoCo releases Python's lock while it steps, so threads run in parallel; results don't depend
    on their number.
    """

    def __init__(
        self, config: SceneConfig, object_models: Sequence[ObjectModel], threads: int = 1
    ) -> None:
        super().__init__(config, object_models, threads)
        self._environments = [_environment(scene.model) for scene in self._scenes]
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._moved = np.ones(len(self._scenes), dtype=bool)
        """Whose bodies' poses lag behind the joints, as MuJoCo's do after a step."""

    @property
    def models(self) -> list[mujoco.MjModel]:
        """MuJoCo's model of each environment."""
        return [scene.model for scene in self._scenes]

    @property
    def data(self) -> list[mujoco.MjData]:
        """MuJoCo's state of each environment."""
        return [environment.data for environment in self._environments]

    # States

    def _edit(self, indices: Sequence[int], write: Write) -> None:
        for row, index in enumerate(indices):
            data = self._environments[index].data
            write(row, index, self._scenes[index], data)
            data.warning.number[:] = 0
            self._moved[index] = True

    def _states(self, at: np.ndarray) -> np.ndarray:
        states = np.empty((len(at), mujoco.mj_stateSize(self._scenes[0].model, _STATE)))
        for state, index in zip(states, at, strict=True):
            data = self._environments[index].data
            mujoco.mj_getState(self._scenes[index].model, data, state, _STATE)
        return states

    def _put_states(self, at: np.ndarray, states: np.ndarray) -> None:
        for state, index in zip(states, at, strict=True):
            data = self._environments[index].data
            mujoco.mj_setState(self._scenes[index].model, data, state, _STATE)
            data.warning.number[:] = 0
            self._moved[index] = True

    def _rebuilt(self, index: int) -> None:
        pass  # the data fits every model of the same sizes

    def _push(self, forces: np.ndarray) -> None:
        for scene, environment, force in zip(self._scenes, self._environments, forces, strict=True):
            # MuJoCo's too act on centres of mass.
            environment.data.xfrc_applied[scene.object, :3] = force

    # Moving

    def _advance(
        self,
        sound: Sequence[int],
        controls: np.ndarray,
        positions: np.ndarray,
        quaternions: np.ndarray,
    ) -> None:
        jobs = zip(sound, controls, positions, quaternions, strict=True)
        if self._pool:
            parts = np.array_split(np.fromiter(jobs, dtype=object), self._threads)
            list(self._pool.map(self._step_all, parts))
        else:
            self._step_all(jobs)
        self._moved[sound] = True

    def _step_all(self, jobs: Iterable[tuple[int, np.ndarray, np.ndarray, np.ndarray]]) -> None:
        step = mujoco.mj_step
        for index, *inputs in jobs:
            data, controls, positions, quaternions = self._environments[index]
            model = self._scenes[index].model
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

    # Measurements

    def joints(self) -> np.ndarray:
        return np.array([data.qpos[scene.qpos] for scene, data in self._pairs()])

    def joint_velocities(self) -> np.ndarray:
        return np.array([data.qvel[scene.dofs] for scene, data in self._pairs()])

    def wrist_poses(self) -> np.ndarray:
        return self._each(lambda index, scene: self._pose(index, scene.palm))

    def wrist_velocities(self) -> np.ndarray:
        return self._each(lambda index, scene: self._velocity(index, scene.palm))

    def object_poses(self) -> np.ndarray:
        return self._each(lambda index, scene: self._pose(index, scene.object))

    def object_velocities(self) -> np.ndarray:
        return self._each(lambda index, scene: self._velocity(index, scene.object))

    def _pairs(self) -> Iterable[tuple[SceneModel, mujoco.MjData]]:
        return zip(self._scenes, self.data, strict=True)

    def _seen(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scene, data = self._scenes[index], self._environments[index].data
        return data.qpos[scene.qpos], self._pose(index, scene.palm), self._pose(index, scene.object)

    def _each(self, measure: Callable[[int, SceneModel], np.ndarray]) -> np.ndarray:
        return np.array([measure(i, scene) for i, scene in enumerate(self._scenes)])

    def _pose(self, index: int, body: int) -> np.ndarray:
        return self._scenes[index].pose(self._kinematics(index), body)

    def _velocity(self, index: int, body: int) -> np.ndarray:
        return self._scenes[index].velocity(self._kinematics(index), body)

    def _kinematics(self, index: int) -> mujoco.MjData:
        """The state, its bodies' poses up to date with the joints."""
        data = self._environments[index].data
        if self._moved[index]:
            mujoco.mj_kinematics(self._scenes[index].model, data)
            self._moved[index] = False
        return data

    def _read(self) -> None:
        """Take efforts and contacts of the last step, which MuJoCo has no other place for."""
        for index in np.flatnonzero(self._unread):
            scene, data = self._scenes[index], self._environments[index].data
            self._efforts[index] = data.qfrc_actuator[scene.dofs]
            self._contacts[index] = scene.hand_contacts(data)
        self._unread[:] = False


def _environment(model: mujoco.MjModel) -> _Environment:
    data = mujoco.MjData(model)
    return _Environment(data, data.ctrl, data.mocap_pos, data.mocap_quat)


make_batch = MujocoBatch
