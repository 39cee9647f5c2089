"""``dexgrasp edits``: edits of plans, searched for each object and learned over objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dexgrasp_cli.common_options import Ray, Seed, Workers
from dexgrasp_cli.output_paths import folder_to_write
from dexgrasp_cli.rates import rate_cell
from dexgrasp_cli.results_by_key import results_by_key
from dexgrasp_cli.set_options import SetFolder, Where, parse_bounds, problems_told
from dexgrasp_cli.sim_option import Sim, simulator

STAGES = ("plans as they are", "palm's place edited", "and its turn", "and fingers")


def edits(
    grasp_set: SetFolder,
    out: Annotated[
        Path,
        typer.Option(help="Folder for tries and weights, to go on in.", callback=folder_to_write),
    ],
    where: Where = None,
    split: Annotated[
        str, typer.Option(help="Whose objects: training to learn from, validation to see.")
    ] = "training",
    objects: Annotated[
        int | None, typer.Option(min=1, help="So many of them, drawn at random; default: all.")
    ] = None,
    config: Annotated[
        str, typer.Option(help="small, or a YAML file like those in config/training.")
    ] = "small",
    learn: Annotated[
        bool, typer.Option("--learn/--search-only", help="Whether weights are learned.")
    ] = True,
    seed: Seed = 0,
    workers: Workers = None,
    ray: Ray = False,
    sim: Sim = None,
) -> None:
    """Edit the grasps of plans that don't lift, and learn which edit does.

    What is proposed of an object is carried out; where it isn't lifted every time, an edit of the
    grasp is searched. Each object's tries are kept (edits.jobs.jsonl) at once, and the same command
    goes on from there. Ends with status 130 if it is interrupted.
    """
    import torch

    from dexgrasp_learning.edit_learning import learned_edits, load_edit_training, tried_batch
    from dexgrasp_learning.edit_search import draw_edit_jobs, run
    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.jobs.ray_cluster import require_ray
    from dexgrasp_models.nets.weights import save_weights
    from dexgrasp_models.training.data import split_objects

    with problems_told() as console:
        if ray:
            require_ray()
        torch.set_num_threads(1)
        settings, source = load_edit_training(config), GraspSet.open(grasp_set)
        names = split_objects(source.names, split)
        rows = source.select(parse_bounds(where or ()), names) if names else ()
        if not len(rows):
            raise ValueError(f"{grasp_set}: has no grasp of {split} objects that is asked for")
        grasps = source[rows]
        grasps = grasps[grasps.has_table]
        jobs = draw_edit_jobs(grasps, seed, settings.search, simulator(sim))[:objects]
        found = results_by_key(
            console,
            partial(run, ray=ray),
            {split: jobs},
            out / "edits.jobs.jsonl",
            workers,
            "objects",
        )
        results = [found[job.key] for job in jobs]
        figures = _figures(results)
        _tell(console, figures)
        if not learn:
            return
        tried = tried_batch(results, settings.learning.net)
        net = learned_edits(tried, settings.learning, seed)
        path = out / "edits.safetensors"
        about = {
            "data": source.path.name,
            "where": list(where or ()),
            "split": split,
            "objects": len(jobs),
            "seed": seed,
            "temperature": settings.learning.temperature,
            "searched": json.loads(jobs[0].key)["config"],
            "figures": figures,
        }
        save_weights(path, net, settings.net, about)
        console.print(f"learned from {len(tried.edits)} tries: {escape(str(path))}", soft_wrap=True)


def _figures(results: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of each stage the share of episodes, that nothing was chosen by, in which objects were
    lifted; an object counts as one trial."""
    import numpy as np

    from dexgrasp_models.evaluation.intervals import wilson

    shares = [
        np.mean([goal["checked"] for goal in each["goals"]], axis=(0, 2))
        for each in results
        if each["goals"]
    ]
    if not shares:
        raise ValueError("nothing was proposed of any of the objects")
    count = len(shares)
    figures: list[Mapping[str, Any]] = []
    for mean in np.mean(shares, axis=0).tolist():
        low, high = wilson(mean, count)
        figures.append({"mean": mean, "low": low, "high": high, "objects": count})
    return figures


def _tell(console: Console, figures: list[Mapping[str, Any]]) -> None:
    table = Table("", "lifted", title=f"{figures[0]['objects']} objects, single proposals")
    for name, each in zip(STAGES, figures, strict=True):
        table.add_row(name, rate_cell(each))
    console.print(table)
