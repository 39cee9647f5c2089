"""Grasps tried as goals: lifted in the task's own scene by a hand that is put at the grasp.

The hand begins where an expert's would be when its joints are the grasp's, presses as the expert
does, closes by itself and is raised, as at the end of every episode of the task. What falls then
can't be held however well a policy closes the fingers. A grasp is tested twice, as in the paper
(A.2): once as it is, and, as the simulator repeats a trial to the bit, once with the hand a little
beside it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from zlib import crc32

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_learning.assist_environments import AssistEnvironments, EpisodeResults
from dexgrasp_models.data.diversity import most_diverse
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import GraspDataError, Grasps, table_pose, to_angles
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.jobs.worker_processes import outcomes, until
from dexgrasp_models.objects import MeshError
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes
from dexgrasp_models.tasks.assist_goals import TriedGoals, shard_digest
from dexgrasp_models.tasks.assist_oracle import OracleConfig, oracle_actions
from dexgrasp_sim.datasets.grasp_trials import LoadObject
from dexgrasp_sim.scene import SceneConfig, load_scene

_AT_ONCE = 64  # scenes side by side


@dataclass(frozen=True)
class GoalTrial:
    """How grasps are tried as goals, and which become goals."""

    task: AssistConfig = field(default_factory=AssistConfig)
    oracle: OracleConfig = field(default_factory=OracleConfig)
    scene: SceneConfig = field(default_factory=lambda: load_scene(scene="floating"))
    """Its control period is that of the task."""
    tries: int = 40
    """Grasps of each object that are tried, drawn at random; all, if it has no more."""
    per_object: int = 5
    """Diverse ones that are chosen of each object."""
    tests: int = 2
    """How often a grasp has to hold, in all of them but the first with the hand beside it."""
    shift: float = 0.002
    """m, deviation of how far beside, along each axis."""
    turn: float = 0.02
    """rad, likewise of its turn about each."""
    seed: int = 0
    """Of the drawing, and of these deviations."""

    def __post_init__(self) -> None:
        if min(self.tries, self.per_object, self.tests) < 1:
            raise ValueError("of each object at least one grasp has to be tried, once, and chosen")
        scene = replace(self.scene, control_period=1.0 / self.task.rate)
        object.__setattr__(self, "scene", scene)

    def notes(self) -> dict[str, Any]:
        """What the results depend on, as JSON gives it back."""
        return json.loads(json.dumps(asdict(self)))


@dataclass(frozen=True)
class GoalJob:
    """The grasps of one object."""

    name: str
    grasps: Grasps
    """Those that are tried."""
    places: TriedGoals
    """Where they are in the set; nothing known of them yet."""
    trial: GoalTrial
    load: LoadObject


@dataclass(frozen=True)
class GoalsFound:
    """A job that has run."""

    job: GoalJob
    tried: TriedGoals
    """None of the object's grasps, if there was a problem."""
    problem: str = ""
    """Why the object can't be used."""


def static_trials(
    goals: Grasps, load: LoadObject, trial: GoalTrial, threads: int = 1
) -> EpisodeResults:
    """How static lifts of N grasps end, as they are.

    Args:
        goals: of objects on tables, with squeezes.
        load: finds the objects.
        trial: how; its numbers of grasps and tests don't count here.
        threads: that step the scenes.

    Raises:
        ValueError: a squeeze is not known, or the task ends before the expert is at the grasp.
        GraspDataError: a grasp has no table.
        MeshError: an object can't be used.
    """
    if not goals.has_table.all():
        raise GraspDataError(f"grasp {np.argmin(goals.has_table)} is of an object on no table")
    hand, oracle = load_hand(), trial.oracle
    # What the expert has left of the approach, once it is at the grasp.
    task = replace(trial.task, horizon=trial.task.horizon - oracle.goal_at, points=1)
    joints, squeezes = goals.joints.astype(float), goals.squeezes.astype(float)
    object_poses = np.array([table_pose(plane) for plane in goals.planes])
    wrists = object_poses @ goals.palm_poses
    paths = np.tile(wrists[:, None], (1, task.horizon, 1, 1))
    episodes = AssistEpisodes(goals, object_poses, paths, object_poses[:, None, :3, 3])
    environments = AssistEnvironments(task, trial.scene, load, threads=threads)
    environments.begin(episodes, joints=joints)
    while environments.steps < task.horizon:
        steps = np.full(len(goals), oracle.goal_at + environments.steps)
        actions = oracle_actions(steps, environments.targets, joints, squeezes, hand, task, oracle)
        environments.step(actions)
    return environments.finish()


def holding(goals: Grasps, load: LoadObject, trial: GoalTrial) -> tuple[np.ndarray, np.ndarray]:
    """Whether grasps hold in every test.

    Args:
        goals, load, trial: as of `static_trials`.

    Returns:
        (N,) bool, and (N,) m by which the objects rise at the grasps as they are.

    Raises:
        ValueError, GraspDataError, MeshError: as `static_trials`.
    """
    rng = np.random.default_rng(trial.seed)
    held, rises = np.ones(len(goals), dtype=bool), np.full(len(goals), np.nan)
    for number in range(trial.tests):
        for start in range(0, len(goals), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(goals)))
            some = goals[rows] if number == 0 else beside(goals[rows], trial, rng)
            found = static_trials(some, load, trial)
            held[rows] &= found.paper
            if number == 0:
                rises[rows] = found.rises
    return held, rises


