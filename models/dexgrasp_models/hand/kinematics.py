"""Batched, differentiable forward kinematics of the hand."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dexgrasp_models.hand.spec import HandSpec


class HandKinematics:
    """Link poses and point Jacobians of a hand, for a batch of palm poses and joint angles.

    The tree is walked by depth, all links of one depth at once, each joint's local rotation being
    Rodrigues' formula with constant coefficients. The gradient is the classical one: every link's
    wrench is summed over the joints that move it.

    Attributes:
        spec: the hand.
        dtype, device: of all tensors taken and given.
        lower, upper: (22,) joint limits in rad.
        expansion: (22, 18) from actuator to joint angles (J1 = J2 = J0/2).
        reduction: (18, 22) from joint to actuator angles (J0 = J1 + J2).
    """

    def __init__(
        self, spec: HandSpec, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> None:
        self.spec = spec
        self.dtype = dtype
        self.device = torch.device(device)
        self.lower = self._tensor(spec.limits[:, 0])
        self.upper = self._tensor(spec.limits[:, 1])
        self.expansion = self._tensor(spec.expansion)
        self.reduction = self._tensor(spec.reduction)
        self.axes = self._tensor(np.array([joint.axis for joint in spec.joints]))
        self._tree = _Tree(self)

    def link_poses(self, palm_pose: Tensor, joints: Tensor) -> Tensor:
        """Poses of all links in the frame that `palm_pose` is given in.

        Args:
            palm_pose: (B, 4, 4) poses of the palm.
            joints: (B, 22) finger joint angles in rad.

        Returns:
            (B, L, 4, 4) in the order of `spec.links`, the palm first. Differentiable once with
            respect to both arguments, the palm's along rigid motions.

        Raises:
            ValueError: a shape does not fit.
        """
        batch = joints.shape[0]
        if joints.shape != (batch, len(self.spec.joints)) or palm_pose.shape != (batch, 4, 4):
            raise ValueError(
                f"expected palm_pose (B, 4, 4) and joints (B, {len(self.spec.joints)}); "
                f"got {tuple(palm_pose.shape)} and {tuple(joints.shape)}"
            )
        return _ForwardKinematics.apply(palm_pose, joints, self._tree)

    def expand(self, actuators: Tensor) -> Tensor:
        """(..., 22) joint angles of the coupled hand from (..., 18) actuator angles."""
        return actuators @ self.expansion.T

    def reduce(self, joints: Tensor) -> Tensor:
        """(..., 18) actuator angles from (..., 22) joint angles: J0 = J1 + J2."""
        return joints @ self.reduction.T

    def clamp(self, joints: Tensor) -> Tensor:
        """Joint angles moved inside the limits."""
        return torch.minimum(torch.maximum(joints, self.lower), self.upper)

    def joint_frames(self, link_poses: Tensor) -> tuple[Tensor, Tensor]:
        """Unit axes and origins, each (B, 22, 3), of the joints in the frame of `link_poses`."""
        moved = link_poses[:, 1:]
        axes = (moved[..., :3, :3] @ self.axes[:, :, None]).squeeze(-1)
        return axes, moved[..., :3, 3]

    def joint_torques(
        self, link_poses: Tensor, link_index: Tensor, points: Tensor, forces: Tensor
    ) -> Tensor:
        """J^T f: what forces at points of the links do to the joints.

        Args:
            link_poses: (B, L, 4, 4) from `link_poses`.
            link_index: (K,) or (B, K) integer index of the link that each point belongs to.
            points: (B, K, 3) in the frame of `link_poses`.
            forces: (B, K, 3) in the same frame; or displacements, for the joint motion of a
                Jacobian-transpose step.

        Returns:
            (B, 22).
        """
        axes, origins = self.joint_frames(link_poses)
        moves = self._tree.moves[link_index].to(points.dtype)  # (K, 22) or (B, K, 22)
        moments = torch.linalg.cross(points, forces)
        force_sum = moves.transpose(-1, -2) @ forces
        moment_sum = moves.transpose(-1, -2) @ moments
        return (axes * (moment_sum - torch.linalg.cross(origins, force_sum))).sum(-1)

    def point_jacobian(self, link_poses: Tensor, link_index: Tensor, points: Tensor) -> Tensor:
        """Jacobian of points fixed to links with respect to the joints, the palm held.

        Args:
            link_poses: (B, L, 4, 4) from `link_poses`.
            link_index: (K,) or (B, K) integer link index of each point.
            points: (B, K, 3) in the frame of `link_poses`.

        Returns:
            (B, K, 3, 22) in m/rad.
        """
        axes, origins = self.joint_frames(link_poses)
        arms = points[:, :, None] - origins[:, None]  # (B, K, 22, 3)
        columns = torch.linalg.cross(axes[:, None].expand_as(arms), arms)
        return (columns * self._tree.moves[link_index][..., None]).transpose(-1, -2)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=self.dtype, device=self.device)


def points_on_links(link_poses: Tensor, link_index: Tensor, local_points: Tensor) -> Tensor:
    """Points fixed to links, in the frame of `link_poses`.

    Args:
        link_poses: (B, L, 4, 4).
        link_index: (K,) integer link index of each point.
        local_points: (K, 3) in the links' frames.

    Returns:
        (B, K, 3).
    """
    selected = link_poses[:, link_index]
    return directions_on_links(link_poses, link_index, local_points) + selected[..., :3, 3]


def directions_on_links(link_poses: Tensor, link_index: Tensor, local_directions: Tensor) -> Tensor:
    """As `points_on_links`, for directions: (K, 3) in the links' frames to (B, K, 3)."""
    return (link_poses[:, link_index, :3, :3] @ local_directions[:, :, None]).squeeze(-1)


