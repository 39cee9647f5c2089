"""What training of the human-assisting task needs, put together: goals, environments, a learner."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from rsl_rl.env import VecEnv
from torch import Tensor

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.dagger import Dagger, DaggerConfig, Student
from dexgrasp_learning.goal_episodes import EpisodeJudge, GoalEpisodes
from dexgrasp_learning.imitation import Demonstrations, ImitationConfig, interpolated
from dexgrasp_learning.methods import check_method, planned_rounds, resized
from dexgrasp_learning.ppo import PPO, ActorCritic, PPOConfig
from dexgrasp_learning.randomisation import RandomisationConfig
from dexgrasp_learning.residual_vec_env import ResidualVecEnv
from dexgrasp_learning.rounds import EpisodeSource, Learner, train_rounds
from dexgrasp_learning.task_scenes import task_scene, told_backend
from dexgrasp_learning.taught_environments import TaughtEnvironments
from dexgrasp_learning.variants import OURS, VARIANTS
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.assist_network import AssistNetwork, AssistNetworkConfig
from dexgrasp_models.nets.graspgf import GraspGF
from dexgrasp_models.parameters import Parameters, choice, parameter
from dexgrasp_models.tasks.assist_config import AssistConfig, AssistRewardConfig
from dexgrasp_models.tasks.assist_episodes import Clouds
from dexgrasp_models.tasks.assist_inputs import InputMaker
from dexgrasp_models.tasks.assist_observation import AssistObservation
from dexgrasp_models.tasks.assist_oracle import OracleConfig
from dexgrasp_models.tasks.learned_assist import NetworkPolicy
from dexgrasp_models.tasks.wrist_patterns import WristPatterns
from dexgrasp_models.training.config import network_config, recipe_values
from dexgrasp_models.training.data import derived_seed
from dexgrasp_models.training.processes import Processes
from dexgrasp_models.training.run import Progress, Run
from dexgrasp_sim.datasets.grasp_trials import LoadObject

RECIPE = "assist"
"""Its name in the files of `config/training/`."""


@dataclass(frozen=True)
class AssistTraining(Parameters):
    """Settings of a training; what its variant has otherwise is not in them but in `VARIANTS`."""

    variant: str = choice(OURS, tuple(VARIANTS), "what is trained: GraspGF's policy, or another")
    dagger: DaggerConfig = field(default_factory=DaggerConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    task: AssistConfig = field(default_factory=AssistConfig)
    oracle: OracleConfig = field(default_factory=OracleConfig)
    reward: AssistRewardConfig = field(default_factory=AssistRewardConfig)
    imitation: ImitationConfig = field(default_factory=ImitationConfig)
    randomisation: RandomisationConfig = field(default_factory=RandomisationConfig)
    judge_every: int = parameter(10, 1, 1_000_000, "", "rounds from one validation to the next")
    judged: int = parameter(128, 1, 65_536, "", "episodes of a validation, always the same")


@dataclass(frozen=True, eq=False)
class AssistData:
    """What is learned from, and what the best weights are chosen by."""

    training: Grasps
    """Goals, with squeezes for DAgger's expert."""
    validation: Grasps
    """Of other objects."""
    patterns: WristPatterns
    clouds: Clouds
    load: LoadObject


def load_assist_training(
    name: str,
    rounds: int | None = None,
    episodes: int | None = None,
    variant: str | None = None,
) -> tuple[AssistTraining, AssistNetworkConfig]:
    """The settings in a file of `config/training/`, or in any YAML file by its path.

    Args:
        name: as of `load_training`.
        rounds: instead of the file's.
        episodes: of a round, likewise.
        variant: of `VARIANTS`, likewise; the network has what it asks for.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it doesn't have the recipe, or has an unknown name or a bad value.
    """
    values = recipe_values(RECIPE, name)
    network = network_config(AssistNetworkConfig, values.pop("network", "small"))
    found = AssistTraining.from_mapping(values)
    if variant is not None:
        found = dataclasses.replace(found, variant=variant)
    network = VARIANTS[found.variant].network_of(network)
    return resized(found, rounds, episodes), network