def beside(goals: Grasps, trial: GoalTrial, rng: np.random.Generator) -> Grasps:
    """The same grasps, with the palm a little off."""
    shifts = trial.shift * rng.normal(size=(len(goals), 3))
    turns = Rotation.from_rotvec(trial.turn * rng.normal(size=(len(goals), 3)))
    palms = goals.palm_poses
    return replace(
        goals,
        translations=palms[:, :3, 3] + shifts,
        rotations=to_angles((Rotation.from_matrix(palms[:, :3, :3]) * turns).as_matrix()),
    )


def goal_jobs(
    grasps: GraspSet,
    load: LoadObject,
    trial: GoalTrial,
    objects: Collection[str] | None = None,
) -> list[GoalJob]:
    """A job for each object that has grasps on a table with squeezes.

    In no order, so that what isn't finished yet is a sample of all.

    Args:
        grasps: the set.
        load: finds the objects.
        trial: how grasps are tried.
        objects: only these of the set's; others are passed over.

    Raises:
        GraspDataError: no squeeze of these objects is known.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    lacking = 0
    for number, shard in enumerate(grasps.shards):
        known = ~np.isnan(shard.column("squeezes")[:, 0])
        usable = ~np.isnan(shard.column("planes")[:, 0])
        for place, name in enumerate(shard.names):
            if objects is not None and name not in objects:
                continue
            own = usable & (shard.column("objects") == place)
            lacking += int((own & ~known).sum())
            rows = np.flatnonzero(own & known)
            found.setdefault(name, []).extend((number, row) for row in rows.tolist())
    if lacking and not any(found.values()):
        raise GraspDataError(
            f"{grasps.path}: how its grasps press is not known: dexgrasp data squeeze fills it in"
        )
    jobs = [
        _job(name, np.array(places), grasps, load, trial)
        for name, places in found.items()
        if places
    ]
    return sorted(jobs, key=lambda job: (crc32(job.name.encode()), job.name))


def _job(
    name: str, places: np.ndarray, grasps: GraspSet, load: LoadObject, trial: GoalTrial
) -> GoalJob:
    rng = np.random.default_rng([crc32(name.encode()), trial.seed])
    drawn = np.sort(rng.permutation(len(places))[: trial.tries])
    shards, rows = places[drawn].T
    used = np.unique(shards)
    starts = np.cumsum([0, *map(len, grasps.shards)])
    where = TriedGoals(
        {grasps.shards[one].path.stem: shard_digest(grasps.shards[one]) for one in used},
        (name,),
        shards=np.searchsorted(used, shards),
        rows=rows,
        held=np.zeros(len(rows)),
        rises=np.full(len(rows), np.nan),
        chosen=np.zeros(len(rows)),
        chosen_of_all=np.zeros(len(rows)),
    )
    return GoalJob(name, grasps[starts[shards] + rows], where, trial, load)


def try_goals(job: GoalJob) -> TriedGoals:
    """What a job finds.

    Raises:
        MeshError, GraspDataError: the object can't be found or used.
    """
    goals, trial = job.grasps, job.trial
    held, rises = holding(goals, job.load, trial)
    return replace(
        job.places,
        held=held,
        rises=rises,
        chosen=_chosen(goals, held, trial.per_object),
        chosen_of_all=_chosen(goals, np.ones(len(goals), bool), trial.per_object),
    )


def run(
    jobs: Sequence[GoalJob], *, workers: int = 1, deadline: float | None = None
) -> Generator[GoalsFound, None, None]:
    """Run jobs, and report each as it ends.

    Args:
        jobs: of `goal_jobs`.
        workers: processes.
        deadline: `time.monotonic` after which no further job begins.

    Raises:
        ChildProcessError: a process was killed, as when memory runs out.
    """
    with closing(outcomes(_attempt, until(deadline, jobs), workers)) as finished:
        for job, found in finished:
            if isinstance(found, str):
                yield GoalsFound(job, TriedGoals.none({}), found)
            else:
                yield GoalsFound(job, found)


def _attempt(job: GoalJob) -> TriedGoals | str:
    """What a job finds, or what is wrong with its object."""
    try:
        return try_goals(job)
    except (MeshError, GraspDataError) as error:
        return f"{job.name}: {error}"


def _chosen(goals: Grasps, among: np.ndarray, count: int) -> np.ndarray:
    """(N,) bool: the most diverse of grasps, among those of a (N,) mask."""
    rows, chosen = np.flatnonzero(among), np.zeros(len(goals), dtype=bool)
    if len(rows):
        chosen[rows[most_diverse(goals[rows], count, HandKinematics(load_hand()))]] = True
    return chosen
