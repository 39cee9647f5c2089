"""One-step edits of plans, searched for each object by trial (after DemoGrasp).

What is proposed of an object is carried out by the planned executor. Where that doesn't lift it
every time, edits of the grasp are searched by the cross-entropy method: in each stage of
`edit_stages` the best ones so far, edited further. All that was tried is kept, to learn from.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dexgrasp_learning.cross_entropy import Belief, CrossEntropyConfig, searched
from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_learning.goal_rows import CarryingOut, PlannedPolicy, plans_of, run_told
from dexgrasp_learning.proposed_goals import looked, told_to
from dexgrasp_learning.randomisation import Randomisation, RandomisationConfig
from dexgrasp_learning.task_scenes import task_scene, told_backend
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.jobs.kept_results import kept_outcomes
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.assist_observation import as_many
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes, draw_told_episodes, together
from dexgrasp_models.tasks.goal_plans import TellingConfig
from dexgrasp_models.tasks.learned_edits import CLOUD_POINTS
from dexgrasp_models.tasks.plan_edits import EditConfig, edit_stages, edited
from dexgrasp_models.training.data import derived_seed
from dexgrasp_sim.datasets.grasp_trials import LoadObject, library_object
from dexgrasp_sim.scene import load_scene

_DIGITS = 4  # of lengths and angles that are kept


@dataclass(frozen=True)
class EditSearchConfig(Parameters):
    """How edits of an object's plans are searched."""

    goals: int = parameter(4, 1, 32, "", "proposals of an object, any ones, each by itself")
    checks: int = parameter(
        2, 1, 100, "", "episodes that an unedited plan has to lift in, so as to be left as it is"
    )
    deviation: float = parameter(0.4, 0.01, 2.0, "", "of the numbers of a stage as it begins")
    search: CrossEntropyConfig = field(
        default_factory=lambda: CrossEntropyConfig(8, 3, 2, least_deviation=0.1)
    )
    """In each stage."""
    edit: EditConfig = field(default_factory=EditConfig)
    randomisation: RandomisationConfig = field(
        default_factory=lambda: RandomisationConfig(mass=0.3, friction=0.2, gain=0.1)
    )
    """Of the physics: each try has its own."""
    task: GoalConfig = field(default_factory=GoalConfig)
    telling: TellingConfig = field(default_factory=TellingConfig)


@dataclass(frozen=True, eq=False)
class EditJob:
    """One object on its table."""

    scene: Grasps
    """One grasp, whose object, scale and table count."""
    seed: int
    """Of all that is drawn."""
    config: EditSearchConfig
    backend: str
    """The simulator."""
    load: LoadObject = library_object

    @property
    def key(self) -> str:
        """Equal for equal jobs."""
        (index,), (scale,), (plane,) = self.scene.objects, self.scene.scales, self.scene.planes
        scene = {"object": self.scene.names[index], "scale": float(scale), "plane": plane.tolist()}
        told = {"seed": self.seed, "config": asdict(self.config), **told_backend(self.backend)}
        return json.dumps({**scene, **told}, sort_keys=True)


def draw_edit_jobs(
    grasps: Grasps, seed: int, config: EditSearchConfig, backend: str | None = None
) -> list[EditJob]:
    """A job for each object, in any order, so that what isn't finished yet is a sample of all.

    Args:
        grasps: of the objects, on tables; of each one is drawn.
        seed: of the order and of all jobs.
        config: of the search.
        backend: the simulator; default: as `config/scene.yaml` says.
    """
    backend = backend or load_scene().backend
    rng = np.random.default_rng(derived_seed("edits", seed))
    rows = [rng.choice(np.flatnonzero(grasps.objects == one)) for one in np.unique(grasps.objects)]
    return [
        EditJob(
            grasps[[row]], derived_seed("edits", seed, int(grasps.objects[row])), config, backend
        )
        for row in rng.permutation(rows).tolist()
    ]


def run(
    jobs: Sequence[EditJob],
    *,
    kept: Path | None = None,
    workers: int | None = 1,
    ray: bool = False,
) -> Generator[tuple[EditJob, dict[str, Any]], None, None]:
    """Run jobs, and report each as it is finished, first those that are finished already.

    Args:
        jobs: all.
        kept: file in which results are kept and found again.
        workers, ray: as of `kept_outcomes`.

    Raises:
        MeshError, WeightsError: an object, or the proposer, can't be used.
        ChildProcessError: a process was killed, as when memory runs out.
    """
    return kept_outcomes(run_edit_job, jobs, kept, workers, ray)


