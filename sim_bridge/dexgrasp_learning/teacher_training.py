"""What training of the goal-conditioned task's teacher needs, put together (UniDexGrasp, 3.3.1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor
from torch.nn import functional

from dexgrasp_learning.curriculum import CurriculumConfig, category_of, stage_at, stages_of
from dexgrasp_learning.dagger import Dagger, DaggerConfig, Student
from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_learning.goal_rows import CarryingOut, run_told
from dexgrasp_learning.goal_vec_env import GoalVecEnv
from dexgrasp_learning.imitation import Demonstrations, ImitationConfig
from dexgrasp_learning.methods import check_method, planned_rounds, resized
from dexgrasp_learning.policy_training import ToldSource, told_figures
from dexgrasp_learning.ppo import PPO, ActorCritic, PPOConfig
from dexgrasp_learning.rounds import EpisodeSource, Learner, train_rounds
from dexgrasp_learning.task_scenes import task_scene, told_backend
from dexgrasp_learning.taught_teacher_environments import (
    CATEGORY,
    TaughtTeacherEnvironments,
    demonstrated,
)
from dexgrasp_learning.teacher_sight import TeacherPolicy
from dexgrasp_learning.teacher_variants import OURS, VARIANTS, TeacherVariant
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.teacher_network import TeacherNetwork, TeacherNetworkConfig
from dexgrasp_models.parameters import Parameters, choice, parameter
from dexgrasp_models.tasks.assist_episodes import Clouds
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.goal_config import GoalConfig, GoalRewardConfig
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_expert import ExpertConfig
from dexgrasp_models.tasks.goal_plans import TellingConfig
from dexgrasp_models.tasks.goal_teacher import teacher_state_size
from dexgrasp_models.training.config import network_config, recipe_values
from dexgrasp_models.training.data import derived_seed
from dexgrasp_models.training.processes import Processes
from dexgrasp_models.training.run import Progress, Run
from dexgrasp_sim.datasets.grasp_trials import LoadObject

RECIPE = "teacher"
"""Its name in the files of `config/training/`."""


@dataclass(frozen=True)
class TeacherTraining(Parameters):
    """Settings of a training; what its variant has otherwise is not in them but in `VARIANTS`."""

    variant: str = choice(OURS, tuple(VARIANTS), "what is trained: the paper's teacher, or another")
    ppo: PPOConfig = field(default_factory=PPOConfig)
    dagger: DaggerConfig = field(default_factory=DaggerConfig)
    task: GoalConfig = field(default_factory=GoalConfig)
    reward: GoalRewardConfig = field(default_factory=GoalRewardConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    imitation: ImitationConfig = field(default_factory=ImitationConfig)
    classification: float = parameter(0.1, 0.0, 100.0, "", "weight of telling categories apart")
    telling: TellingConfig = field(default_factory=TellingConfig)
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    judge_every: int = parameter(10, 1, 1_000_000, "", "rounds from one validation to the next")
    judged: int = parameter(64, 1, 65_536, "", "episodes of a validation, always the same")

    @property
    def carrying(self) -> CarryingOut:
        """How the expert carries out its plans."""
        return CarryingOut(self.telling, self.expert)


@dataclass(frozen=True, eq=False)
class TeacherData:
    """What is learned from, and what the best weights are chosen by."""

    training: Grasps
    """Goals on tables, with squeezes."""
    validation: Grasps
    """Of other objects."""
    load: LoadObject
    clouds: Clouds = field(default_factory=FullClouds)


def load_teacher_training(
    name: str,
    rounds: int | None = None,
    environments: int | None = None,
    variant: str | None = None,
) -> tuple[TeacherTraining, TeacherNetworkConfig]:
    """The settings in a file of `config/training/`, or in any YAML file by its path.

    Args:
        name: as of `load_training`.
        rounds: instead of the file's.
        environments: side by side, likewise.
        variant: of `VARIANTS`, likewise; network and curriculum are what it asks for.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it doesn't have the recipe, or has an unknown name or a bad value.
    """
    values = recipe_values(RECIPE, name)
    network = network_config(TeacherNetworkConfig, values.pop("network", "small"))
    found = TeacherTraining.from_mapping(values)
    found = dataclasses.replace(found, variant=variant or found.variant)
    what = VARIANTS[found.variant]
    return (
        resized(
            dataclasses.replace(
                found,
                curriculum=what.curriculum_of(found.curriculum),
                imitation=what.imitation_of(found.imitation),
            ),
            rounds,
            environments,
        ),
        what.network_of(network),
    )


def told_categories(
    config: TeacherNetworkConfig, variant: str, goals: Grasps
) -> TeacherNetworkConfig:
    """The network with as many categories as there are to tell apart, where the variant does."""
    count = len(set(_categories(goals).values())) if VARIANTS[variant].classifies else 0
    return dataclasses.replace(config, categories=count)


class TeacherJudge:
    """A `Judge` that runs the same episodes with every teacher."""

    def __init__(
        self, environments: GoalEnvironments, episodes: ToldEpisodes, telling: TellingConfig
    ) -> None:
        self._environments, self._episodes, self._telling = environments, episodes, telling

    def __call__(self, network: TeacherNetwork) -> Mapping[str, float]:
        """See `told_figures`."""
        policy = TeacherPolicy(self._environments, network, self._telling)
        return told_figures(run_told(self._environments, self._episodes, policy))


def train_teacher(
    method: str,
    network: TeacherNetwork,
    data: TeacherData,
    config: TeacherTraining,
    run: Run,
    *,
    trained: bool = False,
    threads: int = 1,
    backend: str | None = None,
    processes: Processes | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train a teacher, until its last round or for a budget.

    Args:
        method: `ppo` by the reward (3.3.1), or `dagger` by the planned expert: what PPO on a few
            cores begins with.
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
        ValueError: goals have no squeezes, or no table; or network or method can't be used so.
        MeshError, PerceptionError: an object can't be used.
    """
    check_method(method, "teacher")
    variant = VARIANTS[config.variant]
    if not variant.has(network.config):
        raise ValueError(
            f"the weights to begin with aren't of {config.variant}: they see along other axes, or "
            "something else"
        )
    if method == "dagger" and not network.config.told:
        raise ValueError("dagger's expert is told a grasp, and this network isn't: use ppo")
    task, scene = config.task, task_scene(config.task.rate, backend)
    rewards = config.reward if network.config.told else _untold(config.reward)
    # Episodes of PPO have begun when those of the judge or of demonstrations do.
    environments, others = (
        GoalEnvironments(task, scene, data.load, rewards=rewards, threads=threads) for _ in range(2)
    )

    def source_of(goals: Grasps, count: int) -> ToldSource:
        return ToldSource(goals, data.clouds, None, count, task)

    learner: Learner
    processes = processes or Processes()
    about: dict[str, Any] = told_backend(scene.backend) | {"variant": config.variant}
    if method == "dagger":
        learner = Dagger(
            Student(network, lambda seen: seen, lambda trained: trained),
            TaughtTeacherEnvironments(environments, network, config.carrying),
            source_of(data.training, processes.share(config.dagger.episodes, "episodes")),
            config.dagger,
            seed=run.seed,
            folder=run.out / f"{run.name}.states",
            trained=trained,
            processes=processes,
        )
        told = ["task", "telling", "expert"]
    else:
        learner = _ppo(
            network,
            variant,
            data,
            config,
            run.seed,
            trained,
            environments,
            others,
            source_of,
            processes,
        )
        told = ["task", "telling", "expert", "reward", "curriculum", "imitation", "classification"]
    settings = dataclasses.asdict(config)
    validation = np.random.default_rng(derived_seed(run.seed, "validation"))
    judged = source_of(data.validation, config.judged)(validation)
    return train_rounds(
        learner,
        planned_rounds(method, config),
        run,
        judge=TeacherJudge(others, judged, config.telling),
        judge_every=config.judge_every,
        about=about | {name: settings[name] for name in told},
        report=report,
        processes=processes,
    )


