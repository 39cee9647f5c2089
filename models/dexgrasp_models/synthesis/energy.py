"""The energy of a grasp: UniDexGrasp appendix A, Eq. 4, on a point cloud.

Terms: force closure, attraction, alignment of the pads with the surface (not in Eq. 4), penetration
of the object, of the table and of the hand itself, joint limits, and a weak pull towards the
pre-shape. All are functions of link poses and joint angles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.mechanics.force_closure import force_closure
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface

MISALIGNMENT_LENGTH = 0.1
"""Gap (m) that a pad turned by 90 degrees is worth when the best pad of a digit is chosen."""


@dataclass(frozen=True)
class Contacts:
    """One contact for each of the five digits."""

    pads: Tensor
    """(B, 5) index of the chosen pad."""
    hand_points: Tensor
    """(B, 5, 3) on the hand, m."""
    points: Tensor
    """(B, 5, 3) nearest on the smoothed surface, m."""
    normals: Tensor
    """(B, 5, 3) outward unit normals of the object."""
    gaps: Tensor
    """(B, 5) distance between the two points, m."""
    misalignment: Tensor
    """(B, 5) 1 + cos of the angle between the outward normals: 0 when face to face."""


@dataclass(frozen=True)
class Energy:
    """Unweighted terms and their weighted sum, each (B,)."""

    terms: dict[str, Tensor]
    total: Tensor
    contacts: Contacts
    forces: Tensor
    """(B, 5, 3) balancing forces of the digits on the object, of total normal part one."""
    closure_weights: Tensor
    """(B, K) solution of the force closure programme, a warm start for the next call."""


class GraspEnergy:
    """Energy of batches of grasps, as many of each object."""

    def __init__(self, hand: PlanningHand, surface: ObjectSurface, config: EnergyConfig) -> None:
        self.hand = hand
        self.surface = surface
        self.config = config
        load = (0.0, 0.0, -config.gravity_load, 0.0, 0.0, 0.0)
        self._load = surface.points.new_tensor(load) if config.gravity_load else None
        self._weights = {
            "closure": config.weight_closure,
            "distance": config.weight_distance,
            "alignment": config.weight_alignment,
            "penetration": config.weight_penetration,
            "table": config.weight_table,
            "self": config.weight_self,
            "joints": config.weight_joints,
            "prior": config.weight_prior,
        }

    def __call__(
        self,
        link_poses: Tensor,
        joints: Tensor,
        preshape: Tensor,
        closure_start: Tensor | None = None,
        obstacles: Tensor | None = None,
    ) -> Energy:
        """Evaluate all terms.

        Args:
            link_poses: (B, L, 4, 4) in ``world``.
            joints: (B, 22) rad.
            preshape: (B, 22) joint angles that the prior pulls towards.
            closure_start: (B, K) warm start of the force closure programme.
            obstacles: see :meth:`penetration`.
        """
        contacts = self.contacts(link_poses)
        closure = force_closure(
            contacts.hand_points,
            contacts.normals,
            self.surface.of_each_grasp(self.surface.center, len(link_poses)),
            friction=self.config.friction,
            torque_length=self.config.torque_length,
            external=self._load,
            steps=self.config.closure_steps,
            start=closure_start,
        )
        limits = self.hand.joint_limits
        terms = {
            "closure": closure.residual,
            "distance": contacts.gaps.sum(1),
            "alignment": contacts.misalignment.sum(1),
            "penetration": self.penetration(link_poses, obstacles),
            "table": self.table(link_poses),
            "self": self.self_penetration(link_poses),
            "joints": (limits[:, 0] - joints).clamp_min(0).sum(1)
            + (joints - limits[:, 1]).clamp_min(0).sum(1),
            "prior": (joints - preshape).square().sum(1),
        }
        total = cast(Tensor, sum(self._weights[name] * value for name, value in terms.items()))
        return Energy(terms, total, contacts, closure.forces, closure.weights)

    def contacts(self, link_poses: Tensor) -> Contacts:
        """The best pad of each digit, by gap and misalignment, and the surface beside it."""
        with torch.no_grad():
            pads = self.hand.pads(link_poses.detach())
            distances, normals = self.surface.nearest_sparse(pads.points)
            cosines = (normals * pads.normals).sum(-1)
            chosen = (distances + MISALIGNMENT_LENGTH * (1 + cosines)).argmin(-1)
        digits = torch.arange(chosen.shape[1], device=chosen.device)
        poses = link_poses[:, self.hand.pad_links]
        local = self.hand.pad_points[digits, chosen][..., None]
        local_normals = self.hand.pad_normals[digits, chosen][..., None]
        hand_points = (poses[..., :3, :3] @ local)[..., 0] + poses[..., :3, 3]
        hand_normals = (poses[..., :3, :3] @ local_normals)[..., 0]
        points, normals = self.surface.smooth(
            hand_points, self.config.contact_neighbours, self.config.contact_sigma
        )
        gaps = ((hand_points - points).square().sum(-1) + 1e-10).sqrt()
        misalignment = 1.0 + (hand_normals * normals).sum(-1)
        return Contacts(chosen, hand_points, points, normals, gaps, misalignment)

    @torch.no_grad()
    def nearest_obstacles(self, link_poses: Tensor, count: int) -> Tensor:
        """(B, count) indices of the surface points and inner balls that are nearest to the hand."""
        points, radii = self._obstacles(len(link_poses))
        distances = self.hand.distance.to_links(points, link_poses)
        return (distances - radii).topk(count, largest=False).indices

    def penetration(self, link_poses: Tensor, obstacles: Tensor | None = None) -> Tensor:
        """Sum of the depths in the hand, with the margin, of surface points and inner balls.

        Args:
            link_poses: (B, L, 4, 4).
            obstacles: (B, K) or (K,) indices of those looked at; all by default.

        Returns:
            (B,) m.
        """
        points, radii = self._obstacles(len(link_poses))
        if obstacles is not None:
            obstacles = obstacles.expand(len(points), -1)
            points = points.gather(1, obstacles[..., None].expand(-1, -1, 3))
            radii = radii.gather(1, obstacles)
        depths = radii + self.config.penetration_margin
        depths = depths - self.hand.distance.to_links(points, link_poses)
        return depths.clamp_min(0).sum(1)

    def _obstacles(self, grasps: int) -> tuple[Tensor, Tensor]:
        """(B, M, 3) points and (B, M) radii of what each grasp must keep clear of."""
        surface = self.surface
        return (
            surface.of_each_grasp(surface.obstacle_points, grasps),
            surface.of_each_grasp(surface.obstacle_radii, grasps),
        )

    def table(self, link_poses: Tensor) -> Tensor:
        """(B,) sum of the depths of the hand's balls below the table's margin."""
        return (self.config.table_margin - self.hand.heights(link_poses)).clamp_min(0).sum(1)

    def self_penetration(self, link_poses: Tensor) -> Tensor:
        """(B,) sum of the overlaps of balls that should not touch."""
        return self.hand.overlap(link_poses)
