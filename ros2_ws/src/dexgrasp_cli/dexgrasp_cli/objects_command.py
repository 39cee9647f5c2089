"""``dexgrasp objects``: what there is to grasp, decomposed ahead of use, and what it looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from dexgrasp_cli.common_options import Workers
from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.progress import bars

if TYPE_CHECKING:
    from dexgrasp_models.perception.ray_casting import Body
    from dexgrasp_sim.placement import StablePose

Made = TypeVar("Made")

objects = typer.Typer(help="The library of objects, and folders of meshes.", no_args_is_help=True)

Selection = Annotated[
    list[str] | None,
    typer.Argument(
        help="Splits (training, validation, unseen_instances, unseen_categories), categories (mug),"
        " names of the library (mug/3), mesh files, or folders of meshes. Default: all splits."
    ),
]


@objects.command("list")
def list_objects(selection: Selection = None) -> None:
    """The library's categories and splits; of a selection, each object and its parts.

    Ends with status 1 if an object can't be used.
    """
    from dexgrasp_models.objects import LIBRARY_PREFIX, library, load_surface

    console = Console()
    if not selection:
        console.print(_categories_table())
        return
    folded = [Column(name, overflow="fold") for name in ("object", "split", "parts")]
    table = Table(*folded, "sides", "faces")
    split_of = {name: split for split in library.SPLITS for name in library.split_names(split)}

    def row(source: str) -> tuple[str, ...]:
        parts, name = "", source.removeprefix(LIBRARY_PREFIX)
        if name == source:
            mesh = load_surface(source)
        else:
            item = library.make_named(name)
            mesh, parts = item.mesh, ", ".join(item.parts)
        sides = " x ".join(f"{side:.3g}" for side in mesh.extents)
        return name, split_of.get(name, ""), parts, sides, str(len(mesh.faces))

    found = _found(console, selection)
    rows = _of_each(console, found, row)
    for cells in rows:
        table.add_row(*cells)
    console.print(table)
    if len(rows) < len(found):
        raise typer.Exit(1)


@objects.command("build")
def build(
    selection: Selection = None,
    workers: Workers = None,
) -> None:
    """Decompose objects into convex pieces and keep those, for all scales.

    Can be interrupted at any time; run again, it goes on from what is kept. Ends with status 1 if
    an object can't be read or decomposed; the others are all the same.
    """
    from dexgrasp_models.jobs.worker_processes import outcomes
    from dexgrasp_models.objects.meshes import cache_folder

    console = Console()
    found = _found(console, selection)
    pieces, failed = 0, 0
    try:
        with bars(console) as progress, closing(outcomes(_prepared, found, workers)) as finished:
            task = progress.add_task("0 pieces", total=len(found))
            for _, result in finished:
                if isinstance(result, int):
                    pieces += result
                else:
                    failed += 1
                    progress.console.print(f"[red]{escape(result)}", soft_wrap=True)
                progress.update(task, advance=1, description=f"{pieces} pieces")
    except OSError as error:  # what is found can't be kept, or a process was killed
        _refuse(console, error)
    console.print(f"{len(found) - failed} objects, {pieces} pieces in {cache_folder()}")
    if failed:
        raise typer.Exit(1)


def _prepared(source: str) -> int | str:
    """How many pieces an object has, or what is wrong with it."""
    from dexgrasp_models.objects import MeshError, prepare_object

    try:
        return prepare_object(source)
    except MeshError as error:
        return str(error)
    except OSError:
        raise
    except Exception as error:  # geometry libraries raise anything
        return f"{source}: {type(error).__name__}: {error}"


@objects.command("poses")
def poses(
    selection: Selection = None,
    scale: Annotated[float, typer.Option(help="Factor on the meshes.")] = 0.1,
) -> None:
    """How objects come to rest on a table: distinct poses, and how often each occurs.

    Found once by dropping the object in simulation, and kept. Ends with status 1 if an object can't
    be used.
    """
    from dexgrasp_models.objects import LIBRARY_PREFIX, load_object
    from dexgrasp_sim.backends import find_stable_poses

    console = Console()
    table = Table(Column("object", overflow="fold"), "share of drops", "height, mm", "up axis")
    found = _found(console, selection)

    def resting(source: str) -> tuple[str, tuple[StablePose, ...]]:
        return source.removeprefix(LIBRARY_PREFIX), find_stable_poses(load_object(source, scale))

    made = _of_each(console, found, resting)
    for name, poses in made:
        for pose in poses:
            up = " ".join(f"{value:+.2f}" for value in pose.rotation[2])
            table.add_row(name, f"{pose.frequency:.2f}", f"{1000 * pose.top:.0f}", up)
    console.print(table)
    if len(made) < len(found):
        raise typer.Exit(1)


@objects.command("show")
def show(
    selection: Selection = None,
    out: Annotated[Path, typer.Option(help="Picture to write.", callback=file_to_write)] = Path(
        "out/objects.png"
    ),
    count: Annotated[int, typer.Option(min=1, help="How many at most, drawn at random.")] = 64,
    columns: Annotated[int, typer.Option(min=1, help="Objects a row.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing.")] = 0,
) -> None:
    """A picture of random objects, each part in a colour of its own.

    Ends with status 1 if an object can't be used.
    """
    import numpy as np

    from dexgrasp_models.objects import LIBRARY_PREFIX
    from dexgrasp_sim.cameras.render import save_picture
    from dexgrasp_sim.pictures.contact_sheet import contact_sheet

    console = Console()
    found = _found(console, selection)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(found), min(count, len(found)), replace=False)

    def sample(source: str) -> tuple[str, list[Body]]:
        caption = source.removeprefix(LIBRARY_PREFIX)
        return caption if caption != source else Path(caption).stem, _bodies(source)

    samples = _of_each(console, [found[i] for i in sorted(drawn)], sample)
    try:
        save_picture(out, contact_sheet(samples, columns))
    except (ValueError, OSError) as error:
        _refuse(console, error)
    console.print(f"{len(samples)} of {len(found)} objects, written to {out}")
    if len(samples) < len(drawn):
        raise typer.Exit(1)


def sources(selection: Sequence[str] | None) -> list[str]:
    """What `load_object` takes, each once, for the parts of a selection.

    Raises:
        ValueError: nothing is meant by one of them.
    """
    from dexgrasp_models.objects import LIBRARY_PREFIX, find_objects, library
    from dexgrasp_models.objects.folders import MESH_SUFFIXES, URDF_SUFFIX

    found: list[str] = []
    for item in selection or library.SPLITS:
        path = Path(item)
        name = item.removeprefix(LIBRARY_PREFIX)
        if path.is_dir():
            found += map(str, find_objects(path))
        elif path.is_file():
            found.append(item)
        elif path.suffix.lower() in {*MESH_SUFFIXES, URDF_SUFFIX} or path.is_absolute():
            raise ValueError(f"{item}: no such mesh file or folder")
        else:
            found += [LIBRARY_PREFIX + each for each in library.select_names(name)]
    return list(dict.fromkeys(found))


def _found(console: Console, selection: Sequence[str] | None) -> list[str]:
    """As `sources`; ends the command if nothing is meant."""
    try:
        return sources(selection)
    except (ValueError, OSError) as error:
        _refuse(console, error)


def _of_each(console: Console, found: Sequence[str], make: Callable[[str], Made]) -> list[Made]:
    """What is made of each object; tells of those that can't be used.

    Ends the command if none can.
    """
    made, problem = [], None
    for source in found:
        try:
            made.append(make(source))
        except (ValueError, RuntimeError, OSError) as error:
            problem = error
            if len(found) > 1:
                console.print(f"[red]{escape(str(error))}", soft_wrap=True)
    if problem is not None and not made:
        _refuse(console, problem if len(found) == 1 else ValueError("no object can be used"))
    return made


def _bodies(source: str) -> list[Body]:
    """An object for a contact sheet, part by part if it is of the library."""
    from dexgrasp_models.objects import LIBRARY_PREFIX, library, load_surface
    from dexgrasp_models.perception.ray_casting import Body
    from dexgrasp_sim.pictures.contact_sheet import PALETTE

    if not source.startswith(LIBRARY_PREFIX):
        return [Body(library.canonicalized(load_surface(source)), PALETTE[0])]
    item = library.make_named(source.removeprefix(LIBRARY_PREFIX))
    return [Body(item.part(part), PALETTE[i % len(PALETTE)]) for i, part in enumerate(item.parts)]


def _categories_table() -> Table:
    from dexgrasp_models.objects import library

    names = [library.split_names(split) for split in library.SPLITS]
    table = Table("category", *library.SPLITS, show_footer=True)
    for column, split in zip(table.columns[1:], names, strict=True):
        column.justify, column.footer = "right", str(len(split))
    table.columns[0].footer = str(len(library.CATEGORIES))
    for category in library.CATEGORIES:
        counts = [sum(name.startswith(f"{category}/") for name in split) for split in names]
        table.add_row(category, *(str(count or "") for count in counts))
    return table


def _refuse(console: Console, error: Exception) -> NoReturn:
    console.print(f"[red]{escape(str(error))}", soft_wrap=True)
    raise typer.Exit(2) from error
