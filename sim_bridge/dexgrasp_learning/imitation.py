"""Demonstrations beside PPO, for the teacher of UniDexGrasp (3.3.1) and baselines of both papers.

After DAPG (Rajeswaran et al., RSS 2018): to the gradient of PPO that of the demonstrations'
likelihood is added, with a weight that falls from round to round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rsl_rl.models import MLPModel
from tensordict import TensorDict
from torch import Tensor, nn

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.labelled_states import LabelledStates
from dexgrasp_learning.rounds import EpisodeSource
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes
from dexgrasp_models.tasks.assist_inputs import InputMaker
from dexgrasp_models.tasks.assist_oracle import interpolating_actions
from dexgrasp_models.training.data import derived_seed
from dexgrasp_models.training.processes import Processes

Beside = Callable[[Any, Mapping[str, Tensor]], Tensor]
"""A loss of a network and of what it takes of B demonstrated states, by its names."""

ActedEpisodes = Callable[[Any, Any, int], Iterable[LabelledStates]]
"""Of a network, episodes and a seed: the states in them, as the network sees them."""


@dataclass(frozen=True)
class ImitationConfig(Parameters):
    """How much of the demonstrations is learned; but for their number the papers are silent."""

    transitions: int = parameter(
        125_000, 1, 1_000_000_000, "", "of all demonstrations, where a variant hasn't fewer (C)"
    )
    weight: float = parameter(
        0.1, 0.0, 100.0, "", "of the demonstrations' gradient in the first round"
    )
    decay: float = parameter(
        0.99, 0.0, 1.0, "", "factor of that weight from each round to the next"
    )
    batch: int = parameter(64, 1, 1_000_000, "", "transitions of an update")


class Demonstrations:
    """What there is to imitate: episodes that an expert acts in.

    Attributes:
        config: how much of it.
        beside: see `__init__`.
    """

    def __init__(
        self,
        acted: ActedEpisodes,
        source: EpisodeSource,
        config: ImitationConfig,
        seed: int,
        beside: Beside | None = None,
        processes: Processes | None = None,
    ) -> None:
        """
        Args:
            acted: the states of some episodes.
            source: draws them.
            config: how many transitions.
            seed: of the episodes.
            beside: what else is learned from their states.
            processes: that each have a share of the transitions.
        """
        self.config, self.beside = config, beside
        self._acted, self._source = acted, source
        self._processes = processes = processes or Processes()
        self._seeds = (seed, "demonstrations", *processes.own)

    def __call__(self, network: Any) -> LabelledStates:
        """As such a network sees them; each time the same."""
        missing = count = math.ceil(self.config.transitions / self._processes.count)
        parts: list[LabelledStates] = []
        while missing > 0:
            number = derived_seed(*self._seeds, len(parts))
            episodes = self._source(np.random.default_rng(number))
            parts.append(LabelledStates.together(self._acted(network, episodes, number % 2**31)))
            missing -= len(parts[-1])
        return LabelledStates.together(parts).rows(torch.arange(count))


def interpolated(environments: AssistEnvironments) -> ActedEpisodes:
    """Trajectories along the straight way to the goals' joints, for a network without a primitive.

    Args:
        environments: of the human-assisting task, to drive in; their present episodes are given up.
    """
    hand = load_hand()

    def acted(
        network: AssistNetwork, episodes: AssistEpisodes, seed: int
    ) -> Iterator[LabelledStates]:
        inputs, joints = InputMaker(network, None, hand), episodes.goals.joints
        seen = environments.begin(episodes, seed)
        for step in range(environments.config.horizon):
            steps, targets = np.full(len(joints), step), environments.targets
            actions = interpolating_actions(steps, targets, joints, hand, environments.config)
            tensor = torch.as_tensor(actions, dtype=torch.float32)
            yield LabelledStates.of(inputs(seen).named, tensor)
            seen = environments.step(actions)

    return acted


class Imitation:
    """Adds the demonstrations' gradient to the actor's before each step of the optimiser.

    Both are cut to the same length on their own. Rounds have to be begun. Of processes that learn
    together each takes its share of a batch, of its own states, and all add the mean gradient.
    """

    def __init__(
        self,
        actor: MLPModel,
        optimiser: torch.optim.Optimizer,
        states: LabelledStates,
        config: ImitationConfig,
        longest: float,
        beside: Beside | None = None,
        processes: Processes | None = None,
    ) -> None:
        self._processes = processes or Processes()
        self._batch = self._processes.share(config.batch, "transitions of an update")
        self._actor, self._states, self._beside = actor, states, beside
        self._config, self._longest = config, longest
        self._weight = config.weight
        self._parameters = list(actor.parameters())
        optimiser.register_step_pre_hook(self._add)

    def begin_round(self, number: int) -> float:
        """The weight of the added gradient in this round, the first being 0."""
        self._weight = self._config.weight * self._config.decay**number
        return self._weight

    def gradients(self) -> list[torch.Tensor]:
        """Of the negative mean log likelihood of a batch, of the actor's parameters, cut."""
        batch = self._batch
        some = self._states.rows(torch.randint(len(self._states), (batch,)))
        some = some.to(self._parameters[0].device)
        inputs = some.inputs
        seen = TensorDict({"state": inputs["states"], "cloud": inputs["clouds"]}, [batch])
        self._actor(seen, stochastic_output=True)
        loss = -self._actor.get_output_log_prob(some.actions).mean()
        if self._beside is not None:
            loss = loss + self._beside(self._actor.network, inputs)
        found = self._processes.averaged(torch.autograd.grad(loss, self._parameters))
        length = nn.utils.get_total_norm(found)
        return [each * (self._longest / length.clamp_min(self._longest)) for each in found]

    def _add(self, *_: Any) -> None:
        if not all(values.requires_grad for values in self._parameters):
            return  # the critic learns alone
        for values, more in zip(self._parameters, self.gradients(), strict=True):
            if values.grad is None:  # nothing that is rewarded depends on them
                values.grad = torch.zeros_like(values)
            values.grad += self._weight * more