def train_assist(
    method: str,
    network: AssistNetwork,
    primitive: GraspGF | None,
    data: AssistData,
    config: AssistTraining,
    run: Run,
    *,
    trained: bool = False,
    threads: int = 1,
    backend: str | None = None,
    processes: Processes | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train a policy by `dagger` or `ppo`, until its last round or for a budget.

    Args:
        method: which.
        network: to begin with. If it isn't trained it takes the primitive's encoder, where that is
            of its kind (B.2).
        primitive: see `InputMaker`.
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
        ValueError: goals have no squeezes, or no table; or the network or the method can't be the
            variant's.
        MeshError, PerceptionError: an object can't be used.
    """
    check_method(method, "policy")
    variant = VARIANTS[config.variant]
    if not variant.has(network.config):
        raise ValueError(f"the weights to begin with aren't of {config.variant}: another network")
    if variant.needs_reward and method != "ppo":
        raise ValueError(f"{config.variant} differs in what is rewarded: it is trained by ppo")
    if primitive is not None and not trained:
        network.take_encoder(primitive)
    scene = task_scene(config.task.rate, backend)
    # Episodes of PPO have begun when those of the judge or of demonstrations do.
    environments, others = (
        AssistEnvironments(
            config.task, scene, data.load, randomisation=config.randomisation, threads=threads
        )
        for _ in range(2)
    )
    judging = GoalEpisodes(
        data.validation,
        data.patterns.held_out,
        data.clouds,
        config.judged,
        config.task,
        blended=False,
        hints=network.config.hint,
    )
    episodes = judging(np.random.default_rng(derived_seed(run.seed, "validation")))
    processes = processes or Processes()
    learner = _learner(
        method, network, primitive, environments, others, data, config, run, trained, processes
    )
    about: dict[str, Any] = told_backend(scene.backend)
    if config.randomisation != RandomisationConfig():
        about["randomisation"] = dataclasses.asdict(config.randomisation)
    return train_rounds(
        learner,
        planned_rounds(method, config),
        run,
        judge=EpisodeJudge(others, episodes),
        judge_every=config.judge_every,
        about=about,
        report=report,
        processes=processes,
    )


def _learner(
    method: str,
    network: AssistNetwork,
    primitive: GraspGF | None,
    environments: AssistEnvironments,
    others: AssistEnvironments,
    data: AssistData,
    config: AssistTraining,
    run: Run,
    trained: bool,
    processes: Processes,
) -> Learner:
    def source_of(count: int) -> GoalEpisodes:
        patterns, hints = data.patterns.training, network.config.hint
        return GoalEpisodes(data.training, patterns, data.clouds, count, config.task, hints=hints)

    inputs = InputMaker(network, primitive, load_hand())
    if method == "dagger":
        return Dagger(
            Student(
                network,
                lambda seen: inputs(seen).named,
                lambda trained: NetworkPolicy(trained, primitive),
            ),
            TaughtEnvironments(environments, config.oracle),
            source_of(processes.share(config.dagger.episodes, "episodes")),
            config.dagger,
            seed=run.seed,
            folder=run.out / f"{run.name}.states",
            trained=trained,
            processes=processes,
        )
    variant = VARIANTS[config.variant]
    source = source_of(processes.share(config.ppo.environments, "environments"))
    rewards = variant.reward_of(config.reward)
    about: dict[str, Any] = {}
    if config.variant != OURS:
        about = {"variant": config.variant, "reward": dataclasses.asdict(rewards)}
    demonstrations = None
    if variant.imitates:
        imitation = variant.imitation_of(config.imitation)
        demonstrations = Demonstrations(
            interpolated(others), source, imitation, run.seed, processes=processes
        )
        about["imitation"] = dataclasses.asdict(imitation)

    def gradients(seen: AssistObservation) -> np.ndarray:
        return cast(Tensor, inputs(seen).gradients).double().numpy()

    def make_env(source: EpisodeSource) -> VecEnv:
        followed = gradients if network.needs_gradient else None
        return ResidualVecEnv(
            environments,
            source,
            followed,
            rewards,
            outputs=network.config.outputs,
            pressing=network.config.pressing,
            hint=network.config.hint,
            clouds=inputs.clouds,
            seed=run.seed,
        )

    return PPO(
        actor_critic(network, primitive),
        make_env,
        lambda number: source,
        config.ppo,
        seed=run.seed,
        trained=trained,
        demonstrations=demonstrations,
        about=about,
        processes=processes,
    )


def actor_critic(network: AssistNetwork, primitive: GraspGF | None) -> ActorCritic:
    """The task's networks for PPO: clouds are prepared, and the primitive's gradient is observed
    (GraspGF, 3.2)."""
    return ActorCritic(
        network,
        lambda outputs: AssistNetwork(network.config, outputs=outputs),
        lambda network, seen: network.of_prepared(
            seen["state"], seen["cloud"], seen.get("gradient")
        ),
        lambda network: NetworkPolicy(network, primitive),
    )
