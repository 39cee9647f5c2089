"""PPO (Schulman et al., 2017) by rsl_rl's runner, of whatever network a task has.

A round is one episode of all environments, and the updates in it or after it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor, nn

# rsl_rl imports GitPython, which refuses where there is no git; nothing here asks it for anything.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from rsl_rl.env import VecEnv
from rsl_rl.models import MLPModel
from rsl_rl.modules.distribution import GaussianDistribution
from rsl_rl.runners import OnPolicyRunner

from dexgrasp_learning.imitation import Demonstrations, Imitation
from dexgrasp_learning.rounds import EpisodeSource, settings_of
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.training.checkpoint import Checkpoint, TrainingError
from dexgrasp_models.training.data import derived_seed
from dexgrasp_models.training.objectives import LOSS
from dexgrasp_models.training.processes import Processes


@dataclass(frozen=True)
class PPOConfig(Parameters):
    """How it learns; the defaults are GraspGF's (B.2), or those of its code where B.2 is silent."""

    steps: int = parameter(10_000_000, 1, 10_000_000_000, "", "of all environments together")
    environments: int = parameter(100, 1, 65_536, "", "side by side")
    rollout: int = parameter(
        0, 0, 10_000, "", "steps of each environment to an update; 0: a whole episode"
    )
    epochs: int = parameter(2, 1, 1000, "", "in which a round's steps are learned from")
    mini_batch: int = parameter(64, 1, 1_000_000, "", "steps of an update")
    learning_rate: float = parameter(3e-4, 0.0, 1.0, "", "of Adam, at first")
    divergence: float = parameter(
        0.016, 0.0, 10.0, "", "Kullback-Leibler, which the rate is adapted to; 0: it is constant"
    )
    discount: float = parameter(0.99, 0.0, 1.0, "", "gamma")
    trace: float = parameter(0.95, 0.0, 1.0, "", "lambda of the advantages")
    clip: float = parameter(0.2, 0.0, 10.0, "", "of the ratio of probabilities, and of values")
    deviation: float = parameter(0.8, 1e-6, 10.0, "", "of the noise on the outputs, at first")
    trained_deviation: float = parameter(
        0.2, 1e-6, 10.0, "", "likewise, of a network that was trained before"
    )
    critic_rounds: int = parameter(
        0, 0, 1_000_000, "", "at first, in which the critic alone learns: it knows less"
    )
    entropy: float = parameter(0.0, 0.0, 10.0, "", "weight of the entropy")
    value: float = parameter(1.0, 0.0, 100.0, "", "weight of the values' loss")
    gradient: float = parameter(1.0, 0.0, 1e9, "", "longest gradient, of actor and critic each")


@dataclass(frozen=True, eq=False)
class ActorCritic:
    """What a task has of its own: its networks, what they see, and how it acts by one."""

    network: nn.Module
    """The actor's to begin with: it has a `config`, a `head`, and `fit_standardisation`."""
    make: Callable[[int], nn.Module]
    """One like it, of so many outputs; a critic has one."""
    read: Callable[[Any, TensorDict], Tensor]
    """(N, A) outputs of such a network for what is observed of N environments."""
    policy: Callable[[Any], Any]
    """That acts by it without noise, as the judge takes it."""


class NetworkModel(MLPModel):
    """A network as an actor or a critic of rsl_rl."""

    def __init__(
        self,
        obs: TensorDict,
        obs_groups: dict[str, list[str]],
        obs_set: str,
        output_dim: int,
        parts: ActorCritic,
        distribution: dict[str, Any] | None = None,
    ) -> None:
        """`distribution`: settings of the noise on the outputs; None for a critic."""
        nn.Module.__init__(self)  # MLPModel's own builds an MLP of vectors
        self.obs_normalization = False
        self.network = parts.make(output_dim)
        self._read = parts.read
        self.distribution = (
            None if distribution is None else GaussianDistribution(output_dim, **distribution)
        )

    def mlp(self, obs: TensorDict) -> Tensor:
        """What MLPModel draws around: the network's outputs."""
        return self._read(self.network, obs)

    def get_latent(self, obs: TensorDict, *_: Any) -> TensorDict:
        """The observation as it is."""
        return obs


class NumberedEpisodes:
    """An episode source that draws by the number of the draw, so that it can go on anywhere.

    Args:
        source_of: what draws, of the number.
        seed: of all draws.
        own: tells a process's draws from those of others.

    Attributes:
        number: of the next draw.
    """

    def __init__(
        self, source_of: Callable[[int], EpisodeSource], seed: int, own: Sequence[int] = ()
    ) -> None:
        self._source_of, self._seed, self._own, self.number = source_of, seed, own, 0

    def __call__(self, _: np.random.Generator) -> Any:
        """The next episodes, whatever generator is given."""
        seed = derived_seed(self._seed, "episodes", self.number, *self._own)
        rng = np.random.default_rng(seed)
        source = self._source_of(self.number)
        self.number += 1
        return source(rng)


