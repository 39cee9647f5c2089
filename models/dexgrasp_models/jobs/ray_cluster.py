"""Jobs on a Ray cluster, or on one that is started here for as long as they last."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterable
from importlib.util import find_spec
from typing import Any, TypeVar

from dexgrasp_models.jobs.worker_processes import KILLED

Job = TypeVar("Job")
Result = TypeVar("Result")


def require_ray() -> None:
    """
    Raises:
        ValueError: Ray is not installed.
    """
    if find_spec("ray") is None:
        raise ValueError("--ray needs Ray: pip install -r requirements-ray.txt")


def ray_outcomes(
    work: Callable[[Job], Result],
    jobs: Iterable[Job],
    workers: int | None = None,
    gpus: Callable[[Job], float] = lambda job: 0.0,
) -> Generator[tuple[Job, Result], None, None]:
    """As `worker_processes.outcomes`, on Ray.

    That is the cluster that this process is connected to, or that of `RAY_ADDRESS`, or else one on
    this machine. A job whose process or machine is lost runs again, three times at most.

    Args:
        work: importable on every node, as are the jobs' types.
        jobs: any number; one is taken when there is room for it.
        workers: jobs at a time; by default one a core of the cluster.
        gpus: share of a GPU that a job takes.

    Raises:
        ChildProcessError: a job's process was killed again and again.
        ValueError: a job wants a GPU, and the cluster has none.
        ImportError: Ray is not installed.
        Exception: what `work` raises.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    own = not ray.is_initialized() and _start(workers)
    attempt: Any = ray.remote(_done)
    running: dict[ray.ObjectRef, Job] = {}
    try:
        workers = workers or int(ray.cluster_resources().get("CPU", 1))
        for job in jobs:
            share = gpus(job)
            if share and "GPU" not in ray.cluster_resources():
                raise ValueError("device cuda was asked for, but the Ray cluster has no GPU")
            running[attempt.options(num_cpus=1, num_gpus=share).remote(work, job)] = job
            if len(running) == workers:
                yield from _finished(running)
        while running:
            yield from _finished(running)
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise ChildProcessError(KILLED) from error
    finally:
        for task in running:
            ray.cancel(task, force=True)
        if own:
            ray.shutdown()


def _done(work: Callable[[Job], Result], job: Job) -> Result:
    return work(job)


def _finished(running: dict[Any, Job]) -> Generator[tuple[Job, Any], None, None]:
    """Waits for one that runs and takes it out."""
    import ray

    (done,), _ = ray.wait(list(running))
    yield running.pop(done), ray.get(done)


def _start(workers: int | None) -> bool:
    """Connect to the cluster of `RAY_ADDRESS`; True if none is named and one was started here."""
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**quiet)
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init("local", num_cpus=workers, include_dashboard=False, **quiet)
    return True
