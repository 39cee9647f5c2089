"""Scenes in mujoco-warp: in single precision, all stepped by the same kernels.

On a CPU a run repeats to the bit with the same batch; alone an environment is rounded otherwise
than among others. On a GPU sums are made in no fixed order, and nothing repeats to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import mujoco
import numpy as np
import torch

from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco.environments import MujocoEnvironments, Write
from dexgrasp_sim.backends.mujoco.mujoco_model import scene_spec
from dexgrasp_sim.backends.mujoco.scene_model import SceneModel
from dexgrasp_sim.backends.mujoco_warp.settings import MujocoWarpSettings
from dexgrasp_sim.backends.mujoco_warp.stepping import HUGE, SteppedWorlds, packed, unpack
from dexgrasp_sim.backends.mujoco_warp.worlds import FIELDS, Worlds
from dexgrasp_sim.cameras.depth_cameras import camera_of, cameras_of
from dexgrasp_sim.scene import SceneConfig


class MujocoWarpBatch(MujocoEnvironments):
    """Environments in mujoco-warp; see `interface.BatchPhysics`.

    Contacts and constraints have buffers of a fixed size; an environment that would need more is
    unstable. It needs no threads.

    Args:
        config: of all environments.
        object_models: the N objects.
        threads: nothing depends on it.
        settings: how mujoco-warp is run; by default `config/mujoco_warp.yaml`.

    Raises:
        MemoryError: there is no room for so many environments.
        ValueError: there is no environment or no thread, or no GPU where one is asked for.
    """

    def __init__(
        self,
        config: SceneConfig,
        object_models: Sequence[ObjectModel],
        threads: int = 1,
        *,
        settings: MujocoWarpSettings | None = None,
    ) -> None:
        super().__init__(config, object_models, threads)
        count = len(self._scenes)
        distinct = list({id(item): item for item in self.object_models}.values())
        self._worlds = Worlds(partial(scene_spec, config), distinct)
        self._common = SceneModel(config, self._worlds.largest, self._worlds.model)
        self._stepped = SteppedWorlds(
            self._worlds.model, count, self._worlds.pieces, settings, fields=FIELDS
        )
        for index in range(count):
            self._rebuilt(index)
        self._moved = True
        """Whether the bodies' poses lag behind the joints."""
        self._scratch: dict[int, mujoco.MjData] = {}
        """A state to write to, by the number of the model's geoms."""
        self._aside = self._states(np.zeros(1, dtype=int))

    # States

    def _edit(self, indices: Sequence[int], write: Write) -> None:
        at = np.asarray(indices, dtype=int)
        states = self._states(at)
        for row, index in enumerate(indices):
            scene = self._scenes[index]
            data = self._scratch_of(scene.model)
            unpack(states[row], data)
            write(row, index, scene, data)
            states[row] = packed(data)
        self._put_states(at, states)

    def _scratch_of(self, model: mujoco.MjModel) -> mujoco.MjData:
        if model.ngeom not in self._scratch:
            self._scratch[model.ngeom] = mujoco.MjData(model)
        return self._scratch[model.ngeom]

    def _states(self, at: np.ndarray) -> np.ndarray:
        return self._stepped.states(at)

    def _put_states(self, at: np.ndarray, states: np.ndarray) -> None:
        self._stepped.put_states(at, states)
        self._moved = True

    def _rebuilt(self, index: int) -> None:
        scene = self._scenes[index]
        for name, values in self._worlds.fields(scene.object_model, scene.model).items():
            row = self._stepped.fields[name][index]
            row[:] = torch.as_tensor(values).reshape(row.shape).to(row)

    def _push(self, forces: np.ndarray) -> None:
        applied = self._stepped.state["xfrc_applied"].reshape(len(forces), -1, 6)
        applied[:, self._common.object, :3] = torch.as_tensor(forces).to(applied)

    # Moving

    def _advance(
        self,
        sound: Sequence[int],
        controls: np.ndarray,
        positions: np.ndarray,
        quaternions: np.ndarray,
    ) -> None:
        rows = torch.as_tensor(sound)
        inputs = {
            "ctrl": controls,
            "mocap_pos": positions.reshape(*positions.shape[:2], -1),
            "mocap_quat": quaternions.reshape(*quaternions.shape[:2], -1),
        }
        if unsound := list(self._faults):  # they are stepped too, and would be in the others' way
            self._put_states(np.array(unsound), np.repeat(self._aside, len(unsound), axis=0))
        steps = {
            name: torch.as_tensor(values).to(self._stepped.state[name])
            for name, values in inputs.items()
        }
        for step in range(self.config.steps_per_tick):
            for name, values in steps.items():
                self._stepped.state[name][rows] = values[:, min(step, values.shape[1] - 1)]
            self._stepped.step()
        self._moved = True
        problems = self._stepped.problems(sound)
        bad_controls = ~(np.abs(controls) < HUGE).all(axis=(1, 2))
        for index in np.asarray(sound)[bad_controls].tolist():
            problems.setdefault(index, []).append("a control is not finite or huge")
        for index, reasons in problems.items():
            self._faults[index] = physics.unstable(reasons)

    # Measurements

    def joints(self) -> np.ndarray:
        return self._stepped.host("qpos")[:, self._common.qpos]

    def joint_velocities(self) -> np.ndarray:
        return self._stepped.host("qvel")[:, self._common.dofs]

    def wrist_poses(self) -> np.ndarray:
        return self._poses(self._common.palm)

    def wrist_velocities(self) -> np.ndarray:
        return self._velocities(self._common.palm)

    def object_poses(self) -> np.ndarray:
        return self._poses(self._common.object)

    def object_velocities(self) -> np.ndarray:
        return self._velocities(self._common.object)

    def _seen(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.joints()[index], self.wrist_poses()[index], self.object_poses()[index]

    def depth(self, camera: str) -> np.ndarray:
        """By mujoco-warp's ray caster; objects by their convex pieces."""
        model = camera_of(cameras_of(self.config), camera)
        self._update()
        pose = model.world_T_optical
        directions = model.optical_rays().reshape(-1, 3) @ pose[:3, :3].T
        # Rays are as long as they are deep.
        found = self._stepped.cast(pose[:3, 3], directions, self._worlds.absent)
        return found.reshape(len(self._scenes), model.height, model.width)

    def _poses(self, body: int) -> np.ndarray:
        self._update()
        poses = np.tile(np.eye(4), (len(self._scenes), 1, 1))
        poses[:, :3, :3] = self._stepped.host("xmat")[:, body]
        poses[:, :3, 3] = self._stepped.host("xpos")[:, body]
        return poses

    def _velocities(self, body: int) -> np.ndarray:
        self._update()
        # About the centre of mass of the body's tree, the angular ones first.
        angular, linear = np.split(self._stepped.host("cvel")[:, body], 2, axis=1)
        root = self._common.model.body_rootid[body]
        offset = self._stepped.host("xpos")[:, body] - self._stepped.host("subtree_com")[:, root]
        return np.concatenate([linear + np.cross(angular, offset), angular], axis=1)

    def _update(self) -> None:
        if self._moved:
            self._stepped.update()
            self._moved = False

    def _read(self) -> None:
        if not self._unread.any():
            return
        rows = np.flatnonzero(self._unread)
        scene = self._common
        self._efforts[rows] = self._stepped.host("qfrc_actuator")[rows][:, scene.dofs]
        worlds, geoms, _, pressing = self._stepped.contacts()
        links = scene.touching_links(geoms)
        touching = links >= 0
        forces = np.zeros_like(self._contacts)
        np.add.at(forces, (worlds[touching], links[touching]), pressing[touching])
        self._contacts[rows] = forces[rows]
        self._unread[:] = False


make_batch = MujocoWarpBatch
