"""The benchmark's force closure metric on contacts whose best balance is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hand_samples import HAND
from scipy.optimize import linprog

from dexgrasp_models.metrics.contacts import LinkContacts
from dexgrasp_models.metrics.load_balance import (
    NO_CONTACT,
    LoadBalanceConfig,
    load_balance_error,
    net_wrench,
)

LOADS = 0.1 * np.vstack([np.eye(3), -np.eye(3)])


def mean_error(points: np.ndarray, normals: np.ndarray) -> float:
    return float(np.mean([net_wrench(points, normals, load) for load in LOADS]))


def test_a_pinch_balances_any_small_load():
    normals = np.array([[1.0, 0, 0], [-1.0, 0, 0]])
    assert mean_error(0.03 * normals, normals) < 1e-6


def test_one_contact_pushes_the_object_away():
    """It presses with at least one: 0.9 with the load against it, 1.1 with it, else 1."""
    points, normals = np.array([[0.02, 0.03, 0.1]]), np.array([[0.0, 0.0, 1.0]])
    found = [net_wrench(points, normals, load) for load in LOADS]
    assert found == pytest.approx([1, 1, 0.9, 1, 1, 1.1], abs=1e-6)


@pytest.mark.parametrize("tilt", [0.1, 0.5, 1.0])
def test_a_wedge_is_squeezed_out_beyond_the_friction_angle(tilt):
    """Faces tilted by an angle from opposing push sideways by sin - mu cos, if that is positive.

    In the plane of x and z, where the pyramids' edges lie along x and z, or y.
    """
    normals = np.array([[np.cos(tilt), 0, -np.sin(tilt)], [-np.cos(tilt), 0, -np.sin(tilt)]])
    points = np.array([[0.03, 0.0, 0.0], [-0.03, 0.0, 0.0]])
    expected = max(0.0, np.sin(tilt) - 0.3 * np.cos(tilt))
    assert net_wrench(points, normals, np.zeros(3)) == pytest.approx(expected, abs=1e-6)


def test_frictionless_contacts_on_two_lines_leave_a_couple():
    """Lines 2 mm apart: friction turns the forces onto one line; without it half a unit twists."""
    normals = np.array([[1.0, 0, 0], [-1.0, 0, 0]])
    points = np.array([[0.03, 0.001, 0], [-0.03, -0.001, 0]])
    assert net_wrench(points, normals, np.zeros(3)) < 1e-6
    found = net_wrench(points, normals, np.zeros(3), LoadBalanceConfig(friction=0.0))
    assert found == pytest.approx(0.5 * 0.002, rel=1e-3)


@pytest.mark.parametrize("torsion", [0.0, 0.01])
def test_no_error_is_left_just_where_a_linear_programme_finds_a_balance(torsion):
    """Normals in the plane of x and z, where the pyramids' edges are known (see above)."""
    config = LoadBalanceConfig(torsional_friction=torsion)
    rng = np.random.default_rng(0)
    balanced = []
    for trial in range(24):
        count = int(rng.integers(2, 5))
        angles = rng.uniform(0, 2 * np.pi, count)
        normals = np.stack([np.cos(angles), np.zeros(count), np.sin(angles)], axis=1)
        points = 0.03 * normals + rng.normal(scale=0.003, size=(count, 3))
        load = LOADS[trial % 6]
        columns, owners = [], []
        for index, (arm, normal) in enumerate(zip(points - points.mean(0), normals, strict=True)):
            across = np.array([0.0, 1.0, 0.0])
            for tangent in (across, -across, np.cross(normal, across), np.cross(across, normal)):
                force = 0.3 * tangent - normal
                columns.append([*force, *np.cross(arm, force)])
            for turn in (torsion, -torsion):
                columns.append([*-normal, *(np.cross(arm, -normal) + turn * normal)])
            owners += [index] * 6
        pressures = (np.array(owners) == np.arange(count)[:, None]).astype(float)
        feasible = linprog(
            np.zeros(len(columns)),
            A_eq=np.array(columns).T,
            b_eq=[*-load, 0, 0, 0],
            A_ub=np.vstack([pressures, -np.ones(len(columns))]),
            b_ub=[*np.ones(count), -1],
        ).success
        assert (net_wrench(points, normals, load, config) < 1e-6) == feasible
        balanced.append(feasible)
    assert any(balanced)
    assert not all(balanced)


def test_fingertips_count_where_they_touch():
    tips = [HAND.link_index(name) for name in HAND.distal_links]
    gaps = torch.full((3, len(HAND.links)), torch.inf)
    gaps[:, 0] = 0.0  # the palm is no fingertip
    gaps[0, tips[:2]] = torch.tensor([0.004, -0.004])
    gaps[1, tips[:2]] = torch.tensor([0.004, 0.006])  # the second is too far
    normals = torch.zeros(3, len(HAND.links), 3)
    normals[..., 2] = 1.0
    normals[:, tips[0]] = torch.tensor([1.0, 0.0, 0.0])
    normals[:, tips[1]] = torch.tensor([-1.0, 0.0, 0.0])
    found = load_balance_error(HAND, LinkContacts(gaps, 0.03 * normals, normals))
    assert found == pytest.approx([0, 1, NO_CONTACT], abs=1e-6)
