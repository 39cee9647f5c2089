"""DAgger: a student acts, and learns what an expert would have done where it came to.

Ross et al., AISTATS 2011. The expert knows what the policy may not see, as the grasp that is meant.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dexgrasp_learning.labelled_states import KeptRounds, LabelledStates
from dexgrasp_learning.rounds import EpisodeSource, settings_of
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.training.checkpoint import Checkpoint
from dexgrasp_models.training.data import derived_seed
from dexgrasp_models.training.objectives import LOSS
from dexgrasp_models.training.processes import Processes


class ExpertEnvironments(Protocol):
    """N episodes of `horizon` steps side by side, and an expert that looks on."""

    @property
    def horizon(self) -> int:
        """Steps of an episode."""

    def begin(self, episodes: Any, seed: int = 0) -> Any:
        """Begin new ones: what is seen of them."""

    def step(self, actions: np.ndarray) -> Any:
        """Act by (N, A) in [-1, 1]: what is seen next."""

    def expert(self) -> np.ndarray:
        """(N, A) that the expert would do now; beyond [-1, 1] if it wanted to do more."""


@dataclass(frozen=True, eq=False)
class Student:
    """What a task has of its own: the network, and how it comes to see and to act."""

    network: nn.Module
    """Has a `config`, `actions` of the inputs by their names, and `fit_standardisation` of those
    that are named `states`."""
    inputs: Callable[[Any], Mapping[str, Tensor]]
    """The network's inputs, N rows of each, of what is seen of N episodes."""
    policy: Callable[[Any], Any]
    """That acts by such a network, as the judge takes it."""


@dataclass(frozen=True)
class DaggerConfig(Parameters):
    """How the student learns."""

    rounds: int = parameter(1000, 1, 10_000_000, "", "of episodes and updates")
    episodes: int = parameter(64, 1, 65_536, "", "of a round")
    expert_share: float = parameter(
        0.5,
        0.0,
        1.0,
        "",
        "the share of episodes in which the expert acts, all in the first round, falls by this "
        "factor from each to the next",
    )
    reach: float = parameter(
        4.0, 1.0, 1000.0, "", "greatest action of the expert that is learned, 1 is what can be done"
    )
    updates: int = parameter(100, 1, 1_000_000, "", "of the weights in a round")
    batch: int = parameter(512, 1, 1_000_000, "", "states of an update, of all rounds")
    learning_rate: float = parameter(1e-3, 0.0, 1.0, "", "of Adam")
    clip: float = parameter(10.0, 0.0, 1e9, "", "longest gradient; 0 doesn't clip")
    ema: float = parameter(
        0.99, 0.0, 0.999999, "", "share that the running mean of the weights keeps; 0: no mean"
    )
    capacity: int = parameter(
        1_000_000, 1, 1_000_000_000, "", "states that are kept, 1 kB each with basis points"
    )


