"""What the commands on sets of grasps share: their options, the choice of grasps, bad objects."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dexgrasp_cli.progress import bars

if TYPE_CHECKING:
    import numpy as np

    from dexgrasp_models.data.grasp_set import Bounds, GraspSet
    from dexgrasp_models.data.grasps import Grasps
    from dexgrasp_sim.datasets.grasp_trials import LoadObject

_CONDITION = re.compile(r"\s*(?P<figure>[^<>=\s]+)\s*(?P<sign><=|>=|=)\s*(?P<value>\S+)\s*")

SetFolder = Annotated[Path, typer.Argument(metavar="SET", help="Folder of the set.")]
Where = Annotated[
    list[str] | None,
    typer.Option(help="Only grasps with, for instance, 'lifted>=1'; may be repeated."),
]
Objects = Annotated[
    list[str] | None, typer.Option("--object", help="Only this object; may be repeated.")
]
Meshes = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the objects' meshes, as for export; by default they are the library's."
    ),
]

Advance = Callable[[int, int], None]


@contextmanager
def problems_told() -> Iterator[Console]:
    """A console; what is wrong with the input or the disk ends the command with status 2."""
    console = Console()
    try:
        yield console
    except (ValueError, OSError) as error:
        console.print(f"[red]{escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error


@contextmanager
def objects_told() -> Iterator[tuple[Console, dict[str, str]]]:
    """As `problems_told`, and takes the objects that can't be found or used, with the reason.

    Where there are any, the command does the rest and ends with status 1.
    """
    left_out: dict[str, str] = {}
    with problems_told() as console:
        yield console, left_out
    if left_out:
        raise typer.Exit(1)


def parse_bounds(conditions: Sequence[str]) -> Bounds:
    """Bounds from conditions like `lifted>=1`, all of which have to hold.

    Raises:
        ValueError: a condition is none.
    """
    bounds: dict[str, tuple[float, float]] = {}
    for condition in conditions:
        match = _CONDITION.fullmatch(condition)
        try:
            if match is None:
                raise ValueError
            value = float(match["value"])
        except (TypeError, ValueError):
            raise ValueError(
                f"{condition!r} is no condition: expected a figure, <=, >= or =, and a number"
            ) from None
        least, greatest = bounds.get(match["figure"], (float("-inf"), float("inf")))
        if match["sign"] != "<=":
            least = max(least, value)
        if match["sign"] != ">=":
            greatest = min(greatest, value)
        bounds[match["figure"]] = (least, greatest)
    return bounds


def drawn(
    source: GraspSet,
    where: Sequence[str] | None,
    objects: Sequence[str] | None,
    count: int | None,
    seed: int,
) -> Grasps:
    """Some grasps of a set, all of which meet the conditions; all that do without a count.

    Raises:
        ValueError: there are none, or a condition makes no sense.
    """
    import numpy as np

    rows = source.select(parse_bounds(where or ()), objects or None)
    if not len(rows):
        raise ValueError(f"{source.path}: none of its {len(source)} grasps is asked for")
    if count is not None and count < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, count, replace=False))
    return source[rows]


def object_loader(meshes: Path | None) -> LoadObject:
    """What finds the objects of a set: in a folder of meshes, or in the library."""
    from dexgrasp_models.data.dexgraspbench import find_object
    from dexgrasp_sim.datasets.grasp_trials import library_object

    return library_object if meshes is None else partial(find_object, meshes)


def of_usable_objects(
    console: Console,
    grasps: Grasps,
    figures: dict[str, np.ndarray],
    left_out: Mapping[str, str],
) -> tuple[Grasps, dict[str, np.ndarray]]:
    """The grasps and figures of the objects that could be used; tells of the others.

    Raises:
        ValueError: there are no such objects.
    """
    import numpy as np

    bad = [index for index, name in enumerate(grasps.names) if name in left_out]
    rows = np.flatnonzero(~np.isin(grasps.objects, bad))
    problems = list(left_out.values())
    if not len(rows) and len(problems) == 1:
        raise ValueError(problems[0])
    for problem in problems:
        console.print(f"[red]left out: {escape(problem)}", soft_wrap=True)
    if not len(rows):
        raise ValueError("none of the objects can be used")
    return grasps[rows], {name: values[rows] for name, values in figures.items()}


@contextmanager
def progress_bar(console: Console, what: str, total: int) -> Iterator[Advance]:
    """A bar, on a terminal; yields what moves it, called with how many are done."""
    with bars(console, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, _: progress.update(task, completed=done)
