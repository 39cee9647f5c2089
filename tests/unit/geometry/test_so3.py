"""Maps of rotations against scipy, and the exponential map's volume against an integral."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.geometry.so3 import (
    columns_from_rotation,
    log_volume_of_exp,
    rotation_from_columns,
    rotation_from_vector,
    vector_from_rotation,
)
from dexgrasp_models.geometry.so3_grid import SO3_VOLUME


def some_vectors() -> torch.Tensor:
    """Vectors of many directions, up to nearly half a turn, zero and tiny ones among them."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    lengths = torch.cat(
        [torch.linspace(0, math.pi - 1e-6, 190), torch.logspace(-12, -2, 10)]
    ).double()
    return torch.nn.functional.normalize(directions, dim=-1) * lengths[:, None]


def test_matrices_are_scipys():
    vectors = some_vectors()
    expected = Rotation.from_rotvec(vectors.numpy()).as_matrix()
    np.testing.assert_allclose(rotation_from_vector(vectors).numpy(), expected, atol=1e-12)


def test_vectors_come_back():
    vectors = some_vectors()
    back = vector_from_rotation(rotation_from_vector(vectors).view(4, 50, 3, 3)).view(-1, 3)
    torch.testing.assert_close(back, vectors, atol=1e-8, rtol=0)


@pytest.mark.parametrize("axis", [(1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0), (-0.6, 0, 0.8)])
def test_half_turns_have_a_vector(axis):
    rotation = Rotation.from_rotvec(math.pi * np.array(axis)).as_matrix()
    vector = vector_from_rotation(torch.as_tensor(rotation))
    assert vector.norm().item() == pytest.approx(math.pi)
    np.testing.assert_allclose(rotation_from_vector(vector).numpy(), rotation, atol=1e-12)


def test_gradient_of_matrices_also_at_zero():
    vectors = torch.stack([torch.zeros(3), torch.tensor([0.3, -1.0, 2.0])]).double()
    assert torch.autograd.gradcheck(rotation_from_vector, vectors.requires_grad_())


def test_exponential_map_covers_the_volume_of_rotations():
    """Integral over the ball of radius pi, in shells."""
    radii = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    vectors = torch.nn.functional.pad(radii[:, None], (0, 2))
    shells = 4 * math.pi * radii**2 * log_volume_of_exp(vectors).exp()
    assert torch.trapezoid(shells, radii).item() == pytest.approx(SO3_VOLUME, rel=1e-5)


def test_volume_is_the_determinant_of_the_map():
    """Against the left Jacobian by finite differences, beyond half a turn too."""
    for length in (0.1, 1.0, 3.0, 5.0):
        vector = length * torch.tensor([0.36, 0.48, 0.8], dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(rotation_from_vector, vector)
        skew = jacobian.permute(2, 0, 1) @ rotation_from_vector(vector).T
        rates = torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]])
        # A rotation vector's volume is eight times that on the 3-sphere of half angles.
        expected = rates.det().abs().log() - math.log(8)
        assert log_volume_of_exp(vector).item() == pytest.approx(expected.item(), abs=1e-9)


def test_columns_come_back_and_are_made_orthogonal():
    rotations = rotation_from_vector(some_vectors())
    columns = columns_from_rotation(rotations)
    torch.testing.assert_close(rotation_from_columns(columns), rotations)
    leaning = columns.clone()
    leaning[:, 3:] += 0.7 * leaning[:, :3]
    torch.testing.assert_close(rotation_from_columns(2 * leaning), rotations)
