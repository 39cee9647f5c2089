"""What the networks of the human-assisting task take of an observation.

One place for policies on the robot and for what they learn from, so that both see the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.nets.basis_points import BasisPoints
from dexgrasp_models.nets.bisector_encoder import BisectorEncoder
from dexgrasp_models.nets.graspgf import GraspGF
from dexgrasp_models.tasks.assist_observation import (
    AssistObservation,
    seen_angles,
    seen_joints,
    state_vector,
)
from dexgrasp_models.tasks.interaction_bisector import HandBisector


class AssistInputs(NamedTuple):
    """Of N hands, for `AssistNetwork.actions`."""

    states: Tensor
    """(N, S), see `state_vector`."""
    clouds: Tensor
    """(N, ...), see `AssistNetwork.prepared`."""
    gradients: Tensor | None
    """(N, 18) of the primitive in the actuators' angles, 1/rad; None without a primitive."""

    @property
    def named(self) -> dict[str, Tensor]:
        """By the names that `AssistNetwork.actions` has for them; no gradients are (N, 0)."""
        gradients = self.gradients
        if gradients is None:
            gradients = self.states.new_empty(len(self.states), 0)
        return {"states": self.states, "clouds": self.clouds, "gradients": gradients}


class InputMaker:
    """Prepares what a network sees and asks the frozen primitive for its gradient."""

    def __init__(self, network: AssistNetwork, primitive: GraspGF | None, hand: HandSpec) -> None:
        """
        Args:
            network: of the policy.
            primitive: whose gradient it sees, on the same device; None where it sees none.
            hand: whose joints these are.

        Raises:
            ValueError: the network needs a primitive, and there is none.
        """
        if network.needs_gradient and primitive is None:
            raise ValueError("this policy goes along a primitive's gradient: name its weights")
        self._network = network
        self._primitive = primitive.eval() if primitive and network.needs_gradient else None
        self._shares_basis = (
            self._primitive is not None
            and isinstance(network.encoder, BasisPoints)
            and isinstance(self._primitive.encoder, BasisPoints)
            and network.encoder.sees_as(self._primitive.encoder)
        )
        self._device, self._hand = network.mean.device, hand
        self._time = network.config.query_time
        self._bisector: HandBisector | None = None
        if isinstance(network.encoder, BisectorEncoder):
            samples = network.encoder.config.samples
            self._bisector = HandBisector(hand, samples, device=self._device)

    @torch.no_grad()
    def clouds(self, seen: AssistObservation) -> Tensor:
        """(N, ...) what `AssistNetwork.prepared` makes of the objects, and of the hands too where
        the network sees both.

        Raises:
            ValueError: a cloud has no points, or something isn't finite.
        """
        given = self._tensor(seen.cloud)
        if self._bisector is not None:
            joints = self._tensor(seen_joints(seen, self._hand))
            given = self._bisector.features(joints, given)
        return self._network.prepared(given)

    @torch.no_grad()
    def __call__(self, seen: AssistObservation) -> AssistInputs:
        """
        Raises:
            ValueError: a cloud has no points, something isn't finite, or the network is to be told
                targets or a posture, and nobody tells them.
        """
        clouds = self.clouds(seen)
        gradients = None
        if self._primitive is not None:
            encoder = self._primitive.encoder
            if self._shares_basis and isinstance(encoder, BasisPoints):
                features = encoder.mlp(clouds)
            else:
                features = encoder(self._tensor(seen.cloud))
            angles = self._tensor(seen_angles(seen, self._hand))
            gradients = self._primitive.gradient_of_angles(features, angles, self._time)
        config = self._network.config
        states = state_vector(seen, pressing=config.pressing, hint=config.hint)
        return AssistInputs(self._tensor(states), clouds, gradients)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=self._device)
