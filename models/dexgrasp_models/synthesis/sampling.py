"""Initial grasps: an opened, opposed hand around the object, approaching from above the table."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface
from dexgrasp_models.synthesis.refine import GraspBatch, evaluate

# Flexed, opposed pre-shape in rad, for wide and for narrow objects; joints not named are zero.
_WIDE = {"J3": 0.35, "J2": 0.3, "J1": 0.3, "THJ5": -0.3, "THJ4": 1.15, "THJ2": 0.1, "THJ1": -0.1}
_NARROW = {"J3": 0.9, "J2": 0.5, "J1": 0.5, "THJ5": 0.3, "THJ4": 1.15, "THJ2": 0.0, "THJ1": -0.3}
_PRESHAPE_NOISE = 0.15  # rad, on every coordinate
_CENTRAL_PAD = 4  # of the nine pads of a digit
_EVALUATED = {"cpu": 256, "cuda": 65536}  # initial grasps at a time; 256 stay in a CPU's cache


def sample_grasps(
    energy: GraspEnergy, config: EnergyConfig, generator: np.random.Generator
) -> GraspBatch:
    """Draw ``batch * samples_per_grasp`` initial grasps of each object and keep ``batch`` of them.

    Most are those with the least energy; for diversity the others are the best of random groups.
    """
    count = config.batch * config.samples_per_grasp
    drawn = draw(energy.hand, energy.surface, count, config, generator)
    objects = len(energy.surface.points)
    device = energy.surface.points.device
    rows = torch.arange(objects * count, device=device).view(objects, count)
    some_of_each = max(1, _EVALUATED[device.type] // objects)
    coarse = torch.arange(energy.surface.coarse, device=device)
    # Some at a time, as many of each object.
    scores = torch.cat(
        [
            evaluate(energy, drawn[some.flatten()], coarse).total.view(objects, -1)
            for some in rows.split(some_of_each, dim=1)
        ],
        dim=1,
    )
    kept = torch.stack([selected(row, config) for row in scores])
    return drawn[(kept + rows[:, :1]).flatten()]


def selected(scores: Tensor, config: EnergyConfig) -> Tensor:
    """(batch,) indices of the least of (N,) scores in no order, and of the least of random groups.

    `config` says how many there are, and which part of them is of the second kind.
    """
    diverse = round(config.diverse_fraction * config.batch)
    order = scores.argsort()
    best = order[: config.batch - diverse]
    rest = order[config.batch - diverse :]
    # The draw has no order, so strides over it are random groups; `rest` is sorted by score.
    groups = [rest[rest % diverse == group][:1] for group in range(diverse)]
    kept = torch.cat((best, *groups))
    left = rest[~torch.isin(rest, kept)]
    return torch.cat((kept, left[: config.batch - len(kept)]))  # where a group is empty


def draw(
    hand: PlanningHand,
    surface: ObjectSurface,
    count: int,
    config: EnergyConfig,
    generator: np.random.Generator,
) -> GraspBatch:
    """Random grasps, ``count`` of each object.

    The pinch centre is on a point between the object's centre and its surface. It is midway between
    the thumb's and the fingers' pads; the hand approaches along the line from its palm to it, at
    least ``min_elevation`` down towards the table.
    """
    objects, points = surface.points.shape[:2]
    count *= objects
    device = surface.points.device
    coordinates = _preshapes(hand, count, generator)
    palm = torch.eye(4, device=device).expand(count, 4, 4)
    pads = hand.pads(hand.link_poses(palm, hand.joints(coordinates))).points[:, :, _CENTRAL_PAD]
    pinch = 0.5 * (pads[:, :4].mean(1) + pads[:, 4])
    heel = torch.tensor([0.0, 0.0, 0.06], device=device)  # middle of the palm
    approach = torch.nn.functional.normalize(pinch - heel, dim=-1)

    def uniform() -> Tensor:
        return _uniform(generator, count).to(device)

    lowest = math.sin(config.min_elevation)
    heights = lowest + (1 - lowest) * uniform()
    azimuth = 2 * math.pi * uniform()
    flat = (1 - heights.square()).clamp_min(0).sqrt()
    wanted = torch.stack((flat * azimuth.cos(), flat * azimuth.sin(), -heights), dim=-1)
    rotation = _frame(wanted, 2 * math.pi * uniform()) @ _frame(
        approach, torch.zeros_like(azimuth)
    ).transpose(-1, -2)

    chosen = torch.from_numpy(generator.integers(points, size=(objects, count // objects)))
    chosen = chosen.to(device)[..., None].expand(-1, -1, 3)
    center = surface.of_each_grasp(surface.center, count)
    target = center.lerp(surface.points.gather(1, chosen).flatten(0, 1), uniform()[:, None])
    poses = torch.eye(4, device=device).repeat(count, 1, 1)
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
        shapes.append(hand.coordinates(torch.tensor([joints], device=hand.device)))
    narrow, wide = shapes
    share = _uniform(generator, count)[:, None].to(narrow.device)
    mixed = narrow.lerp(wide, share)
    noise = generator.normal(scale=_PRESHAPE_NOISE, size=mixed.shape).astype(np.float32)
    return (mixed + torch.from_numpy(noise).to(mixed.device)).clamp(hand.lower, hand.upper)


def _frame(directions: Tensor, roll: Tensor) -> Tensor:
    """(B, 3, 3) rotations whose third column is the direction, turned about it by ``roll``."""
    x, y = directions.new_tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    helper = torch.where(directions[:, :1].abs() < 0.7, x, y)
    first = torch.nn.functional.normalize(torch.linalg.cross(helper, directions), dim=-1)
    second = torch.linalg.cross(directions, first)
    cos, sin = roll.cos()[:, None], roll.sin()[:, None]
    return torch.stack((cos * first + sin * second, cos * second - sin * first, directions), dim=-1)


def _uniform(generator: np.random.Generator, count: int) -> Tensor:
    return torch.from_numpy(generator.random(count, dtype=np.float32))
