"""``dexgrasp train teacher``: the policy of true states that the goal-conditioned task is learned
by first."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dexgrasp_cli.train_assist_command import (
    Method,
    PolicyTrainingAsked,
    Sees,
    carried_out,
    goals_of_splits,
    told_of,
)

if TYPE_CHECKING:
    from dexgrasp_models.training.run import Progress


class TeacherOptions(NamedTuple):
    """Those that this training shares with other policies' alone."""

    method: Method
    init: Path | None
    goals: Path | None
    variant: str | None
    sim: str
    sees: Sees = Sees.FULL


def train_teacher(asked: PolicyTrainingAsked, options: TeacherOptions) -> tuple[int, Progress]:
    """As `train_assist`."""
    import torch

    from dexgrasp_learning.methods import planned_rounds
    from dexgrasp_learning.teacher_training import (
        TeacherData,
        load_teacher_training,
        told_categories,
    )
    from dexgrasp_learning.teacher_training import train_teacher as train
    from dexgrasp_models.nets.teacher_network import TeacherNetworkConfig
    from dexgrasp_models.tasks.goal_teacher import load_teacher, new_teacher
    from dexgrasp_sim.datasets.grasp_trials import library_object

    settings, network_settings = load_teacher_training(
        asked.config, asked.rounds, asked.episodes, options.variant
    )
    training, validation = goals_of_splits(asked, options.goals)
    torch.manual_seed(asked.run.seed)  # of the first weights
    if options.init is None:
        network = new_teacher(told_categories(network_settings, settings.variant, training))
    else:
        network = load_teacher(options.init)
    network.to(asked.processes.device)
    method, found = options.method.value, TeacherData(training, validation, library_object)
    about = {"method": method, "variant": settings.variant, **told_of(options, training)}
    begin, told = partial(train, method, network, found, settings), ("variant", "method")
    progress = carried_out(asked, options, begin, about, TeacherNetworkConfig, told)
    return planned_rounds(method, settings), progress
