"""``dexgrasp objects``: what there is to grasp, decomposed ahead of use, and what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from dexgrasp_bringup.output_paths import file_to_write
from dexgrasp_bringup.progress import bars

if TYPE_CHECKING:
    from dexgrasp_models.ray_casting import Body

objects = typer.Typer(help="The library of objects, and folders of meshes.", no_args_is_help=True)

Selection = Annotated[
    list[str] | None,
    typer.Argument(
        help="Splits (training, unseen_instances, unseen_categories), categories (mug), names of"
        " the library (mug/3), mesh files, or folders of meshes. Default: all splits."
    ),
]


@objects.command("list")
def list_objects(selection: Selection = None) -> None:
    """The library's categories and splits; of a selection, each object and its parts."""
    from dexgrasp_models.objects import LIBRARY_PREFIX, library, load_surface

    console = Console()
    if not selection:
        console.print(_categories_table())
        return
    folded = [Column(name, overflow="fold") for name in ("object", "split", "parts")]
    table = Table(*folded, "sides", "faces")
    split_of = {name: split for split in library.SPLITS for name in library.split_names(split)}
    try:
        for source in sources(selection):
            parts, name = "", source.removeprefix(LIBRARY_PREFIX)
            if name == source:
                mesh = load_surface(source)
            else:
                item = library.make_named(name)
                mesh, parts = item.mesh, ", ".join(item.parts)
            sides = " x ".join(f"{side:.3g}" for side in mesh.extents)
            table.add_row(name, split_of.get(name, ""), parts, sides, str(len(mesh.faces)))
    except ValueError as error:
        _refuse(console, error)
    console.print(table)


@objects.command("build")
def build(
    selection: Selection = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
    ] = None,
) -> None:
    """Decompose objects into convex pieces and keep those, for all scales.

    Can be interrupted at any time; run again, it goes on from what is kept. Ends with status 1 if
    an object can't be decomposed.
    """
    from dexgrasp_models.objects.meshes import cache_folder
    from dexgrasp_sim.worker_processes import outcomes

    console = Console()
    try:
        found = sources(selection)
    except ValueError as error:
        _refuse(console, error)
    pieces, failed = 0, 0
    with bars(console) as progress, closing(outcomes(_prepared, found, workers)) as finished:
        task = progress.add_task("0 pieces", total=len(found))
        for _, result in finished:
            if isinstance(result, int):
                pieces += result
            else:
                failed += 1
                progress.console.print(f"[red]{escape(result)}", soft_wrap=True)
            progress.update(task, advance=1, description=f"{pieces} pieces")
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


@objects.command("poses")
def poses(
    selection: Selection = None,
    scale: Annotated[float, typer.Option(help="Factor on the meshes.")] = 0.1,
) -> None:
    """How objects come to rest on a table: distinct poses, and how often each occurs.

    Found once by dropping the object in simulation, and kept.
    """
    from dexgrasp_models.objects import LIBRARY_PREFIX, load_object
    from dexgrasp_sim.stable_pose import find_stable_poses

    console = Console()
    table = Table(Column("object", overflow="fold"), "share of drops", "height, mm", "up axis")
    try:
        for source in sources(selection):
            for pose in find_stable_poses(load_object(source, scale)):
                up = " ".join(f"{value:+.2f}" for value in pose.rotation[2])
                name = source.removeprefix(LIBRARY_PREFIX)
                table.add_row(name, f"{pose.frequency:.2f}", f"{1000 * pose.top:.0f}", up)
    except (ValueError, RuntimeError) as error:
        _refuse(console, error)
    console.print(table)


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
    """A picture of random objects, each part in a colour of its own."""
    import numpy as np

    from dexgrasp_models.objects import LIBRARY_PREFIX
    from dexgrasp_sim.contact_sheet import contact_sheet
    from dexgrasp_sim.render import save_picture

    console = Console()
    try:
        found = sources(selection)
        rng = np.random.default_rng(seed)
        drawn = rng.choice(len(found), min(count, len(found)), replace=False)
        samples = []
        for i in sorted(drawn):
            caption = found[i].removeprefix(LIBRARY_PREFIX)
            in_library = caption != found[i]
            samples.append((caption if in_library else Path(caption).stem, _bodies(found[i])))
        save_picture(out, contact_sheet(samples, columns))
    except (ValueError, OSError) as error:
        _refuse(console, error)
    console.print(f"{len(samples)} of {len(found)} objects, written to {out}")


def sources(selection: Sequence[str] | None) -> list[str]:
    """What `load_object` takes, each once, for the parts of a selection.

    Raises:
        ValueError: nothing is meant by one of them.
    """
    from dexgrasp_models.objects import LIBRARY_PREFIX, find_objects, library

    found: list[str] = []
    for item in selection or library.SPLITS:
        path = Path(item)
        name = item.removeprefix(LIBRARY_PREFIX)
        if path.is_dir():
            found += map(str, find_objects(path))
        elif path.is_file():
            found.append(item)
        else:
            found += [LIBRARY_PREFIX + each for each in library.select_names(name)]
    return list(dict.fromkeys(found))


def _bodies(source: str) -> list[Body]:
    """An object for a contact sheet, part by part if it is of the library."""
    from dexgrasp_models.objects import LIBRARY_PREFIX, library, load_surface
    from dexgrasp_models.ray_casting import Body
    from dexgrasp_sim.contact_sheet import PALETTE

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
