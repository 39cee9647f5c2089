"""Closed-form signed distance from points to the hand.

After UniDexGrasp, appendix A, "Hand SDF Calculation", with boxes in closed form too.

The hand is its boxes and capsules. Both are boxes grown by a radius: a capsule is a box without
width or depth, a box has radius zero. So one formula gives the distance in a primitive's frame, and
the distance to the hand is the least over the primitives, negative inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.robot.links import Primitive

_BLOCK_POINTS = {"cpu": 1 << 13, "cuda": 1 << 20}
"""Points, of all hands together, whose distances are computed at once; the former's stay in a
processor's cache."""


class NearestSurface(NamedTuple):
    """Nearest point of the hand's surface, seen from each of (B, N) points."""

    distance: Tensor
    """(B, N) signed distance in m, negative inside the hand."""
    normal: Tensor
    """(B, N, 3) unit outward normal of the hand there: the gradient of the distance."""
    link_index: Tensor
    """(B, N) index of the link that the surface belongs to."""


class HandDistance:
    """Signed distances from points to the hand's primitives, batched.

    Distances to all primitives come from a matrix product straight in the world, without a graph;
    where a gradient is wanted they only tell each point's nearest primitive, whose distance is then
    computed anew and differentiated. The gradient is the same, as that of a minimum is that of its
    least term, and nothing of size points x primitives is kept for the backward pass.
    """

    def __init__(self, kinematics: HandKinematics) -> None:
        self.kinematics = kinematics
        self.shapes = _Shapes(kinematics)

    def signed_distance(self, points: Tensor, palm_pose: Tensor, joints: Tensor) -> Tensor:
        """Signed distance from points to the hand, negative inside.

        Args:
            points: (B, N, 3), or (N, 3) for the same points with every hand, in m.
            palm_pose: (B, 4, 4) palm poses in the points' frame.
            joints: (B, 22) joint angles in rad.

        Returns:
            (B, N) in m. Differentiable once with respect to all three, along rigid motions of the
            poses.
        """
        return self.to_links(points, self.kinematics.link_poses(palm_pose, joints))

    def to_links(self, points: Tensor, link_poses: Tensor) -> Tensor:
        """As `signed_distance`, from link poses (B, L, 4, 4) that are already known."""
        points = _batched(points, link_poses)
        if torch.is_grad_enabled() and (points.requires_grad or link_poses.requires_grad):
            return _SignedDistance.apply(points, link_poses, self.shapes)
        return torch.cat([block.amin(1) for block in self.shapes.blocks(points, link_poses)], 1)

    def overlap(self, centers: Tensor, radii: Tensor, link_poses: Tensor) -> Tensor:
        """Sum of the depths to which balls lie in the hand; cheap where few of them do.

        Args:
            centers: (B, N, 3) or (N, 3), constant, m.
            radii: (B, N) of the balls, zero for points, constant, m.
            link_poses: (B, L, 4, 4) in the centres' frame.

        Returns:
            (B,) m. Differentiable once with respect to the poses, along rigid motions.
        """
        return _Overlap.apply(_batched(centers, link_poses), radii, link_poses, self.shapes)

    def lowest(self, link_poses: Tensor) -> Tensor:
        """(B, P) z of each primitive's lowest point, from link poses (B, L, 4, 4)."""
        return self.shapes.lowest(link_poses)

    @torch.no_grad()
    def nearest(self, points: Tensor, link_poses: Tensor) -> NearestSurface:
        """Distance, outward normal and link of the nearest surface; not differentiable.

        Args:
            points: (B, N, 3) or (N, 3).
            link_poses: (B, L, 4, 4).
        """
        points = _batched(points, link_poses)
        primitive = self.shapes.nearest_primitive(points, link_poses)
        distance, normal = self.shapes.distance_to(primitive, points, link_poses)
        return NearestSurface(distance, normal, self.shapes.link_index[primitive])

    def by_link(self, points: Tensor, link_poses: Tensor) -> Tensor:
        """Signed distance to each link by itself, differentiable.

        Args:
            points: (B, N, 3) or (N, 3).
            link_poses: (B, L, 4, 4).

        Returns:
            (B, N, L); infinite for links without primitives.
        """
        points = _batched(points, link_poses)
        if torch.is_grad_enabled() and (points.requires_grad or link_poses.requires_grad):
            distances = self.shapes.distances(points, link_poses)
        else:
            blocks = self.shapes.blocks(points, link_poses)
            distances = torch.cat([block.transpose(1, 2) for block in blocks], dim=1)
        columns = []
        for link in range(link_poses.shape[1]):
            own = (self.shapes.link_index == link).nonzero().flatten()
            infinite = distances.new_full(distances.shape[:2], torch.inf)
            columns.append(distances[..., own].amin(-1) if len(own) else infinite)
        return torch.stack(columns, dim=-1)


