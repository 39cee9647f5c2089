"""Test-time adaptation: grasps moved until they touch an object as ContactNet says (3.2.4).

UniDexGrasp, sec. 3.2.4 and Eq. 3. The text leaves open what is optimised; here it is all of a
grasp, as in the authors' code: translation and rotation vector of the palm along its initial axes,
and all joint angles, by Adam with one step size for metres and radians (Table 6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.geometry.farthest_point_batches import farthest_points_of_each
from dexgrasp_models.geometry.so3 import rotation_from_vector
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.nets.contact import ContactNet, canonical
from dexgrasp_models.nets.losses import (
    ADAPTATION_WEIGHTS,
    GraspLosses,
    HandBody,
    Losses,
    LossWeights,
)
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.parameters import Parameters, flag, parameter
from dexgrasp_models.progress import Progress

_STEPS_AT_ONCE = 10  # between looks at the clock

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

    coupled: bool = flag(False, "J1 = J2 of the four fingers, as their common tendon moves them")

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


class Diverged(ArithmeticError):
    """The optimisation of some grasps has left the finite numbers.

    Attributes:
        grasps: (B,) which of them.
    """

    def __init__(self, grasps: Tensor, step: int) -> None:
        super().__init__(
            f"grasps {grasps.nonzero().flatten().tolist()} diverged in step {step} of the"
            " adaptation; check the step size and the target map"
        )
        self.grasps = grasps


class Adaptation:
    """Adapts batches of grasps; each grasp for itself, whatever else is in the batch.

    So that three hundred steps don't each look at the whole cloud, the contact map is that of an
    even subset of its points, and, where steps are made of tensor operations, penetration that of
    the points nearest to the hand, which are searched for now and then. The losses that are
    returned are those of the whole cloud.
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
        self.planning = PlanningHand(
            kinematics.spec,
            coupled=self.config.coupled,
            dtype=kinematics.dtype,
            device=kinematics.device,
        )
        self._reduction = torch.linalg.pinv(self.planning.expansion)

    @torch.enable_grad()
    def __call__(
        self,
        grasps: GraspTensors,
        points: Tensor,
        target: Tensor | TargetMap,
        progress: Progress | None = None,
    ) -> Adapted:
        """
        Args:
            grasps: B of them, in the table-top frame; joints beyond their limits are moved inside.
            points: (N, 3) cloud in the same frame, m.
            target: (B, N) contact map they should have, or what predicts it: of the initial grasps
                alone, unless the settings say otherwise.
            progress: may end it early.

        Raises:
            ValueError: shapes don't fit together, or something isn't finite.
            Diverged: the optimisation of some grasps did.
        """
        grasps, points = _detached(grasps.checked()), _checked_cloud(points)
        predict = None if isinstance(target, Tensor) else target
        initial = target if isinstance(target, Tensor) else target(grasps)
        target = _checked_map(initial, grasps, points)
        interval = self.config.target_interval if predict else 0
        with torch.no_grad():
            before = self.losses(grasps, points, target)

        progress = progress or Progress()
        optimiser = self._optimiser(grasps, points)
        step, steps = 0, self.config.steps
        while step < steps and progress.may_go_on(step, steps):
            if predict and step and interval and step % interval == 0:
                current = self.moved(grasps, optimiser.values.detach())
                target = _checked_map(predict(current), grasps, points)
            until_next = interval - step % interval if interval else steps
            stop = min(step + until_next, step + _STEPS_AT_ONCE, steps)
            optimiser.run(step, stop, target)
            step = stop
        with torch.no_grad():
            adapted = self.moved(grasps, optimiser.values.detach())
            return Adapted(adapted, before, self.losses(adapted, points, target))

    def _optimiser(self, grasps: GraspTensors, points: Tensor) -> _Alone | _Together:
        # The compiled losses have no attraction, which UniDexGrasp gives no weight.
        if points.device.type == "cpu" and not self.losses.weights.dis:
            return _Alone(self, grasps, points)
        return _Together(self, grasps, points)

    def values(self, grasps: GraspTensors) -> Tensor:
        """(B, 6 + K): offsets along and about the palm's initial axes, then the coordinates."""
        coordinates = (grasps.joints @ self._reduction.T).clamp(
            self.planning.lower, self.planning.upper
        )
        return torch.cat((coordinates.new_zeros(grasps.count, 6), coordinates), dim=1)

    def moved(self, start: GraspTensors, values: Tensor) -> GraspTensors:
        """The grasps of `values`, from where these start."""
        moved = (start.rotations @ values[:, :3, None])[..., 0]
        return GraspTensors(
            start.rotations @ rotation_from_vector(values[:, 3:6]),
            start.translations + moved,
            values[:, 6:] @ self.planning.expansion.T,
        )


