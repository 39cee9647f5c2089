"""``dexgrasp eval policy``: how policies do in the same episodes of the goal-conditioned task.

A job is some goals of some objects with one seed; all rows run in its episodes. Its result is a
function of its own settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dexgrasp_learning.evaluation_jobs import episode_figures, goals_of_jobs, others_of
from dexgrasp_learning.goal_disturbances import Disturbance, disturbed, pushes_in
from dexgrasp_learning.goal_environments import GoalEnvironments, GoalResults
from dexgrasp_learning.goal_policy import GoalPolicy
from dexgrasp_learning.goal_rows import ROWS, CarryingOut, Plans, plans_of, run_told
from dexgrasp_learning.partial_clouds import PartialClouds
from dexgrasp_learning.proposed_goals import Proposed, proposed
from dexgrasp_learning.task_scenes import told_backend
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.jobs.kept_results import kept_outcomes
from dexgrasp_models.tasks.assist_goals import Choice, load_goals
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes, draw_told_episodes
from dexgrasp_models.training.data import derived_seed
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.scene import load_scene

MEASURES = ("mpe", "rises")
"""m, of successful episodes; and m, of all."""


class TellingControl(StrEnum):
    """What is done to episodes; with the other one no policy may do as well."""

    NONE = "none"
    OTHER_GOAL = "other_goal"
    """The grasp of another object is told."""
    SHUFFLED_CLOUDS = "shuffled_clouds"
    """A student sees what the cameras saw of another object."""


@dataclass(frozen=True)
class GoalEvaluation:
    """What is done in every job."""

    rows: tuple[str, ...]
    """Of `ROWS`."""
    data: str
    """Folder of the grasp set that the goals are of."""
    goals: str
    """File of `dexgrasp assist goals`."""
    goals_digest: str
    """Of that file, by which results of others are told apart."""
    choice: Choice = "chosen"
    """Which of the goals; `chosen_of_all` leaves in what falls from a hand that waits there."""
    proposals: Proposed | None = None
    """Which of the proposer's are told in the place of the goals; None: none are."""
    strict: bool = False
    """Whether objects are also held under the push."""
    control: TellingControl = TellingControl.NONE
    disturbance: Disturbance = field(default_factory=Disturbance)
    task: GoalConfig = field(default_factory=GoalConfig)
    carrying: CarryingOut = field(default_factory=CarryingOut)
    backend: str = field(default_factory=lambda: load_scene().backend)
    """The simulator."""

    def __post_init__(self) -> None:
        """Raises ValueError: as of `Disturbance.late_ticks`."""
        self.disturbance.late_ticks(self.task.rate)


@dataclass(frozen=True)
class GoalJob:
    """All rows in some episodes."""

    goals: tuple[int, ...]
    """Rows of `told_goals`."""
    seed: int
    """Of the objects' places, the hands' turns and the clouds."""
    settings: GoalEvaluation

    @property
    def key(self) -> str:
        """Equal for equal jobs, wherever their files lie."""
        values = asdict(self)
        for name in ("data", "goals"):
            del values["settings"][name]
        values["settings"] |= told_backend(values["settings"].pop("backend"))
        carrying = values["settings"]["carrying"]
        for name in ("weights", "teacher", "edits"):
            del carrying[name]
        for name in ("teacher_digest", "edits_digest"):
            if not carrying[name]:  # kept results of before there were any are found
                del carrying[name]
        # What there was before these could be chosen is found again.
        if not any(ROWS[row].follows for row in self.settings.rows):
            del values["settings"]["carrying"]["follow"]
        if "mpc" not in self.settings.rows:
            del values["settings"]["carrying"]["mpc"]
        if not self.settings.disturbance.pushed:
            del values["settings"]["disturbance"]["pushed"]
        return json.dumps(values, sort_keys=True)


def draw_goal_jobs(
    goals: Grasps, objects: Sequence[str], episodes: int, seed: int, settings: GoalEvaluation
) -> list[GoalJob]:
    """Jobs over a group's objects, see `goals_of_jobs`, which says what raises.

    Args:
        goals: of the file.
        objects: of the group.
        episodes: that are asked for at least.
        seed: of the order and of all jobs.
        settings: of the evaluation.
    """
    return [
        GoalJob(taken, derived_seed("policy", seed, number), settings)
        for number, taken in enumerate(goals_of_jobs(goals, objects, episodes, seed))
    ]


