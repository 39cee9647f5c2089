"""``dexgrasp eval assist``: how policies do in the same episodes of the human-assisting task.

A job is some goals of some objects with one seed; all rows run in its episodes. Its result is a
function of its own settings.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.assist_rows import Control, controlled, row_named
from dexgrasp_learning.evaluation_jobs import episode_figures, goals_of_jobs
from dexgrasp_learning.partial_clouds import PartialClouds
from dexgrasp_learning.randomisation import RandomisationConfig
from dexgrasp_learning.rollout import run_episodes
from dexgrasp_learning.task_scenes import task_scene, told_backend
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.evaluation.assist_summary import MEASURES
from dexgrasp_models.jobs.kept_results import kept_outcomes
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_episodes import Clouds, draw_episodes
from dexgrasp_models.tasks.assist_goals import Choice, load_goals
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.hints import drawn_hints
from dexgrasp_models.tasks.pattern_files import load_patterns
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.tasks.wrist_patterns import WristPatterns
from dexgrasp_models.training.data import derived_seed
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.scene import load_scene

CLOUDS = ("partial", "full")
"""What is seen of the objects: by the cameras, as on the robot, or from all sides, as in A.1."""


@dataclass(frozen=True)
class AssistEvaluation:
    """What is done in every job."""

    rows: tuple[str, ...]
    """Of `ROWS`, and other names of learned ones."""
    data: str
    """Folder of the grasp set that the goals are of."""
    goals: str
    """File of `dexgrasp assist goals`."""
    goals_digest: str
    """Of that file, by which results of others are told apart."""
    choice: Choice = "chosen"
    """Which of the goals; `chosen_of_all` leaves in what falls from a hand that waits there."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """File of each learned row."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Of the weights, likewise."""
    patterns: str = ""
    """File of wrist patterns; empty for generated ones, of the seed 0."""
    clouds: str = "partial"
    """Of `CLOUDS`."""
    strict: bool = False
    """Whether objects are also held under the push."""
    control: Control = Control.NONE
    task: AssistConfig = field(default_factory=AssistConfig)
    randomisation: RandomisationConfig = field(default_factory=RandomisationConfig)
    backend: str = field(default_factory=lambda: load_scene().backend)
    """The simulator."""


@dataclass(frozen=True)
class AssistJob:
    """All rows in some episodes."""

    goals: tuple[int, ...]
    """Rows of `goals_of`."""
    seed: int
    """Of the objects' places, the wrists' paths, the clouds, and all noise."""
    settings: AssistEvaluation

    @property
    def key(self) -> str:
        """Equal for equal jobs, wherever their files lie."""
        values = asdict(self)
        for name in ("weights", "data", "goals"):
            del values["settings"][name]
        values["settings"] |= told_backend(values["settings"].pop("backend"))
        return json.dumps(values, sort_keys=True)


def draw_jobs(
    goals: Grasps, objects: Sequence[str], episodes: int, seed: int, settings: AssistEvaluation
) -> list[AssistJob]:
    """Jobs over a group's objects: each with five goals, before any object comes again (A.3).

    The first are the same however many are asked for. An object comes again with the same goals,
    other places and other wrists.

    Args:
        goals: of the file.
        objects: of the group; those without goals are left out.
        episodes: that are asked for at least, in whole jobs.
        seed: of the order and of all jobs.
        settings: of the evaluation.

    Raises:
        ValueError: there are goals of none of the objects, or of too few for a job.
    """
    return [
        AssistJob(taken, derived_seed("assist", seed, number), settings)
        for number, taken in enumerate(goals_of_jobs(goals, objects, episodes, seed))
    ]


def run(
    jobs: Sequence[AssistJob],
    *,
    kept: Path | None = None,
    workers: int | None = 1,
    ray: bool = False,
) -> Generator[tuple[AssistJob, dict[str, Any]], None, None]:
    """Run jobs, and report each as it is finished, first those that are finished already.

    Args:
        jobs: all.
        kept: file in which results are kept and found again.
        workers, ray: as of `kept_outcomes`.

    Raises:
        WeightsError, GraspDataError, PatternError, MeshError: something can't be used.
        ChildProcessError: a process was killed, as when memory runs out.
    """
    return kept_outcomes(run_job, jobs, kept, workers, ray)


def run_job(job: AssistJob) -> dict[str, Any]:
    """What comes of one job, for JSON.

    Returns:
        `objects`, the name of each episode's; `rows`, for each row by its name the figures of each
        episode (`summarise_assist`), and `faults`, how many ended with unstable physics.

    Raises:
        WeightsError, GraspDataError, PatternError, MeshError: as `run`.
    """
    torch.set_num_threads(1)
    settings, task = job.settings, job.settings.task
    goals, chosen = goals_of(settings), np.array(job.goals)
    episodes = draw_episodes(
        goals[chosen],
        _patterns(settings.patterns).held_out,
        _clouds(settings.clouds),
        np.random.default_rng(job.seed),
        task,
        blended=False,
    )
    # Of a generator of its own: what is told to some rows changes nothing of the episodes.
    rng = np.random.default_rng(derived_seed("hints", job.seed))
    episodes = replace(episodes, hints=drawn_hints(goals, chosen, rng))
    environments = AssistEnvironments(
        task,
        task_scene(task.rate, settings.backend),
        library_object,
        randomisation=settings.randomisation,
        strict=settings.strict,
    )
    run_in = controlled(episodes, settings.control)
    rows, faults = {}, 0
    for name in settings.rows:
        weights = settings.weights.get(name, "")
        row = row_named(name)
        policy = row.make(environments, weights, job.seed)
        ended = run_episodes(environments, run_in, policy, job.seed, unhindered=row.unhindered)
        rows[name] = episode_figures(ended, (*MEASURES, "rises"))
        faults += len(ended.faults)
    return {"objects": episodes.names, "rows": rows, "faults": faults}


def goals_of(settings: AssistEvaluation) -> Grasps:
    """All goals that are asked for.

    Raises:
        GraspDataError: the file or the set can't be used, or they don't fit.
    """
    return _goals(settings.data, settings.goals, settings.choice)


@lru_cache(maxsize=1)
def _goals(data: str, path: str, choice: Choice) -> Grasps:
    return load_goals(Path(path)).goals(GraspSet.open(Path(data)), choice)


@lru_cache(maxsize=1)
def _patterns(path: str) -> WristPatterns:
    return load_patterns(Path(path)) if path else generate(np.random.default_rng(0))


@lru_cache(maxsize=1)
def _clouds(kind: str) -> Clouds:
    return PartialClouds() if kind == "partial" else FullClouds()
