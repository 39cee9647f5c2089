"""Open loop: a posture drawn for the wrist where the episode begins, and closed for by the clock.

It shows what a policy is for that looks at the wrist while it comes.
"""

from __future__ import annotations

import numpy as np
import torch

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.grasp_gradient import GraspGradient
from dexgrasp_models.tasks.assist_observation import AssistObservation
from dexgrasp_models.tasks.assist_oracle import OracleConfig, oracle_actions


class OpenLoop:
    """An `AssistPolicy`: samples of the primitive's ODE, reached when the expert reaches the goal.

    It knows how long an episode is, as no other policy does. How the hand presses isn't known of
    a sample, so it doesn't.

    Args:
        environments: that it acts in.
        seed: of the samples.
        config: when the fingers are where.

    Raises:
        WeightsError: the primitive of the package can't be used.
    """

    def __init__(
        self, environments: AssistEnvironments, seed: int, config: OracleConfig | None = None
    ) -> None:
        self._environments, self._seed = environments, seed
        self._config = config or OracleConfig()
        self._primitive, self._hand = GraspGradient(), load_hand()
        self.postures: np.ndarray | None = None

    def begin(self, count: int) -> None:
        """New samples, once something is seen."""
        self.postures = None

    def actions(self, seen: AssistObservation) -> np.ndarray:
        """(N, 18) in [-1, 1]."""
        environments = self._environments
        if self.postures is None:
            wrists = np.tile(np.eye(4), (len(seen.cloud), 1, 1))  # the cloud is in their frames
            clouds, poses = (torch.as_tensor(v, dtype=torch.float32) for v in (seen.cloud, wrists))
            generator = torch.Generator().manual_seed(self._seed)
            self.postures = self._primitive.postures(clouds, poses, generator).double().numpy()
        return oracle_actions(
            np.full(len(self.postures), environments.steps),
            environments.targets,
            self.postures,
            self.postures,
            self._hand,
            environments.config,
            self._config,
        )
