"""Synthesis jobs carried out, each of which leaves a shard of a grasp set.

A shard appears whole or not at all, and a job is a function of its settings; so a run can be killed
at any time, goes on with the shards that are missing, and ends with the set that an uninterrupted
run gives.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError, Grasps
from dexgrasp_models.jobs.ray_cluster import ray_outcomes
from dexgrasp_models.jobs.worker_processes import outcomes, until
from dexgrasp_sim.datasets.grasp_synthesis import SynthesisJob, synthesise_object


@dataclass(frozen=True)
class Finished:
    """A job that has run."""

    job: SynthesisJob
    grasps: int
    """How many it kept."""
    problem: str = ""
    """Why there is no shard."""


def open_tasks(jobs: Sequence[SynthesisJob], folder: Path) -> list[SynthesisJob]:
    """The jobs whose shards are not there yet.

    Raises:
        GraspDataError: a shard is there that was made with other settings, or two jobs share one.
    """
    if len({job.shard for job in jobs}) < len(jobs):
        raise GraspDataError("two objects would be stored in the same shard: rename one of them")
    grasp_set = GraspSet.open(folder, create=True)
    made = {shard.path.stem: shard.provenance.notes for shard in grasp_set.shards}
    for job in jobs:
        if job.shard in made and not _same(made[job.shard], job):
            raise GraspDataError(
                f"{folder}: {job.shard} was made with other settings or another seed; "
                "choose a new folder"
            )
    return [job for job in jobs if job.shard not in made]


def run(
    jobs: Sequence[SynthesisJob],
    folder: Path,
    *,
    workers: int | None = None,
    ray: bool = False,
    deadline: float | None = None,
    synthesise: Callable[[SynthesisJob], Grasps] = synthesise_object,
) -> Generator[Finished, None, None]:
    """Run the jobs whose shards are missing, and report each as its shard is stored.

    To stop, close the iterator (or leave the loop over it by an exception): what runs is dropped.

    Args:
        jobs: all jobs of the set.
        folder: of the set; made if it isn't there.
        workers: jobs at a time, each in a process of its own unless it is one; by default one a
            core, with ``ray`` of the cluster.
        ray: whether to hand the jobs to Ray, see `ray_outcomes`.
        deadline: `time.monotonic` after which no further job begins.
        synthesise: what a job does; has to be importable where it runs.

    Raises:
        GraspDataError: as `open_tasks`.
        OSError: a shard can't be written, as on a full disk, or a process was killed, as when
            memory runs out; finished shards stay.
        ValueError: a job wants a GPU, and the Ray cluster has none.
        ImportError: Ray is asked for and not installed.
    """
    missing = open_tasks(jobs, folder)
    folder.mkdir(parents=True, exist_ok=True)  # what is in its way shows before the work is done
    grasp_set = GraspSet.open(folder, create=True)
    attempt, waiting = partial(_attempt, synthesise), until(deadline, missing)
    if ray:
        attempted = ray_outcomes(attempt, waiting, workers, gpus=_share_of_gpu)
    else:
        attempted = outcomes(attempt, waiting, workers)
    with closing(attempted) as finished:
        for job, grasps in finished:
            if isinstance(grasps, str):
                yield Finished(job, 0, grasps)
                continue
            provenance = Provenance(seed=job.seed, notes=job.notes())
            grasp_set.append(grasps, provenance, shard=job.shard)
            yield Finished(job, len(grasps))


def _attempt(synthesise: Callable[[SynthesisJob], Grasps], job: SynthesisJob) -> Grasps | str:
    """A job's grasps, or what was wrong with its object.

    One bad object doesn't end a run over many; a full disk does.
    """
    try:
        return synthesise(job)
    except OSError:
        raise
    except Exception as error:  # geometry libraries raise anything
        return f"{job.name}: {error}"


def _share_of_gpu(job: SynthesisJob) -> float:
    return 0.1 if job.device == "cuda" else 0.0


def _same(notes: Mapping[str, Any], job: SynthesisJob) -> bool:
    """Whether a shard's settings are a job's; the device makes no difference that matters.

    A setting that came in after the shard was made had what is now its default.
    """
    known = _completed(_plain(notes), _plain(SynthesisJob("", "", (1.0,)).notes()))
    return known == _plain(job.notes())


def _plain(value: Any) -> Any:
    """As JSON would give it back, and without the device."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if key != "device"}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _completed(value: Any, defaults: Any) -> Any:
    """A value with what its mappings lack, from defaults that are nested alike."""
    if not (isinstance(value, dict) and isinstance(defaults, dict)):
        return value
    own = {key: _completed(item, defaults.get(key)) for key, item in value.items()}
    return defaults | own