class _Shapes:
    """The primitives as boxes grown by a radius, stacked."""

    def __init__(self, kinematics: HandKinematics) -> None:
        pairs = [
            (index, primitive)
            for kind in ("box", "capsule")
            for index, link in enumerate(kinematics.spec.links)
            for primitive in link.primitives
            if primitive.kind == kind
        ]

        def tensor(values: list) -> Tensor:
            return torch.as_tensor(
                np.array(values), dtype=kinematics.dtype, device=kinematics.device
            )

        self.boxes = sum(primitive.kind == "box" for _, primitive in pairs)
        """The first so many are boxes, the rest capsules."""
        self.link_index = torch.tensor([index for index, _ in pairs], device=kinematics.device)
        self.pose = tensor([primitive.pose.matrix for _, primitive in pairs])  # (P, 4, 4)
        box_like = [_half_extents_and_radius(primitive) for _, primitive in pairs]
        self.half_extents = tensor([half_extents for half_extents, _ in box_like])  # (P, 3)
        self.radius = tensor([radius for _, radius in box_like])  # (P,)
        self.indices = torch.arange(len(pairs), device=kinematics.device)

    def frames(self, link_poses: Tensor) -> Tensor:
        """(B, P, 4, 4) poses of the primitives."""
        return link_poses[:, self.link_index] @ self.pose

    def lowest(self, link_poses: Tensor) -> Tensor:
        """(B, P) z of the primitives' lowest points."""
        # Of the frames only the row of z, for which its products are taken link by link.
        rows = link_poses[:, :, 2].index_select(1, self.link_index).transpose(0, 1) @ self.pose
        rows = rows.transpose(0, 1)
        reach = (rows[..., :3].abs() * self.half_extents).sum(-1) + self.radius
        return rows[..., 3] - reach

    def distances(self, points: Tensor, link_poses: Tensor) -> Tensor:
        """(B, N, P) signed distance of (B, N, 3) points to every primitive, differentiable."""
        frames = self.frames(link_poses)
        offsets = points[:, :, None] - frames[:, None, :, :3, 3]
        local = torch.einsum("bnpi,bpij->bnpj", offsets, frames[..., :3, :3])
        excess = local.abs() - self.half_extents
        outside = torch.linalg.vector_norm(excess.clamp(min=0), dim=-1)
        return outside + excess.amax(-1).clamp(max=0) - self.radius

    def blocks(self, points: Tensor, link_poses: Tensor) -> Iterator[Tensor]:
        """Signed distances (B, P, n) to every primitive, for successive blocks of (B, N, 3) points.

        Without a graph, and in blocks that stay in the processor's cache.
        """
        # One matrix product takes all points of a block into all primitives' frames; about the
        # palm, for the sake of rounding.
        origin = link_poses[:, :1, :3, 3]
        frames = self.frames(link_poses)
        axes = frames[..., :3, :3].transpose(-1, -2)  # (B, P, 3, 3)
        shift = axes @ (origin - frames[..., :3, 3])[..., None]
        rows = torch.cat([axes, shift], dim=-1)  # (B, P, 3, 4)
        boxes, capsules = rows[:, : self.boxes], rows[:, self.boxes :].transpose(1, 2)
        rows = torch.cat([boxes.flatten(1, 2), capsules.flatten(1, 2)], dim=1)
        half_extents = self.half_extents[: self.boxes, :, None]
        half_length = self.half_extents[self.boxes :, 2, None]
        radius = self.radius[self.boxes :, None]

        batch = len(link_poses)
        at_once = max(1, _BLOCK_POINTS[points.device.type] // max(1, batch))
        for block in points.split(at_once, dim=1):
            relative = (block - origin).transpose(1, 2)
            local = rows @ torch.cat([relative, torch.ones_like(relative[:, :1])], dim=1)
            in_boxes, in_capsules = local.tensor_split([3 * self.boxes], dim=1)
            excess = in_boxes.abs().unflatten(1, (self.boxes, 3)) - half_extents
            inside = excess.amax(2).clamp_(max=0)
            outside = excess.clamp_(min=0).square_().sum(2).sqrt_()
            x, y, z = in_capsules.unflatten(1, (3, -1)).unbind(1)
            beyond = z.abs_().sub_(half_length).clamp_(min=0)
            to_segment = x.square_().addcmul_(y, y).addcmul_(beyond, beyond).sqrt_()
            yield torch.cat([inside + outside, to_segment - radius], dim=1)

    def nearest_primitive(self, points: Tensor, link_poses: Tensor) -> Tensor:
        """(B, N) index of the primitive nearest to each of (B, N, 3) points; no gradient."""
        chosen = []
        for distances in self.blocks(points, link_poses):
            # argmin over a strided dimension is an order of magnitude slower than this.
            is_least = distances == distances.amin(1, keepdim=True)
            chosen.append(torch.where(is_least, self.indices[:, None], 0).amax(1))
        return torch.cat(chosen, dim=1)

    def distance_to(
        self, primitive: Tensor, points: Tensor, link_poses: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Signed distance (B, N) of each point to a primitive, and its unit gradient (B, N, 3)."""
        hands = torch.arange(len(primitive), device=primitive.device)[:, None]
        hands = hands.expand_as(primitive).flatten()
        distance, normal = self.distance_of(
            hands, primitive.flatten(), points.reshape(-1, 3), link_poses
        )
        return distance.view_as(primitive), normal.view_as(points)

    def distance_of(
        self, hands: Tensor, primitive: Tensor, points: Tensor, link_poses: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `distance_to`, of (M, 3) points, each to a primitive (M,) of one of the hands (M,)."""
        frames = self.frames(link_poses)[:, :, :3].reshape(-1, 12)
        frames = frames.index_select(0, hands * len(self.radius) + primitive).view(-1, 3, 4)
        rotations, offsets = frames[..., :3], points - frames[..., 3]
        local = (offsets[..., None, :] @ rotations).squeeze(-2)
        excess = local.abs() - self.half_extents[primitive]
        deepest, face = excess.max(-1)
        beyond = excess.clamp(min=0)
        outside = torch.linalg.vector_norm(beyond, dim=-1)
        distance = outside + deepest.clamp(max=0) - self.radius[primitive]
        # Outside the box the gradient points away from it, inside to the nearest face.
        face_normal = torch.nn.functional.one_hot(face, 3).to(local.dtype)
        away = torch.where(outside[..., None] > 0, beyond / outside[..., None], face_normal)
        normal = (rotations @ (away * local.sign())[..., None]).squeeze(-1)
        return distance, normal


class _SignedDistance(torch.autograd.Function):
    """Least distance over the primitives, with the analytic gradient of the nearest one."""

    @staticmethod
    def forward(ctx, points: Tensor, link_poses: Tensor, shapes: _Shapes) -> Tensor:
        primitive = shapes.nearest_primitive(points, link_poses)
        distance, normal = shapes.distance_to(primitive, points, link_poses)
        ctx.save_for_backward(points, link_poses, normal, shapes.link_index[primitive])
        return distance

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        points, link_poses, normal, link = ctx.saved_tensors
        along = gradient[..., None] * normal
        point_gradient = along if ctx.needs_input_grad[0] else None
        pose_gradient = None
        if ctx.needs_input_grad[1]:
            batch, links = link_poses.shape[:2]
            rows = (link + links * torch.arange(batch, device=link.device)[:, None]).flatten()
            pose_gradient = _pose_gradient(
                link_poses, rows, points.reshape(-1, 3), along.flatten(0, 1)
            )
        return point_gradient, pose_gradient, None


class _Overlap(torch.autograd.Function):
    """Sum of depths; what is not inside the hand is left out before anything is differentiated."""

    @staticmethod
    def forward(ctx, centers: Tensor, radii: Tensor, link_poses: Tensor, shapes: _Shapes) -> Tensor:
        hands, balls, primitives = [], [], []
        first = 0
        for distances in shapes.blocks(centers, link_poses):
            count = distances.shape[2]
            inside = distances.amin(1) < radii[:, first : first + count]
            hand, ball = inside.nonzero(as_tuple=True)
            hands.append(hand)
            balls.append(ball + first)
            primitives.append(distances[hand, :, ball].min(1).indices)
            first += count
        hand, ball, primitive = map(torch.cat, (hands, balls, primitives))
        points = centers[hand, ball]
        distance, normal = shapes.distance_of(hand, primitive, points, link_poses)
        rows = hand * link_poses.shape[1] + shapes.link_index[primitive]
        ctx.save_for_backward(link_poses, hand, rows, points, normal)
        depths = radii[hand, ball] - distance
        return depths.new_zeros(len(link_poses)).index_add_(0, hand, depths)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[None, None, Tensor, None]:
        link_poses, hand, rows, points, normal = ctx.saved_tensors
        along = -gradient[hand, None] * normal
        return None, None, _pose_gradient(link_poses, rows, points, along), None


def _pose_gradient(link_poses: Tensor, rows: Tensor, points: Tensor, along: Tensor) -> Tensor:
    """(B, L, 4, 4) gradient by link poses of functions of distances.

    Args:
        link_poses: (B, L, 4, 4).
        rows: (M,) indices of the links that the distances are to, among those of all hands.
        points: (M, 3) that they are from.
        along: (M, 3) gradient by these.
    """
    # The distance is f(R^T (x - p)): df/dp = -n and df/dR = (x - p) (R^T n)^T, summed over the
    # points of each link; (x - p) n^T is split so that only x n^T and n need gathering.
    batch, links = link_poses.shape[:2]
    moments = (points[:, :, None] * along[:, None, :]).flatten(1)
    sums = along.new_zeros(batch * links, 12)
    sums.index_add_(0, rows, torch.cat([moments, along], dim=1))
    sums = sums.view(batch, links, 12)
    normal_sum = sums[..., 9:]
    rotations, positions = link_poses[..., :3, :3], link_poses[..., :3, 3]
    moment_sum = sums[..., :9].view(batch, links, 3, 3)
    moment_sum = moment_sum - positions[..., :, None] * normal_sum[..., None, :]
    gradient = torch.zeros_like(link_poses)
    gradient[..., :3, :3] = moment_sum @ rotations
    gradient[..., :3, 3] = -normal_sum
    return gradient


def _half_extents_and_radius(primitive: Primitive) -> tuple[tuple[float, float, float], float]:
    if primitive.kind == "box":
        x, y, z = primitive.size
        return (x, y, z), 0.0
    radius, half_length = primitive.size
    return (0.0, 0.0, half_length), radius


def _batched(points: Tensor, link_poses: Tensor) -> Tensor:
    batch = link_poses.shape[0]
    if points.dim() == 2:
        points = points.expand(batch, *points.shape)
    if points.dim() != 3 or points.shape[0] != batch or points.shape[-1] != 3:
        raise ValueError(f"expected points ({batch}, N, 3) or (N, 3), got {tuple(points.shape)}")
    return points
