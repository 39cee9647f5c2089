"""How hands press from the grasps of a set: worked out as the validation does, without trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator
from contextlib import closing
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from dexgrasp_models.data.grasp_set import GraspSet, Shard
from dexgrasp_models.data.grasps import GraspDataError, Grasps
from dexgrasp_models.jobs.worker_processes import outcomes, until
from dexgrasp_models.objects import MeshError
from dexgrasp_sim.datasets.grasp_trials import LoadObject
from dexgrasp_sim.datasets.validation import GraspValidator
from dexgrasp_sim.datasets.validation_config import ValidationConfig


@dataclass(frozen=True)
class SqueezeJob:
    """The grasps of one object in one shard whose squeezes aren't known."""

    shard: int
    """Which of the set's."""
    rows: np.ndarray
    """(M,) of the shard."""
    grasps: Grasps
    load: LoadObject
    config: ValidationConfig

    @property
    def name(self) -> str:
        """The object's."""
        return self.grasps.names[self.grasps.objects[0]]


@dataclass(frozen=True)
class Squeezed:
    """A job that has run."""

    job: SqueezeJob
    problem: str = ""
    """Why its squeezes aren't known."""


def squeezes_of(grasps: Grasps, load: LoadObject, config: ValidationConfig) -> np.ndarray:
    """(N, 22) joint targets, rad, that trials of grasps of one object press with.

    Raises:
        MeshError, GraspDataError: the object can't be found or used.
    """
    found = np.full(grasps.joints.shape, np.nan)
    for scale in np.unique(grasps.scales):
        rows = np.flatnonzero(grasps.scales == scale)
        model = load(grasps.names[grasps.objects[rows[0]]], float(scale))
        found[rows] = GraspValidator([model], config).squeezes(grasps[rows])
    return found


def open_jobs(
    grasps: GraspSet,
    load: LoadObject,
    config: ValidationConfig | None = None,
    objects: Collection[str] | None = None,
) -> list[SqueezeJob]:
    """A job for each object of each shard with grasps whose squeezes aren't known.

    In no order, so that what isn't finished yet is a sample of all.

    Args:
        grasps: the set.
        load: finds the objects.
        config: how grasps were tried; those of `data synth` as their shards say they were.
        objects: only these.

    Raises:
        GraspDataError: a shard tells of trials as there are none.
    """
    jobs = []
    for number, shard in enumerate(grasps.shards):
        unknown = np.isnan(shard.column("squeezes")[:, 0])
        tried = _tried(shard, config or ValidationConfig())
        places = shard.column("objects")
        for place, name in enumerate(shard.names):
            rows = np.flatnonzero(unknown & (places == place))
            if len(rows) and (objects is None or name in objects):
                jobs.append(SqueezeJob(number, rows, shard.grasps(rows), load, tried))
    return sorted(jobs, key=lambda job: (crc32(job.name.encode()), job.shard))


def run(
    jobs: list[SqueezeJob], grasps: GraspSet, *, workers: int = 1, deadline: float | None = None
) -> Generator[Squeezed, None, None]:
    """Run jobs, and store each shard anew once all of its own are done.

    Args:
        jobs: of `open_jobs`.
        grasps: the set, as it was opened for them.
        workers: processes.
        deadline: `time.monotonic` after which no further job begins.

    Raises:
        OSError: a shard can't be written, as on a full disk; finished ones stay.
        ChildProcessError: a process was killed, as when memory runs out.
    """
    left = Counter(job.shard for job in jobs)
    columns: dict[int, np.ndarray] = {}
    with closing(outcomes(_attempt, until(deadline, jobs), workers)) as finished:
        for job, found in finished:
            if job.shard not in columns:
                columns[job.shard] = grasps.shards[job.shard].column("squeezes").copy()
            if not isinstance(found, str):
                columns[job.shard][job.rows] = found
            left[job.shard] -= 1
            if not left[job.shard]:
                squeezes = columns.pop(job.shard)
                if not np.isnan(squeezes).all():
                    grasps.fill_in_squeezes(grasps.shards[job.shard], squeezes)
            yield Squeezed(job, found if isinstance(found, str) else "")


def _attempt(job: SqueezeJob) -> np.ndarray | str:
    """What a job gives, or what is wrong with its object."""
    try:
        return squeezes_of(job.grasps, job.load, job.config)
    except (MeshError, GraspDataError) as error:
        return str(error)


def _tried(shard: Shard, otherwise: ValidationConfig) -> ValidationConfig:
    """How the grasps of a shard were tried."""
    told = shard.provenance.notes.get("validation")
    if told is None:
        return otherwise
    try:
        return ValidationConfig.from_mapping(told)
    except ValueError as error:
        raise GraspDataError(f"{shard.path}: its provenance: {error}") from error
