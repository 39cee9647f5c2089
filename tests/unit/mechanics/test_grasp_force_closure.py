"""Force closure against SciPy's SLSQP, known contact sets and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from dexgrasp_models.mechanics.force_closure import (
    force_closure,
    friction_cone,
    project_to_simplex,
    solve_simplex_programme,
    tangent_basis,
    wrench_matrix,
)

ORIGIN = torch.zeros(3, dtype=torch.float64)


def random_contacts(count: int, contacts: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points on a sphere of 4 cm with outward normals tilted at random."""
    generator = torch.Generator().manual_seed(seed)
    normals = torch.randn(count, contacts, 3, generator=generator, dtype=torch.float64)
    normals = normals / normals.norm(dim=-1, keepdim=True)
    points = 0.04 * normals
    tilted = normals + 0.3 * torch.randn(normals.shape, generator=generator, dtype=torch.float64)
    return points, tilted / tilted.norm(dim=-1, keepdim=True)


def test_tangents_are_orthonormal() -> None:
    _, normals = random_contacts(50, 5, seed=0)
    normals[0, 0] = torch.tensor([0.0, 0.0, -1.0])
    first, second = tangent_basis(normals)
    frame = torch.stack((first, second, normals), dim=-1)
    assert torch.allclose(frame.mT @ frame, torch.eye(3, dtype=torch.float64).expand_as(frame))
    assert torch.allclose(torch.linalg.det(frame), torch.ones(50, 5, dtype=torch.float64))


def test_cone_edges_lie_on_the_friction_cone() -> None:
    _, normals = random_contacts(10, 4, seed=1)
    cone = friction_cone(normals, friction=0.5)
    along = -(cone * normals[..., None, :]).sum(-1)
    across = (cone + along[..., None] * normals[..., None, :]).norm(dim=-1)
    assert torch.allclose(along, torch.ones_like(along))
    assert torch.allclose(across, torch.full_like(across, 0.5))


def test_simplex_projection_is_the_nearest_point() -> None:
    generator = np.random.default_rng(2)
    values = generator.normal(size=(20, 6))
    projected = project_to_simplex(torch.from_numpy(values)).numpy()
    assert np.allclose(projected.sum(1), 1.0)
    assert (projected >= 0).all()
    others = generator.dirichlet(np.ones(6), size=2000)
    best = np.square(values[:, None] - others[None]).sum(-1).min(1)
    assert (np.square(values - projected).sum(-1) <= best + 1e-12).all()


def test_programme_agrees_with_slsqp() -> None:
    points, normals = random_contacts(8, 5, seed=3)
    wrenches = wrench_matrix(points, friction_cone(normals, 0.5), ORIGIN, 0.05)
    external = torch.tensor([0.0, 0.0, -0.1, 0.0, 0.0, 0.0], dtype=torch.float64)
    for load in (None, external):
        weights = solve_simplex_programme(wrenches, load, steps=2000)
        shift = np.zeros(6) if load is None else load.numpy()
        for matrix, found in zip(wrenches.numpy(), weights.numpy(), strict=True):
            reference = minimize(
                lambda lam, m=matrix, s=shift: np.square(m @ lam + s).sum(),
                np.full(matrix.shape[1], 1 / matrix.shape[1]),
                jac=lambda lam, m=matrix, s=shift: 2 * m.T @ (m @ lam + s),
                bounds=[(0, None)] * matrix.shape[1],
                constraints={"type": "eq", "fun": lambda lam: lam.sum() - 1},
                method="SLSQP",
                options={"ftol": 1e-12, "maxiter": 500},
            )
            assert np.square(matrix @ found + shift).sum() == pytest.approx(reference.fun, abs=1e-6)


def test_few_steps_come_close_to_the_optimum() -> None:
    points, normals = random_contacts(64, 5, seed=4)
    few = force_closure(points, normals, ORIGIN).residual
    many = force_closure(points, normals, ORIGIN, steps=2000).residual
    assert (few >= many - 1e-9).all()
    assert (few - many).max() < 0.05
    assert (few - many).median() < 0.01


def test_antipodal_contacts_are_closed_and_one_sided_ones_are_not() -> None:
    points = torch.tensor([[[0.03, 0, 0], [-0.03, 0, 0]], [[0.03, 0, 0], [0.028, 0.01, 0]]])
    normals = points / points.norm(dim=-1, keepdim=True)
    result = force_closure(points, normals, ORIGIN.float(), steps=200)
    assert result.residual[0] < 1e-6
    assert result.residual[1] > 0.5


def test_antipodal_contacts_beyond_the_friction_cone_are_open() -> None:
    """Faces at an angle of 60 degrees need friction tan(30 deg) = 0.577 to be squeezed."""
    half = np.deg2rad(30)
    normals = torch.tensor(
        [[[np.cos(half), np.sin(half), 0.0], [-np.cos(half), np.sin(half), 0.0]]]
    )
    points = torch.tensor([[[0.03, 0.0, 0.0], [-0.03, 0.0, 0.0]]], dtype=torch.float64)
    # The edges of the pyramid need not lie in the plane of both normals, so the frictions tried
    # keep some distance from the threshold.
    assert force_closure(points, normals, ORIGIN, friction=0.9, steps=500).residual[0] < 1e-4
    assert force_closure(points, normals, ORIGIN, friction=0.4, steps=500).residual[0] > 1e-3


def test_forces_balance_and_stay_in_the_cone() -> None:
    points = torch.tensor([[[0.03, 0, 0], [-0.02, 0.02, 0], [-0.02, -0.02, 0]]])
    normals = points / points.norm(dim=-1, keepdim=True)
    result = force_closure(points, normals, ORIGIN.float(), steps=500)
    assert result.forces.sum(1).norm() < 1e-3
    pressing = -(result.forces * normals).sum(-1)
    assert (pressing >= 0).all()
    assert torch.isclose(pressing.sum(), torch.tensor(1.0))


def test_gradient_agrees_with_finite_differences() -> None:
    points, normals = random_contacts(4, 3, seed=5)
    points = (points + 0.01).requires_grad_()
    solve = {"friction": 0.2, "steps": 3000}
    force_closure(points, normals, ORIGIN, **solve).residual.sum().backward()
    step = 1e-5
    for batch, contact, axis in ((0, 0, 0), (1, 1, 2), (2, 2, 1), (3, 0, 2)):
        values = []
        for sign in (1, -1):
            moved = points.detach().clone()
            moved[batch, contact, axis] += sign * step
            values.append(force_closure(moved, normals, ORIGIN, **solve).residual.sum())
        expected = float(values[0] - values[1]) / (2 * step)
        assert float(points.grad[batch, contact, axis]) == pytest.approx(
            expected, abs=2e-3, rel=2e-2
        )
