"""``dexgrasp assist goals``: which grasps of a set hold in the task's own scene."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dexgrasp_cli.budget import seconds
from dexgrasp_cli.common_options import Seed, Workers
from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.progress import bars
from dexgrasp_cli.rates import rate_text
from dexgrasp_cli.set_options import Meshes, Objects, SetFolder, object_loader, problems_told

if TYPE_CHECKING:
    from dexgrasp_models.tasks.assist_goals import TriedGoals


def goals(
    grasp_set: SetFolder,
    out: Annotated[
        Path, typer.Option(help="File to write, or to go on with.", callback=file_to_write)
    ],
    objects: Objects = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Only objects of this split of the library; may be repeated."),
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, help="Grasps of each object that are tried, drawn at random.")
    ] = 40,
    per_object: Annotated[
        int, typer.Option(min=1, help="Diverse ones that are chosen of each object.")
    ] = 5,
    tests: Annotated[
        int,
        typer.Option(
            min=1, help="How often a grasp has to hold; from the second on the hand is beside it."
        ),
    ] = 2,
    seed: Seed = 0,
    meshes: Meshes = None,
    workers: Workers = None,
    budget: Annotated[
        str | None, typer.Option(help="Begin no object after this time, as in 90m or 2h.")
    ] = None,
) -> None:
    """Try grasps as goals of the assisting task, and choose diverse ones among those that hold.

    A hand is put at the grasp, presses, closes by itself and is raised, in the task's own scene.
    Can be killed at any time; run again, it goes on with the objects that are missing. Objects
    that can't be found or used are told; then it ends with status 1, and 130 if it is interrupted.
    """
    from dexgrasp_learning.goal_filter import GoalTrial, goal_jobs, run
    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.objects.library import split_names
    from dexgrasp_models.tasks.assist_goals import TriedGoals, load_goals, save_goals

    failed = 0
    with problems_told() as console:
        deadline = None if budget is None else time.monotonic() + seconds(budget)
        trial = GoalTrial(tries=count, per_object=per_object, tests=tests, seed=seed)
        tried = load_goals(out) if out.exists() else TriedGoals.none(trial.notes())
        if tried.notes != trial.notes():
            raise ValueError(f"{out}: its goals were tried in another way; choose a new file")
        source = GraspSet.open(grasp_set)
        source.select(objects=objects or None)  # refuses objects that it doesn't have
        tried.check(source)
        wanted = {name for one in split or () for name in split_names(one)} | set(objects or ())
        jobs = goal_jobs(source, object_loader(meshes), trial, wanted or None)
        left = [job for job in jobs if job.name not in tried.objects]
        console.print(f"{len(jobs)} objects, {len(jobs) - len(left)} of them done")
        done = 0
        try:
            with bars(console, disable=not sys.stdout.isatty()) as progress:
                task = progress.add_task("objects", total=len(left))
                for one in run(left, workers=workers or os.cpu_count() or 1, deadline=deadline):
                    done += 1
                    progress.update(task, completed=done)
                    if one.problem:
                        failed += 1
                        progress.console.print(f"[red]{escape(one.problem)}", soft_wrap=True)
                    else:
                        tried = tried.with_object(one.job.name, one.tried)
                        save_goals(out, tried)
        except KeyboardInterrupt:
            console.print("interrupted: run the same command again to go on")
            raise typer.Exit(130) from None
        _tell(console, tried, per_object)
        if done < len(left):
            console.print(f"{len(left) - done} objects are left: run the same command again")
    if failed:
        raise typer.Exit(1)


def _tell(console: Console, tried: TriedGoals, per_object: int) -> None:
    from dexgrasp_models.evaluation.intervals import wilson

    if not len(tried):
        return
    held = tried.held.mean()
    console.print(
        f"{int(tried.held.sum())} of {len(tried)} grasps of {len(tried.objects)} objects hold: "
        f"{rate_text(held, *wilson(held, len(tried)))}; {int(tried.chosen.sum())} chosen, up to "
        f"{per_object} of each",
        soft_wrap=True,
    )
