"""``dexgrasp assist agree``: grasps whose postures say the same of the same wrist and object."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from dexgrasp_cli.common_options import Seed
from dexgrasp_cli.output_paths import folder_to_write
from dexgrasp_cli.set_options import (
    Meshes,
    SetFolder,
    Where,
    object_loader,
    parse_bounds,
    problems_told,
)

VERDICTS = "verdicts.npz"
"""In the new set's folder: what was tried by now."""


def agree(
    grasp_set: SetFolder,
    out: Annotated[
        Path,
        typer.Option(help="Folder of the new set, or to go on with.", callback=folder_to_write),
    ],
    where: Where = None,
    per_object: Annotated[
        int, typer.Option(min=1, help="Grasps of each object that are taken, drawn at random.")
    ] = 30,
    rounds: Annotated[int, typer.Option(min=1, help="Of prediction and trials.")] = 2,
    tried: Annotated[
        bool, typer.Option("--tried/--untried", help="Whether what is predicted has to hold.")
    ] = True,
    seed: Seed = 0,
    threads: Annotated[int, typer.Option(min=1, help="That step the trials.")] = 1,
    meshes: Meshes = None,
) -> None:
    """Move postures to what a network predicts of wrist and cloud, as far as the hand still holds.

    Takes a set's training objects, and writes a new set to train policies on: of these the grasps
    that hold, or untried all as predicted, and the validation objects' grasps as they are. Can be
    killed at any time; run again, it goes on with what isn't tried yet.
    """
    import numpy as np
    import torch

    from dexgrasp_learning.agreed_grasps import (
        SHARE,
        AgreeConfig,
        Verdicts,
        agreed,
        drawn_grasps,
        lifting,
        seen_nearness,
        untried,
    )
    from dexgrasp_learning.partial_clouds import PartialClouds
    from dexgrasp_models.data.grasp_set import GraspSet, Provenance
    from dexgrasp_models.data.grasps import GraspDataError, Grasps
    from dexgrasp_models.files import written_whole
    from dexgrasp_models.tasks.pattern_generator import generate
    from dexgrasp_models.training.data import TRAINING, VALIDATION, split_objects

    with problems_told() as console:
        torch.set_num_threads(threads)
        config = AgreeConfig(per_object=per_object, rounds=rounds)
        source, new = GraspSet.open(grasp_set), GraspSet.open(out, create=True)
        bounds = parse_bounds(where or ())

        def usable(split: str) -> Grasps:
            names = split_objects(source.names, split)
            found = source[source.select(bounds, names)] if names else source[:0]
            good = found.has_squeeze & found.has_table
            return found[np.flatnonzero(good)]

        grasps = drawn_grasps(usable(TRAINING), per_object, seed)
        notes: dict[str, Any] = {
            "settings": asdict(config),
            "where": list(where or ()),
            "seed": seed,
            "tried": tried,
        }
        notes["source"] = source.path.name
        told = json.dumps({**notes, "grasps": len(grasps)}, sort_keys=True)
        if new.shards:
            raise GraspDataError(f"{out}: there is a set already; choose a new folder")
        known, path = None, out / VERDICTS
        if path.exists():
            with np.load(path) as stored:
                if str(stored["settings"]) != told:
                    raise GraspDataError(
                        f"{path}: was begun with other settings; give the same, or a new folder"
                    )
                known = stored["verdicts"]

        def keep(verdicts: np.ndarray) -> None:
            with written_whole(path) as temporary, open(temporary, "wb") as file:
                np.savez(file, settings=np.array(told), verdicts=verdicts)

        if not len(grasps):
            raise GraspDataError(
                f"{grasp_set}: no grasp of a training object can be used; they need a table, and "
                "squeezes, which dexgrasp data squeeze fills in"
            )
        objects = len(np.unique(grasps.objects))
        console.print(f"{len(grasps)} grasps of {objects} training objects, seed {seed}")
        patterns, load = generate(np.random.default_rng(seed)), object_loader(meshes)
        verdicts = Verdicts((rounds, len(config.shares), len(grasps)), known, keep)
        try:
            found = agreed(
                grasps,
                seen_nearness(grasps, PartialClouds(), config, seed),
                lifting(load, patterns.training, threads) if tried else untried,
                config,
                seed=seed,
                verdicts=verdicts,
                report=lambda line: console.print(escape(line)),
            )
        except KeyboardInterrupt:
            console.print("interrupted: run the same command again to go on")
            raise typer.Exit(130) from None
        new.append(usable(VALIDATION), Provenance(seed=seed, notes=notes), shard=VALIDATION)
        new.append(found, Provenance(seed=seed, notes=notes), shard=TRAINING)
        shares = found.figures[SHARE]
        console.print(
            f"{len(found)} of {len(grasps)} {'hold' if tried else 'taken untried'}, "
            f"{(shares == 0).mean():.0%} of them as predicted; "
            f"written to {escape(str(out))}",
            soft_wrap=True,
        )
