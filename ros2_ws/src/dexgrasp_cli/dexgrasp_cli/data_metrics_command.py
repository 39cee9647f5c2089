"""``dexgrasp data metrics``: how good and how diverse the grasps of a set are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dexgrasp_cli.set_options import (
    Meshes,
    Objects,
    SetFolder,
    Where,
    drawn,
    object_loader,
    objects_told,
    of_usable_objects,
    progress_bar,
)

if TYPE_CHECKING:
    import numpy as np

    from dexgrasp_models.data.diversity import ObjectDiversity
    from dexgrasp_models.data.grasps import Grasps
    from dexgrasp_models.hand.distance import HandDistance
    from dexgrasp_sim.datasets.grasp_trials import LoadObject

_SHARES = {
    "q1 above 0": ("q1", lambda values: values > 0.0),
    "object_penetration at most 1 mm": ("object_penetration", lambda values: values <= 0.001),
    "object_penetration at most 3 mm": ("object_penetration", lambda values: values <= 0.003),
    "table_penetration at most 1 mm": ("table_penetration", lambda values: values <= 0.001),
}


def metrics(
    grasp_set: SetFolder,
    where: Where = None,
    objects: Objects = None,
    count: Annotated[
        int, typer.Option(min=1, help="Grasps drawn at random for what needs the meshes.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing.")] = 0,
    meshes: Meshes = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Q1, penetrations and contacts of a sample of grasps, and the diversity of each object's.

    Definitions are in docs/metrics.md. The diversity is that of all grasps which are asked for.
    Objects that can't be found or used are told and left out; then it ends with status 1.
    """
    from json import dumps

    import torch

    from dexgrasp_models.data.diversity import object_diversities
    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.hand.distance import HandDistance
    from dexgrasp_models.hand.kinematics import HandKinematics
    from dexgrasp_models.hand.spec import load_hand

    with objects_told() as (console, left_out):
        grasps = drawn(GraspSet.open(grasp_set), where, objects, None, seed)
        kinematics = HandKinematics(load_hand(), dtype=torch.float32)
        diversities = object_diversities(grasps, kinematics)
        sample = drawn(GraspSet.open(grasp_set), where, objects, count, seed)
        with progress_bar(console, "grasps", len(sample)) as advance:
            figures = evaluated(
                sample, HandDistance(kinematics), object_loader(meshes), advance, left_out
            )
        told = Console(stderr=True) if json else console
        _, figures = of_usable_objects(told, sample, figures, left_out)
        summary = _summary(grasps, figures, diversities)
        if json:
            typer.echo(dumps(summary, indent=2))
        else:
            _print(console, str(grasp_set), summary)


def evaluated(
    grasps: Grasps,
    distance: HandDistance,
    load: LoadObject,
    progress: Callable[[int, int], None] | None = None,
    left_out: dict[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """(N,) figures of `evaluate_grasps` of grasps of any objects.

    The surface is that of the convex pieces, which grasps are made for and tried against.

    Args:
        grasps: of any objects.
        distance: of the hand.
        load: finds the objects.
        progress: is called with how many grasps are done, of how many.
        left_out: takes the objects that can't be found or used, with the reason; the figures of
            their grasps are NaN. Without it they raise.

    Raises:
        MeshError, GraspDataError: an object can't be found or used.
    """
    import numpy as np

    from dexgrasp_models.data.closing import outer_surface
    from dexgrasp_models.data.grasps import GraspDataError
    from dexgrasp_models.metrics.analytic import evaluate_grasps
    from dexgrasp_models.objects.meshes import MeshError

    figures: dict[str, np.ndarray] = {}
    poses, done = grasps.palm_poses, 0
    for index, scale in sorted(
        set(zip(grasps.objects.tolist(), grasps.scales.tolist(), strict=True))
    ):
        rows = np.flatnonzero((grasps.objects == index) & (grasps.scales == scale))
        done += len(rows)
        try:
            points, normals = outer_surface(load(grasps.names[index], scale))
        except (MeshError, GraspDataError) as error:
            if left_out is None:
                raise
            left_out[grasps.names[index]] = str(error)
        else:
            found = evaluate_grasps(
                distance, poses[rows], grasps.joints[rows], points, normals, grasps.planes[rows]
            )
            for name, values in found.items():
                figures.setdefault(name, np.full(len(grasps), np.nan))[rows] = values
        if progress:
            progress(done, len(grasps))
    return figures


def _summary(
    grasps: Grasps, figures: Mapping[str, np.ndarray], diversities: Mapping[str, ObjectDiversity]
) -> dict[str, Any]:
    import numpy as np

    from dexgrasp_models.data.diversity import NARROW
    from dexgrasp_models.data.statistics import describe, from_above

    several = [one for one in diversities.values() if one.grasps > 1]
    names = ("rotation_deviation", "keypoint_deviation", "greatest_angle", "from_above")
    on_table = int(grasps.has_table.sum())
    above = float(from_above(grasps).sum() / on_table) if on_table else None
    return {
        "grasps": len(grasps),
        "objects": len(diversities),
        "evaluated": len(next(iter(figures.values()))),
        "figures": {name: describe(values) for name, values in figures.items()},
        "shares": {
            what: float(holds(figures[name]).mean()) for what, (name, holds) in _SHARES.items()
        },
        "from_above": above,
        "from_the_side": None if above is None else 1.0 - above,
        "objects_with_several_grasps": len(several),
        "diversity": {
            name: describe(np.array([getattr(one, name) for one in several])) for name in names
        },
        "narrow": {
            name: {"grasps": one.grasps, "greatest_angle": one.greatest_angle}
            for name, one in diversities.items()
            if one.greatest_angle <= NARROW
        },
    }


def _print(console: Console, title: str, summary: Mapping[str, Any]) -> None:
    def table(what: str, rows: Mapping[str, Mapping[str, float]], caption: str) -> None:
        columns = ("mean", "least", "median", "greatest")
        made = Table(what, *columns, title=caption)
        for name, row in rows.items():
            made.add_row(name, *(f"{row[key]:.4g}" if key in row else "-" for key in columns))
        console.print(made)

    table("figure", summary["figures"], f"{title}: {summary['evaluated']} grasps, m")
    for what, share in summary["shares"].items():
        console.print(f"{what}: {share:.1%}")
    if summary["from_above"] is not None:
        console.print(
            f"from above: {summary['from_above']:.1%}, from the side: "
            f"{summary['from_the_side']:.1%} of {summary['grasps']} grasps"
        )
    rows = {_DIVERSITY.get(name, name): row for name, row in summary["diversity"].items()}
    several = summary["objects_with_several_grasps"]
    table("of an object's grasps", rows, f"{several} objects with several grasps")
    narrow = summary["narrow"]
    console.print(
        f"{len(narrow)} of {summary['objects']} objects with all grasps within 30 degrees"
    )
    for name, row in narrow.items():
        console.print(f"  {escape(name)}: {row['grasps']} grasps", soft_wrap=True)


_DIVERSITY = {
    "rotation_deviation": "sigma_R, rad",
    "keypoint_deviation": "sigma_keypoints, m",
    "greatest_angle": "greatest angle, rad",
    "from_above": "share from above",
}
