"""Initial grasps: an opened, opposed hand around the object, approaching from above the table."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.grasp.config import AnalyticConfig
from dexgrasp_models.grasp.energy import GraspEnergy
from dexgrasp_models.grasp.object_surface import ObjectSurface
from dexgrasp_models.grasp.planning_hand import PlanningHand
from dexgrasp_models.grasp.refine import GraspBatch, evaluate

# Flexed, opposed pre-shape in rad, for wide and for narrow objects; joints not named are zero.
_WIDE = {"J3": 0.35, "J2": 0.3, "J1": 0.3, "THJ5": -0.3, "THJ4": 1.15, "THJ2": 0.1, "THJ1": -0.1}
_NARROW = {"J3": 0.9, "J2": 0.5, "J1": 0.5, "THJ5": 0.3, "THJ4": 1.15, "THJ2": 0.0, "THJ1": -0.3}
_PRESHAPE_NOISE = 0.15  # rad, on every coordinate
_CENTRAL_PAD = 4  # of the nine pads of a digit


def sample_grasps(
    energy: GraspEnergy, config: AnalyticConfig, generator: np.random.Generator
) -> GraspBatch:
    """Draw ``batch * samples_per_grasp`` initial grasps and keep ``batch`` of them.

    Most are those with the least energy; for diversity the others are the best of random groups.
    """
    count = config.batch * config.samples_per_grasp
    drawn = draw(energy.hand, energy.surface, count, config, generator)
    scores = torch.cat(
        [evaluate(energy, drawn[rows]).total for rows in torch.arange(count).split(256)]
    )
    diverse = round(config.diverse_fraction * config.batch)
    order = scores.argsort()
    best = order[: config.batch - diverse]
    rest = order[config.batch - diverse :]
    # The draw has no order, so strides over it are random groups; `rest` is sorted by score.
    groups = [rest[rest % diverse == group] for group in range(diverse)]
    diverse_best = [group[:1] for group in groups]
    return drawn[torch.cat((best, *diverse_best))]


def draw(
    hand: PlanningHand,
    surface: ObjectSurface,
    count: int,
    config: AnalyticConfig,
    generator: np.random.Generator,
) -> GraspBatch:
    """Random grasps: the pinch centre on a point between the object's centre and its surface.

    The pinch centre is midway between the thumb's and the fingers' pads; the hand approaches along
    the line from its palm to it, at least ``min_elevation`` down towards the table.
    """
    coordinates = _preshapes(hand, count, generator)
    palm = torch.eye(4).expand(count, 4, 4)
    pads = hand.pads(hand.link_poses(palm, hand.joints(coordinates))).points[:, :, _CENTRAL_PAD]
    pinch = 0.5 * (pads[:, :4].mean(1) + pads[:, 4])
    heel = torch.tensor([0.0, 0.0, 0.06])  # middle of the palm
    approach = torch.nn.functional.normalize(pinch - heel, dim=-1)

    heights = math.sin(config.min_elevation) + (1 - math.sin(config.min_elevation)) * _uniform(
        generator, count
    )
    azimuth = 2 * math.pi * _uniform(generator, count)
    flat = (1 - heights.square()).clamp_min(0).sqrt()
    wanted = torch.stack((flat * azimuth.cos(), flat * azimuth.sin(), -heights), dim=-1)
    roll = 2 * math.pi * _uniform(generator, count)
    rotation = _frame(wanted, roll) @ _frame(approach, torch.zeros(count)).transpose(-1, -2)

    chosen = torch.from_numpy(generator.integers(len(surface.points), size=count))
    share = _uniform(generator, count)[:, None]
    target = surface.center + share * (surface.points[chosen] - surface.center)
    poses = torch.eye(4).repeat(count, 1, 1)
    poses[:, :3, :3] = rotation
    poses[:, :3, 3] = target - (rotation @ pinch[..., None])[..., 0]
    return GraspBatch(poses, coordinates, coordinates)


def _preshapes(hand: PlanningHand, count: int, generator: np.random.Generator) -> Tensor:
    """(B, K) coordinates between the narrow and the wide pre-shape, with noise."""
    shapes = []
    for angles in (_NARROW, _WIDE):
        joints = [
            angles.get(name[-4:], 0.0) if "TH" in name else angles.get(name[-2:], 0.0)
            for name in hand.spec.finger_joints
        ]
        shapes.append(hand.coordinates(torch.tensor([joints])))
    narrow, wide = shapes
    mixed = narrow + _uniform(generator, count)[:, None] * (wide - narrow)
    noise = generator.normal(scale=_PRESHAPE_NOISE, size=mixed.shape).astype(np.float32)
    return (mixed + torch.from_numpy(noise)).clamp(hand.lower, hand.upper)


def _frame(directions: Tensor, roll: Tensor) -> Tensor:
    """(B, 3, 3) rotations whose third column is the direction, turned about it by ``roll``."""
    helper = torch.where(
        directions[:, :1].abs() < 0.7, torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    )
    first = torch.nn.functional.normalize(torch.linalg.cross(helper, directions), dim=-1)
    second = torch.linalg.cross(directions, first)
    cos, sin = roll.cos()[:, None], roll.sin()[:, None]
    return torch.stack((cos * first + sin * second, cos * second - sin * first, directions), dim=-1)


def _uniform(generator: np.random.Generator, count: int) -> Tensor:
    return torch.from_numpy(generator.random(count, dtype=np.float32))