class PPO:
    """A `Learner`."""

    def __init__(
        self,
        parts: ActorCritic,
        make_env: Callable[[EpisodeSource], VecEnv],
        source_of: Callable[[int], EpisodeSource],
        config: PPOConfig,
        *,
        seed: int,
        trained: bool = False,
        demonstrations: Demonstrations | None = None,
        about: Mapping[str, Any] | None = None,
        processes: Processes | None = None,
    ) -> None:
        """
        Args:
            parts: of the task; the critic begins with all of the network but its head.
            make_env: of a source of episodes, which the environment draws from when it is made and
                at the end of each.
            source_of: of a round's number, what draws its episodes, of those this process's share.
            config: how.
            seed: of all that is drawn.
            trained: whether the network is: then it keeps its standardisation.
            demonstrations: to imitate as well, in other environments.
            about: what else a run must share with an earlier one to go on from it.
            processes: that learn together: each acts in episodes of its own, takes its share of
                each mini-batch from them, and gradients are averaged.

        Raises:
            ValueError: mini-batches can't be shared out.
        """
        self._processes = processes = processes or Processes()
        self._batch = processes.share(config.mini_batch, "steps of an update")
        self._parts, self._first, self._config = parts, cast(Any, parts.network), config
        self._make_env, self._trained = make_env, trained
        self._episodes = NumberedEpisodes(source_of, seed, processes.own)
        self._seed = seed
        self._demonstrations, self._about = demonstrations, dict(about or {})
        self._imitation: Imitation | None = None
        self._restored: Checkpoint | None = None
        self._runner: OnPolicyRunner | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        """The configurations of training and network, the method, and what else was told."""
        return {"method": "ppo", **settings_of(self._config, self._first), **self._about}

    @property
    def network(self) -> Any:
        """The actor's."""
        return self._first if self._runner is None else self._runner.alg.actor.network

    @property
    def policy(self) -> Any:
        """That does what the actor does without noise."""
        return self._parts.policy(self.network)

    def round(self, number: int) -> dict[str, float]:
        """One episode in all environments, with its updates.

        Gives what the environment tells at the episodes' end, the mean return, whose negative is
        `LOSS`, the agent's steps in all, rsl_rl's losses, the share of the time that acting took,
        and the weight of the demonstrations, where there are any. But for the steps these are of
        this process's episodes.
        """
        runner, imitated = self._runner or self._begun(number), {}
        learns = number >= self._config.critic_rounds
        runner.alg.actor.requires_grad_(learns)
        # A rate that is adapted to how far an actor went would grow beside one that stays.
        runner.alg.schedule = "adaptive" if learns and self._config.divergence else "fixed"
        if self._imitation is not None:
            imitated = {"imitation_weight": self._imitation.begin_round(number)}
        # What making the runner drew doesn't matter: a resumed round draws as any other.
        torch.manual_seed(derived_seed(self._seed, "noise", number, *self._processes.own))
        runner.learn(int(runner.env.max_episode_length) // runner.cfg["num_steps_per_env"])
        environments = runner.env.num_envs * self._processes.count
        steps = environments * int(runner.env.max_episode_length)
        return {**runner.logger.figures, **imitated, "agent_steps": float((number + 1) * steps)}

    def state(self) -> dict[str, Any]:
        """See `Learner`."""
        if self._runner is None:
            raise ValueError("there is no state before the first round")
        saved = self._runner.alg.save()
        models = {name: saved[f"{name}_state_dict"] for name in ("actor", "critic")}
        return {"objective": models, "optimiser": saved["optimizer_state_dict"], "average": None}

    def restore(self, checkpoint: Checkpoint) -> None:
        """See `Learner`."""
        self._restored = checkpoint

    def _begun(self, number: int) -> OnPolicyRunner:
        """The runner, made with the episodes of a round."""
        config, processes = self._config, self._processes
        processes.make_alike(self._first)
        self._episodes.number = number
        env = self._make_env(self._episodes)
        deviation = config.trained_deviation if self._trained else config.deviation
        runner = _quiet_runner(env, self._parts, config, deviation, self._batch, processes)
        algorithm = runner.alg
        if (demonstrations := self._demonstrations) is not None:
            self._imitation = Imitation(
                algorithm.actor,
                algorithm.optimizer,
                demonstrations(self._first),
                demonstrations.config,
                config.gradient,
                demonstrations.beside,
                processes,
            )
        first = self._first
        if self._restored is not None:
            models = {f"{n}_state_dict": found for n, found in self._restored.objective.items()}
            stored = {**models, "optimizer_state_dict": self._restored.optimiser}
            algorithm.load(stored, None, strict=True)
        else:
            if not self._trained:
                first.fit_standardisation(_first_states(env))
                processes.make_alike(first)
            known = first.state_dict()
            algorithm.actor.network.load_state_dict(known)
            seen = {name: v for name, v in known.items() if not name.startswith("head.")}
            algorithm.critic.network.load_state_dict(seen, strict=False)
        if processes.count > 1:
            algorithm.broadcast_parameters()
        self._runner = runner
        if self._restored is not None or not self._trained:
            # The same episodes from their start, seen through the network as it is now.
            self._episodes.number = number
            runner.env = self._make_env(self._episodes)
        return runner


class _Log:
    """In the place of rsl_rl's logger: writes nothing, keeps the figures of the last round.

    Attributes:
        writer: None, so that the runner saves nothing either.
        figures: see `PPO.round`.
    """

    writer = None

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._return = 0.0

    def init_logging_writer(self) -> None:
        """A round begins."""
        self._told, self._return = {}, 0.0

    def process_env_step(self, rewards: Tensor, dones: Tensor, extras: dict, *_: Any) -> None:
        """Add up what a step brought."""
        self._return += float(rewards.mean())
        told = extras.get("log", {}).items()
        self._told |= {
            name.strip("/"): float(torch.as_tensor(value, dtype=torch.float).mean())
            for name, value in told
        }

    def log(self, *, collect_time: float, learn_time: float, **found: Any) -> None:
        """The round is over."""
        self.figures = {
            LOSS: -self._return,
            "return": self._return,
            **self._told,
            **{f"{name}_loss": float(value) for name, value in found["loss_dict"].items()},
            "learning_rate": float(found["learning_rate"]),
            "deviation": float(found["action_std"].detach().mean()),
            "acting_share": collect_time / (collect_time + learn_time),
        }


class _Runner(OnPolicyRunner):
    """rsl_rl's, of processes that have joined, wherever: its own joins them, and on GPUs alone."""

    def __init__(self, env: VecEnv, settings: dict[str, Any], processes: Processes) -> None:
        self._processes = processes
        # Without a folder it stores neither the repository's state nor models of its own.
        super().__init__(env, settings, log_dir=None, device=str(env.device))

    def _configure_multi_gpu(self) -> None:
        processes = self._processes
        self.is_distributed = False  # it need not make them alike in each round
        self.gpu_world_size, self.gpu_global_rank = processes.count, processes.rank
        self.gpu_local_rank = processes.device.index or 0
        shared = {
            "global_rank": self.gpu_global_rank,
            "local_rank": self.gpu_local_rank,
            "world_size": self.gpu_world_size,
        }
        self.cfg["multi_gpu"] = shared if processes.count > 1 else None


def _quiet_runner(
    env: VecEnv,
    parts: ActorCritic,
    config: PPOConfig,
    deviation: float,
    batch: int,
    processes: Processes,
) -> OnPolicyRunner:
    """rsl_rl's runner, which leaves files, prints and logs to its caller.

    Args:
        batch: steps of an update that this process has.
    """
    steps = config.rollout or int(env.max_episode_length)
    if int(env.max_episode_length) % steps:
        raise TrainingError(
            f"episodes of {env.max_episode_length} steps are no whole number of rollouts of {steps}"
        )
    taken = steps * env.num_envs
    if taken < batch:
        raise TrainingError(
            f"a rollout of {taken} steps has no mini-batch of {batch}: take more "
            "environments, or smaller ones"
        )
    # A policy without a primitive sees no gradient.
    groups = sorted(env.get_observations().keys())
    settings = {
        "num_steps_per_env": steps,
        "save_interval": 1,
        "obs_groups": {"actor": groups, "critic": groups},
        "actor": {
            "class_name": NetworkModel,
            "parts": parts,
            "distribution": {"init_std": deviation, "std_type": "log"},
        },
        "critic": {"class_name": NetworkModel, "parts": parts},
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": config.epochs,
            "num_mini_batches": taken // batch,
            "clip_param": config.clip,
            "gamma": config.discount,
            "lam": config.trace,
            "value_loss_coef": config.value,
            "entropy_coef": config.entropy,
            "learning_rate": config.learning_rate,
            "max_grad_norm": config.gradient,
            "desired_kl": config.divergence or None,
        },
    }
    with redirect_stdout(io.StringIO()):
        runner = _Runner(env, settings, processes)
    runner.logger = _Log()
    return runner


def _first_states(env: VecEnv) -> Tensor:
    """(M, S) of one episode in which each hand keeps to actions of its own.

    So joints go all over their range: a hand that were still would have them of hardly any
    deviation, and nothing could be told of those that move later.
    """
    states = [env.get_observations()["state"]]
    kept = 2.0 * torch.rand(env.num_envs, env.num_actions, device=env.device) - 1.0
    for _ in range(int(env.max_episode_length) - 1):
        states.append(env.step(kept)[0]["state"])
    return torch.cat(states)
