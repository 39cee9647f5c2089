"""``dexgrasp train teacher``: the policy of true states that the goal-conditioned task is learned
by first."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dexgrasp_cli.train_assist_command import (
    Method,
    PolicyTrainingAsked,
    Sees,
    goals_of_splits,
    told_of,
    write_card,
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
    run, processes = asked.run, asked.processes
    torch.manual_seed(run.seed)  # of the first weights
    if options.init is None:
        network = new_teacher(told_categories(network_settings, settings.variant, training))
    else:
        network = load_teacher(options.init)
    network.to(processes.device)
    about = {"variant": settings.variant, **told_of(options, training)}
    run = dataclasses.replace(
        run, metadata={**run.metadata, "method": options.method.value, **about}
    )
    method = options.method.value
    progress = train(
        method,
        network,
        TeacherData(training, validation, library_object),
        settings,
        run,
        trained=options.init is not None,
        threads=torch.get_num_threads(),
        backend=options.sim,
        processes=processes,
        report=asked.report,
    )
    if processes.leads and run.weights.is_file():
        write_card(run, TeacherNetworkConfig, ("variant", "method"))
    return planned_rounds(method, settings), progress