class _Tree:
    """Constants of the kinematic tree, links grouped by depth.

    Inside, poses are planes (3, 4, links, B): each entry of a matrix contiguous over the batch.
    Sums of products over such planes run at the processor's full width, where thousands of 3 x 3
    matrix products do not.
    """

    def __init__(self, kinematics: HandKinematics) -> None:
        spec, tensor = kinematics.spec, kinematics._tensor
        device = kinematics.device
        depth = np.zeros(len(spec.links), dtype=int)
        for index, parent in enumerate(spec.parents[1:], start=1):
            depth[index] = depth[parent] + 1
        levels = [np.flatnonzero(depth == d) for d in range(1, depth.max() + 1)]
        walked = np.concatenate([[0], *levels])

        def indices(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values, dtype=torch.long, device=device)

        self.moves = torch.as_tensor(spec.is_ancestor_joint, device=device)  # (L, 22)
        self.moves_transposed = tensor(spec.is_ancestor_joint.T)  # (22, L)
        self.axis_planes = tensor(np.array([joint.axis for joint in spec.joints]).T[:, :, None])
        self.joints_by_level = indices(walked[1:] - 1)
        self.links_in_order = indices(np.argsort(walked))
        self.level_sizes = [len(level) for level in levels]
        # Column of each link's parent within the level above; None where that is the identity.
        self.parent_columns: list[Tensor | None] = []
        above = np.array([0])
        for level in levels:
            columns = np.array([int(np.flatnonzero(above == spec.parents[i])[0]) for i in level])
            identity = np.array_equal(columns, np.arange(len(above)))
            self.parent_columns.append(None if identity else indices(columns))
            above = level
        # Local rotation of joint angle q: R (I + sin q K + (1 - cos q) K^2), offsets constant.
        links = [spec.links[i] for i in walked[1:]]
        rest = np.array([link.pose.rotation for link in links])
        cross = np.array([_cross_matrix(link.joint.axis) for link in links])

        def planes(matrices: np.ndarray) -> Tensor:
            return tensor(np.moveaxis(matrices, 0, -1)[..., None])

        self.rest = planes(rest + rest @ cross @ cross)  # (3, 3, 22, 1)
        self.sine = planes(rest @ cross)
        self.cosine = planes(-rest @ cross @ cross)
        self.offsets = planes(np.array([link.pose.position for link in links]))  # (3, 22, 1)

    def walk(self, palm_pose: Tensor, joints: Tensor) -> Tensor:
        """(3, 4, L, B) planes of the link poses."""
        angles = joints.T[self.joints_by_level]  # (22, B)
        local = angles.new_empty(3, 4, *angles.shape)
        torch.addcmul(self.rest, self.sine, angles.sin(), out=local[:, :3])
        local[:, :3].addcmul_(self.cosine, angles.cos())
        local[:, 3] = self.offsets
        above = palm_pose[:, :3].permute(1, 2, 0)[:, :, None]
        levels = [above]
        start = 0
        for size, columns in zip(self.level_sizes, self.parent_columns, strict=True):
            parents = above if columns is None else above.index_select(2, columns)
            own = local[:, :, start : start + size]
            above = parents[:, 0, None] * own[0]
            above.addcmul_(parents[:, 1, None], own[1])
            above.addcmul_(parents[:, 2, None], own[2])
            above[:, 3] += parents[:, 3]
            levels.append(above)
            start += size
        return torch.cat(levels, dim=2).index_select(2, self.links_in_order)


