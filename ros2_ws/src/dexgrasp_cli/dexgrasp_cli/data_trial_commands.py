"""``dexgrasp data synth | validate | controls``: sets of grasps made and tried in simulation."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from dexgrasp_cli.budget import seconds
from dexgrasp_cli.common_options import Ray, Seed, Workers
from dexgrasp_cli.objects_command import Selection
from dexgrasp_cli.output_paths import folder_to_write
from dexgrasp_cli.progress import bars
from dexgrasp_cli.set_options import (
    Meshes,
    Objects,
    SetFolder,
    Where,
    drawn,
    object_loader,
    objects_told,
    of_usable_objects,
    problems_told,
    progress_bar,
)
from dexgrasp_cli.sim_option import Sim, simulator

if TYPE_CHECKING:
    from dexgrasp_sim.datasets.synthesis_run import Finished
    from dexgrasp_sim.datasets.validation_config import ValidationConfig


class Keep(StrEnum):
    """Which grasps a set is made of."""

    LIFTED = "lifted"
    STABLE = "stable"
    BOTH = "both"
    ALL = "all"


class Device(StrEnum):
    """Where grasps are optimised."""

    CPU = "cpu"
    CUDA = "cuda"


class Hand(StrEnum):
    """How grasps are tried."""

    COUPLED = "coupled"
    PUBLISHED = "published"


HandOption = Annotated[
    Hand,
    typer.Option(
        help="coupled: as synthesised here, J1 and J2 of the fingers on one tendon; published: 22 "
        "actuators, equal forces and 3 mm of penetration, for the field's data sets."
    ),
]


def synth(
    grasp_set: SetFolder,
    selection: Selection = None,
    config: Annotated[
        str, typer.Option(help="fast, paper, or a YAML file like those in config/synthesis.")
    ] = "fast",
    scale: Annotated[
        list[float] | None,
        typer.Option(help="Factor on the meshes; may be repeated. By default the five radii."),
    ] = None,
    poses: Annotated[int, typer.Option(min=1, help="Resting poses at each scale.")] = 2,
    grasps: Annotated[
        int | None, typer.Option(min=1, help="Started in each pose; default: the config's.")
    ] = None,
    keep: Annotated[Keep, typer.Option(help="Which grasps; see docs/grasp_data.md.")] = Keep.LIFTED,
    seed: Seed = 0,
    device: Annotated[Device, typer.Option(help="Where grasps are optimised.")] = Device.CPU,
    workers: Workers = None,
    ray: Ray = False,
    sim: Sim = None,
    budget: Annotated[
        str | None, typer.Option(help="Begin no object after this time, as in 90m or 2h.")
    ] = None,
) -> None:
    """Make a set: synthesise grasps of objects on a table and keep those that hold in simulation.

    One shard an object. Can be killed at any time; run again, it goes on with the objects that are
    missing. Ends with status 1 if an object can't be used, 130 if it is interrupted.
    """
    from dataclasses import replace

    from dexgrasp_models.jobs.ray_cluster import require_ray
    from dexgrasp_models.objects.library import SCALES
    from dexgrasp_models.synthesis.config import load_synthesis
    from dexgrasp_models.synthesis.synthesise import Synthesiser
    from dexgrasp_sim.datasets.grasp_synthesis import SynthesisJob
    from dexgrasp_sim.datasets.synthesis_run import open_tasks, run
    from dexgrasp_sim.datasets.validation_config import ValidationConfig

    with problems_told() as console:
        deadline = None if budget is None else time.monotonic() + seconds(budget)
        settings = load_synthesis(_file_or_name(config))
        if grasps is not None:
            settings = replace(settings, energy=replace(settings.energy, batch=grasps))
        trying = simulator(sim)
        jobs = [
            SynthesisJob(
                name=name,
                source=source,
                scales=tuple(scale or SCALES),
                poses=poses,
                seed=seed,
                keep=cast(Any, str(keep)),
                synthesis=settings,
                validation=ValidationConfig(backend=trying),
                device=str(device),
            )
            for name, source in _named_sources(selection)
        ]
        if ray:
            require_ray()
        elif device is Device.CUDA:
            Synthesiser(settings, str(device))  # refuses a device that isn't there
        # In no order, so that a set that is not finished yet is a sample of the finished one.
        jobs.sort(key=lambda job: sha256(job.name.encode()).digest())
        missing = open_tasks(jobs, grasp_set)
        console.print(
            f"seed {seed}: {len(jobs)} objects, {len(jobs) - len(missing)} of them done",
            soft_wrap=True,
        )
        finished = run(jobs, grasp_set, workers=workers, ray=ray, deadline=deadline)
        try:
            failed = _report(console, len(missing), finished)
        except KeyboardInterrupt:
            console.print("interrupted: run the same command again to go on")
            raise typer.Exit(130) from None
    if failed:
        raise typer.Exit(1)


def validate(
    grasp_set: SetFolder,
    out: Annotated[
        Path | None,
        typer.Option(help="New set for the grasps with their figures.", callback=folder_to_write),
    ] = None,
    meshes: Meshes = None,
    hand: HandOption = Hand.COUPLED,
    where: Where = None,
    objects: Objects = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Grasps drawn at random; by default all.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing.")] = 0,
    workers: Workers = None,
    sim: Sim = None,
) -> None:
    """Try grasps in simulation: six directions of gravity, and a lift from their table.

    Objects that can't be found or used are told and left out; then it ends with status 1.
    """
    from dataclasses import replace

    import numpy as np

    from dexgrasp_models.data.grasp_set import GraspSet, Provenance
    from dexgrasp_sim.datasets.grasp_trials import try_grasps

    with objects_told() as (console, left_out):
        if out is not None:
            new = GraspSet.open(out, create=True)
            if len(new):
                raise ValueError(f"{out} holds a set already; choose a new folder")
        grasps = drawn(GraspSet.open(grasp_set), where, objects, count, seed)
        grasps = replace(grasps, squeezes=np.full(grasps.joints.shape, np.nan))
        with progress_bar(console, "trials", len(grasps)) as advance:
            figures = try_grasps(
                grasps,
                object_loader(meshes),
                replace(validation(hand), backend=simulator(sim)),
                workers=workers or os.cpu_count() or 1,
                progress=advance,
                left_out=left_out,
                squeezes=grasps.squeezes,
            )
        grasps, figures = of_usable_objects(console, grasps, figures, left_out)
        if out is not None:
            known = {**grasps.figures, **figures}
            notes = {"source": grasp_set.name, "hand": str(hand)}
            new.append(replace(grasps, figures=known), Provenance(seed=seed, notes=notes))
            console.print(f"written to {out}", soft_wrap=True)
        console.print(_rates_table({"": figures}, len(grasps)))


def controls(
    grasp_set: SetFolder,
    meshes: Meshes = None,
    hand: HandOption = Hand.COUPLED,
    where: Where = None,
    objects: Objects = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Grasps drawn at random; by default all.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing and of the controls.")] = 0,
    workers: Workers = None,
) -> None:
    """Negative controls: the same trials with grasps made worse, which have to fail.

    Objects that can't be found or used are told and left out; then it ends with status 1.
    """
    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_sim.datasets.grasp_trials import Control, try_grasps

    with objects_told() as (console, left_out):
        grasps = drawn(GraspSet.open(grasp_set), where, objects, count, seed)
        found = {}
        for control in Control:
            with progress_bar(console, str(control), len(grasps)) as advance:
                found[str(control)] = try_grasps(
                    grasps,
                    object_loader(meshes),
                    validation(hand),
                    control=control,
                    seed=seed,
                    workers=workers or os.cpu_count() or 1,
                    progress=advance,
                    left_out=left_out,
                )
        usable, _ = of_usable_objects(console, grasps, {}, left_out)
        console.print(_rates_table(found, len(usable)))


def _report(console: Console, missing: int, finished: Generator[Finished, None, None]) -> int:
    """Show the progress of a run; how many objects could not be used."""
    kept, failed, started = 0, 0, time.monotonic()
    with bars(console, disable=not sys.stdout.isatty()) as progress, closing(finished):
        task = progress.add_task("0 grasps", total=missing)
        for one in finished:
            kept += one.grasps
            if one.problem:
                failed += 1
                progress.console.print(f"[red]{escape(one.problem)}", soft_wrap=True)
            progress.update(task, advance=1, description=f"{kept} grasps")
        done = int(progress.tasks[task].completed)
    took = time.monotonic() - started
    rate = f", {kept / took:.1f} a second" if kept else ""
    console.print(f"{kept} grasps of {done - failed} objects in {took:.0f} s{rate}")
    if done < missing:
        console.print(f"{missing - done} objects are left: run the same command again")
    return failed


def _file_or_name(config: str) -> str:
    """The path of a file that is there, also from elsewhere; a configuration's name as it is."""
    return str(Path(config).resolve()) if Path(config).is_file() else config