def _ppo(
    network: TeacherNetwork,
    variant: TeacherVariant,
    data: TeacherData,
    config: TeacherTraining,
    seed: int,
    trained: bool,
    environments: GoalEnvironments,
    others: GoalEnvironments,
    source_of: Callable[[Grasps, int], ToldSource],
    processes: Processes,
) -> PPO:
    goals = data.training
    count = processes.share(config.ppo.environments, "environments")
    names = np.array(goals.names)[goals.objects]
    stages = stages_of(config.curriculum, names.tolist(), seed)
    sources = {
        stage.begin: source_of(goals[np.flatnonzero(np.isin(names, stage.objects))], count)
        for stage in stages
    }
    demonstrations, categories = None, _categories(goals)
    if (count_told := network.config.categories) not in (0, len(set(categories.values()))):
        raise ValueError(
            f"the weights to begin with tell {count_told} categories apart, and these goals are of "
            f"{len(set(categories.values()))}: train both on the same ones"
        )
    if variant.imitates:
        demonstrations = Demonstrations(
            demonstrated(others, config.carrying, categories),
            source_of(goals, count),
            config.imitation,
            seed,
            _telling_apart(config.classification) if network.config.categories else None,
            processes,
        )

    def look(clouds: Tensor) -> Mapping[str, Tensor]:
        if variant.geometry == "rewarded":
            return {"cloud": clouds}
        # Of the actor as it is now: what the reward teaches doesn't reach its encoder.
        return {"features": learner.network.features(clouds)}

    def make_env(source: EpisodeSource) -> VecEnv:
        return GoalVecEnv(environments, source, network, config.telling, look)

    learner = PPO(
        teacher_parts(network),
        make_env,
        lambda number: sources[stage_at(stages, number).begin],
        config.ppo,
        seed=seed,
        trained=trained,
        demonstrations=demonstrations,
        processes=processes,
    )
    return learner


def teacher_parts(network: TeacherNetwork) -> ActorCritic:
    """A teacher's networks for PPO: the object's features are observed, or its prepared points."""
    states = teacher_state_size(load_hand(), network.config)

    def read(network: TeacherNetwork, seen: TensorDict) -> Tensor:
        features = seen.get("features")
        if features is None:
            return network.actions(seen["state"], seen["cloud"])
        return network.of_features(seen["state"], features)

    return ActorCritic(
        network,
        lambda outputs: TeacherNetwork(network.config, states, outputs),
        read,
        lambda network: network,
    )


def _telling_apart(weight: float) -> Callable[[TeacherNetwork, Mapping[str, Tensor]], Tensor]:
    """The loss of the classification of objects (3.3.1)."""

    def loss(network: TeacherNetwork, inputs: Mapping[str, Tensor]) -> Tensor:
        found = network.categories(inputs["clouds"])
        return weight * functional.cross_entropy(found, inputs[CATEGORY])

    return loss


def _categories(goals: Grasps) -> dict[str, int]:
    """The number of each object's category."""
    names = [goals.names[index] for index in np.unique(goals.objects)]
    numbers = {name: i for i, name in enumerate(sorted({category_of(name) for name in names}))}
    return {name: numbers[category_of(name)] for name in names}


def _untold(reward: GoalRewardConfig) -> GoalRewardConfig:
    """Without the goal's part, for who isn't told one (D.1)."""
    return dataclasses.replace(reward, joints=0.0, translation=0.0, rotation=0.0, goal_reached=1.0)
