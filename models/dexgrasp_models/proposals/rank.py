"""Ranking: a logistic model of success on figures of a grasp that need no simulation.

Its coefficients are fitted by ``bench/fit_ranker.py`` to executions in simulation and stored in
``ranker.yaml``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor

from dexgrasp_models.geometry.farthest_points import farthest_points
from dexgrasp_models.mechanics.force_closure import (
    force_closure,
    friction_cone,
    solve_simplex_programme,
    wrench_matrix,
)
from dexgrasp_models.synthesis.energy import Contacts, Energy, GraspEnergy

RANKER_FILE = Path(__file__).with_name("ranker.yaml")

_SWEEP = (0.25, 0.5, 0.75)  # of the way from the pre-grasp to the grasp
_APPROACH_STEPS = (0.01, 0.025, 0.045, 0.07, 0.10)  # m before the grasp
_APPROACH_DIRECTIONS = (  # in the palm's frame: behind the palm, off its back, and in between
    (0.0, 0.0, -1.0),
    (0.0, 1.0, 0.0),
    (0.0, 0.7071, -0.7071),
    (0.5, 0.6, -0.6245),
    (-0.5, 0.6, -0.6245),
)
_SWEEP_POINTS = 128
_EXACT_STEPS = 200
_DISTURBED_STEPS = 60
_DISTURBANCE = 0.2  # of the total normal force, for a force; times the torque length, for a torque
_TOUCHING = 0.004  # m: a digit closer than this counts as a contact


def grasp_figures(
    energy: GraspEnergy, result: Energy, link_poses: Tensor, joints: Tensor, pregrasp: Tensor
) -> dict[str, Tensor]:
    """Figures by which grasps are ranked and rejected, each (B,).

    Args:
        energy: the energy of the one object.
        result: its value at the grasps.
        link_poses: (B, L, 4, 4) of the grasps.
        joints: (B, 22) of the grasps, rad.
        pregrasp: (B, 22) opened joints, rad.
    """
    hand, surface, contacts = energy.hand, energy.surface, result.contacts
    center = surface.of_each_grasp(surface.center, len(joints))
    distances = hand.distance.to_links(surface.points[0], link_poses)
    balls = hand.distance.to_links(surface.obstacle_points[0], link_poses)
    intrusion = torch.cat((-distances, surface.obstacle_radii - balls), dim=1)
    closure = force_closure(
        contacts.hand_points,
        contacts.normals,
        center,
        friction=energy.config.friction,
        torque_length=energy.config.torque_length,
        steps=_EXACT_STEPS,
        start=result.closure_weights,
    )
    sizes = closure.forces.norm(dim=-1)
    palm = link_poses[:, 0]
    grip = contacts.hand_points.mean(1)
    overlap = energy.self_penetration(link_poses)
    sweep, approach = _swept(energy, palm, joints, pregrasp)
    return {
        "penetration": intrusion.amax(1).clamp_min(0),
        "penetration_sum": intrusion.clamp_min(0).mean(1),
        "alignment": contacts.misalignment.mean(1),
        "alignment_worst": contacts.misalignment.amax(1),
        "gap": contacts.gaps.mean(1),
        "gap_worst": contacts.gaps.amax(1),
        "touching": (contacts.gaps < _TOUCHING).float().mean(1),
        "closure": closure.residual.sqrt(),
        "resistance": _unresisted(energy, contacts, closure.weights),
        "palm_down": palm[:, 2, 1],
        "fingers_down": -palm[:, 2, 2],
        "horizontal_force": closure.forces[..., :2].norm(dim=-1).sum(1),
        "lifting_force": closure.forces[..., 2].clamp_min(0).sum(1),
        "thumb_force": sizes[:, -1],
        "largest_force": sizes.amax(1),
        "grip_offset": (grip - center)[:, :2].norm(dim=-1),
        "grip_height": (grip - center)[:, 2],
        "table_clearance": hand.heights(link_poses).amin(1),
        "self_penetration": overlap,
        "sweep": sweep,
        "approach": approach,
        "energy": result.total,
    }


def _unresisted(energy: GraspEnergy, contacts: Contacts, start: Tensor) -> Tensor:
    """(B,) largest net wrench left of disturbances along and about the axes of ``world``."""
    config = energy.config
    cone = friction_cone(contacts.normals, config.friction)
    wrenches = wrench_matrix(
        contacts.hand_points, cone, energy.surface.center, config.torque_length
    )
    disturbances = _DISTURBANCE * torch.cat((torch.eye(6), -torch.eye(6)))
    count = len(disturbances)
    repeated = wrenches.repeat_interleave(count, 0)
    external = disturbances.repeat(len(wrenches), 1)
    weights = solve_simplex_programme(
        repeated, external, _DISTURBED_STEPS, start.repeat_interleave(count, 0)
    )
    net = (repeated @ weights[..., None])[..., 0] + external
    return net.norm(dim=-1).view(-1, count).amax(1)


def _swept(
    energy: GraspEnergy, palm: Tensor, joints: Tensor, pregrasp: Tensor
) -> tuple[Tensor, Tensor]:
    """Depth of the hand in the object while closing, and on the best of a few approaches."""
    hand, surface = energy.hand, energy.surface
    spread = farthest_points(surface.points[0].numpy(), _SWEEP_POINTS)
    points = surface.points[0, spread]

    def depth(poses: Tensor, fingers: Tensor, shift: Tensor | None = None) -> Tensor:
        links = hand.link_poses(poses, fingers)
        if shift is not None:
            links = links.clone()
            links[..., :3, 3] += shift[:, None]
        low = hand.heights(links).amin(1)
        inside = -hand.distance.to_links(points, links).amin(1)
        return torch.maximum(inside, -low).clamp_min(0)

    sweep = torch.stack([depth(palm, pregrasp.lerp(joints, share)) for share in _SWEEP]).amax(0)
    directions = [palm[:, :3, :3] @ torch.tensor(direction) for direction in _APPROACH_DIRECTIONS]
    directions.append(torch.tensor([0.0, 0.0, 1.0]).expand(len(palm), 3))
    approaches = []
    for direction in directions:
        depths = [depth(palm, pregrasp, step * direction) for step in _APPROACH_STEPS]
        approaches.append(torch.stack(depths).mean(0))
    return sweep, torch.stack(approaches).amin(0)


@dataclass(frozen=True)
class Ranker:
    """Log-odds of success, linear in standardised figures."""

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    @classmethod
    def load(cls, path: Path = RANKER_FILE) -> Ranker:
        """Read a ranker.

        Raises:
            ValueError: the file does not describe one.
        """
        try:
            data = yaml.safe_load(path.read_text())
            figures = data["figures"]
            rows = [(row["mean"], row["scale"], row["coefficient"]) for row in figures.values()]
            means, scales, coefficients = zip(*rows, strict=True)
            ranker = cls(tuple(figures), means, scales, coefficients, float(data["intercept"]))
        except (
            OSError,
            yaml.YAMLError,
            LookupError,
            TypeError,
            AttributeError,
            ValueError,
        ) as error:
            raise ValueError(f"{path} is not a ranker file: {error}") from error
        if min(scales) <= 0 or not all(map(math.isfinite, (*means, *scales, *coefficients))):
            raise ValueError(f"{path}: scales must be positive and all numbers finite")
        return ranker

    def score(self, figures: Mapping[str, Tensor]) -> Tensor:
        """(B,) log-odds of grasps with these (B,) figures.

        Raises:
            KeyError: a figure that the ranker uses is missing.
        """
        columns = torch.stack([figures[name] for name in self.names], dim=1).double()
        means = torch.tensor(self.means, dtype=torch.float64)
        scales = torch.tensor(self.scales, dtype=torch.float64)
        standard = ((columns - means) / scales).clamp(-4.0, 4.0)
        coefficients = torch.tensor(self.coefficients, dtype=torch.float64)
        return standard @ coefficients + self.intercept


def rank_order(scores: Tensor) -> np.ndarray:
    """Indices from the best to the worst score; ties keep their order."""
    return scores.argsort(descending=True, stable=True).numpy()
