"""Refinement of a batch of grasps by gradient on the palm's pose and the planned coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.geometry.so3 import rotation_from_vector
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.progress import Progress
from dexgrasp_models.synthesis.energy import Energy, GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig

_FIRST_MOMENT, _SECOND_MOMENT = 0.9, 0.99  # of Adam
_STEPS_AT_ONCE = 10  # between looks at the clock
_OBSTACLE_INTERVAL = 4  # steps between searches
_FINAL_STEP = 0.1  # of the initial step, at the end of the cosine


@dataclass(frozen=True)
class GraspBatch:
    """Palm poses and planned coordinates of B grasps."""

    palm_poses: Tensor
    """(B, 4, 4) in ``world``."""
    coordinates: Tensor
    """(B, K) rad."""
    preshape: Tensor
    """(B, K) coordinates that the grasps were started from, rad."""

    @classmethod
    def planned(cls, hand: PlanningHand, palm_poses: Tensor, joints: Tensor) -> GraspBatch:
        """Any grasps as the hand can take them: coupled, within the limits.

        Args:
            hand: that is planned for.
            palm_poses: (B, 4, 4) in ``world``.
            joints: (B, 22) rad.
        """
        coordinates = hand.coordinates(joints).clamp(hand.lower, hand.upper)
        return cls(palm_poses, coordinates, coordinates)

    def __getitem__(self, index: Tensor) -> GraspBatch:
        return GraspBatch(self.palm_poses[index], self.coordinates[index], self.preshape[index])


def evaluate(energy: GraspEnergy, batch: GraspBatch, obstacles: Tensor | None = None) -> Energy:
    """Energy of a batch, without gradient; obstacles as in `GraspEnergy.penetration`."""
    hand = energy.hand
    with torch.no_grad():
        joints = hand.joints(batch.coordinates)
        poses = hand.link_poses(batch.palm_poses, joints)
        return energy(poses, joints, hand.joints(batch.preshape), obstacles=obstacles)


def energy_gradient(
    energy: GraspEnergy,
    batch: GraspBatch,
    closure_start: Tensor | None = None,
    obstacles: Tensor | None = None,
) -> tuple[Energy, Tensor]:
    """Energy of a batch and its gradient.

    Returns:
        The energy, and (B, 6 + K) derivatives for a translation of the palm (m) and a rotation
        about its origin (rad), both along the palm's own axes, and for the coordinates (rad).
    """
    hand = energy.hand
    palm = batch.palm_poses.clone().requires_grad_()
    coordinates = batch.coordinates.clone().requires_grad_()
    joints = hand.joints(coordinates)
    poses = hand.link_poses(palm, joints)
    result = energy(poses, joints, hand.joints(batch.preshape), closure_start, obstacles)
    by_palm, by_coordinates = torch.autograd.grad(result.total.sum(), (palm, coordinates))
    inverse = batch.palm_poses[:, :3, :3].transpose(-1, -2)
    by_translation = (inverse @ by_palm[:, :3, 3:])[..., 0]
    # For R exp([w]x), the derivative at w = 0 is the vector of the skew part of R^T dE/dR.
    skew = inverse @ by_palm[:, :3, :3]
    skew = skew - skew.transpose(-1, -2)
    by_rotation = torch.stack((skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]), dim=-1)
    return result, torch.cat((by_translation, by_rotation, by_coordinates), dim=1)


def refine(
    energy: GraspEnergy,
    batch: GraspBatch,
    config: EnergyConfig,
    progress: Progress | None = None,
) -> GraspBatch:
    """Minimise the energy of all grasps with Adam in the palm's own frame.

    Steps fall along a cosine to a tenth; coordinates are clamped to their limits. On the processor
    each grasp goes its way alone, in compiled code and in double precision, so that what comes out
    depends neither on the rest of the batch nor on the number of threads.

    Args:
        energy: of the objects that the grasps are for.
        batch: where to start.
        config: number and sizes of steps.
        progress: may end it early.
    """
    progress = progress or Progress()
    if batch.coordinates.device.type == "cpu":
        return refine_alone(energy, batch, config, progress)
    return refine_together(energy, batch, config, progress)


def _step_sizes(config: EnergyConfig, coordinates: int) -> list[float]:
    """Of the first step: three along and three about the palm's axes, then the coordinates'."""
    return (
        3 * [config.step_translation]
        + 3 * [config.step_rotation]
        + coordinates * [config.step_joints]
    )


def refine_alone(
    energy: GraspEnergy, batch: GraspBatch, config: EnergyConfig, progress: Progress
) -> GraspBatch:
    """Compiled, grasp by grasp."""
    # Imported here because Numba takes a while, which who only reads settings needn't wait for.
    from dexgrasp_models.hand.hand_kernel import HandArrays
    from dexgrasp_models.kernels.compiling import for_all
    from dexgrasp_models.synthesis.refinement_kernel import (
        EnergyConstants,
        GraspArrays,
        SurfaceArrays,
        refine_some,
    )

    hand, surface = HandArrays.of(energy.hand), SurfaceArrays.of(energy.surface)
    constants = EnergyConstants.of(energy.config)
    grasps = GraspArrays.of(
        batch.palm_poses.numpy(),
        batch.coordinates.numpy(),
        batch.preshape.numpy(),
        objects=len(surface.centers),
    )
    count, coordinates = batch.coordinates.shape
    sizes, steps = np.array(_step_sizes(config, coordinates)), config.iterations

    for start in range(0, steps, _STEPS_AT_ONCE):
        if not progress.may_go_on(start, steps):
            break
        stop = min(start + _STEPS_AT_ONCE, steps)

        def some(first: int, last: int, start: int = start, stop: int = stop) -> None:
            refine_some(hand, surface, constants, grasps, first, last, start, stop, steps, sizes)

        for_all(some, count)
    palm_poses = batch.palm_poses.clone()
    palm_poses[:, :3] = torch.from_numpy(grasps.palms).to(palm_poses)
    # In single precision a limit may be rounded to beyond that of the kernel.
    found = torch.from_numpy(grasps.coordinates).to(batch.coordinates)
    return GraspBatch(palm_poses, found.clamp(energy.hand.lower, energy.hand.upper), batch.preshape)


def refine_together(
    energy: GraspEnergy, batch: GraspBatch, config: EnergyConfig, progress: Progress
) -> GraspBatch:
    """As tensors, the whole batch in each operation: for a GPU."""
    hand = energy.hand
    count, joints = batch.coordinates.shape
    steps = batch.coordinates.new_tensor(_step_sizes(config, joints))
    mean = steps.new_zeros(count, len(steps))
    square = torch.zeros_like(mean)
    nearest = min(config.nearest_obstacles, energy.surface.obstacle_points.shape[1])
    palm, coordinates, closure_start = batch.palm_poses, batch.coordinates, None
    for iteration in range(config.iterations):
        if not progress.may_go_on(iteration, config.iterations):
            break
        current = GraspBatch(palm, coordinates, batch.preshape)
        if iteration % _OBSTACLE_INTERVAL == 0:
            poses = hand.link_poses(palm, hand.joints(coordinates))
            obstacles = energy.nearest_obstacles(poses, nearest)
        result, gradient = energy_gradient(energy, current, closure_start, obstacles)
        closure_start = result.closure_weights
        mean.lerp_(gradient, 1 - _FIRST_MOMENT)
        square.lerp_(gradient.square(), 1 - _SECOND_MOMENT)
        unbiased = mean / (1 - _FIRST_MOMENT ** (iteration + 1))
        scale = (square / (1 - _SECOND_MOMENT ** (iteration + 1))).sqrt() + 1e-8
        ahead = 0.5 * (1 + math.cos(math.pi * iteration / config.iterations))
        move = -(_FINAL_STEP + (1 - _FINAL_STEP) * ahead) * steps * unbiased / scale
        rotation = palm[:, :3, :3]
        moved = palm.clone()
        moved[:, :3, 3] += (rotation @ move[:, :3, None])[..., 0]
        moved[:, :3, :3] = rotation @ rotation_from_vector(move[:, 3:6])
        palm = moved
        coordinates = (coordinates + move[:, 6:]).clamp(hand.lower, hand.upper)
    return GraspBatch(palm, coordinates, batch.preshape)
