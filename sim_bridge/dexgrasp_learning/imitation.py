"""Demonstrations beside PPO, for the baselines ILAD and IBS (GraspGF, 4.3 and C).

After DAPG (Rajeswaran et al., RSS 2018): to the gradient of PPO that of the demonstrations'
likelihood is added, with a weight that falls from round to round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rsl_rl.models import MLPModel
from tensordict import TensorDict
from torch import nn

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.labelled_states import LabelledStates
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.assist_episodes import EpisodeSource
from dexgrasp_models.tasks.assist_inputs import InputMaker
from dexgrasp_models.tasks.assist_oracle import interpolating_actions
from dexgrasp_models.training.data import derived_seed


@dataclass(frozen=True)
class ImitationConfig(Parameters):
    """How much of the demonstrations is learned; but for their number the paper is silent."""

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
    """Trajectories along the straight way to the goals' joints, in episodes for training.

    Args:
        environments: to drive in; their present episodes are given up.
        source: draws the episodes.
        config: how many transitions.
        seed: of the episodes.
    """

    def __init__(
        self,
        environments: AssistEnvironments,
        source: EpisodeSource,
        config: ImitationConfig,
        seed: int,
    ) -> None:
        self.config = config
        self._environments, self._source, self._seed = environments, source, seed

    def __call__(self, network: AssistNetwork) -> LabelledStates:
        """As a network without a primitive sees them; each time the same."""
        environments, hand = self._environments, load_hand()
        inputs, missing = InputMaker(network, None, hand), self.config.transitions
        parts: list[LabelledStates] = []
        while missing > 0:
            number = derived_seed(self._seed, "demonstrations", len(parts))
            seen = environments.begin(self._source(np.random.default_rng(number)), number % 2**31)
            joints = environments.episodes.goals.joints
            for step in range(environments.config.horizon):
                actions = interpolating_actions(
                    np.full(len(joints), step),
                    environments.targets,
                    joints,
                    hand,
                    environments.config,
                )
                tensor = torch.as_tensor(actions, dtype=torch.float32)
                parts.append(LabelledStates.of(inputs(seen).named, tensor))
                seen = environments.step(actions)
                missing -= len(actions)
        return LabelledStates.together(parts).rows(torch.arange(self.config.transitions))


class Imitation:
    """Adds the demonstrations' gradient to the actor's before each step of the optimiser.

    Both are cut to the same length on their own. Rounds have to be begun.
    """

    def __init__(
        self,
        actor: MLPModel,
        optimiser: torch.optim.Optimizer,
        states: LabelledStates,
        config: ImitationConfig,
        longest: float,
    ) -> None:
        self._actor, self._states = actor, states
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
        batch = self._config.batch
        some = self._states.rows(torch.randint(len(self._states), (batch,)))
        inputs = some.inputs
        seen = TensorDict({"state": inputs["states"], "cloud": inputs["clouds"]}, [batch])
        self._actor(seen, stochastic_output=True)
        loss = -self._actor.get_output_log_prob(some.actions).mean()
        found = torch.autograd.grad(loss, self._parameters)
        length = nn.utils.get_total_norm(found)
        return [each * (self._longest / length.clamp_min(self._longest)) for each in found]

    def _add(self, *_: Any) -> None:
        for values, more in zip(self._parameters, self.gradients(), strict=True):
            if values.grad is not None:
                values.grad += self._weight * more
