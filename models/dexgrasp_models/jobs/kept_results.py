"""Results of finished jobs in a file of JSON lines, from which an interrupted run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, TypeVar

from dexgrasp_models.files import written_whole
from dexgrasp_models.jobs.ray_cluster import ray_outcomes
from dexgrasp_models.jobs.worker_processes import outcomes


class KeptResults:
    """Results by their jobs' keys, each on disk as soon as it is there.

    Args:
        path: the file; None keeps nothing on disk. What an interruption left of the last line is
            dropped.

    Raises:
        ValueError: the file has something else in it, or is damaged.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._results: dict[str, Any] = {}
        if path is None or not path.is_file():
            return
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                if number == len(lines):
                    continue
                raise ValueError(
                    f"{path}: line {number} is damaged; repair or remove it, and run again"
                ) from None
            if not isinstance(entry, dict) or set(entry) != {"key", "result"}:
                raise ValueError(f"{path}: holds no results of this version; remove or rename it")
            self._results[entry["key"]] = entry["result"]
        with written_whole(path) as temporary:
            temporary.write_text("".join(map(_line, self._results, self._results.values())))

    def __contains__(self, key: str) -> bool:
        return key in self._results

    def __getitem__(self, key: str) -> Any:
        return self._results[key]

    def add(self, key: str, result: Any) -> None:
        """Keep what JSON can hold.

        Raises:
            OSError: it can't be written, as on a full disk.
        """
        self._results[key] = result
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(_line(key, result))


class KeyedJob(Protocol):
    """A job that is told from others by a text."""

    @property
    def key(self) -> str:
        """Equal for equal jobs."""


Keyed = TypeVar("Keyed", bound=KeyedJob)


def kept_outcomes(
    work: Callable[[Keyed], Any],
    jobs: Sequence[Keyed],
    kept: Path | None,
    workers: int | None,
    ray: bool = False,
) -> Generator[tuple[Keyed, Any], None, None]:
    """What work makes of jobs, each with its job: first those that are kept, then as they finish.

    Args:
        work: as of `outcomes`; gives what JSON can hold.
        jobs: all.
        kept: file in which results are kept and found again; None keeps none.
        workers: jobs at a time; by default one a core, with `ray` of the cluster.
        ray: whether they run on Ray, see `ray_outcomes`; results are kept here.

    Raises:
        ValueError: as `KeptResults`.
        ChildProcessError, ImportError, Exception: as `outcomes` and `ray_outcomes`.
    """
    results = KeptResults(kept)
    missing = [job for job in jobs if job.key not in results]
    for job in jobs:
        if job.key in results:
            yield job, results[job.key]
    if ray and missing:
        attempted = ray_outcomes(work, missing, workers)
    else:  # a single job isn't worth the start of a process
        attempted = outcomes(work, missing, workers if len(missing) > 1 else 1)
    with closing(attempted) as finished:
        for job, result in finished:
            results.add(job.key, result)
            yield job, result


def _line(key: str, result: Any) -> str:
    return json.dumps({"key": key, "result": result}, allow_nan=False) + "\n"
