"""GraspGF's primitive alone as a policy: how to close, and at most a rule for when.

The bare gradient is the paper's "Ours w/o RL". The gate beside it isn't the paper's: it is a rule
by hand, so that something useful can be tried without a residual policy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch

from dexgrasp_models.hand.spec import HandSpec, load_hand
from dexgrasp_models.nets.grasp_gradient import PRIMITIVE, GraspGradient
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.assist_action import directions
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_observation import AssistObservation, seen_angles

HELD_AT = np.array([0.02, -0.05, 0.10])
"""(3,) m in `rh_palm`: about where the hand holds an object, between palm and half closed tips."""


@dataclass(frozen=True)
class GateConfig(Parameters):
    """Between two numbers the fingers close at a share of their speed that rises linearly."""

    gate_distance: tuple[float, float] = parameter(
        (0.05, 0.09), 0.0, 1.0, "m", "from the middle of the hand to the object: closes in full"
        " below the first, and not at all above the second"
    )  # fmt: skip
    gate_speed: tuple[float, float] = parameter(
        (0.02, 0.10), 0.0, 5.0, "m/s", "of the wrist, likewise"
    )
    gate_posture: float = parameter(
        0.5, 0.0, 1.0, "", "where it is shut the fingers go to this share of the primitive's mean"
        " posture: flat ones would meet the table"
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("gate_distance", "gate_speed"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"{type(self).__name__}.{name}: {low} has to be below {high}")


class PrimitiveAssist:
    """An `AssistPolicy` that follows the gradient, normalised by its largest entry.

    Args:
        gate: slows it down far from the object and while the wrist moves; None: bare.
        task: whose steps these are.
        weights: file of the primitive; default: what comes with the package.

    Attributes:
        gradients: (N, 18) the latest, 1/rad.

    Raises:
        WeightsError: the file is missing, or doesn't fit the network.
    """

    def __init__(
        self,
        gate: GateConfig | None,
        task: AssistConfig,
        weights: str | os.PathLike[str] = PRIMITIVE,
        hand: HandSpec | None = None,
    ) -> None:
        self._gate = gate
        self._rate, self._most_change = task.rate, task.max_change
        self._primitive = GraspGradient(weights)
        self._hand = hand or load_hand()
        if gate is not None:
            mean = self._primitive.network.mean_joints().numpy()
            self._waiting = gate.gate_posture * (self._hand.reduction @ mean)
        self.gradients = np.zeros((0, len(self._hand.actuators)))

    def begin(self, count: int) -> None:
        """It remembers nothing that would have to be forgotten."""
        self.gradients = np.zeros((count, len(self._hand.actuators)))

    def actions(self, seen: AssistObservation) -> np.ndarray:
        """(N, 18) in [-1, 1]."""
        self.gradients = seen_gradients(self._primitive, seen, self._hand)
        along = directions(self.gradients)
        if self._gate is None:
            return along
        shares = self.shares(seen)[:, None]
        angles = seen_angles(seen, self._hand)
        waiting = np.clip((self._waiting - angles) / self._most_change, -1.0, 1.0)
        return shares * along + (1.0 - shares) * waiting

    def shares(self, seen: AssistObservation) -> np.ndarray:
        """(N,) in [0, 1] of the speed at which the gate lets the fingers close."""
        assert self._gate is not None
        distances = np.linalg.norm(seen.cloud - HELD_AT, axis=2).min(axis=1)
        # Wrists are in the present one, so the oldest tells how far it has come since.
        steps = seen.wrists.shape[1] - 1
        ways = np.linalg.norm(seen.wrists[:, 0, :3], axis=1)
        speeds = ways * self._rate / max(steps, 1)
        return _falling(distances, self._gate.gate_distance) * _falling(
            speeds, self._gate.gate_speed
        )


def seen_gradients(primitive: GraspGradient, seen: AssistObservation, hand: HandSpec) -> np.ndarray:
    """(N, 18) of a primitive for what is seen, 1/rad."""
    tensors = (
        torch.as_tensor(values, dtype=torch.float32)
        for values in (seen.cloud, seen_angles(seen, hand))
    )
    return primitive.gradients_in_wrists(*tensors).cpu().numpy()


def _falling(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """1 below the first end, 0 above the second, linear between."""
    low, high = ends
    return np.clip((high - values) / (high - low), 0.0, 1.0)
