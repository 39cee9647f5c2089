"""What is wrong with grasps, as sums that can be differentiated: UniDexGrasp, sec. 3.2.3 and Eq. 2.

The same four terms finish the training of GraspGlow (Eq. 2) and adapt a grasp at test time (Eq. 3),
under weights of their own (Table 6). They are taken in the table-top frame, the table at z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics, directions_on_links, points_on_links
from dexgrasp_models.hand.planning_hand import PlanningHand, ball_overlap
from dexgrasp_models.hand.surface import sample_surface
from dexgrasp_models.nets.contact import contact_heat
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.parameters import Parameters, parameter

NEAR = 0.02
"""Points nearer to the hand than this attract it, where `dis` counts (m); GraspTTA's figure."""


@dataclass(frozen=True)
class LossWeights(Parameters):
    """Weights of the terms; by default those of the end-to-end training (Table 6, upper half)."""

    cmap: float = parameter(0.02, 0, 1e6, "", "difference of contact map and target")
    pen: float = parameter(500.0, 0, 1e9, "1/m^2", "penetration of the object")
    tpen: float = parameter(50.0, 0, 1e6, "1/m", "penetration of the table")
    spen: float = parameter(10.0, 0, 1e6, "1/m", "penetration of the hand by itself")
    dis: float = parameter(0.0, 0, 1e6, "1/m^2", "distance of the pads from points near the hand")
    points: int = parameter(
        3000, 1, 100_000, "", "how many points cmap and pen are sums over; others are scaled to it"
    )


ADAPTATION_WEIGHTS = LossWeights(cmap=0.07, pen=10_000.0, tpen=1000.0, spen=10.0, points=1024)
"""Table 6, lower half. The numbers of points are those of the authors' published configuration."""


class HandBody:
    """The hand as the losses see it: distances to it, points on it, and balls that cover it."""

    def __init__(self, kinematics: HandKinematics, surface_points: int = 1024) -> None:
        """
        Args:
            kinematics: of the hand; tells type and device of all tensors.
            surface_points: how many points stand for the hand where a network sees it.
        """
        self.kinematics = kinematics
        self.distance = HandDistance(kinematics)
        device = kinematics.device
        planning = PlanningHand(
            kinematics.spec, coupled=False, dtype=kinematics.dtype, device=device
        )
        self.ball_links = planning.ball_links
        self.ball_centers = planning.ball_centers
        self.ball_radii = planning.ball_radii
        self.ball_pairs = planning.ball_pairs
        pads = planning.pad_points
        self.pad_links = planning.pad_links.repeat_interleave(pads.shape[1])
        self.pad_points = pads.flatten(0, 1)
        self._pad_normals = planning.pad_normals.flatten(0, 1)
        surface = sample_surface(kinematics.spec, surface_points, seed=0)
        self._surface_links = torch.as_tensor(surface.link_index, device=device)
        self._surface_points = torch.as_tensor(
            surface.points, dtype=kinematics.dtype, device=device
        )

    def link_poses(self, grasps: GraspTensors) -> Tensor:
        """(B, L, 4, 4) in the grasps' frame."""
        return self.kinematics.link_poses(grasps.palm_poses, grasps.joints)

    def surface(self, link_poses: Tensor) -> Tensor:
        """(B, M, 3) points spread over the hand's surface, m."""
        return points_on_links(link_poses, self._surface_links, self._surface_points)

    def pads(self, link_poses: Tensor) -> Tensor:
        """(B, 45, 3) places likely to touch an object, m: nine on the distal link of each digit."""
        return points_on_links(link_poses, self.pad_links, self.pad_points)

    def pad_normals(self, link_poses: Tensor) -> Tensor:
        """(B, 45, 3) outward unit normals of the hand there."""
        return directions_on_links(link_poses, self.pad_links, self._pad_normals)

    def balls(self, link_poses: Tensor) -> Tensor:
        """(B, S, 3) centres of the covering balls, m."""
        return points_on_links(link_poses, self.ball_links, self.ball_centers)


