"""The grid of rotations and the likelihood normalised over it, against Haar's measure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from astropy_healpix import healpy
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from scipy.special import iv
from scipy.stats import chi2

from dexgrasp_models.geometry.so3_grid import SO3_VOLUME, grid_size, pixel_centres, so3_grid
from dexgrasp_models.nets.likelihood import rotation_log_likelihood


def euler_grid(count: int) -> np.ndarray:
    """A grid that isn't equivolumetric: even steps of the three Euler angles."""
    turns, polar = np.linspace(0, 2 * np.pi, count, endpoint=False), np.linspace(0, np.pi, count)
    angles = np.stack(np.meshgrid(turns, polar, turns), axis=-1).reshape(-1, 3)
    return Rotation.from_euler("ZYZ", angles).as_matrix()


def peaked(rotations: np.ndarray, sharpness: float, mode: np.ndarray) -> torch.Tensor:
    """Unnormalised log density of a matrix Fisher distribution about `mode`."""
    return torch.as_tensor(sharpness * np.einsum("ij,nij->n", mode, rotations))


def peaked_log_normaliser(sharpness: float) -> float:
    """Its integral over rotations with total volume one: exp(k) (I0(2 k) - I1(2 k))."""
    return sharpness + np.log(iv(0, 2 * sharpness) - iv(1, 2 * sharpness))


@pytest.mark.parametrize("level", [0, 1, 2])
def test_size_and_validity(level):
    grid = so3_grid(level)
    assert grid.shape == (grid_size(level), 3, 3) == (72 * 8**level, 3, 3)
    assert np.allclose(grid @ grid.transpose(0, 2, 1), np.eye(3))
    assert np.allclose(np.linalg.det(grid), 1)


def test_cells_have_equal_volume():
    """Even random rotations fall into the grid's cells equally often (chi-square)."""
    level, sides = 1, 2
    samples = Rotation.random(72 * 8 * 200, random_state=0)
    azimuth, polar, turn = samples.as_euler("ZYZ").T
    pixel = healpy.ang2pix(sides, polar, azimuth % (2 * np.pi))
    part = np.floor((turn % (2 * np.pi)) / (2 * np.pi) * 6 * sides).astype(int)
    counts = np.bincount(pixel * 6 * sides + part, minlength=grid_size(level))
    expected = len(samples) / grid_size(level)
    statistic = np.sum((counts - expected) ** 2) / expected
    assert chi2.sf(statistic, grid_size(level) - 1) > 1e-3
    # The same cells bounded in even steps of the polar angle are not equal.
    bands = np.bincount((polar / np.pi * 8).astype(int), minlength=8)
    assert np.sum((bands - bands.mean()) ** 2) / bands.mean() > 1000


def test_moments_are_those_of_even_rotations():
    grid = so3_grid(1)
    assert np.abs(grid.mean(axis=0)).max() < 1e-12
    assert np.square(grid).mean(axis=0) == pytest.approx(np.full((3, 3), 1 / 3), abs=0.01)
    biased = euler_grid(12)
    assert np.abs(np.square(biased).mean(axis=0) - 1 / 3).max() > 0.1


@pytest.mark.parametrize("level", [1, 2])
def test_neighbours_are_evenly_far_and_no_rotation_is_far_from_the_grid(level):
    step = np.deg2rad(60) / 2**level
    quaternions = Rotation.from_matrix(so3_grid(level)).as_quat()
    tree = cKDTree(np.vstack([quaternions, -quaternions]))  # both stand for one rotation
    nearest = tree.query(quaternions, k=2)[0][:, 1]
    angles = 4 * np.arcsin(nearest / 2)
    assert angles.min() > 0.6 * step
    assert angles.max() < 1.3 * step
    others = Rotation.random(20_000, random_state=1).as_quat()
    assert 4 * np.arcsin(tree.query(others)[0].max() / 2) < 1.1 * step


def test_a_grid_may_be_turned_to_contain_a_rotation():
    wanted = Rotation.random(random_state=2).as_matrix()
    grid = so3_grid(1, containing=wanted)
    assert grid[0] == pytest.approx(wanted)
    assert np.abs(grid.mean(axis=0)).max() < 1e-12
    between = np.einsum("nij,nij->n", grid, so3_grid(1))
    assert between == pytest.approx(np.full(len(grid), between[0]))  # turned as a whole


def test_there_is_no_such_level():
    for level in (-1, 7):
        with pytest.raises(ValueError, match="level"):
            so3_grid(level)


def test_even_scores_have_the_density_of_one_over_the_volume():
    found = rotation_log_likelihood(torch.tensor([3.0]), torch.full((1, 72), 3.0))
    assert found.item() == pytest.approx(-np.log(np.pi**2))


@pytest.mark.parametrize(("sharpness", "level"), [(0.5, 1), (3.0, 2), (8.0, 2), (20.0, 3)])
def test_likelihood_of_a_matrix_fisher_distribution(sharpness, level):
    mode = Rotation.random(random_state=3).as_matrix()
    asked = (Rotation.random(5, random_state=4)).as_matrix()
    scores, grid_scores = (peaked(r, sharpness, mode) for r in (asked, so3_grid(level)))
    found = rotation_log_likelihood(scores, grid_scores.expand(5, -1))
    expected = scores.numpy() - peaked_log_normaliser(sharpness) - np.log(SO3_VOLUME)
    assert found.numpy() == pytest.approx(expected, abs=0.01)
    # Scores are unnormalised: a constant added to all of them changes nothing.
    shifted = rotation_log_likelihood(scores + 7, grid_scores.expand(5, -1) + 7)
    assert torch.allclose(shifted, found)


def test_a_grid_of_unequal_cells_misses_the_normaliser():
    grid_scores = peaked(euler_grid(24), 3.0, np.eye(3))
    found = rotation_log_likelihood(torch.tensor(0.0).double(), grid_scores)
    assert abs(found.item() + peaked_log_normaliser(3.0) + np.log(SO3_VOLUME)) > 0.1


def test_density_integrates_to_one_over_the_grid():
    generator = torch.Generator().manual_seed(0)
    grid_scores = torch.randn(2, 72, generator=generator, dtype=torch.float64)
    densities = torch.stack(
        [rotation_log_likelihood(column, grid_scores).exp() for column in grid_scores.T], dim=1
    )
    assert torch.allclose(densities.sum(1) * SO3_VOLUME / 72, torch.ones(2).double())


def test_likelihood_passes_gradients_and_checks_shapes():
    grid_scores = torch.zeros(2, 72, requires_grad=True)
    rotation_log_likelihood(grid_scores[:, 0], grid_scores).sum().backward()
    assert grid_scores.grad.sum(1) == pytest.approx(np.zeros(2), abs=1e-6)
    with pytest.raises(ValueError, match="grid scores"):
        rotation_log_likelihood(torch.zeros(3), torch.zeros(2, 72))


@pytest.mark.parametrize("sides", [1, 2, 4, 64])
def test_pixel_centres_are_those_of_astropy(sides):
    expected = healpy.pix2ang(sides, np.arange(12 * sides**2))
    np.testing.assert_allclose(pixel_centres(sides), expected, atol=1e-12)