class _ForwardKinematics(torch.autograd.Function):
    """Tree walk with the analytic gradient: sums of wrenches over the joints that carry them."""

    @staticmethod
    def forward(ctx, palm_pose: Tensor, joints: Tensor, tree: _Tree) -> Tensor:
        planes = tree.walk(palm_pose, joints)
        ctx.save_for_backward(palm_pose, planes)
        ctx.tree = tree
        poses = planes.new_zeros(planes.shape[3], planes.shape[2], 4, 4)
        poses[..., :3, :] = planes.permute(3, 2, 0, 1)
        poses[..., 3, 3] = 1.0
        return poses

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        palm_pose, planes = ctx.saved_tensors
        tree: _Tree = ctx.tree
        gradient = gradient[..., :3, :].permute(2, 3, 1, 0).contiguous()  # (3, 4, L, B)
        forces = gradient[:, 3]
        # g L^T of each link's pose L and its gradient g. As d(rotation) = cross(omega) rotation,
        # its skew part is the link's torque about the origin, of position and rotation together.
        products = gradient[:, 0, None] * planes[:, 0]
        for column in range(1, 4):
            products.addcmul_(gradient[:, column, None], planes[:, column])  # (3, 3, L, B)
        palm_gradient = joint_gradient = None
        if ctx.needs_input_grad[1]:
            torques = torch.stack(
                [
                    products[2, 1] - products[1, 2],
                    products[0, 2] - products[2, 0],
                    products[1, 0] - products[0, 1],
                ]
            )
            force, torque = tree.moves_transposed @ torch.stack([forces, torques])  # (3, 22, B)
            rotations, origins = planes[:, :3, 1:], planes[:, 3, 1:]
            axes = (rotations * tree.axis_planes).sum(1)
            moment = torque - torch.linalg.cross(origins, force, dim=0)
            joint_gradient = (axes * moment).sum(0).T
        if ctx.needs_input_grad[0]:
            # Every link is the palm's pose times one that does not depend on it.
            force = forces.sum(1).T  # (B, 3)
            product = products.sum(2).permute(2, 0, 1)  # (B, 3, 3)
            rotation, position = palm_pose[:, :3, :3], palm_pose[:, :3, 3]
            palm_gradient = torch.zeros_like(palm_pose)
            palm_gradient[:, :3, :3] = (product - force[:, :, None] * position[:, None]) @ rotation
            palm_gradient[:, :3, 3] = force
        return palm_gradient, joint_gradient, None


def _cross_matrix(axis: tuple[float, ...]) -> np.ndarray:
    x, y, z = axis
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
