"""What training of the goal-conditioned task's student needs, put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from dexgrasp_learning.dagger import Dagger, DaggerConfig, Student
from dexgrasp_learning.goal_environments import GoalEnvironments, GoalResults
from dexgrasp_learning.goal_episodes import drawn_alike, rows_by_object
from dexgrasp_learning.goal_rows import CarryingOut, run_told
from dexgrasp_learning.randomisation import RandomisationConfig
from dexgrasp_learning.rounds import train_rounds
from dexgrasp_learning.student_sight import StudentPolicy, StudentSight
from dexgrasp_learning.task_scenes import task_scene, told_backend
from dexgrasp_learning.taught_goal_environments import TaughtGoalEnvironments, Teaching
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.goal_network import GoalNetwork, GoalNetworkConfig
from dexgrasp_models.nets.teacher_network import TeacherNetwork
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.assist_episodes import Clouds
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes, draw_told_episodes
from dexgrasp_models.tasks.goal_expert import ExpertConfig
from dexgrasp_models.tasks.goal_jitter import JitterConfig, jittered
from dexgrasp_models.tasks.goal_plans import TellingConfig
from dexgrasp_models.tasks.learned_goal import NetworkStudent
from dexgrasp_models.training.config import network_config, recipe_values
from dexgrasp_models.training.data import derived_seed
from dexgrasp_models.training.objectives import LOSS
from dexgrasp_models.training.processes import Processes
from dexgrasp_models.training.run import Progress, Run
from dexgrasp_sim.datasets.grasp_trials import LoadObject

RECIPE = "policy"
"""Its name in the files of `config/training/`."""


@dataclass(frozen=True)
class PolicyTraining(Parameters):
    """Settings of a training."""

    dagger: DaggerConfig = field(default_factory=DaggerConfig)
    task: GoalConfig = field(default_factory=GoalConfig)
    telling: TellingConfig = field(default_factory=TellingConfig)
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    randomisation: RandomisationConfig = field(default_factory=RandomisationConfig)
    jitter: JitterConfig = field(default_factory=JitterConfig)
    judge_every: int = parameter(10, 1, 1_000_000, "", "rounds from one validation to the next")
    judged: int = parameter(64, 1, 65_536, "", "episodes of a validation, always the same")

    @property
    def carrying(self) -> CarryingOut:
        """How the expert carries out its plans."""
        return CarryingOut(self.telling, self.expert)


@dataclass(frozen=True, eq=False)
class PolicyData:
    """What is learned from, and what the best weights are chosen by."""

    training: Grasps
    """Goals on tables, with squeezes."""
    validation: Grasps
    """Of other objects."""
    looks: Clouds
    """What the student sees of an object."""
    follows: bool
    """Whether that goes where the object truly goes."""
    load: LoadObject
    clouds: Clouds = field(default_factory=FullClouds)
    """What the expert plans with."""
    teacher: TeacherNetwork | None = None
    """That teaches in the place of the planned expert."""
    teacher_digest: str = ""
    """Of its weights' file."""


def load_policy_training(
    name: str, rounds: int | None = None, episodes: int | None = None
) -> tuple[PolicyTraining, GoalNetworkConfig]:
    """The settings in a file of `config/training/`, or in any YAML file by its path.

    Args:
        name: as of `load_training`.
        rounds: instead of the file's.
        episodes: of a round, likewise.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it doesn't have the recipe, or has an unknown name or a bad value.
    """
    values = recipe_values(RECIPE, name)
    network = network_config(GoalNetworkConfig, values.pop("network", "small"))
    found = PolicyTraining.from_mapping(values)
    given = {"rounds": rounds, "episodes": episodes}
    dagger = dataclasses.replace(
        found.dagger, **{name: value for name, value in given.items() if value is not None}
    )
    return dataclasses.replace(found, dagger=dagger), network


