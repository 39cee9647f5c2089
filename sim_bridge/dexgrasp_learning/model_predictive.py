"""Model-predictive control by the cross-entropy method: UniDexGrasp's baseline MP (B.2.2).

The model is the simulator itself: what would come of actions is tried from the present state, and
the task's reward summed up. So it is told the true states, and how all will move.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dexgrasp_learning.cross_entropy import Belief, CrossEntropyConfig, searched
from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_models.config import load_config
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.goal_action import WRIST, action_size, actions_to
from dexgrasp_models.tasks.goal_observation import GoalObservation


@dataclass(frozen=True)
class ModelPredictiveConfig(Parameters):
    """How far ahead it looks, and how it searches there."""

    pieces: int = parameter(2, 1, 100, "", "actions ahead; the first is done, then it looks again")
    hold: int = parameter(10, 1, 100, "", "steps for which each is held")
    wrist_deviation: float = parameter(
        0.3, 0.0, 2.0, "", "of the wrist's numbers of an action as a search begins"
    )
    finger_deviation: float = parameter(0.2, 0.0, 2.0, "", "likewise of the fingers'")
    search: CrossEntropyConfig = field(default_factory=CrossEntropyConfig)
    seed: int = parameter(0, 0, 2**31, "", "of the search")


def load_model_predictive_config(name: str = "mpc.yaml") -> ModelPredictiveConfig:
    """The settings in a configuration file.

    Raises:
        FileNotFoundError, ValueError: it is missing, or holds a bad value.
    """
    return ModelPredictiveConfig.from_mapping(load_config(name))


class ModelPredictivePolicy:
    """Tries actions in a model, and does what scored best; a `GoalPolicy`.

    A search begins where the last one left off. What comes out of the model's own steps is what
    will be, so the object may be lifted by chance alone: nothing can act so on a robot.

    Args:
        environments: where it acts, and whose episodes and physics are the model's.
        config: how it looks ahead.
    """

    def __init__(self, environments: GoalEnvironments, config: ModelPredictiveConfig) -> None:
        self._environments, self._config = environments, config
        self._model, self._hand = environments.alike(), load_hand()

    def begin(self, count: int) -> None:
        """The model is built, and nothing is planned yet."""
        rows = np.repeat(np.arange(count), self._config.search.samples)
        self._model.begin(self._environments.episodes[rows])
        self._rng = np.random.default_rng(self._config.seed)
        self._planned = np.repeat(self._staying()[:, None], self._config.pieces, axis=1)

    def actions(self, seen: GoalObservation) -> np.ndarray:
        """(N, 24) in [-1, 1]."""
        done, due = divmod(self._environments.steps, self._config.hold)
        if not due:
            if done:  # what was planned for later, and the same for longer
                self._planned = np.concatenate((self._planned[:, 1:], self._planned[:, -1:]), 1)
            self._planned = self._searched()
        return self._planned[:, 0]

    def _searched(self) -> np.ndarray:
        """(N, pieces, 24) that score best from here."""
        config, shape = self._config, self._planned.shape
        deviation = np.full(action_size(self._hand), config.finger_deviation)
        deviation[:WRIST] = config.wrist_deviation
        mean = self._planned.reshape(len(self._planned), -1)
        belief = Belief(mean, np.broadcast_to(np.tile(deviation, config.pieces), mean.shape))
        return searched(belief, self._returns, config.search, self._rng).best.reshape(shape)

    def _returns(self, tried: np.ndarray) -> np.ndarray:
        """(N, S) sums of rewards of actions (N, S, pieces * 24), as far as episodes go."""
        count, samples, _ = tried.shape
        pieces = tried.reshape(count * samples, self._config.pieces, -1)
        model, total = self._model, np.zeros(count * samples)
        model.take_up(self._environments)
        left = model.config.horizon - model.steps
        for step in range(min(self._config.pieces * self._config.hold, left)):
            total += model.step(pieces[:, step // self._config.hold])[1]
        total[list(model.faults)] = np.nan
        return total.reshape(count, samples)

    def _staying(self) -> np.ndarray:
        """(N, 24) that leave wrist and fingers where they are."""
        now = self._environments
        wrists = now.wrist_targets
        return actions_to(wrists, wrists, now.targets, now.frames, self._hand, now.config)
