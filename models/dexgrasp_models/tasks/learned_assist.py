"""Policies of the human-assisting task that were learned."""

from __future__ import annotations

import os
from contextlib import nullcontext

import numpy as np
import torch

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.assist_network import AssistNetwork, AssistNetworkConfig
from dexgrasp_models.nets.grasp_gradient import PRIMITIVE
from dexgrasp_models.nets.graspgf import GraspGF, GraspGFConfig
from dexgrasp_models.nets.threads import one_thread
from dexgrasp_models.nets.weights import WEIGHTS, load_network
from dexgrasp_models.tasks.assist_inputs import InputMaker
from dexgrasp_models.tasks.assist_observation import AssistObservation

ASSIST_WEIGHTS = WEIGHTS / "assist.safetensors"
"""The policy that comes with the package."""


class NetworkPolicy:
    """An `AssistPolicy` of N hands by a network in memory; one hand on one thread.

    Attributes:
        gradients: (N, 18) the latest of the primitive, 1/rad; None before the first, and for a
            policy without a primitive.
    """

    def __init__(
        self, network: AssistNetwork, primitive: GraspGF | None, *, residuals: bool = True
    ) -> None:
        """
        Args:
            network: of the policy.
            primitive: whose gradient it goes along; see `InputMaker`.
            residuals: whether a^r counts (Eq. 2).

        Raises:
            ValueError: as `InputMaker`.
        """
        self.network = network.eval()
        self._residuals = residuals
        self.gradients: np.ndarray | None = None
        self._inputs = InputMaker(network, primitive, load_hand())

    def begin(self, count: int) -> None:
        """It remembers nothing that would have to be forgotten."""

    @torch.no_grad()
    def actions(self, seen: AssistObservation) -> np.ndarray:
        """(N, 18) in [-1, 1].

        Raises:
            ValueError: the history has another length than the network's, a cloud has no points,
                or something isn't finite.
        """
        with one_thread() if len(seen.actuated) == 1 else nullcontext():
            inputs = self._inputs(seen)
            if inputs.gradients is not None:
                self.gradients = inputs.gradients.cpu().numpy().astype(float)
            found = self.network.actions(*inputs, residuals=self._residuals)
            return found.clamp(-1.0, 1.0).cpu().numpy().astype(float)


class LearnedAssist(NetworkPolicy):
    """The policy in a file of weights.

    Attributes:
        network: in evaluation mode, on the device.
        metadata: what was saved with its weights.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str],
        *,
        primitive: str | os.PathLike[str] = PRIMITIVE,
        device: torch.device | str = "cpu",
        residuals: bool = True,
    ) -> None:
        """
        Args:
            weights: file that `dexgrasp train assist` left.
            primitive: file that `dexgrasp train graspgf` left, the one it was trained with; not
                read for a policy without a primitive.
            device: of the networks.
            residuals: as `NetworkPolicy`.

        Raises:
            WeightsError: a file is missing, of another hand or kind, or doesn't fit its network.
        """
        network, self.metadata = load_network(weights, AssistNetworkConfig, AssistNetwork)
        frozen = load_primitive(primitive, device) if network.needs_gradient else None
        super().__init__(network.to(device), frozen, residuals=residuals)


def load_primitive(
    weights: str | os.PathLike[str] = PRIMITIVE, device: torch.device | str = "cpu"
) -> GraspGF:
    """GraspGF's network in evaluation mode, whose weights don't learn.

    Raises:
        WeightsError: the file is missing, or doesn't fit the network.
    """
    network, _ = load_network(weights, GraspGFConfig, GraspGF)
    return network.to(device).eval().requires_grad_(False)
