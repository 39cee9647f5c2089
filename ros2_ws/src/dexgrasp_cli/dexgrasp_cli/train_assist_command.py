"""``dexgrasp train assist``: policies that close the fingers while a person moves the wrist."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console

from dexgrasp_cli.set_options import Where, parse_bounds

if TYPE_CHECKING:
    from dexgrasp_cli.train_policy_command import PolicyOptions
    from dexgrasp_cli.train_teacher_command import TeacherOptions
    from dexgrasp_learning.assist_training import AssistData
    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.data.grasps import Grasps
    from dexgrasp_models.parameters import Parameters
    from dexgrasp_models.training.processes import Processes
    from dexgrasp_models.training.run import Progress, Run

PANEL = "Of policies alone"
"""Panel of options."""


class Method(StrEnum):
    """How a policy learns."""

    DAGGER = "dagger"
    PPO = "ppo"


class Sees(StrEnum):
    """What a policy sees of the object."""

    PARTIAL = "partial"
    FULL = "full"


MethodOption = Annotated[
    Method,
    typer.Option(
        help="dagger: from an expert that knows the grasp; ppo: by reward.",
        rich_help_panel=PANEL,
    ),
]
SeesOption = Annotated[
    Sees,
    typer.Option(help="The cloud of the cameras, or of all the surface.", rich_help_panel=PANEL),
]
Init = Annotated[
    Path | None,
    typer.Option(help="Weights of a policy to begin with.", rich_help_panel=PANEL),
]
Primitive = Annotated[
    Path | None,
    typer.Option(help="Weights of graspgf; default: those of the package.", rich_help_panel=PANEL),
]
Goals = Annotated[
    Path | None,
    typer.Option(
        help="File of `assist goals`: those that hold are learned from, the chosen ones are for"
        " validation. Default: all grasps with squeezes, as --where says.",
        rich_help_panel=PANEL,
    ),
]
Patterns = Annotated[
    Path | None,
    typer.Option(
        help="File of `assist import`; by default wrist patterns are generated.",
        rich_help_panel=PANEL,
    ),
]


VariantOption = Annotated[
    str | None,
    typer.Option(
        help="What is trained: ours, or an ablation or a baseline (docs/training.md); default: as"
        " config.",
        rich_help_panel=PANEL,
    ),
]


class AssistOptions(NamedTuple):
    """Those that only this training has."""

    method: Method
    sees: Sees
    init: Path | None
    primitive: Path | None
    goals: Path | None
    patterns: Path | None
    variant: str | None
    sim: str


@dataclass(frozen=True, eq=False)
class PolicyTrainingAsked:
    """What any training of a policy is asked for; see `train`."""

    data: Path
    where: Where
    config: str
    rounds: int | None
    episodes: int | None
    run: Run
    processes: Processes
    console: Console
    report: Callable[[Progress], None]


def train_assist(asked: PolicyTrainingAsked, options: AssistOptions) -> tuple[int, Progress]:
    """Train on the training objects of a set.

    Returns:
        How many rounds are planned in all, and where the training is.

    Raises:
        ValueError: something can't be trained so, or data or weights can't be used.
        TrainingError: as `train_rounds`.
    """
    import torch

    from dexgrasp_learning.assist_training import load_assist_training
    from dexgrasp_learning.assist_training import train_assist as train
    from dexgrasp_learning.methods import planned_rounds
    from dexgrasp_models.nets.assist_network import AssistNetwork, AssistNetworkConfig
    from dexgrasp_models.nets.weights import load_network
    from dexgrasp_models.tasks.learned_assist import PRIMITIVE, load_primitive

    run, processes = asked.run, asked.processes
    if options.method is Method.PPO and processes.device.type != "cpu":
        raise ValueError("ppo is trained on the CPU, wherever its physics runs: --device cpu")
    settings, network_settings = load_assist_training(
        asked.config, asked.rounds, asked.episodes, options.variant
    )
    torch.manual_seed(run.seed)  # of the first weights
    if options.init is None:
        network = AssistNetwork(network_settings)
    else:
        network, _ = load_network(options.init, AssistNetworkConfig, AssistNetwork)
    network.to(processes.device)
    primitive = None
    if network.needs_gradient:
        primitive = load_primitive(options.primitive or PRIMITIVE, processes.device)
    found = _data(asked, options)
    about = {"variant": settings.variant, **told_of(options, found.training)}
    method = options.method.value
    begin = partial(train, method, network, primitive, found, settings)
    progress = carried_out(asked, options, begin, about, AssistNetworkConfig, ("variant",))
    return planned_rounds(method, settings), progress


def carried_out(
    asked: PolicyTrainingAsked,
    options: AssistOptions | PolicyOptions | TeacherOptions,
    begin: Callable[..., Progress],
    about: Mapping[str, Any],
    config_type: type[Parameters],
    told: Sequence[str],
) -> Progress:
    """Train a policy, and leave its card.

    Args:
        asked: for what.
        options: of this training.
        begin: it, of the run and of how it is carried out.
        about: what is stored with the weights besides.
        config_type, told: as of `write_card`.
    """
    import torch

    run = dataclasses.replace(asked.run, metadata={**asked.run.metadata, **about})
    progress = begin(
        run,
        trained=options.init is not None,
        threads=torch.get_num_threads(),
        backend=options.sim,
        processes=asked.processes,
        report=asked.report,
    )
    if asked.processes.leads and run.weights.is_file():
        write_card(run, config_type, told)
    return progress


def told_of(
    options: AssistOptions | PolicyOptions | TeacherOptions, training: Grasps
) -> dict[str, Any]:
    """What is stored with a policy's weights: of its options, and of the goals it learned from."""
    import numpy as np

    return {
        "training_goals": f"{len(training)} goals of {len(np.unique(training.objects))} objects",
        "sees": options.sees.value,
        "goals": options.goals and options.goals.name,
        "init": options.init and options.init.name,
    }


