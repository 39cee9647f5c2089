"""``dexgrasp train policy``: the student that grasps as it is told."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from dexgrasp_cli.train_assist_command import (
    PANEL,
    PolicyTrainingAsked,
    Sees,
    carried_out,
    goals_of_splits,
    told_of,
)

if TYPE_CHECKING:
    from dexgrasp_models.training.run import Progress


Teacher = Annotated[
    Path | None,
    typer.Option(
        help="policy: weights of the teacher that it learns from; default: the planned expert.",
        rich_help_panel=PANEL,
    ),
]


class PolicyOptions(NamedTuple):
    """Those that this training shares with that of `assist` alone."""

    sees: Sees
    init: Path | None
    goals: Path | None
    sim: str
    teacher: Path | None


def train_policy(asked: PolicyTrainingAsked, options: PolicyOptions) -> tuple[int, Progress]:
    """As `train_assist`."""
    import torch

    from dexgrasp_learning.partial_clouds import PartialClouds
    from dexgrasp_learning.policy_training import PolicyData, load_policy_training
    from dexgrasp_learning.policy_training import train_policy as train
    from dexgrasp_models.files import files_digest
    from dexgrasp_models.nets.goal_network import GoalNetworkConfig
    from dexgrasp_models.nets.weights import load_network
    from dexgrasp_models.tasks.full_clouds import FullClouds
    from dexgrasp_models.tasks.goal_teacher import load_teacher
    from dexgrasp_models.tasks.learned_goal import new_network
    from dexgrasp_sim.datasets.grasp_trials import library_object

    settings, network_settings = load_policy_training(asked.config, asked.rounds, asked.episodes)
    torch.manual_seed(asked.run.seed)  # of the first weights
    if options.init is None:
        network = new_network(network_settings)
    else:
        network, _ = load_network(options.init, GoalNetworkConfig, new_network)
    network.to(asked.processes.device)
    training, validation = goals_of_splits(asked, options.goals)
    follows = options.sees is Sees.FULL
    teacher, digest = None, ""
    if options.teacher is not None:
        teacher, digest = load_teacher(options.teacher), files_digest({"teacher": options.teacher})
    found = PolicyData(
        training,
        validation,
        looks=FullClouds() if follows else PartialClouds(),
        follows=follows,
        load=library_object,
        teacher=teacher,
        teacher_digest=digest,
    )
    begin, about = partial(train, network, found, settings), told_of(options, training)
    progress = carried_out(asked, options, begin, about, GoalNetworkConfig, ("sees",))
    return settings.dagger.rounds, progress
