"""``dexgrasp data``: sets of grasps, and their exchange with the field's data sets."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dexgrasp_cli.output_paths import folder_to_write
from dexgrasp_cli.set_options import (
    Objects,
    SetFolder,
    Where,
    object_loader,
    parse_bounds,
    problems_told,
)

if TYPE_CHECKING:
    from dexgrasp_models.data.grasp_set import GraspSet

data = typer.Typer(help="Sets of grasps.", no_args_is_help=True)


class FileFormat(StrEnum):
    """What grasps are exchanged in."""

    DEXGRASPNET = "dexgraspnet"
    UNIDEXGRASP = "unidexgrasp"
    DEXGRASPBENCH = "dexgraspbench"


@data.callback()
def _data() -> None:
    """Sets of grasps."""


@data.command("import")
def import_(
    source: Annotated[
        Path, typer.Argument(help="A DexGraspNet file, or a folder whose files name the objects.")
    ],
    grasp_set: SetFolder,
    format: Annotated[FileFormat, typer.Option(help="What SOURCE is in.")],
    ignore: Annotated[
        list[str] | None, typer.Option(help="Key to leave out; may be repeated.")
    ] = None,
    single: Annotated[
        bool, typer.Option("--single", help="Keep single precision: half the size, not exact.")
    ] = False,
) -> None:
    """Append published grasps to a set, as one shard.

    Files that are damaged or foreign are told and left out; then it ends with status 1.
    """
    import numpy as np

    from dexgrasp_models.data.dexgraspnet import import_dexgraspnet
    from dexgrasp_models.data.grasp_set import GraspSet, Provenance
    from dexgrasp_models.data.unidexgrasp import import_unidexgrasp

    readers = {
        FileFormat.DEXGRASPNET: import_dexgraspnet,
        FileFormat.UNIDEXGRASP: import_unidexgrasp,
    }
    with problems_told() as console:
        if format not in readers:
            raise ValueError(
                f"{format} is a benchmark's input; grasps are imported from {' or '.join(readers)}"
            )
        problems: list[str] = []
        grasps = readers[format](source, ignore or (), problems)
        for problem in problems:
            console.print(f"[red]left out: {escape(problem)}", soft_wrap=True)
        objects = len(set(grasps.objects.tolist()))
        if not len(grasps):
            raise ValueError(f"{source}: holds no grasps: none of its objects has any")
        if single:
            grasps = grasps.astype(np.float32)
        provenance = Provenance(notes={"format": str(format), "source": source.name})
        path = GraspSet.open(grasp_set, create=True).append(grasps, provenance)
    without = len(grasps.names) - objects
    console.print(
        f"{len(grasps)} grasps of {objects} objects written to {path}"
        + f"; {without} more without any" * bool(without)
    )
    if problems:
        raise typer.Exit(1)


@data.command("export")
def export(
    grasp_set: SetFolder,
    out: Annotated[Path, typer.Argument(help="Folder to make.", callback=folder_to_write)],
    format: Annotated[FileFormat, typer.Option(help="What to write.")],
    where: Where = None,
    objects: Objects = None,
    meshes: Annotated[
        Path | None,
        typer.Option(
            help="For dexgraspbench: folder with <object>/coacd/decomposed.obj, a folder <object> "
            "with visual.obj and/or collision.obj, or <object>.obj, .stl or .ply. By default the "
            "objects are the library's."
        ),
    ] = None,
    object_root: Annotated[
        str | None,
        typer.Option(help="For dexgraspbench: where it will find OUT/objects, if not there."),
    ] = None,
) -> None:
    """Write the grasps of a set as the field's files."""
    from dexgrasp_models.data.dexgraspbench import export_dexgraspbench
    from dexgrasp_models.data.dexgraspnet import export_dexgraspnet
    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.data.unidexgrasp import export_unidexgrasp

    with problems_told() as console:
        source = GraspSet.open(grasp_set)
        rows = source.select(parse_bounds(where or ()), objects or None)
        if not len(rows):
            raise ValueError(f"{grasp_set}: none of its {len(source)} grasps is asked for")
        grasps = source[rows]
        if format is FileFormat.DEXGRASPNET:
            export_dexgraspnet(grasps, out)
        elif format is FileFormat.UNIDEXGRASP:
            export_unidexgrasp(grasps, out)
        else:
            export_dexgraspbench(grasps, out, object_loader(meshes), object_root)
    console.print(f"{len(grasps)} of {len(source)} grasps written to {out}")


@data.command("stats")
def stats(
    grasp_set: SetFolder,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What a set holds."""
    from json import dumps

    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.data.statistics import summarise

    with problems_told() as console:
        source = GraspSet.open(grasp_set)
        summary = summarise(source)
    if json:
        typer.echo(dumps(summary, indent=2))
        return
    for table in _tables(source, summary):
        console.print(table)
    for entry in summary["provenance"]:
        console.print(
            f"{entry['grasps']} grasps by {escape(entry['command'])} ({entry['version']}"
            + (f", {len(entry['seeds'])} seeds)" if entry["seeds"] else ")"),
            soft_wrap=True,
        )


def _tables(source: GraspSet, summary: dict[str, Any]) -> Iterator[Table]:
    table = Table(title=str(source.path), show_header=False)
    counts = summary["grasps_per_object"]
    above = summary["from_above"]
    rows = {
        "grasps": summary["grasps"],
        "objects": summary["objects"],
        "grasps an object": "{least} to {greatest}, median {median:g}".format(**counts),
        "shards": summary["shards"],
        "size": f"{summary['bytes'] / 1e6:.1f} MB",
        "scales": ", ".join(f"{scale} ({n})" for scale, n in summary["scales"].items()),
        "on a table": summary["on_table"],
        "of these, palm down": "-" if above is None else f"{above:.0%}",
        "with squeezes": summary["squeezes"],
        "beyond joint limits": f"{summary['beyond_limits']:.0%}",
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    yield table
    if summary["figures"]:
        figures = Table("figure", "known", "mean", "least", "median", "greatest")
        for name, row in summary["figures"].items():
            values = [
                f"{row[key]:.4g}" for key in ("mean", "least", "median", "greatest") if key in row
            ]
            figures.add_row(name, str(row["known"]), *values)
        yield figures
