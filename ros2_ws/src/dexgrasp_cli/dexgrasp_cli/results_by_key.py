"""Jobs of an evaluation with a progress bar, which Ctrl-C ends and a kept file goes on from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from dexgrasp_cli.progress import bars

if TYPE_CHECKING:
    from dexgrasp_models.jobs.kept_results import KeyedJob

Job = TypeVar("Job", bound="KeyedJob")


def results_by_key(
    console: Console,
    run: Callable[..., Generator[tuple[Job, Any], None, None]],
    jobs: Mapping[str, Sequence[Job]],
    kept: Path | None,
    workers: int | None,
    what: str,
    *,
    size: Callable[[Job], int] = lambda job: 1,
    told: Callable[[Job, Any, Progress], None] = lambda job, result, progress: None,
) -> dict[str, Any]:
    """Results by the keys of their jobs.

    Args:
        console: to tell on.
        run: of jobs, with `kept` and `workers`.
        jobs: of each group; equal ones run once.
        kept: file that results are kept in.
        workers: jobs at a time; None as `run` takes it.
        what: is counted.
        size: how many of that a job has.
        told: tells of a result, beside the bar.

    Raises:
        typer.Exit: it was interrupted, status 130.
    """
    every = {job.key: job for group in jobs.values() for job in group}
    found: dict[str, Any] = {}
    try:
        with (
            bars(console, disable=not sys.stdout.isatty()) as progress,
            closing(run(list(every.values()), kept=kept, workers=workers)) as finished,
        ):
            task = progress.add_task(what, total=sum(map(size, every.values())))
            for job, result in finished:
                found[job.key] = result
                told(job, result, progress)
                progress.advance(task, size(job))
    except KeyboardInterrupt:
        console.print(
            "interrupted" + (": run the same command again to go on" if kept is not None else "")
        )
        raise typer.Exit(130) from None
    return found