def run_edit_job(job: EditJob) -> dict[str, Any]:
    """What was tried of an object, for JSON.

    Returns:
        `cloud`, (P, 3) points of the object as it was seen, in its own frame, m; and `goals`, of
        each the grasp in that frame (`translation`, m, and `rotation`, as of `Grasps`; `joints`,
        rad), of all tries the `edits` and whether the object was `lifted`, and `checked`, see
        `TriedEdits`. The first tries are of the plan as it is. There are no goals where nothing is
        seen or proposed.

    Raises:
        MeshError, WeightsError: as `run`.
    """
    torch.set_num_threads(1)
    config, rng = job.config, np.random.default_rng(job.seed)
    episode = draw_told_episodes(job.scene, FullClouds(), rng, config.task)
    seen, grasps = looked(episode, config.task, rng)
    cloud = as_many(seen.object_clouds[0], CLOUD_POINTS)
    goals: list[dict[str, Any]] = []
    if grasps:
        chosen = rng.permutation(len(grasps))[: config.goals]
        carrying = CarryingOut(config.telling)
        told = together([told_to(seen, grasps[index], carrying) for index in chosen])
        goals = _goals(told, search_edits(told, job, rng))
    return {"cloud": _rounded(cloud), "goals": goals}


@dataclass(frozen=True, eq=False)
class TriedEdits:
    """All tries of one goal."""

    edits: np.ndarray
    """(T, 24)."""
    lifted: np.ndarray
    """(T,) bool."""
    checked: np.ndarray
    """(1 + 3, checks) bool, in episodes that nothing was chosen by: of the plan as it is, and with
    the edit that was found by the end of each stage."""


def search_edits(told: ToldEpisodes, job: EditJob, rng: np.random.Generator) -> list[TriedEdits]:
    """All that was tried of N goals; see the module.

    Args:
        told: N, of the same object or of others.
        job: how it is searched, and where.
        rng: draws.

    Raises:
        MeshError: an object can't be used.
    """
    config, count = job.config, len(told)
    trial = _Trial(job, rng)
    stages = edit_stages(load_hand())
    size = stages[-1].stop
    unedited = np.zeros((count, config.checks, size))
    lifted, _ = trial(told, unedited)
    tried = [[(unedited[row], lifted[row])] for row in range(count)]
    checked = np.repeat(trial(told, unedited)[0][:, None], 1 + len(stages), axis=1)
    rows = np.flatnonzero(~lifted.all(axis=1))
    if not len(rows):
        return _gathered(tried, checked)

    def score(edits: np.ndarray) -> np.ndarray:
        found, rises = trial(told[rows], edits)
        for row, its_edits, its_found in zip(rows, edits, found, strict=True):
            tried[row].append((its_edits, its_found))
        # Among those that lift it, or don't, the ones that raise it farther.
        return found + np.clip(rises / config.task.lift, 0.0, 1.0)

    mean, deviation = np.zeros((2, len(rows), size))
    for number, stage in enumerate(stages, start=1):
        deviation[:, stage] = config.deviation
        belief = searched(Belief(mean, deviation), score, config.search, rng).belief
        mean, deviation = belief.mean, belief.deviation.copy()
        again = np.repeat(mean[:, None], config.checks, axis=1)
        checked[rows, number] = trial(told[rows], again)[0]
    return _gathered(tried, checked)


def _gathered(
    tried: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]], checked: np.ndarray
) -> list[TriedEdits]:
    return [
        TriedEdits(
            np.concatenate([edits for edits, _ in each]),
            np.concatenate([lifted for _, lifted in each]),
            its_checked,
        )
        for each, its_checked in zip(tried, checked, strict=True)
    ]


class _Trial:
    """Whether edits of plans lift objects, and by how much they rise."""

    def __init__(self, job: EditJob, rng: np.random.Generator) -> None:
        config = job.config
        scene = task_scene(config.task.rate, job.backend)
        self._environments = GoalEnvironments(config.task, scene, job.load)
        self._config, self._rng, self._hand = config, rng, load_hand()
        self._carrying = CarryingOut(config.telling)

    def __call__(self, told: ToldEpisodes, edits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, S) bool and (N, S) m of edits (N, S, 24) of N goals; false and 0 without a way."""
        config, (count, samples, _) = self._config, edits.shape
        every = told[np.repeat(np.arange(count), samples)]
        goals = edited(every.goals, edits.reshape(len(every), -1), config.edit, self._hand)
        plans = plans_of(replace(every, goals=goals), config.task, self._carrying)
        lifted, rises = np.zeros(len(every), dtype=bool), np.zeros(len(every))
        rows = np.flatnonzero([plan is not None for plan in plans])
        if len(rows):
            policy = PlannedPolicy(self._environments, [plans[row] for row in rows.tolist()])
            seed = int(self._rng.integers(2**31))
            random = Randomisation(config.randomisation, len(rows), config.task.horizon, seed)
            found = run_told(self._environments, every[rows], policy, vary=random.vary)
            lifted[rows], rises[rows] = found.paper, np.nan_to_num(found.rises)
        return lifted.reshape(count, samples), rises.reshape(count, samples)


def _goals(told: ToldEpisodes, tried: Sequence[TriedEdits]) -> list[dict[str, Any]]:
    goals = told.goals
    return [
        {
            "translation": _rounded(goals.translations[row]),
            "rotation": _rounded(goals.rotations[row]),
            "joints": _rounded(goals.joints[row]),
            "edits": _rounded(each.edits),
            "lifted": each.lifted.tolist(),
            "checked": each.checked.tolist(),
        }
        for row, each in enumerate(tried)
    ]


def _rounded(values: np.ndarray) -> list[Any]:
    return np.round(np.asarray(values, dtype=float), _DIGITS).tolist()
