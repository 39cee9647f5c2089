"""What networks propose for a cloud, whatever kind they are: the rows' common interface.

Everything is in the table-top frame, of one cloud (N, 3) in m. A source is a distribution of
grasps; where it is p(R|X) p(t, q|X, R), it can be asked for grasps with given rotations as well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Generator, Tensor

from dexgrasp_models.nets.ipdf import GraspIPDF
from dexgrasp_models.nets.types import GraspTensors

GivenRotations = Callable[[Tensor, Tensor, int, Generator], GraspTensors]
"""B K grasps of clouds (B, N, 3) with rotations (B, 3, 3), K of each, drawn by a generator."""
LogDensity = Callable[[Tensor, GraspTensors], Tensor]
"""(G,) nats of G grasps of clouds (B, N, 3)."""


class Source(ABC):
    """Draws grasps for a cloud."""

    @abstractmethod
    def sample(self, points: Tensor, count: int, generator: Generator) -> GraspTensors:
        """`count` grasps of a cloud (N, 3), as the network gives them: joints may be out of limits.

        Raises:
            ValueError: the cloud isn't valid, or `count` is less than one.
        """

    def with_one_rotation(
        self, points: Tensor, rotations: int, count: int, generator: Generator
    ) -> GraspTensors | None:
        """`count` grasps for each of some rotations, which are drawn; those of the first one first.

        None where the rotation isn't drawn before the rest.
        """
        return None

    def log_likelihood(self, points: Tensor, grasps: GraspTensors) -> Tensor | None:
        """(G,) log p(R, t, q|X) of G grasps; None where there is no density.

        Nats, with respect to a volume of SO(3) of pi^2, metres and radians (C.3.1).
        """
        return None


class Factorised(Source):
    """p(R|X) by GraspIPDF, and the rest by another network."""

    def __init__(
        self, rotation: GraspIPDF, given: GivenRotations, log_density: LogDensity | None = None
    ) -> None:
        """
        Args:
            rotation: gives p(R|X).
            given: draws translations and joints for rotations.
            log_density: log p(t, q|X, R) of as many grasps as clouds; None where there is none.
        """
        self._rotation, self._given, self._log_density = rotation, given, log_density

    @torch.no_grad()
    def sample(self, points: Tensor, count: int, generator: Generator) -> GraspTensors:
        return self._drawn(points, count, 1, generator)

    @torch.no_grad()
    def with_one_rotation(
        self, points: Tensor, rotations: int, count: int, generator: Generator
    ) -> GraspTensors:
        return self._drawn(points, rotations, count, generator)

    def _drawn(
        self, points: Tensor, rotations: int, count: int, generator: Generator
    ) -> GraspTensors:
        drawn = self._rotation.sample(points[None], rotations, generator=generator).rotations[0]
        return self._given(points.expand(rotations, -1, -1), drawn, count, generator)

    @torch.no_grad()
    def log_likelihood(self, points: Tensor, grasps: GraspTensors) -> Tensor | None:
        if self._log_density is None:
            return None
        of_rotations = self._rotation.log_density(points[None], grasps.rotations[None])[0]
        return of_rotations + self._log_density(points.expand(grasps.count, -1, -1), grasps)


class Sampler(Protocol):
    """What draws all of a grasp at once."""

    def sample(self, clouds: Tensor, count: int, generator: Generator) -> GraspTensors:
        """B count grasps of clouds (B, N, 3)."""


class Whole(Source):
    """A network that draws all of a grasp at once: `sample(clouds, count, generator)`."""

    def __init__(self, network: Sampler, log_density: LogDensity | None = None) -> None:
        """`log_density`: log p(R, t, q|X) of one cloud's grasps; None where there is none."""
        self._network, self._log_density = network, log_density

    @torch.no_grad()
    def sample(self, points: Tensor, count: int, generator: Generator) -> GraspTensors:
        return self._network.sample(points[None], count, generator)

    @torch.no_grad()
    def log_likelihood(self, points: Tensor, grasps: GraspTensors) -> Tensor | None:
        return None if self._log_density is None else self._log_density(points[None], grasps)