@dataclass(frozen=True, eq=False)
class ToldSource:
    """An `EpisodeSource`: objects alike often, and of an object its goals.

    Raises:
        ValueError: there are no goals.
    """

    goals: Grasps
    clouds: Clouds
    looks: Clouds | None
    """What students see; None where none learns."""
    count: int
    config: GoalConfig

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_object", rows_by_object(self.goals))

    def __call__(self, rng: np.random.Generator) -> ToldEpisodes:
        rows = drawn_alike(vars(self)["_by_object"], self.count, rng)
        return draw_told_episodes(self.goals[rows], self.clouds, rng, self.config, looks=self.looks)


class StudentJudge:
    """A `Judge` that runs the same episodes with every student.

    Args:
        environments: to run them in.
        episodes: as they are.
        goals: as the student is told them.
        sight: of the student.
    """

    def __init__(
        self,
        environments: GoalEnvironments,
        episodes: ToldEpisodes,
        goals: Grasps,
        sight: StudentSight,
    ) -> None:
        self._environments, self._episodes, self._sight = environments, episodes, sight
        self._told = dataclasses.replace(episodes, goals=goals)

    def __call__(self, student: NetworkStudent) -> Mapping[str, float]:
        """See `told_figures`."""
        policy = StudentPolicy(self._environments, self._told, student, self._sight)
        return told_figures(run_told(self._environments, self._episodes, policy))


def told_figures(found: GoalResults) -> dict[str, float]:
    """Share of failures (`LOSS`), of successes by the paper's rule and the latched one, and m by
    which objects were raised."""
    success = float(found.paper.mean())
    return {
        LOSS: 1.0 - success,
        "success": success,
        "latched": float(found.latched.mean()),
        "rise": float(np.nanmean(found.rises)),
    }


def train_policy(
    network: GoalNetwork,
    data: PolicyData,
    config: PolicyTraining,
    run: Run,
    *,
    trained: bool = False,
    threads: int = 1,
    backend: str | None = None,
    processes: Processes | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train a student by DAgger, until its last round or for a budget.

    Args:
        network: to begin with.
        data: see there.
        config: how.
        run: where to, and how long.
        trained: whether the network is.
        threads: that step the environments.
        backend: the simulator; default: as `config/scene.yaml` says.
        processes: that train together, each in its share of a round's episodes.
        report: is called after each round.

    Raises:
        TrainingError: as `train_rounds`.
        ValueError: goals have no squeezes, or no table.
        MeshError, PerceptionError: an object can't be used.
    """
    processes = processes or Processes()
    task, scene = config.task, task_scene(config.task.rate, backend)
    environments = GoalEnvironments(task, scene, data.load, threads=threads)

    def source(goals: Grasps, count: int) -> ToldSource:
        return ToldSource(goals, data.clouds, data.looks, count, task)

    reader = NetworkStudent(network, task)
    learner = Dagger(
        Student(network, reader.inputs, lambda trained: NetworkStudent(trained, task)),
        TaughtGoalEnvironments(
            environments,
            Teaching(config.carrying, config.randomisation, config.jitter, data.teacher),
            follows=data.follows,
        ),
        source(data.training, processes.share(config.dagger.episodes, "episodes")),
        config.dagger,
        seed=run.seed,
        folder=run.out / f"{run.name}.states",
        trained=trained,
        processes=processes,
    )
    validation = np.random.default_rng(derived_seed(run.seed, "validation"))
    judged = source(data.validation, config.judged)(validation)
    judged_goals = jittered(judged.goals, config.jitter, validation, load_hand())
    sight = StudentSight(environments, config.telling, follows=data.follows)
    told = {
        name: getattr(config, name)
        for name in ("task", "telling", "expert", "randomisation", "jitter")
    }
    return train_rounds(
        learner,
        config.dagger.rounds,
        run,
        judge=StudentJudge(environments, judged, judged_goals, sight),
        judge_every=config.judge_every,
        about=told_backend(scene.backend)
        | ({"teacher": data.teacher_digest} if data.teacher else {})
        | {name: dataclasses.asdict(settings) for name, settings in told.items()},
        report=report,
        processes=processes,
    )
