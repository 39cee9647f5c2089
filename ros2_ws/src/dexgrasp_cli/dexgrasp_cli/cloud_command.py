"""``dexgrasp data clouds``: what depth cameras see of the scenes of a grasp set."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dexgrasp_cli.budget import seconds
from dexgrasp_cli.common_options import Workers
from dexgrasp_cli.output_paths import folder_to_write
from dexgrasp_cli.set_options import SetFolder, problems_told


def clouds(
    grasp_set: SetFolder,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Folder for the clouds.", callback=folder_to_write),
    ],
    views: Annotated[
        int, typer.Option(min=1, help="Clouds of each scene: turned, moved, measured anew.")
    ] = 4,
    meshes: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the objects' meshes, as for export; by default they are the "
            "library's."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Only so many of the objects; by default all.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of places and of the cameras' noise.")] = 0,
    workers: Workers = None,
    budget: Annotated[
        str | None, typer.Option(help="Begin no object after this time, as in 90m or 2h.")
    ] = None,
) -> None:
    """See each object of a set on its table through the simulated depth cameras.

    One file an object. Can be killed at any time; run again, it goes on with the objects that are
    missing. Ends with status 1 if an object can't be used.
    """
    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_sim.datasets.cloud_data import cloud_jobs, open_jobs, run

    with problems_told() as console:
        jobs = cloud_jobs(GraspSet.open(grasp_set), views, seed, meshes)[:count]
        if not jobs:
            raise ValueError(f"{grasp_set}: none of its grasps is on a table")
        left = open_jobs(jobs, out)
        console.print(f"{len(jobs)} objects, {len(jobs) - len(left)} of them done")
        started = time.monotonic()
        deadline = None if budget is None else started + seconds(budget)
        made, asked, done, failed = 0, 0, 0, 0
        found = run(left, out, workers=workers or os.cpu_count() or 1, deadline=deadline)
        for one in found:
            done += 1
            failed += bool(one.problem)
            made += one.clouds
            asked += views * len(one.job.scenes)
            note = f"[red]{escape(one.problem)}" if one.problem else f"{one.clouds} clouds"
            console.print(f"{done} of {len(left)}: {one.job.name}: {note}", soft_wrap=True)
        took = time.monotonic() - started
        console.print(f"{made} clouds in {took:.0f} s; too little was seen for {asked - made}")
        if done < len(left):
            console.print(f"{len(left) - done} objects are left: run the same command again")
    if failed:
        raise typer.Exit(1)
