"""Batches of MuJoCo's models, whoever steps them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import mujoco
import numpy as np

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.environments import Environments
from dexgrasp_sim.backends.mujoco.scene_model import SceneModel, scene_model
from dexgrasp_sim.backends.mujoco.wrist_drive import WristDrives, wrist_drives
from dexgrasp_sim.placement import StablePose
from dexgrasp_sim.scene import SceneConfig

Write = Callable[[int, int, SceneModel, mujoco.MjData], None]
"""Writes an environment's state, given its row among those asked for, its index, scene and data."""


class MujocoEnvironments(Environments):
    """Who inherits has the physical states, and steps and measures them.

    Environments with the same `ObjectModel` share its model.
    """

    def __init__(
        self, config: SceneConfig, object_models: Sequence[ObjectModel], threads: int = 1
    ) -> None:
        super().__init__(config, object_models, threads)
        self._scenes = [scene_model(config, item) for item in object_models]
        hand = load_hand()
        model = self._scenes[0].model
        self._control_count = model.nu
        coupled = config.hand == "coupled"
        drives = hand.actuators if coupled else hand.finger_joints
        self._finger_controls = [model.actuator(name).id for name in drives]
        self._to_drives = hand.reduction if coupled else np.eye(len(drives))
        self._wrists: WristDrives = wrist_drives(model, config, self._paths)

    # What the simulator does

    @abstractmethod
    def _edit(self, indices: Sequence[int], write: Write) -> None:
        """Let the states of environments be written; no step is behind them then."""

    @abstractmethod
    def _rebuilt(self, index: int) -> None:
        """An environment's scene has become another one of the same sizes."""

    @abstractmethod
    def _advance(
        self,
        sound: Sequence[int],
        controls: np.ndarray,
        positions: np.ndarray,
        quaternions: np.ndarray,
    ) -> None:
        """One tick of n environments, which may end in `_faults`.

        Args:
            sound: the environments.
            controls: (n, S, U) of the S physics steps, or (n, 1, U) where they stay the same.
            positions: (n, S, B, 3) of the mocap bodies, m.
            quaternions: (n, S, B, 4), (w, x, y, z).
        """

    # Beginning

    def _resting(self, index: int) -> tuple[StablePose, ...]:
        return self._scenes[index].resting

    def _put_home(self, indices: Sequence[int], object_poses: np.ndarray) -> None:
        def write(row: int, index: int, scene: SceneModel, data: mujoco.MjData) -> None:
            mujoco.mj_resetData(scene.model, data)
            self._wrists.reset(index, data)
            scene.put_object(data, object_poses[row])
            mujoco.mj_kinematics(scene.model, data)
            self._targets[index] = scene.pose(data, scene.palm)

        self._edit(indices, write)

    def _put(
        self,
        indices: Sequence[int],
        wrist_poses: np.ndarray | None,
        joints: np.ndarray | None,
        object_poses: np.ndarray | None,
    ) -> None:
        moved = wrist_poses is not None or (joints is not None and self.config.scene == "arm")

        def write(row: int, index: int, scene: SceneModel, data: mujoco.MjData) -> None:
            if joints is not None:
                data.qpos[scene.qpos], data.qvel[scene.dofs] = joints[row], 0.0
            if wrist_poses is not None:
                scene.put_palm(data, wrist_poses[row])
            if object_poses is not None:
                scene.put_object(data, object_poses[row])
            data.qacc_warmstart[:] = 0.0  # what follows depends on nothing that was before
            data.xfrc_applied[scene.object] = 0.0
            if moved:
                mujoco.mj_kinematics(scene.model, data)
                self._targets[index] = scene.pose(data, scene.palm)
                self._wrists.hold(index, data, self._targets[index])

        self._edit(indices, write)

    def _vary(self, index: int, mass: float, friction: float, gain: float) -> None:
        config = self.config
        shared = scene_model(config, self.object_models[index])
        if (mass, friction, gain) == (config.object_mass, config.friction, 1.0):
            self._scenes[index] = shared
        else:
            self._scenes[index] = shared.varied(mass, friction, gain, self._finger_controls)
        self._rebuilt(index)

    # Moving

    def _tick(self, sound: Sequence[int]) -> None:
        if self._arms is None:
            wrists = self._wrists.tick(sound, self._targets[sound])
        else:
            wrists = self._wrists.follow(sound, self._arms[sound])
        fingers = self._fingers[sound] @ self._to_drives.T
        controls = np.empty((*wrists.controls.shape[:2], self._control_count))
        controls[:, :, self._wrists.controls] = wrists.controls
        controls[:, :, self._finger_controls] = fingers[:, None]
        self._advance(sound, controls, wrists.positions, wrists.quaternions)
