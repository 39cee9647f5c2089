"""The energy of the papers' synthesis: UniDexGrasp, appendix A, Eq. 4.

What takes the papers a distance to all triangles takes one to a sample of the surface here, at a
cost that does not depend on the mesh; distances to the hand are in closed form. A step that is
hopeless by its contacts alone need not be evaluated further, as no term is ever negative.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor

from dexgrasp_models.geometry.so3 import rotation_from_columns
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.surface import contact_candidates
from dexgrasp_models.synthesis.config import AnnealingConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface

PALM_NUMBERS = 9
"""Numbers of the palm's pose in a state: its position, m, and its first two columns."""

_TOUCHING = ("proximal", "middle", "distal")  # ends of the links that may touch, but for:
_NOT_TOUCHING = "rh_thproximal"
_KEY_POINTS = {
    "rh_thproximal": (0.038,),
    "rh_thmiddle": (0.032,),
    "rh_thdistal": (0.026,),
    **{f"rh_{finger}proximal": (0.024,) for finger in ("ff", "mf", "rf", "lf")},
    **{f"rh_{finger}middle": (0.0, 0.025) for finger in ("ff", "mf", "rf", "lf")},
    **{f"rh_{finger}distal": (0.024,) for finger in ("ff", "mf", "rf", "lf")},
}
"""Points that keep apart, by their z in the link's frame, m (DexGraspNet's settings)."""
_NEIGHBOURS = 8  # of a sample, half the distance of the farthest of which is its disc's radius
_RANKED = {"cpu": 1 << 19, "cuda": 1 << 27}  # numbers at a time; the former stay in a cache
_ROUNDING = 1e-5  # m, below which directions between points mean nothing


class SurfaceDistance(NamedTuple):
    """Of some points to the object."""

    distances: Tensor
    """(...) m, never negative."""
    normals: Tensor
    """(..., 3) outward unit normals of the object, constant: the signed distance's gradient."""