def _named_sources(selection: Sequence[str] | None) -> list[tuple[str, str]]:
    """Names in the set and what `load_object` takes, of a selection.

    Raises:
        ValueError: nothing is meant by a part of it, or two objects would have one name.
    """
    from dexgrasp_cli.objects_command import sources
    from dexgrasp_models.objects import LIBRARY_PREFIX

    named: dict[str, str] = {}
    items: Sequence[str | None] = selection or [None]
    for item in items:
        folder = Path(item) if item and Path(item).is_dir() else None
        for source in sources([item] if item else None):
            name = source.removeprefix(LIBRARY_PREFIX)
            if name == source:
                path = Path(source)
                path = path.with_suffix("") if path.is_file() else path
                name = str(path.relative_to(folder)) if folder else path.name
                name = path.name if name == "." else name
            if named.setdefault(name, source) != source:
                raise ValueError(f"{named[name]} and {source} would both be called {name}")
    return list(named.items())


def validation(hand: Hand) -> ValidationConfig:
    """How grasps are tried with a hand."""
    from dexgrasp_sim.datasets.validation_config import PUBLISHED, ValidationConfig

    return PUBLISHED if hand is Hand.PUBLISHED else ValidationConfig()


def _rates_table(found: dict, count: int) -> Table:
    from dexgrasp_sim.datasets.grasp_trials import rates

    shares = [rates(figures) for figures in found.values()]
    table = Table(f"shares of {count} grasps", *(Column(name, overflow="fold") for name in found))
    for name in shares[0]:
        values = [share[name] for share in shares]
        table.add_row(name, *("-" if value != value else f"{value:.3f}" for value in values))
    return table
