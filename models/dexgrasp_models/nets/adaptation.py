"""Test-time adaptation: grasps moved until they touch an object as ContactNet says (3.2.4).

UniDexGrasp, sec. 3.2.4 and Eq. 3. The text leaves open what is optimised; here it is all of a
grasp, as in the authors' code: translation and rotation vector of the palm along its initial axes,
and all joint angles, by Adam with one step size for metres and radians (Table 6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dexgrasp_models.grasp.planning_hand import PlanningHand
from dexgrasp_models.nets.contact import ContactNet, canonical
from dexgrasp_models.nets.losses import (
    ADAPTATION_WEIGHTS,
    GraspLosses,
    HandBody,
    Losses,
    LossWeights,
)
from dexgrasp_models.nets.pointnet import farthest_points
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.so3 import rotation_from_vector

TargetMap = Callable[[GraspTensors], Tensor]
"""Gives B grasps the (B, N) contact map that they should have with a cloud of N points."""


class ContactTarget:
    """The contact map that a network thinks grasps should have with a cloud."""

    def __init__(self, network: ContactNet, hand: HandBody, points: Tensor) -> None:
        """`points`: (N, 3), or (B, N, 3) of a cloud for each grasp; in the table-top frame, m."""
        self._network, self._hand, self._points = network, hand, points

    def __call__(self, grasps: GraspTensors) -> Tensor:
        """(B, N) for B grasps in the same frame."""
        hands = self._hand.surface(self._hand.link_poses(grasps))
        return self._network.heat(
            canonical(self._points, grasps.rotations), canonical(hands, grasps.rotations)
        )


@dataclass(frozen=True)
class AdaptationConfig(Parameters):
    """Settings of :class:`Adaptation`."""

    coupled: bool = False  # J1 = J2 of the four fingers, as their common tendon moves them

    steps: int = parameter(300, 0, 10_000, "", "steps of the optimisation (3.2.4)")
    step_size: float = parameter(0.001, 0, 0.1, "m or rad", "of Adam (Table 6)")
    target_interval: int = parameter(
        0, 0, 10_000, "", "steps after which the target is predicted anew; 0: never"
    )
    map_points: int = parameter(128, 1, 100_000, "", "points of the cloud that stand for its map")
    nearest_points: int = parameter(64, 1, 100_000, "", "points looked at for penetration")
    search_interval: int = parameter(8, 1, 1000, "", "steps between searches of the nearest points")


class Adapted(NamedTuple):
    """Grasps after the adaptation, with what was wrong before and what still is."""

    grasps: GraspTensors
    before: Losses
    """Of the grasps as given and their target."""
    after: Losses
    """Of the adapted grasps and the target that they were last adapted to."""


class Adaptation:
    """Adapts batches of grasps; each grasp for itself, whatever else is in the batch.

    So that three hundred steps don't each look at the whole cloud, the contact map is that of an
    even subset of its points, and penetration that of the points nearest to the hand, which are
    searched for now and then. The losses that are returned are those of the whole cloud.
    """

    def __init__(
        self,
        hand: HandBody,
        weights: LossWeights = ADAPTATION_WEIGHTS,
        config: AdaptationConfig | None = None,
    ) -> None:
        self.losses = GraspLosses(hand, weights)
        self.config = config or AdaptationConfig()
        kinematics = hand.kinematics
        planning = PlanningHand(
            kinematics.spec,
            coupled=self.config.coupled,
            dtype=kinematics.dtype,
            device=kinematics.device,
        )
        self._expansion = planning.expansion
        self._reduction = torch.linalg.pinv(planning.expansion)
        self._lower = planning.lower
        self._upper = planning.upper

    @torch.enable_grad()
    def __call__(self, grasps: GraspTensors, points: Tensor, target: Tensor | TargetMap) -> Adapted:
        """
        Args:
            grasps: B of them, in the table-top frame; joints beyond their limits are moved inside.
            points: (N, 3) cloud in the same frame, m.
            target: (B, N) contact map they should have, or what predicts it: of the initial grasps
                alone, unless the settings say otherwise.

        Raises:
            ValueError: shapes don't fit together, or something isn't finite.
            ArithmeticError: the optimisation diverged; it names the grasps.
        """
        grasps, points = _detached(grasps.checked()), _checked_cloud(points)
        predict = target if callable(target) else None
        target = _checked_map(predict(grasps) if predict else target, grasps, points)
        interval = self.config.target_interval if predict else 0
        with torch.no_grad():
            before = self.losses(grasps, points, target)

        subset = _Subset(points, self.config, self.losses.weights.points)
        values = self._values(grasps).requires_grad_()
        adam = _Adam(values, self.config.step_size)
        for step in range(self.config.steps):
            current = self._grasps(grasps, values)
            link_poses = self.losses.hand.link_poses(current)
            if step and interval and step % interval == 0:
                target = _checked_map(predict(_detached(current)), grasps, points)
            if step % self.config.search_interval == 0:
                subset.search(self.losses.hand, link_poses.detach())
            energy = self.losses.from_links(link_poses, *subset.with_target(target)).total
            (gradient,) = torch.autograd.grad(energy.sum(), values)
            with torch.no_grad():
                values -= adam.step(gradient)
                values[:, 6:] = values[:, 6:].clamp(self._lower, self._upper)
            diverged = ~torch.isfinite(values.detach()).all(1)
            if diverged.any():
                raise ArithmeticError(
                    f"grasps {diverged.nonzero().flatten().tolist()} diverged in step {step} of "
                    "the adaptation; check the step size and the target map"
                )
        with torch.no_grad():
            adapted = self._grasps(grasps, values)
            return Adapted(adapted, before, self.losses(adapted, points, target))

    def _values(self, grasps: GraspTensors) -> Tensor:
        """(B, 6 + K): offsets along and about the palm's initial axes, then the coordinates."""
        coordinates = (grasps.joints @ self._reduction.T).clamp(self._lower, self._upper)
        return torch.cat((coordinates.new_zeros(grasps.count, 6), coordinates), dim=1)

    def _grasps(self, start: GraspTensors, values: Tensor) -> GraspTensors:
        moved = (start.rotations @ values[:, :3, None])[..., 0]
        return GraspTensors(
            start.rotations @ rotation_from_vector(values[:, 3:6]),
            start.translations + moved,
            values[:, 6:] @ self._expansion.T,
        )