def run(
    jobs: Sequence[GoalJob],
    *,
    kept: Path | None = None,
    workers: int | None = 1,
    ray: bool = False,
) -> Generator[tuple[GoalJob, dict[str, Any]], None, None]:
    """Run jobs, and report each as it is finished, first those that are finished already.

    Args:
        jobs: all.
        kept: file in which results are kept and found again.
        workers, ray: as of `kept_outcomes`.

    Raises:
        GraspDataError, MeshError: something can't be used.
        ChildProcessError: a process was killed, as when memory runs out.
    """
    return kept_outcomes(run_goal_job, jobs, kept, workers, ray)


def run_goal_job(job: GoalJob) -> dict[str, Any]:
    """What comes of one job, for JSON.

    Returns:
        `objects`, the name of each episode's; `planned`, whether there is a way to its grasp;
        `rows`, for each row by its name the figures of each episode, with `lost`, the phase in
        which it was; and `faults`, how many ended with unstable physics.

    Raises:
        GraspDataError, MeshError: as `run`.
    """
    prepared = prepare(job)
    rows: dict[str, list[dict[str, Any]]] = {}
    faults = 0
    for name in job.settings.rows:
        ended = prepared.run(name)
        succeeded = replace(ended, mpe=np.where(ended.paper, ended.mpe, np.nan))
        rows[name] = [
            {**figures, "lost": str(lost)}
            for figures, lost in zip(episode_figures(succeeded, MEASURES), ended.lost, strict=True)
        ]
        faults += len(ended.faults)
    planned = [plan is not None for plan in prepared.plans]
    return {"objects": prepared.told.names, "planned": planned, "rows": rows, "faults": faults}


@dataclass(frozen=True, eq=False)
class PreparedJob:
    """The episodes of a job, before any row has run in them."""

    settings: GoalEvaluation
    environments: GoalEnvironments
    told: ToldEpisodes
    """As they are told to a policy."""
    true: ToldEpisodes
    """As they are."""
    plans: Plans
    pushes: np.ndarray | None
    """As of `run_told`."""

    def run(
        self, row: str, watched: Callable[[GoalPolicy], GoalPolicy] = lambda policy: policy
    ) -> GoalResults:
        """How the episodes end with a row.

        Args:
            row: its name, of `ROWS`.
            watched: the policy that acts in the place of the row's.
        """
        carrying = self.settings.carrying
        policy = ROWS[row].make(self.environments, self.told, self.plans, carrying)
        return run_told(self.environments, self.true, watched(policy), self.pushes)


def prepare(job: GoalJob) -> PreparedJob:
    """The episodes of a job, which are a function of it.

    Raises:
        GraspDataError, MeshError: as `run`.
    """
    torch.set_num_threads(1)
    settings, task = job.settings, job.settings.task
    rng = np.random.default_rng(job.seed)
    goals = told_goals(settings)[np.array(job.goals)]
    looks = PartialClouds() if any(ROWS[name].sees for name in settings.rows) else None
    drawn = draw_told_episodes(goals, FullClouds(), rng, task, looks=looks)
    if settings.proposals:
        drawn = proposed(drawn, settings.proposals, task, settings.carrying, rng)
    told, true = disturbed(controlled(drawn, settings.control), settings.disturbance, rng)
    pushes = pushes_in(told, settings.disturbance, rng)
    plans = plans_of(told, task, settings.carrying)
    environments = GoalEnvironments(
        task,
        settings.disturbance.scene(task.rate, settings.backend),
        library_object,
        strict=settings.strict,
        late=settings.disturbance.late_ticks(task.rate),
    )
    return PreparedJob(settings, environments, told, true, plans, pushes)


def told_goals(settings: GoalEvaluation) -> Grasps:
    """All goals that are asked for.

    Raises:
        GraspDataError: the file or the set can't be used, or they don't fit.
    """
    return load_goals(Path(settings.goals)).goals(
        GraspSet.open(Path(settings.data)), settings.choice
    )


def controlled(episodes: ToldEpisodes, control: TellingControl) -> ToldEpisodes:
    """The episodes that are run in the place of some.

    Raises:
        ValueError: they are of one object, where another's is asked for.
    """
    if control is TellingControl.NONE:
        return episodes
    goals, others = episodes.goals, others_of(episodes.names)
    if control is TellingControl.SHUFFLED_CLOUDS:
        return (
            episodes if episodes.looks is None else replace(episodes, looks=episodes.looks[others])
        )
    return replace(episodes, goals=goals.held_as(goals[others]))