class _Alone:
    """On the processor: each grasp by itself, compiled and in double precision.

    What comes out depends neither on the rest of the batch nor on the number of threads.
    """

    def __init__(self, adaptation: Adaptation, grasps: GraspTensors, points: Tensor) -> None:
        # Imported here because Numba takes a while, which who only reads settings needn't wait for.
        from dexgrasp_models.hand.hand_kernel import HandArrays
        from dexgrasp_models.nets.adaptation_kernel import TERMS, AdaptedArrays, LossConstants

        weights = adaptation.losses.weights
        even = farthest_points_of_each(points[None], adaptation.config.map_points)[0]
        self._even = even
        self._step_size = adaptation.config.step_size
        self._hand = HandArrays.of(adaptation.planning)
        self._constants = LossConstants(
            points=np.ascontiguousarray(points.numpy(), np.float64),
            even=np.ascontiguousarray(even.numpy(), np.int64),
            weights=np.array([getattr(weights, name) for name in TERMS], float),
            in_map=weights.points / len(even),
            in_hand=weights.points / len(points),
        )
        self._start = adaptation.values(grasps)
        self._arrays = AdaptedArrays.of(grasps.palm_poses[:, :3].numpy(), self._start.numpy())

    @property
    def values(self) -> Tensor:
        """(B, 6 + K) that were reached."""
        return torch.from_numpy(self._arrays.values).to(self._start)

    def run(self, start: int, stop: int, target: Tensor) -> None:
        """Make some steps towards a map (B, N)."""
        from dexgrasp_models.kernels.compiling import for_all
        from dexgrasp_models.nets.adaptation_kernel import adapt_some

        arrays = self._arrays
        targets = np.ascontiguousarray(target[:, self._even].numpy(), np.float64)

        def some(first: int, last: int) -> None:
            adapt_some(
                self._hand,
                self._constants,
                arrays,
                targets,
                first,
                last,
                start,
                stop,
                self._step_size,
            )

        for_all(some, len(targets))
        if (arrays.diverged >= 0).any():
            step = arrays.diverged[arrays.diverged >= 0].min()
            raise Diverged(torch.from_numpy(arrays.diverged == step), int(step))


class _Together:
    """As tensors, the whole batch in each operation: on any device, with all losses."""

    def __init__(self, adaptation: Adaptation, grasps: GraspTensors, points: Tensor) -> None:
        self._adaptation, self._grasps = adaptation, grasps
        self._subset = _Subset(points, adaptation.config, adaptation.losses.weights.points)
        self.values = adaptation.values(grasps).requires_grad_()
        self._adam = _Adam(self.values, adaptation.config.step_size)

    def run(self, start: int, stop: int, target: Tensor) -> None:
        """Make some steps towards a map (B, N)."""
        adaptation, subset, values = self._adaptation, self._subset, self.values
        losses = adaptation.losses
        for step in range(start, stop):
            link_poses = losses.hand.link_poses(adaptation.moved(self._grasps, values))
            if step % adaptation.config.search_interval == 0:
                subset.search(losses.hand, link_poses.detach())
            energy = losses.from_links(link_poses, *subset.with_target(target)).total
            (gradient,) = torch.autograd.grad(energy.sum(), values)
            with torch.no_grad():
                values -= self._adam.step(gradient)
                values[:, 6:] = values[:, 6:].clamp(
                    adaptation.planning.lower, adaptation.planning.upper
                )
            diverged = ~torch.isfinite(values.detach()).all(1)
            if diverged.any():
                raise Diverged(diverged, step)


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
        self._even = farthest_points_of_each(points[None], config.map_points)[0]
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