class PaperEnergy:
    """Eq. 4 of grasps of G objects.

    A state is the palm's position (m), the first two columns of its rotation up to their lengths,
    and the K planned coordinates of the hand (rad), all in one row. Contacts are indices of contact
    candidates, which are on the pads of all phalanges. Where only some grasps of a batch are looked
    at, the object's part comes by index: `nearest` and `obstacles`.

    Args:
        hand: whose coordinates are planned.
        surface: the objects.
        config: weights.
    """

    def __init__(self, hand: PlanningHand, surface: ObjectSurface, config: AnnealingConfig) -> None:
        self.hand = hand
        self.surface = surface
        self.config = config
        spec, device = hand.spec, hand.device
        touching = [
            name for name in spec.link_names if name.endswith(_TOUCHING) and name != _NOT_TOUCHING
        ]
        found = contact_candidates(spec, touching)
        links = torch.as_tensor(found.link_index, device=device)
        self._candidate_links = links.repeat_interleave(found.points.shape[1])
        self._candidate_points = surface.points.new_tensor(found.points).flatten(0, 1)
        self.candidates = len(self._candidate_points)
        """How many contact candidates the hand has."""
        key_points = [(spec.link_index(name), z) for name, of in _KEY_POINTS.items() for z in of]
        self._key_links = torch.tensor([link for link, _ in key_points], device=device)
        self._key_heights = surface.points.new_tensor([z for _, z in key_points])
        # No key point keeps clear of itself.
        self._apart = surface.points.new_ones(len(key_points)).diag()

        # What is picked by index is all objects' in a row.
        self._objects, self._samples = surface.points.shape[:2]
        self._points, self._normals = surface.points.flatten(0, 1), surface.normals.flatten(0, 1)
        self._radii = _disc_radii(surface.points).flatten()
        self._half_squares = 0.5 * surface.points.square().sum(-1)[:, None]  # (G, 1, N)
        self._obstacles = surface.obstacle_points.flatten(0, 1)
        self._obstacle_radii = surface.obstacle_radii.flatten()
        ones = torch.ones_like(surface.obstacle_radii)[..., None]
        self._homogeneous = torch.cat([surface.obstacle_points, ones], dim=-1)  # (G, M, 4)
        spread = surface.obstacle_points.square().sum(-1)
        self._spreads = spread - surface.obstacle_radii.abs() * surface.obstacle_radii

    def __call__(self, states: Tensor, contacts: Tensor) -> dict[str, Tensor]:
        """All terms, with all points of the objects.

        Args:
            states: (B, 9 + K), as many of each object, in the order of the objects.
            contacts: (B, C).

        Returns:
            (B,) of each term, unweighted, and of their weighted sum, `total`.
        """
        link_poses = self.link_poses(states)
        nearest = self.nearest_samples(self.contact_points(link_poses, contacts))
        count = self.surface.obstacle_points.shape[1]
        rows = torch.arange(len(self._obstacles), device=states.device).view(-1, count)
        obstacles = self.surface.of_each_grasp(rows, len(states))
        return self.terms(states, contacts, nearest, obstacles)

    def terms(
        self, states: Tensor, contacts: Tensor, nearest: Tensor, obstacles: Tensor
    ) -> dict[str, Tensor]:
        """As the call, of any grasps, their part of the object given.

        Args:
            states: (B, 9 + K).
            contacts: (B, C).
            nearest: (B, C) from `nearest_samples`.
            obstacles: (B, M) from `nearest_obstacles`.
        """
        joints = self.hand.joints(states[:, PALM_NUMBERS:])
        link_poses = self.link_poses(states)
        terms = {
            **self.contact_terms(self.contact_points(link_poses, contacts), nearest),
            "penetration": self.penetration(link_poses, obstacles),
            "table": (-self.hand.distance.lowest(link_poses)).clamp_min(0).sum(1),
            "joints": self.beyond_limits(joints),
            "self": self.self_penetration(link_poses),
        }
        return {**terms, "total": self.total(terms)}

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """Weighted sum of some terms; E_fc has a weight of one."""
        config = self.config
        weights = {
            "closure": 1.0,
            "distance": config.weight_distance,
            "penetration": config.weight_penetration,
            "table": config.weight_table,
            "joints": config.weight_joints,
            "self": config.weight_self,
        }
        return cast(Tensor, sum(weights[name] * values for name, values in terms.items()))

    # Of the hand

    def palm_poses(self, states: Tensor) -> Tensor:
        """(B, 4, 4) of states (B, 9 + K), in `world`."""
        rotations = rotation_from_columns(states[:, 3:PALM_NUMBERS])
        upper = torch.cat([rotations, states[:, :3, None]], dim=2)
        lowest = states.new_tensor([0, 0, 0, 1]).expand(len(states), 1, 4)
        return torch.cat([upper, lowest], dim=1)

    def link_poses(self, states: Tensor) -> Tensor:
        """(B, L, 4, 4) of states (B, 9 + K), in `world`."""
        joints = self.hand.joints(states[:, PALM_NUMBERS:])
        return self.hand.link_poses(self.palm_poses(states), joints)

    def contact_points(self, link_poses: Tensor, contacts: Tensor) -> Tensor:
        """(B, C, 3) points of contact candidates given by their indices (B, C)."""
        grasps, links = link_poses.shape[:2]
        first = links * torch.arange(grasps, device=contacts.device)[:, None]
        rows = (first + self._candidate_links[contacts]).flatten()
        poses = link_poses[:, :, :3].reshape(-1, 3, 4).index_select(0, rows)
        local = self._candidate_points[contacts].view(-1, 3, 1)
        return ((poses[..., :3] @ local)[..., 0] + poses[..., 3]).view(*contacts.shape, 3)

    def beyond_limits(self, joints: Tensor) -> Tensor:
        """E_joints: (B,) sum of the angles of (B, 22) joints beyond their limits, rad."""
        lower, upper = self.hand.joint_limits.T
        return ((lower - joints).clamp_min(0) + (joints - upper).clamp_min(0)).sum(1)

    def self_penetration(self, link_poses: Tensor) -> Tensor:
        """E_spen: (B,) sum over ordered pairs of key points of what lacks to their least distance.

        In m.
        """
        poses = link_poses.index_select(1, self._key_links)
        points = poses[..., :3, 3] + self._key_heights[:, None] * poses[..., :3, 2]
        squares = (points[:, :, None] - points[:, None]).square().sum(-1) + self._apart
        gaps = squares.clamp_min(1e-12).sqrt()
        return (self.config.self_distance - gaps).clamp_min(0).sum((1, 2))

    # Of hand and object

    @torch.no_grad()
    def nearest_samples(self, points: Tensor) -> Tensor:
        """(B, C) index, among those of all objects, of the surface sample nearest to each point.

        Args:
            points: (B, C, 3), as many grasps of each object, in the order of the objects.
        """
        queries = points.reshape(self._objects, -1, 3)
        # Half the squared distance, less what is the same for all samples.
        ranks = torch.baddbmm(self._half_squares, queries, self.surface.points.mT, alpha=-1)
        first = self._samples * torch.arange(self._objects, device=points.device)
        return (ranks.min(-1).indices + first[:, None]).view(points.shape[:2])

    def surface_distance(self, points: Tensor, nearest: Tensor) -> SurfaceDistance:
        """Of points (B, C, 3) to the discs about their nearest samples (B, C).

        A sample stands for a disc in its tangential plane that reaches its neighbours': the
        distance to a plane wherever the surface goes on, to an edge where it ends.
        """
        normals, radii = self._normals[nearest], self._radii[nearest]
        offsets = points - self._points[nearest]
        heights = (offsets * normals).sum(-1)
        flat = offsets - heights[..., None] * normals
        reach = flat.square().sum(-1).clamp_min(1e-16).sqrt()
        beyond = (reach - radii).clamp_min(0)
        distances = (heights.square() + beyond.square() + 1e-12).sqrt()
        with torch.no_grad():
            away = heights[..., None] * normals + (beyond / reach)[..., None] * flat
            inside = heights < -beyond
            outward = torch.where(inside[..., None], -away, away) / distances[..., None]
            normals = torch.where((distances > _ROUNDING)[..., None], outward, normals)
        return SurfaceDistance(distances, normals)

    def contact_terms(self, points: Tensor, nearest: Tensor) -> dict[str, Tensor]:
        """E_fc and E_dis, (B,) each, of contact points (B, C, 3) and their samples (B, C)."""
        distances, normals = self.surface_distance(points, nearest)
        centers = self.surface.center[nearest[:, 0] // self._samples]
        return {
            "closure": force_closure_energy(points, normals, centers),
            "distance": distances.sum(1),
        }

    def penetration(self, link_poses: Tensor, obstacles: Tensor) -> Tensor:
        """E_pen: (B,) sum of the depths in the hand of the object's points (B, M), by index, m."""
        radii = self._obstacle_radii[obstacles]
        return self.hand.distance.overlap(self._obstacles[obstacles], radii, link_poses)

    @torch.no_grad()
    def nearest_obstacles(self, states: Tensor) -> Tensor:
        """(B, M) indices, among those of all objects, of the object's points nearest to each hand.

        Args:
            states: (B, 9 + K), as many of each object, in the order of the objects.
        """
        grasps, surface = len(states), self.surface
        count = surface.obstacle_points.shape[1]
        centers = self.hand.balls(self.link_poses(states))
        # |x - c|^2 - r^2 to the balls that cover the hand, the least of which ranks the points; in
        # the form of a matrix product, less what is the same for all balls.
        offsets = centers.square().sum(-1) - self.hand.ball_radii.square()
        rows = torch.cat([-2 * centers, offsets[..., None]], dim=-1)  # (B, S, 4)
        points = self._homogeneous.mT
        some = max(1, _RANKED[states.device.type] // (rows.shape[1] * count))
        each = grasps // self._objects
        ranks = [
            (block @ points[index]).amin(1)
            for index, of_object in enumerate(rows.split(each))
            for block in of_object.split(some)
        ]
        ranked = torch.cat(ranks) + self._spreads.repeat_interleave(each, dim=0)
        nearest = ranked.topk(min(count, self.config.nearest_points), largest=False).indices
        first = count * torch.arange(self._objects, device=states.device)
        return nearest + surface.of_each_grasp(first, grasps)[:, None]


def force_closure_energy(points: Tensor, normals: Tensor, centers: Tensor) -> Tensor:
    """(B,) |G c|^2: the wrench that unit forces along the normals leave unbalanced, in N and N m.

    Args:
        points: (B, C, 3) contacts, m.
        normals: (B, C, 3) unit normals of the object there.
        centers: (B, 3) about which torques are taken, m.
    """
    torques = torch.linalg.cross(points - centers[:, None], normals)
    return normals.sum(1).square().sum(1) + torques.sum(1).square().sum(1)


def _disc_radii(points: Tensor) -> Tensor:
    """(G, N) radii with which discs about random samples (G, N, 3) of a surface cover it, m."""
    count = min(_NEIGHBOURS + 1, points.shape[1])
    each = [torch.cdist(p, p).topk(count, largest=False).values[:, -1] for p in points]
    return 0.5 * torch.stack(each)
