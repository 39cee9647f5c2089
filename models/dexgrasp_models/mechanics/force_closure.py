"""Force closure of a set of contacts as a small quadratic programme.

Each contact has a linearised friction cone with ``E`` edges. With ``W`` the matrix whose columns
are the wrenches of all edges, the residual is::

    E_fc = min |W lam + w_ext|^2   over   lam >= 0, sum(lam) = 1

It is zero exactly when the contacts can press on the object with a total normal force of one and
leave no net wrench, which is what a grasp needs in order to squeeze. It takes the place of the
unit-force estimate in UniDexGrasp's Eq. 4, which knows only equal forces on all fingers.

All functions are batched over ``B`` grasps with ``C`` contacts each and are pure.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ForceClosure(NamedTuple):
    """Result of :func:`force_closure`."""

    residual: Tensor
    """(B,) squared norm of the smallest net wrench; torques are divided by the torque length."""
    forces: Tensor
    """(B, C, 3) balancing forces of the fingers on the object; their normal parts sum to one."""
    weights: Tensor
    """(B, C * E) optimal edge weights ``lam``, useful as a warm start."""


def tangent_basis(normals: Tensor) -> tuple[Tensor, Tensor]:
    """Two unit tangents for each unit normal, without branches (Duff et al., JCGT 2017).

    Args:
        normals: (..., 3) unit vectors.

    Returns:
        Two (..., 3) tensors which with ``normals`` form a right-handed orthonormal frame.
    """
    x, y, z = normals.unbind(-1)
    sign = torch.where(z >= 0, 1.0, -1.0).to(normals.dtype)
    a = -1.0 / (sign + z)
    b = x * y * a
    first = torch.stack((1.0 + sign * x * x * a, sign * b, -sign * x), dim=-1)
    second = torch.stack((b, sign + y * y * a, -y), dim=-1)
    return first, second


def friction_cone(normals: Tensor, friction: float, edges: int = 4) -> Tensor:
    """Edges of the linearised friction cones, pointing into the object.

    Args:
        normals: (B, C, 3) outward unit normals of the object at the contacts.
        friction: Coulomb coefficient.
        edges: number of edges for each cone.

    Returns:
        (B, C, E, 3) forces with a normal component of one.
    """
    first, second = tangent_basis(normals)
    angles = torch.arange(edges, dtype=normals.dtype, device=normals.device) * (
        2 * torch.pi / edges
    )
    tangents = (
        angles.cos()[:, None] * first[..., None, :] + angles.sin()[:, None] * second[..., None, :]
    )
    return friction * tangents - normals[..., None, :]


def wrench_matrix(points: Tensor, cone: Tensor, center: Tensor, torque_length: float) -> Tensor:
    """Wrenches of the cone edges about ``center``.

    Args:
        points: (B, C, 3) contact points, m.
        cone: (B, C, E, 3) forces, as from :func:`friction_cone`.
        center: (B, 3) or (3,) reference point, m.
        torque_length: length by which torques are divided, m.

    Returns:
        (B, 6, C * E) force above torque.
    """
    center = center.expand(points.shape[0], 3)
    arms = ((points - center[:, None]) / torque_length)[:, :, None].expand_as(cone)
    wrenches = torch.cat((cone, torch.linalg.cross(arms, cone)), dim=-1)
    return wrenches.flatten(1, 2).transpose(1, 2)


def project_to_simplex(values: Tensor) -> Tensor:
    """Euclidean projection of each row onto ``{lam >= 0, sum lam = 1}`` (Duchi et al., ICML 2008).

    Args:
        values: (B, K).

    Returns:
        (B, K).
    """
    ordered = values.sort(dim=-1, descending=True).values
    counts = torch.arange(1, values.shape[-1] + 1, dtype=values.dtype, device=values.device)
    thresholds = (ordered.cumsum(-1) - 1.0) / counts
    # The threshold grows while entries stay above it, so its largest value is the right one.
    threshold = thresholds.max(dim=-1, keepdim=True).values
    return (values - threshold).clamp_min(0.0)


@torch.no_grad()
def solve_simplex_programme(
    wrenches: Tensor,
    external: Tensor | None = None,
    steps: int = 15,
    start: Tensor | None = None,
) -> Tensor:
    """Minimise ``|W lam + w_ext|^2`` over the simplex by accelerated projected gradient (FISTA).

    Args:
        wrenches: (B, 6, K).
        external: (B, 6) or (6,) wrench to be balanced; none by default.
        steps: number of steps.
        start: (B, K) warm start on the simplex; uniform by default.

    Returns:
        (B, K) weights on the simplex.
    """
    batch, _, count = wrenches.shape
    gram = wrenches.transpose(1, 2) @ wrenches
    step = 1.0 / gram.flatten(1).norm(dim=1).clamp_min(1e-9)[:, None]
    linear = torch.zeros_like(wrenches[:, 0])
    if external is not None:
        linear = (wrenches.transpose(1, 2) @ external.expand(batch, 6)[..., None])[..., 0]
    weights = torch.full_like(linear, 1.0 / count) if start is None else start
    ahead, momentum = weights, 1.0
    for _ in range(steps):
        gradient = (gram @ ahead[..., None])[..., 0] + linear
        moved = project_to_simplex(ahead - step * gradient)
        following = 0.5 * (1.0 + (1.0 + 4.0 * momentum**2) ** 0.5)
        ahead = moved + ((momentum - 1.0) / following) * (moved - weights)
        weights, momentum = moved, following
    return weights


def force_closure(
    points: Tensor,
    normals: Tensor,
    center: Tensor,
    *,
    friction: float = 0.5,
    torque_length: float = 0.05,
    external: Tensor | None = None,
    steps: int = 15,
    start: Tensor | None = None,
) -> ForceClosure:
    """Smallest net wrench of contacts that press with a total normal force of one.

    The weights are found without gradient; the residual is then differentiable with respect to
    ``points`` and ``normals`` at fixed weights, which at the optimum is the true gradient (envelope
    theorem).

    Args:
        points: (B, C, 3) contact points, m.
        normals: (B, C, 3) outward unit normals of the object.
        center: (B, 3) or (3,) point about which torques are taken, m.
        friction: Coulomb coefficient of the planned contacts.
        torque_length: length that makes torques comparable with forces, m.
        external: (B, 6) or (6,) wrench on the object relative to the total normal force.
        steps: steps of the solver.
        start: (B, C * 4) weights to start from.
    """
    cone = friction_cone(normals, friction)
    wrenches = wrench_matrix(points, cone, center, torque_length)
    weights = solve_simplex_programme(wrenches.detach(), external, steps, start)
    net = (wrenches @ weights[..., None])[..., 0]
    if external is not None:
        net = net + external
    forces = (weights.reshape(cone.shape[:3])[..., None] * cone).sum(2).detach()
    return ForceClosure(net.square().sum(-1), forces, weights)
