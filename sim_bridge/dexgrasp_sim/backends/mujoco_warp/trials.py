"""Trials of grasps in mujoco-warp, side by side: single precision, contacts in fixed buffers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

import numpy as np
import torch

from dexgrasp_sim.backends.mujoco.trials import (
    FAR,
    TrialModel,
    TrialModels,
    poses,
    table_pose,
    trial_spec,
)
from dexgrasp_sim.backends.mujoco_warp.stepping import SteppedWorlds, packed
from dexgrasp_sim.backends.mujoco_warp.worlds import FIELDS, Worlds
from dexgrasp_sim.trial_physics import Closeness, Contacts, TrialScene

AT_ONCE = 1024
"""See `backends.trials_at_once`."""


class MujocoWarpTrials:
    """See `trial_physics.TrialPhysics`; a trial with more contacts than have room is unstable.

    Hands are placed on the host, by MuJoCo itself. Worlds are made as they are needed, and all are
    stepped, named or not.
    """

    count = AT_ONCE

    def __init__(self, scene: TrialScene) -> None:
        self._objects = scene.object_models
        self._models = TrialModels(scene)
        self._common = Worlds(partial(trial_spec, scene), scene.object_models)
        self._trial = TrialModel(scene, self._common.model)
        self._timestep = scene.timestep
        self._normals = np.zeros((0, 3))
        self._worlds: SteppedWorlds | None = None
        self._placed = 0

    @property
    def unstable(self) -> Collection[int]:
        return self._stepped.problems(range(self._placed))

    def place(
        self, objects: np.ndarray, object_poses: np.ndarray, joints: np.ndarray, margin: float
    ) -> Sequence[Closeness]:
        near, states = [], []
        for item, pose, row in zip(objects.tolist(), object_poses, joints, strict=True):
            own = self._models[item]
            near.append(own.put(pose, row, margin))
            states.append(packed(own.data))
        self._placed = len(joints)
        if self._worlds is None or self._worlds.count < self._placed:
            self._worlds = SteppedWorlds(
                self._trial.model,
                self._placed,
                self._common.pieces,
                fields=FIELDS,
                own_gravity=True,
            )
        self._put_objects(objects)
        self.restore(np.array(states))
        self.set_gravity(np.zeros((self._placed, 3)))
        return near

    def _put_objects(self, objects: np.ndarray) -> None:
        for item in np.unique(objects).tolist():
            rows = torch.as_tensor(np.flatnonzero(objects == item))
            own = self._common.fields(self._objects[item], self._models[item].model)
            for name, values in own.items():
                field = self._stepped.fields[name]
                field[rows] = torch.as_tensor(values).reshape(field.shape[1:]).to(field)

    def set_drives(self, targets: np.ndarray) -> None:
        controls = self._stepped.state["ctrl"]
        rows = torch.arange(self._placed)[:, None]
        controls[rows, torch.as_tensor(self._trial.controls)] = torch.as_tensor(targets).to(
            controls
        )

    def set_gravity(self, accelerations: np.ndarray) -> None:
        gravity = self._stepped.gravity
        gravity[: self._placed] = torch.as_tensor(accelerations).to(gravity)

    def set_tables(self, planes: np.ndarray | None) -> None:
        if planes is None:
            self._put_tables(np.tile(FAR, (self._placed, 1)))
            return
        self._normals = planes[:, :3]
        positions, quaternions = map(np.array, zip(*map(table_pose, planes), strict=True))
        self._put_tables(positions)
        attitudes = self._stepped.state["mocap_quat"]
        attitudes[: self._placed] = torch.as_tensor(quaternions).to(attitudes)

    def _put_tables(self, positions: np.ndarray) -> None:
        places = self._stepped.state["mocap_pos"]
        places[: self._placed] = torch.as_tensor(positions).to(places)

    def step(self, trials: Sequence[int], duration: float, lowering: float = 0.0) -> None:
        if not trials:
            return
        others = np.setdiff1d(np.arange(self._placed), trials)
        kept = self._stepped.states(others)
        steps = round(duration / self._timestep)
        tables = self._stepped.state["mocap_pos"]
        moves = -lowering / max(steps, 1) * self._normals
        for _ in range(steps):
            if lowering:
                tables[: self._placed] += torch.as_tensor(moves).to(tables)
            self._stepped.step()
        if len(others):
            self._stepped.put_states(others, kept)

    def object_poses(self) -> np.ndarray:
        return poses(self._stepped.host("qpos")[: self._placed, self._trial.object_qpos])

    def contacts(self, trials: Sequence[int]) -> Sequence[Contacts]:
        if not trials:
            return []
        self._stepped.detect()
        worlds, geoms, distances, _ = self._stepped.contacts()
        return [self._trial.contacts(distances[worlds == n], geoms[worlds == n]) for n in trials]

    def save(self) -> np.ndarray:
        return self._stepped.states(np.arange(self._placed))

    def restore(self, saved: np.ndarray) -> None:
        self._stepped.put_states(np.arange(self._placed), saved)

    @property
    def _stepped(self) -> SteppedWorlds:
        assert self._worlds is not None, "`place` comes first"
        return self._worlds


make_trials = MujocoWarpTrials
