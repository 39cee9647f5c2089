"""Clouds of the scenes of a grasp set, as the depth cameras and the perception node see them.

Each object of the set is one job: a function of its own settings, so that clouds are made in any
order and go on after a kill. The cameras, their noise and the fusion are those of the simulated
episodes. The robot isn't there: waiting at home it hides nothing of the object, and its own points
would be masked.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
import trimesh

from dexgrasp_models.config import find_config
from dexgrasp_models.data.cloud_set import (
    CloudSet,
    ObjectClouds,
    Scene,
    placed_at_random,
    scenes_of,
)
from dexgrasp_models.data.dexgraspbench import find_mesh
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError
from dexgrasp_models.jobs.worker_processes import outcomes, until
from dexgrasp_models.nets.clouds import horizontal_centre
from dexgrasp_models.objects import LIBRARY_PREFIX, load_surface
from dexgrasp_models.perception.cameras import DepthFrame, load_rig
from dexgrasp_models.perception.fusion import (
    FusedCloud,
    FusionConfig,
    PerceptionError,
    fuse,
    load_fusion_config,
)
from dexgrasp_models.perception.ray_casting import Body, RayCaster
from dexgrasp_sim.cameras.scene_surfaces import table_surface
from dexgrasp_sim.noise import measure_depth
from dexgrasp_sim.scene import SceneConfig, load_scene

_GREY = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class CloudJob:
    """The clouds of one object."""

    name: str
    """In the grasp set."""
    source: str
    """As `load_surface` takes it."""
    scenes: tuple[Scene, ...]
    views: int = 4
    """Clouds of each scene."""
    seed: int = 0
    scene: SceneConfig = field(default_factory=load_scene)
    """Its rig, noise, table and placement radius count."""
    fusion: FusionConfig = field(default_factory=load_fusion_config)

    def notes(self) -> dict[str, Any]:
        """What the clouds depend on, for their provenance."""
        used = ("cameras", "table_size", "placement_radius", "noise")
        scene = asdict(self.scene)
        return {
            "source": self.source,
            "scenes": [(scene.scale, scene.plane) for scene in self.scenes],
            "views": self.views,
            "seed": self.seed,
            "scene": {name: scene[name] for name in used},
            "fusion": asdict(self.fusion),
        }


def cloud_jobs(
    grasps: GraspSet, views: int = 4, seed: int = 0, meshes: Path | None = None
) -> list[CloudJob]:
    """A job for each object of a set that is on a table in some grasps.

    In no order, so that clouds that aren't finished yet are a sample of the finished ones.

    Args:
        grasps: the set.
        views: clouds of each scene.
        seed: of all that is drawn.
        meshes: folder of the objects, see `find_mesh`; by default they are the library's.

    Raises:
        GraspDataError: an object isn't in that folder.
    """
    of_object: dict[str, list[Scene]] = {}
    for scene in scenes_of(grasps).scenes:
        of_object.setdefault(scene.name, []).append(scene)
    jobs = [
        CloudJob(name, _source(name, meshes), tuple(scenes), views, seed)
        for name, scenes in of_object.items()
    ]
    return sorted(jobs, key=lambda job: (crc32(job.name.encode()), job.name))


def _source(name: str, meshes: Path | None) -> str:
    return LIBRARY_PREFIX + name if meshes is None else str(find_mesh(meshes, name))


def observe_object(job: CloudJob) -> ObjectClouds:
    """The clouds of a job; there are fewer where too little is seen, as of very small objects.

    Raises:
        MeshError: the object can't be used.
    """
    generator = np.random.default_rng([crc32(job.name.encode()), job.seed])
    view = TableView(load_surface(job.source), job.scene, job.fusion)
    found = []
    for scene in job.scenes:
        for _ in range(job.views):
            pose = placed_at_random(scene, job.scene.placement_radius, generator)
            try:
                found.append((scene, *view.cloud(pose, scene.scale, generator)))
            except PerceptionError:
                continue
    points = job.fusion.n_points
    return ObjectClouds(
        job.name,
        np.array([scene.scale for scene, *_ in found], dtype=np.float64),
        np.array([scene.plane for scene, *_ in found], dtype=np.float64).reshape(-1, 4),
        np.array([_repeated(seen, points) for _, seen, _ in found], dtype=np.float16).reshape(
            -1, points, 3
        ),
        np.array([len(seen) for _, seen, _ in found], dtype=np.int32),
        np.array([pose for *_, pose in found], dtype=np.float64).reshape(-1, 4, 4),
    )


class TableView:
    """Cameras around a table with one object."""

    def __init__(self, surface: trimesh.Trimesh, config: SceneConfig, fusion: FusionConfig) -> None:
        """`surface`: of the object, in its own units."""
        table = table_surface(config.table_size)
        self._caster = RayCaster([Body(surface, _GREY), Body(table, _GREY)])
        self._cameras = load_rig(find_config(config.cameras))
        self._noise, self._fusion = config.noise, fusion

    def cloud(
        self, world_T_object: np.ndarray, scale: float, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """One cloud of the object at a pose.

        Args:
            world_T_object: (4, 4) of the scaled object.
            scale: metres in the surface's unit.
            generator: of the cameras' noise.

        Returns:
            (M, 3) points of the object in the cloud's table-top frame, and the object's pose (4, 4)
            in it.

        Raises:
            PerceptionError: too little of the object is seen.
        """
        points = self.look(world_T_object, scale, generator).object_points.astype(np.float64)
        centre = horizontal_centre(torch.as_tensor(points)).numpy()
        pose = world_T_object.copy()
        pose[:3, 3] -= centre
        return points - centre, pose

    def look(
        self, world_T_object: np.ndarray, scale: float, generator: np.random.Generator
    ) -> FusedCloud:
        """What the cameras see, in `world`; arguments and errors as of `cloud`."""
        scaled = world_T_object @ np.diag((scale, scale, scale, 1.0))
        self._caster.place(np.stack((scaled, np.eye(4))))
        frames = []
        for camera in self._cameras:
            hits = self._caster.cast(camera)
            depth = measure_depth(
                hits.depth, hits.cosine, camera.fx, self._noise, generator, camera.depth_unit
            )
            frames.append(DepthFrame(camera, depth, 0.0))
        return fuse(frames, self._fusion)


@dataclass(frozen=True)
class Observed:
    """A job that has run."""

    job: CloudJob
    clouds: int
    problem: str = ""
    """Why there are none."""


def open_jobs(jobs: Sequence[CloudJob], folder: Path) -> list[CloudJob]:
    """The jobs whose clouds are not there yet.

    Raises:
        GraspDataError: clouds are there that were made with other settings or of other scenes.
    """
    clouds = CloudSet.open(folder, create=True)
    left = []
    for job in jobs:
        if not clouds.has(job.name):
            left.append(job)
        elif clouds.provenance(job.name).notes != _plain(job.notes()):
            raise GraspDataError(
                f"{folder}: the clouds of {job.name} were made of other scenes or with other "
                "settings; choose a new folder, or remove them to make them anew"
            )
    return left


def run(
    jobs: Sequence[CloudJob], folder: Path, *, workers: int = 1, deadline: float | None = None
) -> Generator[Observed, None, None]:
    """Run jobs, and report each as its clouds are stored.

    Args:
        jobs: those that are left, see `open_jobs`.
        folder: of the clouds.
        workers: processes.
        deadline: `time.monotonic` after which no further job begins.

    Raises:
        OSError: clouds can't be written, as on a full disk; finished ones stay.
        ChildProcessError: a process was killed, as when memory runs out.
    """
    clouds = CloudSet.open(folder, create=True)
    with closing(outcomes(_attempt, until(deadline, jobs), workers)) as finished:
        for job, found in finished:
            if isinstance(found, str):
                yield Observed(job, 0, found)
                continue
            clouds.append(found, Provenance(seed=job.seed, notes=job.notes()))
            yield Observed(job, len(found))


def _attempt(job: CloudJob) -> ObjectClouds | str:
    """What a job gives, or what is wrong with its object."""
    try:
        return observe_object(job)
    except OSError:
        raise
    except Exception as error:  # geometry libraries raise anything
        return f"{job.name}: {error}"


def _repeated(points: np.ndarray, count: int) -> np.ndarray:
    return points[np.arange(count) % len(points)]


def _plain(value: object) -> object:
    """As JSON gives it back."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
