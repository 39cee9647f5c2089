"""Evaluations whose rows all run in the same episodes: options, jobs, figures and tables."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence, Sized
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.rates import rate_cell
from dexgrasp_cli.results_by_key import results_by_key

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Figures = dict[str, Any]
Results = Sequence[Mapping[str, Any]]
"""Of the jobs of a group: `objects`, `rows` and `faults`."""

RULES = {"paper": "success", "latched": "latched", "strict": "strict"}
"""Titles of the columns of success."""


AnyJob = TypeVar("AnyJob")

Data = Annotated[Path, typer.Argument(help="Grasp set that the goals are of.")]
Goals = Annotated[Path, typer.Option(help="Of that set, by dexgrasp assist goals.")]
AllGoals = Annotated[
    bool,
    typer.Option("--all-goals", help="Also goals that fall from a hand which waits at the grasp."),
]
Splits = Annotated[
    list[str] | None,
    typer.Option(
        help="Of the library, a group of its own; may be repeated: validation to choose by, the"
        " unseen ones to report. By default unseen_instances and unseen_categories."
    ),
]
Episodes = Annotated[int, typer.Option(min=1, help="Of each group, at least.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Hold the object for 5 s under a push of 2.5 N, too.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="All figures as JSON. Each finished job is kept beside it (.jobs.jsonl) at once, "
        "and the same command goes on from there.",
        callback=file_to_write,
    ),
]


class Job(Protocol):
    """Some episodes."""

    @property
    def key(self) -> str:
        """That tells it from others."""

    @property
    def goals(self) -> Sized:
        """One of each episode."""


def check_out(out: Path | None) -> None:
    """See that figures can be written to a file before anything runs.

    Raises:
        ValueError: it is not a .json.
    """
    if out is not None and out.suffix != ".json":
        raise ValueError(f"{out}: the figures are written as .json")


def jobs_of_groups(
    splits: Sequence[str] | None, drawn: Callable[[tuple[str, ...]], Sequence[AnyJob]]
) -> dict[str, Sequence[AnyJob]]:
    """Jobs of each split, a group of its own; of both unseen ones where none is named.

    Args:
        splits: of `Splits`.
        drawn: jobs of the objects with these names.

    Raises:
        ValueError: there is no such split.
    """
    from dexgrasp_models.objects.library import split_names

    titles = splits or ("unseen_instances", "unseen_categories")
    return {title: drawn(split_names(title)) for title in titles}


def evaluate(
    console: Console,
    run: Callable[..., Generator[tuple[Any, Any], None, None]],
    jobs: Mapping[str, Sequence[Job]],
    settings: DataclassInstance,
    seed: int,
    figures: Callable[[Results], Figures],
    tables: Callable[[Mapping[str, Any]], Iterable[Table]],
    *,
    out: Path | None,
    workers: int | None,
    ray: bool,
) -> Mapping[str, Mapping[str, Any]]:
    """Run the jobs, print the tables, and write all figures.

    Args:
        console: to tell on.
        run, jobs: as of `results_by_key`.
        settings: of all jobs, for the record.
        seed: likewise.
        figures: of a group's results, as of `group_figures`.
        tables: of all figures.
        out: file of the figures; finished jobs are kept beside it.
        workers: jobs at a time; None: one a core.
        ray: whether they run on Ray.

    Returns:
        Of each job its result, by the job's key.

    Raises:
        typer.Exit: it was interrupted, status 130.
        OSError: a file can't be written.
    """
    from dexgrasp_models.evaluation.run_record import run_record
    from dexgrasp_models.files import written_whole
    from dexgrasp_models.jobs.ray_cluster import require_ray

    if ray:
        require_ray()
    started = time.monotonic()
    results = results_by_key(
        console,
        partial(run, ray=ray),
        jobs,
        None if out is None else out.with_suffix(".jobs.jsonl"),
        workers,
        "episodes",
        size=lambda job: len(job.goals),
    )
    groups = {title: figures([results[job.key] for job in group]) for title, group in jobs.items()}
    summary = {**run_record(seed, asdict(settings)), "groups": groups}
    for table in tables(summary):
        console.print(table)
    console.print(f"seed {seed}, {time.monotonic() - started:.0f} s", soft_wrap=True)
    if out is not None:
        with written_whole(out) as temporary:
            temporary.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
        console.print(f"written to {out}", soft_wrap=True)
    return results


def group_figures(
    found: Results, names: Sequence[str], summarised: Callable[..., Mapping[str, Figures]]
) -> Figures:
    """All figures of a group: of its rows, and of each episode.

    Args:
        found: results of the group's jobs.
        names: of the rows.
        summarised: what the rows' episodes come to, of their objects and of each row's figures.
    """
    objects = [name for each in found for name in each["objects"]]
    rows = {row: [one for each in found for one in each["rows"][row]] for row in names}
    return {
        "episodes": len(objects),
        "objects": len(set(objects)),
        "faults": sum(each["faults"] for each in found),
        "rows": summarised(objects, rows),
        "each": {"objects": objects, "rows": rows},
    }


def rows_table(
    title: str,
    rows: Mapping[str, Figures],
    name_of: Callable[[str], str],
    columns: Mapping[str, Callable[[Figures], str]],
) -> Table:
    """Of each row its name, success by each rule with both ends of its 95 % interval, and more.

    Args:
        title: of the table.
        rows: figures by the names of the rows.
        name_of: what a row is called in the table.
        columns: by their titles, what stands in them.
    """
    rules = [rule for rule in RULES if any(rule in row for row in rows.values())]
    table = Table("", *(RULES[rule] for rule in rules), *columns, title=title)
    for name, row in rows.items():
        table.add_row(
            name_of(name),
            *(rate_cell(row.get(rule)) for rule in rules),
            *(cell(row) for cell in columns.values()),
        )
    return table
