"""``dexgrasp train teacher``: the policy of true states that the goal-conditioned task is learned
by first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from dexgrasp_cli.set_options import Where
from dexgrasp_cli.train_assist_command import (
    Method,
    Sees,
    goals_of_splits,
    told_of,
    write_card,
)

if TYPE_CHECKING:
    from dexgrasp_models.training.processes import Processes
    from dexgrasp_models.training.run import Progress, Run


class TeacherOptions(NamedTuple):
    """Those that this training shares with other policies' alone."""

    method: Method
    init: Path | None
    goals: Path | None
    variant: str | None
    sim: str
    sees: Sees = Sees.FULL


def train_teacher(
    data: Path,
    where: Where,
    options: TeacherOptions,
    config: str,
    rounds: int | None,
    environments: int | None,
    run: Run,
    processes: Processes,
    console: Console,
    report: Callable[[Progress], None],
) -> tuple[int, Progress]:
    """Train on the training objects of a set; the options are `train`'s.

    Returns:
        How many rounds are planned in all, and where the training is.

    Raises:
        ValueError: something can't be trained so, or data or weights can't be used.
        TrainingError: as `train_rounds`.
    """
    import torch

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
        config, rounds, environments, options.variant
    )
    training, validation = goals_of_splits(data, where, options.goals, console)
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
        report=report,
    )
    if processes.leads and run.weights.is_file():
        write_card(run, TeacherNetworkConfig, ("variant", "method"))
    return settings.rounds(method), progress
