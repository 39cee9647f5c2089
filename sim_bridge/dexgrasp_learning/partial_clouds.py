"""Clouds of objects as the simulated cameras see them, noise included, fused as on the robot."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from dexgrasp_models.cache import cache_folder, content_hash, save_arrays
from dexgrasp_models.config import find_config
from dexgrasp_models.data.cloud_set import Scene, placed_at_random
from dexgrasp_models.objects import load_surface
from dexgrasp_models.perception.fusion import (
    FusionConfig,
    PerceptionError,
    load_fusion_config,
)
from dexgrasp_models.tasks.assist_observation import as_many
from dexgrasp_models.tasks.full_clouds import library_source
from dexgrasp_sim.datasets.cloud_data import TableView
from dexgrasp_sim.scene import SceneConfig, load_scene

_VERSION = 1  # raise when clouds change for the same settings
_OPEN_VIEWS = 8  # of a few megabytes each; episodes of one object follow each other


class PartialClouds:
    """The `Clouds` of what the cameras see, without the hand, which waits out of their sight.

    Some views of each object, scale and table are kept, each measured with the object placed at
    random, and one of them is moved and turned along with the object. An episode's yaw is drawn
    evenly, and nothing of it but the cameras knows the yaw: what a policy sees is distributed as if
    each cloud were measured where the object lies. `kept=0` does that, in a tenth of a second each.

    Kept views are on disk as well, in the project's cache, by what they are made of.

    Args:
        source: of an object's name, as `load_surface` takes it.
        scene: its cameras, their noise and the table count.
        fusion: as of the perception node.
        kept: views; none to measure each cloud anew.
        seed: of the kept views; they depend on it and on what is seen, not on the order.

    Raises:
        ValueError: a negative number of views.
        FileNotFoundError: the cameras' rig is not there.
    """

    def __init__(
        self,
        source: Callable[[str], str] = library_source,
        scene: SceneConfig | None = None,
        fusion: FusionConfig | None = None,
        *,
        kept: int = 4,
        seed: int = 0,
    ) -> None:
        if kept < 0:
            raise ValueError(f"views that are kept can't be {kept}: give 0 or more")
        self._scene = scene or load_scene()
        self._fusion = fusion or load_fusion_config()
        self._count, self._seed = kept, seed
        self._rig = find_config(self._scene.cameras).read_text()
        self._kept: dict[Scene, tuple[np.ndarray, np.ndarray]] = {}

        def view(name: str) -> tuple[TableView, str]:
            surface = load_surface(source(name))
            shape = content_hash(np.asarray(surface.vertices), np.asarray(surface.faces))
            return TableView(surface, self._scene, self._fusion), shape

        self._view = lru_cache(_OPEN_VIEWS)(view)

    def __call__(
        self,
        name: str,
        scale: float,
        plane: np.ndarray,
        object_pose: np.ndarray,
        points: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        if not self._count:
            return as_many(self._seen(name, scale, object_pose, rng), points)
        scene = Scene(name, scale, tuple(np.asarray(plane, dtype=float).tolist()))
        if scene not in self._kept:
            self._kept[scene] = self._views(scene)
        poses, clouds = self._kept[scene]
        drawn = rng.integers(len(poses))
        moved = object_pose @ np.linalg.inv(poses[drawn])
        cloud = as_many(clouds[drawn].astype(float), points)
        return cloud @ moved[:3, :3].T + moved[:3, 3]

    def _seen(
        self, name: str, scale: float, pose: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """(M, 3) in `world`, of the object at a pose."""
        view, _ = self._view(name)
        points, world_T_object = view.cloud(pose, scale, rng)
        return points + (pose - world_T_object)[:3, 3]

    def _views(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """Poses (K, 4, 4) and clouds (K, M, 3), float32, in `world`; those that can be seen."""
        path = self._file(scene)
        if (found := _stored(path)) is None:
            found = self._measured(scene)
            save_arrays(path, poses=found[0], clouds=found[1])
        return found

    def _measured(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self._seed, zlib.crc32(scene.name.encode())])
        poses, clouds, problem = [], [], None
        for _ in range(self._count):
            pose = placed_at_random(scene, self._scene.placement_radius, rng)
            try:
                cloud = self._seen(scene.name, scene.scale, pose, rng)
            except PerceptionError as error:
                problem = error
                continue
            poses.append(pose)
            clouds.append(as_many(cloud, self._fusion.n_points).astype(np.float32))
        if problem and not poses:
            raise problem
        return np.array(poses), np.array(clouds)

    def _file(self, scene: Scene) -> Path:
        used = ("table_size", "placement_radius", "noise")
        settings = asdict(self._scene)
        key = content_hash(
            _VERSION,
            self._view(scene.name)[1],
            tuple(scene),
            self._count,
            self._seed,
            self._rig,
            [settings[name] for name in used],
            asdict(self._fusion),
        )
        return cache_folder() / "assist_clouds" / f"{key}.npz"


def _stored(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """None where there are none, or where the file was damaged."""
    try:
        with np.load(path) as stored:
            return stored["poses"], stored["clouds"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None