class _Adam:
    """Adam's steps for one tensor (Kingma and Ba, ICLR 2015).

    Building the one of torch.optim takes a second, as it imports a compiler: too long on a robot.
    """

    def __init__(self, values: Tensor, step_size: float) -> None:
        self._step_size = step_size
        self._mean, self._square = torch.zeros_like(values), torch.zeros_like(values)
        self._count = 0

    def step(self, gradient: Tensor) -> Tensor:
        """What to subtract from the tensor."""
        self._count += 1
        self._mean.lerp_(gradient, 1 - 0.9)
        self._square.lerp_(gradient.square(), 1 - 0.999)
        deviation = (self._square / (1 - 0.999**self._count)).sqrt_()
        return self._step_size / (1 - 0.9**self._count) * self._mean / (deviation + 1e-8)


class _Subset:
    """The points of a cloud that are looked at: an even part, and those nearest to each hand."""

    def __init__(self, points: Tensor, config: AdaptationConfig, count: int) -> None:
        self._points = points
        self._even = farthest_points(points[None], config.map_points)[0]
        self._nearest_count = min(config.nearest_points, len(points))
        self._in_map = points.new_zeros(len(self._even) + self._nearest_count)
        self._in_map[: len(self._even)] = count / len(self._even)
        self._in_hand = torch.zeros_like(self._in_map)
        self._in_hand[len(self._even) :] = count / len(points)

    @torch.no_grad()
    def search(self, hand: HandBody, link_poses: Tensor) -> None:
        """Choose the points nearest to the hands in these poses (B, L, 4, 4)."""
        distances = hand.distance.to_links(self._points, link_poses)
        nearest = distances.topk(self._nearest_count, largest=False).indices
        even = self._points[self._even].expand(len(link_poses), -1, -1)
        self._chosen = torch.cat((even, self._points[nearest]), dim=1)

    def with_target(self, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Points, their target and how much they count, as the losses take them."""
        padded = torch.nn.functional.pad(target[:, self._even], (0, self._nearest_count))
        return self._chosen, padded, self._in_map, self._in_hand


def _checked_cloud(points: Tensor) -> Tensor:
    if points.dim() != 2 or points.shape[1] != 3 or len(points) == 0:
        raise ValueError(f"expected a cloud (N, 3), got {tuple(points.shape)}")
    if not torch.isfinite(points).all():
        raise ValueError("the cloud must be finite")
    return points.detach()


def _checked_map(target: Tensor, grasps: GraspTensors, points: Tensor) -> Tensor:
    wanted = (grasps.count, len(points))
    if target.shape != wanted:
        raise ValueError(f"expected a target map {wanted}, got {tuple(target.shape)}")
    if not torch.isfinite(target).all():
        raise ValueError("the target map must be finite")
    return target.detach()


def _detached(grasps: GraspTensors) -> GraspTensors:
    return GraspTensors(*(field.detach() for field in grasps))
