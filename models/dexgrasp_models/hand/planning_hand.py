"""The hand as the planner uses it: planned coordinates, contact pads and balls that cover it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics, directions_on_links, points_on_links
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.hand.surface import contact_candidates

_OPENING = {"FFJ3": -1.0, "MFJ3": -1.0, "RFJ3": -1.0, "LFJ3": -1.0, "THJ1": 1.0}


class Pads(NamedTuple):
    """Candidate contact points of the distal links in a pose of the hand."""

    points: Tensor
    """(B, 5, 9, 3) in ``world``, m."""
    normals: Tensor
    """(B, 5, 9, 3) outward unit normals of the hand."""


class PlanningHand:
    """Constants of a :class:`HandSpec` as tensors, and maps between its representations.

    Args:
        spec: the hand.
        coupled: whether J1 = J2 of the coupled joints, so that there are 18 coordinates, not 22.
        forearm: whether the forearm hangs on the palm and must keep clear of the table too.
        dtype: of all tensors; double precision serves to check gradients.
        device: of all tensors.
    """

    def __init__(
        self,
        spec: HandSpec,
        coupled: bool = True,
        *,
        forearm: bool = False,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.spec = spec
        self.dtype = dtype
        self.device = torch.device(device)
        self.kinematics = HandKinematics(spec, dtype=dtype, device=device)
        self.distance = HandDistance(self.kinematics)
        expansion = spec.expansion if coupled else np.eye(len(spec.joints))
        # A coordinate is the angle of its joints: of both joints where one tendon moves two.
        expansion = expansion / expansion.max(axis=0)
        limits = spec.limits
        moved = expansion.T[:, :, None] > 0
        self.expansion = self._tensor(expansion)
        """(22, K) joints = expansion @ coordinates."""
        self.lower = self._tensor(np.where(moved, limits, -np.inf)[..., 0].max(1))
        """(K,) lower limits of the coordinates, rad."""
        self.upper = self._tensor(np.where(moved, limits, np.inf)[..., 1].min(1))
        """(K,) upper limits of the coordinates, rad."""
        self.joint_limits = self._tensor(limits)
        """(22, 2) limits of the joints, rad."""

        self._coupled = coupled
        named = [_OPENING.get(name[-4:], 0.0) for name in spec.finger_joints]
        self.opening = self.coordinates(self._tensor([named]))[0].sign()
        """(K,) sign by which the coordinates at the base of each digit open the hand; else zero."""
        self._init_pads()
        self._init_balls()
        self._init_forearm(forearm)

    # Construction

    def _init_pads(self) -> None:
        candidates = contact_candidates(self.spec)
        self.pad_links = torch.as_tensor(candidates.link_index, device=self.device)
        """(5,) link of each digit's pads."""
        self.pad_points = self._tensor(candidates.points)
        self.pad_normals = self._tensor(candidates.normals)

    def _init_balls(self) -> None:
        """Cover the hand with balls, for its own collisions and those with the table."""
        links, centers, radii = [], [], []
        local: np.ndarray | list[tuple[float, float, float]]
        for index, link in enumerate(self.spec.links):
            for shape in link.primitives:
                if shape.kind == "capsule":
                    local = [(0.0, 0.0, z * shape.size[1]) for z in (-1.0, 0.0, 1.0)]
                    radius = shape.size[0]
                else:
                    radius = min(shape.size)
                    spans = [
                        np.linspace(
                            -(size - radius), size - radius, max(1, math.ceil(size / radius))
                        )
                        for size in shape.size
                    ]
                    local = np.stack(np.meshgrid(*spans), axis=-1).reshape(-1, 3)
                for point in local:
                    links.append(index)
                    centers.append(shape.pose.matrix[:3, :3] @ point + shape.pose.position)
                    radii.append(radius)
        self.ball_links = torch.tensor(links, device=self.device)
        """(S,) link of each ball."""
        self.ball_centers = self._tensor(np.array(centers))
        """(S, 3) centres in their links, m."""
        self.ball_radii = self._tensor(radii)
        """(S,) radii, m."""
        # Links that touch by design, being at most three joints apart, are left out.
        parents = self.spec.parents
        near = np.eye(len(parents), dtype=bool)
        for index in range(len(parents)):
            ancestor = index
            for _ in range(3):
                ancestor = parents[ancestor]
                if ancestor < 0:
                    break
                near[index, ancestor] = near[ancestor, index] = True
        pairs = ~near[np.ix_(links, links)]
        self.ball_pairs = torch.from_numpy(np.triu(pairs, k=1)).to(self.device)
        """(S, S) bool: which pairs of balls must not overlap."""

    def _init_forearm(self, present: bool) -> None:
        """Balls in the palm's frame that cover the forearm, the wrist being at zero."""
        centers, radii = [], []
        if present:
            palm_T_root = np.linalg.inv(self.spec.mount.root_T_palm)
            for shape in self.spec.mount.links[0].primitives:
                for end in shape.segment:
                    centers.append(palm_T_root[:3, :3] @ end + palm_T_root[:3, 3])
                    radii.append(shape.size[0])
        self.forearm_centers = self._tensor(centers).reshape(-1, 3)
        self.forearm_radii = self._tensor(radii)

    # Maps

    def joints(self, coordinates: Tensor) -> Tensor:
        """(B, K) planned coordinates to (B, 22) joint angles."""
        return coordinates @ self.expansion.T

    def coordinates(self, joints: Tensor) -> Tensor:
        """(B, 22) joint angles to the (B, K) planned coordinates nearest to them."""
        return joints @ torch.linalg.pinv(self.expansion).T

    def spread_torques(self, torques: Tensor) -> Tensor:
        """(B, 22) torques as the actuators can give them: a tendon's two joints get equal parts.

        The tendon's torque is the one that does the same work when J1 = J2 = J0 / 2; the stop that
        keeps J1 from exceeding J2 takes the difference. The result is in units of the actuators'
        torque, to be multiplied by a compliance: the two joints' offsets add up to the tendon's.
        """
        if not self._coupled:
            return torques
        expansion = self.kinematics.expansion
        return torques @ expansion @ expansion.T

    def link_poses(self, palm_pose: Tensor, joints: Tensor) -> Tensor:
        """(B, L, 4, 4) poses in ``world`` for (B, 4, 4) palm poses and (B, 22) joint angles."""
        return self.kinematics.link_poses(palm_pose, joints)

    def pads(self, link_poses: Tensor) -> Pads:
        """Candidate contacts in ``world``."""
        links = self.pad_links.repeat_interleave(self.pad_points.shape[1])
        points = points_on_links(link_poses, links, self.pad_points.flatten(0, 1))
        normals = directions_on_links(link_poses, links, self.pad_normals.flatten(0, 1))
        shape = (len(link_poses), *self.pad_points.shape)
        return Pads(points.view(shape), normals.view(shape))

    def balls(self, link_poses: Tensor) -> Tensor:
        """(B, S, 3) centres of the covering balls in ``world``."""
        return points_on_links(link_poses, self.ball_links, self.ball_centers)

    def overlap(self, link_poses: Tensor) -> Tensor:
        """(B,) sum of the depths, m, to which balls that should not touch lie in each other."""
        return ball_overlap(self.balls(link_poses), self.ball_radii, self.ball_pairs)

    def heights(self, link_poses: Tensor) -> Tensor:
        """(B, S) heights of the lowest points of all balls, the forearm's included, m."""
        fingers = self.balls(link_poses)[..., 2] - self.ball_radii
        palm = link_poses[:, 0]
        forearm = self.forearm_centers @ palm[:, 2, :3, None]
        return torch.cat((fingers, forearm[..., 0] + palm[:, 2, 3:] - self.forearm_radii), dim=1)

    def _tensor(self, values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=self.dtype, device=self.device)


def ball_overlap(centers: Tensor, radii: Tensor, pairs: Tensor) -> Tensor:
    """(B,) sum of the depths to which some pairs of balls lie in each other, differentiable.

    Args:
        centers: (B, S, 3) m.
        radii: (S,) m.
        pairs: (S, S) bool, which of them count.
    """
    with torch.no_grad():
        touching = (torch.cdist(centers, centers) < radii[:, None] + radii) & pairs
        batch, one, other = touching.nonzero(as_tuple=True)
    apart = (centers[batch, one] - centers[batch, other]).square().sum(-1).clamp_min(1e-12)
    depths = (radii[one] + radii[other] - apart.sqrt()).clamp_min(0)
    return centers.new_zeros(len(centers)).index_add(0, batch, depths)