class Losses(NamedTuple):
    """Terms and their weighted sum, for each of B grasps."""

    terms: dict[str, Tensor]
    """(B,) by name, unweighted: cmap, pen (m^2), tpen (m), spen (m), and dis (m^2) if it counts."""
    total: Tensor
    """(B,)."""


class GraspLosses:
    """The terms for batches of grasps.

    - cmap: squared difference of contact map and target, summed over the points.
    - pen: squared depth in the hand, summed over the points ("signed squared distance").
    - tpen: depth of the hand below the table, summed over the balls that cover it.
    - spen: overlap of balls that should not touch, summed over the pairs.
    - dis: squared distance to the nearest pad, mean over the points near the hand: the hand-centric
      loss of GraspTTA (Jiang et al., ICCV 2021, Eq. 4), whose weight is zero in UniDexGrasp.

    Key points of the hand are balls of the links' own radii here, so the last two need no margins.
    """

    def __init__(self, hand: HandBody, weights: LossWeights | None = None) -> None:
        self.hand = hand
        self.weights = weights or LossWeights()

    def __call__(self, grasps: GraspTensors, points: Tensor, target: Tensor) -> Losses:
        """
        Args:
            grasps: B of them, in the table-top frame.
            points: (B, N, 3) cloud in the same frame, or (N, 3) for all of them, m.
            target: (B, N) contact map that the grasps should have; no gradient goes there.

        Raises:
            ValueError: shapes don't fit together.
        """
        batch = grasps.count
        if points.shape[-1:] != (3,) or points.dim() not in (2, 3) or points.shape[-2] == 0:
            raise ValueError(f"expected points (B, N, 3) or (N, 3), got {tuple(points.shape)}")
        if target.shape != (batch, points.shape[-2]):
            raise ValueError(
                f"expected a target ({batch}, {points.shape[-2]}), got {tuple(target.shape)}"
            )
        share = points.new_full(points.shape[-2:-1], self.weights.points / points.shape[-2])
        return self.from_links(self.hand.link_poses(grasps), points, target, share, share)

    def from_links(
        self, link_poses: Tensor, points: Tensor, target: Tensor, in_map: Tensor, in_hand: Tensor
    ) -> Losses:
        """As a call, from link poses (B, L, 4, 4) and with points that count unequally.

        Args:
            link_poses: in the table-top frame.
            points, target: as in a call.
            in_map: (N,) how many points each stands for in the contact map.
            in_hand: (N,) the same for penetration.
        """
        depths = -self.hand.distance.to_links(points, link_poses)
        balls = self.hand.balls(link_poses)
        terms = {
            "cmap": (contact_heat(depths) - target.detach()).square() @ in_map,
            "pen": depths.clamp_min(0).square() @ in_hand,
            "tpen": (self.hand.ball_radii - balls[..., 2]).clamp_min(0).sum(1),
            "spen": ball_overlap(balls, self.hand.ball_radii, self.hand.ball_pairs),
        }
        if self.weights.dis:
            terms["dis"] = self._attraction(link_poses, points, depths, in_map)
        total = sum(getattr(self.weights, name) * value for name, value in terms.items())
        return Losses(terms, total)

    def _attraction(
        self, link_poses: Tensor, points: Tensor, depths: Tensor, in_map: Tensor
    ) -> Tensor:
        pads = self.hand.pads(link_poses)
        points = points.expand(len(pads), *points.shape[-2:])
        with torch.no_grad():
            nearest = torch.cdist(points, pads).argmin(-1)
        chosen = pads.gather(1, nearest[..., None].expand(-1, -1, 3))
        near = (depths > -NEAR) * in_map
        squared = (points - chosen).square().sum(-1)
        return (squared * near).sum(1) / near.sum(1).clamp_min(1)