class Dagger:
    """A `Learner`. The running mean of the weights acts, where there is one."""

    def __init__(
        self,
        student: Student,
        environments: ExpertEnvironments,
        source: EpisodeSource,
        config: DaggerConfig,
        *,
        seed: int,
        folder: Path,
        trained: bool = False,
        processes: Processes | None = None,
    ) -> None:
        """
        Args:
            student: that learns.
            environments: to act in.
            source: draws the episodes of a round, of those this process's share.
            config: how.
            seed: of all that is drawn.
            folder: for the states of earlier rounds, which a run goes on from.
            trained: whether the network is: then it keeps its standardisation.
            processes: that learn together, from the same first weights: each acts in episodes of
                its own, keeps their states, and gradients are averaged.

        Raises:
            ValueError: batches can't be shared out.
        """
        self._processes = processes = processes or Processes()
        self._batch = processes.share(config.batch, "states of an update")
        self._task, self._student = student, cast(Any, student.network)
        self._environments, self._source = environments, source
        self._config, self._seed, self._trained = config, seed, trained
        parameters = student.network.parameters()
        self._device = next(student.network.parameters()).device
        self._optimiser = torch.optim.Adam(parameters, config.learning_rate, fused=True)
        if processes.rank:
            folder = folder.with_name(f"{folder.name}.{processes.rank}")
        self._kept = KeptRounds(folder, config.capacity // processes.count)
        self._average = self._new_average()

    @property
    def settings(self) -> Mapping[str, Any]:
        """The configurations of training and network, and the method."""
        return {"method": "dagger", **settings_of(self._config, self._student)}

    @property
    def network(self) -> Any:
        """The student's, or its running mean."""
        return self._student if self._average is None else self._average.module

    @property
    def policy(self) -> Any:
        """That acts by `network`."""
        return self._task.policy(self.network)

    def round(self, number: int) -> dict[str, float]:
        """Act in new episodes, ask the expert in each state, and learn from all states so far.

        Gives the mean squared error in training (`LOSS`), that in the states that the student came
        to by itself, before it learned from them (nothing in the first round, where the expert
        acts), how many states there are, and the share of the time that acting took.
        """
        begun = time.perf_counter()
        figures, states = self._acted(number)
        acted = time.perf_counter()
        self._kept.add(number, states)
        if number == 0 and not self._trained:
            self._student.fit_standardisation(states.kept["states"].to(self._device))
            self._processes.make_alike(self._student)
        figures[LOSS] = self._learned()
        ended = time.perf_counter()
        figures["states"] = float(len(self._kept.all()))
        figures["acting_share"] = (acted - begun) / (ended - begun)
        return figures

    def state(self) -> dict[str, Any]:
        """See `Learner`."""
        self._kept.checkpointed()
        return {
            "objective": self._student.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """See `Learner`."""
        self._student.load_state_dict(checkpoint.objective)
        self._optimiser.load_state_dict(checkpoint.optimiser)
        if self._average is not None and checkpoint.average is not None:
            self._average.load_state_dict(checkpoint.average)
        self._kept.restore(checkpoint.step)

    def _acted(self, number: int) -> tuple[dict[str, float], LabelledStates]:
        seed = derived_seed(self._seed, "episodes", number, *self._processes.own)
        rng = np.random.default_rng(seed)
        environments, config = self._environments, self._config
        episodes = self._source(rng)
        seen = environments.begin(episodes, int(rng.integers(2**31)))
        by_expert = rng.random(len(episodes)) < config.expert_share**number
        parts, errors = [], []
        for _ in range(environments.horizon):
            inputs = self._task.inputs(seen)
            wanted = environments.expert()
            labels = np.clip(wanted, -config.reach, config.reach)
            with torch.no_grad():
                found = self.network.actions(**inputs).cpu().numpy()
            errors.append(np.square(found - labels).mean(axis=1)[~by_expert])
            told = torch.as_tensor(labels, dtype=inputs["states"].dtype)
            parts.append(LabelledStates.of(inputs, told))
            done = np.where(by_expert[:, None], wanted, found)
            seen = environments.step(np.clip(done, -1.0, 1.0))
        figures = {"expert_share": float(by_expert.mean())}
        if not by_expert.all():
            figures["error_on_its_own"] = float(np.mean(errors))
        return figures, LabelledStates.together(parts)

    def _learned(self) -> float:
        """Mean of the loss over the updates."""
        config, states = self._config, self._kept.all()
        total = 0.0
        self._student.train()
        for _ in range(config.updates):
            rows = torch.randint(len(states), (self._batch,))
            batch = states.rows(rows).to(self._device)
            errors = self._student.actions(**batch.inputs) - batch.actions
            loss = errors.square().mean()
            self._optimiser.zero_grad()
            loss.backward()
            self._processes.average(self._student.parameters())
            nn.utils.clip_grad_norm_(self._student.parameters(), config.clip or math.inf)
            self._optimiser.step()
            if self._average is not None:
                self._average.update_parameters(self._student)
            total += float(loss.detach())
        self._student.eval()
        return total / config.updates

    def _new_average(self) -> AveragedModel | None:
        if not self._config.ema:
            return None
        return AveragedModel(self._student, multi_avg_fn=get_ema_multi_avg_fn(self._config.ema))