def write_card(run: Run, config_type: type[Parameters], told: Sequence[str]) -> None:
    """What is to be known of a policy's weights, as a table for a model card, beside them.

    Args:
        run: that left the weights.
        config_type: of the network.
        told: what of their metadata comes first.
    """
    from dexgrasp_models.files import written_whole
    from dexgrasp_models.nets.weights import load_weights

    known = load_weights(run.weights, config_type).metadata
    figures = ", ".join(f"{name} {value:.3g}" for name, value in known["validation"].items())
    rows = {
        **{name: known[name] for name in told},
        "data": f"`{known['data']}`; {known['training_goals']}",
        "command": f"`{known['command']}`",
        "seed": known["seed"],
        "time": f"{known['seconds']:.0f} s, to round {known['step']}; begun {known['date']}",
        "validation, which the weights were chosen by": figures,
    }
    lines = [f"## {run.name}", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    with written_whole(run.out / f"{run.name}.card.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _data(asked: PolicyTrainingAsked, options: AssistOptions) -> AssistData:
    import numpy as np

    from dexgrasp_learning.assist_training import AssistData
    from dexgrasp_learning.partial_clouds import PartialClouds
    from dexgrasp_models.tasks.full_clouds import FullClouds
    from dexgrasp_models.tasks.pattern_files import load_patterns
    from dexgrasp_models.tasks.pattern_generator import generate
    from dexgrasp_sim.datasets.grasp_trials import library_object

    if options.patterns is None:
        patterns = generate(np.random.default_rng(asked.run.seed))
    else:
        patterns = load_patterns(options.patterns)
    training, validation = goals_of_splits(asked, options.goals)
    clouds = FullClouds() if options.sees is Sees.FULL else PartialClouds()
    return AssistData(training, validation, patterns, clouds, library_object)


def goals_of_splits(asked: PolicyTrainingAsked, file: Path | None) -> tuple[Grasps, Grasps]:
    """Goals for training and for validation, on tables and with squeezes.

    Args:
        asked: of which set.
        file: of `assist goals`, where there is one.

    Raises:
        ValueError: there are none, or the set or the file can't be used.
    """
    import numpy as np

    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.training.data import TRAINING, VALIDATION, split_objects

    source = GraspSet.open(asked.data)
    chosen = []
    for split in (TRAINING, VALIDATION):
        goals = _goals(source, asked.where, file, split_objects(source.names, split), split)
        objects = len(np.unique(goals.objects))
        asked.console.print(f"{split}: {objects} objects, {len(goals)} goals", soft_wrap=True)
        chosen.append(goals)
    return chosen[0], chosen[1]


def _goals(
    source: GraspSet, where: Where, file: Path | None, objects: list[str], split: str
) -> Grasps:
    """Of some objects, on tables, of which it is known how they press."""
    import numpy as np

    from dexgrasp_models.tasks.assist_goals import load_goals
    from dexgrasp_models.training.data import TRAINING

    if file is None:
        found = source[source.select(parse_bounds(where or ()), objects)] if objects else source[:0]
    else:
        found = load_goals(file).goals(source, "held" if split == TRAINING else "chosen")
        names = np.isin(found.names, objects)
        found = found[np.flatnonzero(names[found.objects])]
    usable = found.has_squeeze & found.has_table
    if not usable.any():
        raise ValueError(
            f"{file or source.path}: none of {len(found)} goals of the split {split} can be used; "
            "they need a table, and squeezes, which dexgrasp data squeeze fills in"
        )
    return found[np.flatnonzero(usable)]
