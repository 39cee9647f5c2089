"""``dexgrasp data squeeze``: how hands press from the grasps of a set."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated

import typer
from rich.markup import escape

from dexgrasp_cli.budget import seconds
from dexgrasp_cli.data_trial_commands import Hand, HandOption, Workers, validation
from dexgrasp_cli.progress import bars
from dexgrasp_cli.set_options import Meshes, Objects, SetFolder, object_loader, problems_told


def squeeze(
    grasp_set: SetFolder,
    meshes: Meshes = None,
    hand: HandOption = Hand.COUPLED,
    objects: Objects = None,
    workers: Workers = None,
    budget: Annotated[
        str | None, typer.Option(help="Begin no object after this time, as in 90m or 2h.")
    ] = None,
) -> None:
    """Fill in the joint targets that trials press with, where a set lacks them.

    Nothing is tried. Sets of `data synth` have them; those made before, and imported ones, lack
    them. Grasps of `data synth` are squeezed as they were tried, others as --hand says. Can be
    killed at any time; run again, it goes on with the shards that are missing. Objects that can't
    be found or used are told; then it ends with status 1, and 130 if it is interrupted.
    """
    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.files import check_folder
    from dexgrasp_sim.datasets.squeezes import open_jobs, run

    failed = 0
    with problems_told() as console:
        deadline = None if budget is None else time.monotonic() + seconds(budget)
        source = GraspSet.open(grasp_set)
        source.select(objects=objects or None)  # refuses objects that it doesn't have
        check_folder(grasp_set)
        jobs = open_jobs(source, object_loader(meshes), validation(hand), objects or None)
        lacking = sum(len(job.rows) for job in jobs)
        console.print(f"{lacking} of {len(source)} grasps lack squeezes, of {len(jobs)} objects")
        done, filled = 0, 0
        try:
            with bars(console, disable=not sys.stdout.isatty()) as progress:
                task = progress.add_task("objects", total=len(jobs))
                for one in run(
                    jobs, source, workers=workers or os.cpu_count() or 1, deadline=deadline
                ):
                    done += 1
                    progress.update(task, completed=done)
                    if one.problem:
                        failed += 1
                        progress.console.print(f"[red]{escape(one.problem)}", soft_wrap=True)
                    else:
                        filled += len(one.job.rows)
        except KeyboardInterrupt:
            console.print("interrupted: run the same command again to go on")
            raise typer.Exit(130) from None
        console.print(f"{filled} filled in")
        if done < len(jobs):
            console.print(f"{len(jobs) - done} objects are left: run the same command again")
    if failed:
        raise typer.Exit(1)
