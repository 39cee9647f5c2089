"""``dexgrasp train``: networks that propose grasps, CLIP that picks among them, and policies."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dexgrasp_cli.budget import seconds
from dexgrasp_cli.common_options import Seed
from dexgrasp_cli.output_paths import folder_to_write
from dexgrasp_cli.set_options import Where, parse_bounds, problems_told
from dexgrasp_cli.sim_option import Sim, simulator
from dexgrasp_cli.train_assist_command import (
    AssistOptions,
    Goals,
    Init,
    Method,
    MethodOption,
    Patterns,
    PolicyTrainingAsked,
    Primitive,
    Sees,
    SeesOption,
    VariantOption,
    train_assist,
)
from dexgrasp_cli.train_clip_command import train_clip
from dexgrasp_cli.train_policy_command import PolicyOptions, Teacher, train_policy
from dexgrasp_cli.train_teacher_command import TeacherOptions, train_teacher

if TYPE_CHECKING:
    from dexgrasp_models.training.data import GraspScenes


class Network(StrEnum):
    """What is trained: CLIP, a policy, or one of `dexgrasp_models.training.objectives.RECIPES`."""

    IPDF = "ipdf"
    GLOW = "glow"
    CONTACT = "contact"
    JOINT = "joint"
    GRASPGF = "graspgf"
    CVAE = "cvae"
    CVAE_GIVEN_ROTATION = "cvae_given_rotation"
    DDG = "ddg"
    RELIE = "relie"
    PROHMR = "prohmr"
    DECOUPLED = "decoupled"
    CLIP = "clip"
    ASSIST = "assist"
    POLICY = "policy"
    TEACHER = "teacher"


class Device(StrEnum):
    """Where it is trained."""

    CPU = "cpu"
    CUDA = "cuda"


def train(
    network: Annotated[Network, typer.Argument(help="What is trained.")],
    data: Annotated[Path, typer.Option(help="Folder of the grasp set.")],
    out: Annotated[
        Path,
        typer.Option(help="Folder for weights, checkpoint and curves.", callback=folder_to_write),
    ],
    clouds: Annotated[
        Path | None,
        typer.Option(
            help="Of networks that propose: folder of the set's clouds (dexgrasp data clouds)."
        ),
    ] = None,
    config: Annotated[
        str, typer.Option(help="small, paper, or a YAML file like those in config/training.")
    ] = "small",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Updates of the weights; of policies rounds; default: as config."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            "--envs",
            min=1,
            help="Clouds of a step; of policies episodes of a round, side by side; default: as"
            " config.",
        ),
    ] = None,
    where: Where = None,
    budget: Annotated[
        str | None, typer.Option(help="Stop after this time, as in 30m or 2h, to go on later.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="Time between checkpoints.")] = "5m",
    seed: Seed = 0,
    device: Annotated[Device, typer.Option(help="Where it is trained.")] = Device.CPU,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of PyTorch; default: one a core.")
    ] = None,
    loaders: Annotated[int, typer.Option(min=0, help="Processes that prepare batches.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on from OUT's checkpoint, or anew.")
    ] = True,
    ipdf: Annotated[
        Path | None, typer.Option(help="joint: GraspIPDF's weights; default: those in OUT.")
    ] = None,
    glow: Annotated[
        Path | None, typer.Option(help="joint: GraspGlow's weights; default: those in OUT.")
    ] = None,
    contact: Annotated[
        Path | None, typer.Option(help="joint: ContactNet's weights; default: those in OUT.")
    ] = None,
    clip: Annotated[
        Path | None, typer.Option(help="clip: folder of the weights to go on from.")
    ] = None,
    method: MethodOption = Method.DAGGER,
    sees: SeesOption = Sees.PARTIAL,
    init: Init = None,
    primitive: Primitive = None,
    goals: Goals = None,
    patterns: Patterns = None,
    variant: VariantOption = None,
    teacher: Teacher = None,
    sim: Sim = None,
) -> None:
    """Train a network on the training objects of a set, and keep what is best in validation.

    Can be killed at any time; run again, it goes on from the last checkpoint. Several processes
    train together under torchrun: torchrun --nproc-per-node 2 --no-python dexgrasp train ...
    """
    import torch

    from dexgrasp_models.language.fine_tuning import load_clip_training
    from dexgrasp_models.training.checkpoint import TrainingError
    from dexgrasp_models.training.config import load_training, network_config
    from dexgrasp_models.training.loop import train as run_training
    from dexgrasp_models.training.objectives import LOSS, RECIPES
    from dexgrasp_models.training.processes import joined
    from dexgrasp_models.training.run import Progress, Run

    if threads is not None:
        torch.set_num_threads(threads)
    with problems_told() as console, joined(str(device)) as processes:
        name = network.value
        told = console if processes.leads else Console(quiet=True)
        run = Run(
            out=out,
            name=name,
            seed=seed,
            budget=None if budget is None else seconds(budget),
            checkpoint_every=seconds(checkpoint),
            resume=resume,
            loaders=loaders,
            metadata={
                "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
                "data": data.name,
                "clouds": clouds and clouds.name,
                "where": list(where or ()),
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )

        def report(progress: Progress) -> None:
            figures = ", ".join(f"{n} {value:.4g}" for n, value in progress.validation.items())
            console.print(
                f"step {progress.step}, {progress.seconds:.0f} s: {figures}", soft_wrap=True
            )

        try:
            if network is Network.CLIP:
                clip_config = load_clip_training(config, steps=steps, batch=batch)
                planned, kept = clip_config.steps, run.out / name
                progress = train_clip(
                    data, where, clip, clip_config, run, processes, console, report
                )
            elif network in (Network.ASSIST, Network.POLICY, Network.TEACHER):
                asked = PolicyTrainingAsked(
                    data, where, config, steps, batch, run, processes, told, report
                )
                backend = simulator(sim)
                if network is Network.ASSIST:
                    planned, progress = train_assist(
                        asked,
                        AssistOptions(
                            method, sees, init, primitive, goals, patterns, variant, backend
                        ),
                    )
                elif network is Network.POLICY:
                    learner = PolicyOptions(sees, init, goals, backend, teacher)
                    planned, progress = train_policy(asked, learner)
                else:
                    planned, progress = train_teacher(
                        asked, TeacherOptions(method, init, goals, variant, backend)
                    )
                kept = run.weights
            else:
                recipe = RECIPES[name]
                training_config, network_values = load_training(
                    name, config, steps=steps, batch=batch
                )
                planned, kept = training_config.steps, run.weights
                training, validation = _scenes(data, clouds, where)
                if processes.leads:
                    _tell_data(console, training, validation)
                given = {"ipdf": ipdf, "glow": glow, "contact": contact}
                weights = {n: given[n] or out / f"{n}.safetensors" for n in recipe.needs}
                torch.manual_seed(seed)  # of the first weights
                objective = recipe.build(
                    network_config(recipe.network_config, network_values),
                    training_config,
                    processes.device,
                    weights,
                )
                progress = run_training(
                    objective, training, validation, training_config, run, processes, report
                )
        except TrainingError as error:
            console.print(f"[red]{escape(str(error))}", soft_wrap=True)
            raise typer.Exit(2) from error
        if processes.leads:
            console.print(f"best {LOSS} {progress.best:.4g}: {kept}", soft_wrap=True)
            if not progress.finished:
                console.print(
                    f"{planned - progress.step} steps are left: run the same command again"
                )


def _scenes(data: Path, clouds: Path | None, where: Where) -> tuple[GraspScenes, GraspScenes]:
    """Of the objects for training, and of those for validation."""
    from dexgrasp_models.data.cloud_set import CloudSet
    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.training.data import TRAINING, VALIDATION, GraspScenes, split_objects

    if clouds is None:
        raise ValueError("networks that propose see clouds: --clouds FOLDER (dexgrasp data clouds)")
    grasps, seen = GraspSet.open(data), CloudSet.open(clouds)
    bounds = parse_bounds(where or ())
    found = [
        GraspScenes.load(grasps, seen, split_objects(grasps.names, split), bounds)
        for split in (TRAINING, VALIDATION)
    ]
    return found[0], found[1]


def _tell_data(console: Console, training: GraspScenes, validation: GraspScenes) -> None:
    for name, scenes in (("training", training), ("validation", validation)):
        left = f", {scenes.grasps_left_out} grasps without clouds" * bool(scenes.grasps_left_out)
        console.print(
            f"{name}: {len(scenes.objects)} objects, {len(scenes)} scenes, "
            f"{scenes.grasp_count} grasps, {scenes.cloud_count} clouds{left}",
            soft_wrap=True,
        )
