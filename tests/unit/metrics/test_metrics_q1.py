"""Q1 against closed forms of known hulls and contacts, and against the hull's support function."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from dexgrasp_models.metrics.contacts import LinkContacts
from dexgrasp_models.metrics.q1 import Q1Config, largest_ball, q1, relaxed_q1

AXES = np.vstack([np.eye(3), -np.eye(3)])
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)


def sphere_q1(normals: np.ndarray, radius: float = 0.04, **settings: float) -> float:
    return q1(radius * normals, normals, Q1Config(**settings))


def supports(
    directions: np.ndarray, points: np.ndarray, normals: np.ndarray, config: Q1Config
) -> np.ndarray:
    """(K, C) how far the round cone of each contact reaches in directions (K, 6) of wrenches.

    In closed form: a force f at p does f . g in the direction (a, b), g = a + (b x p) / l, and
    those with a normal part of one reach -n . g + mu |g - (n . g) n|.
    """
    forces, torques = directions[:, None, :3], directions[:, None, 3:]
    along = forces + np.cross(torques, points) / config.torque_length
    normal = (along * normals).sum(-1)
    across = np.linalg.norm(along - normal[..., None] * normals, axis=-1)
    return config.friction * across - normal


def least_support(
    points: np.ndarray, normals: np.ndarray, config: Q1Config, seed: int, starts: int = 60
) -> float:
    """Least over unit directions of the hull's support function, by search from dense directions.

    Where the origin is inside, this is the radius of the largest ball, found without any facets.
    """
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(200_000, 6))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reached = supports(directions, points, normals, config).max(axis=1)
    least = reached.min()
    for start in np.argsort(reached)[:starts]:
        found = minimize(
            lambda x: x[-1],
            [*directions[start], reached[start]],
            constraints=[
                {
                    "type": "ineq",
                    "fun": lambda x: x[-1] - supports(x[None, :-1], points, normals, config)[0],
                },
                {"type": "eq", "fun": lambda x: x[:-1] @ x[:-1] - 1},
            ],
            method="SLSQP",
        )
        if found.success:
            least = min(least, float(found.fun))
    return least


@pytest.mark.parametrize("dimensions", [2, 3, 6])
def test_ball_in_regular_polytopes(dimensions):
    cross = np.vstack([np.eye(dimensions), -np.eye(dimensions)])
    assert largest_ball(cross) == pytest.approx(1 / np.sqrt(dimensions))
    cube = np.stack(np.meshgrid(*[[-1.0, 1.0]] * dimensions), axis=-1).reshape(-1, dimensions)
    assert largest_ball(cube) == pytest.approx(1)
    # The regular simplex: corners of the (D + 1)-dimensional standard one, seen in its own plane.
    corners = np.eye(dimensions + 1) - 1 / (dimensions + 1)
    basis = np.linalg.svd(corners)[2][:dimensions]
    simplex = corners @ basis.T
    simplex /= np.linalg.norm(simplex[0])
    assert largest_ball(simplex) == pytest.approx(1 / dimensions)


def test_ball_shrinks_as_the_hull_moves_and_is_zero_outside():
    cross = np.vstack([np.eye(6), -np.eye(6)])
    for shift in (0.0, 0.3, 0.9):
        moved = cross + shift * np.eye(6)[0]
        assert largest_ball(moved) == pytest.approx((1 - shift) / np.sqrt(6))
    assert largest_ball(cross + 1.5 * np.eye(6)[0]) == 0


def test_flat_hulls_hold_no_ball():
    cross = np.vstack([np.eye(6), -np.eye(6)])
    cross[:, 5] = 0
    assert largest_ball(cross) == 0
    assert largest_ball(cross[:4]) == 0
    assert largest_ball(np.zeros((0, 6))) == 0


def test_antipodal_pinch_of_a_sphere_cannot_resist_a_turn_about_its_axis():
    assert sphere_q1(np.array([[1.0, 0, 0], [-1.0, 0, 0]])) < 1e-9


def test_contacts_on_one_side_are_no_grasp():
    normals = Rotation.from_rotvec([[0.2, 0, 0], [-0.1, 0.2, 0], [-0.1, -0.2, 0]]).apply([0, 0, 1])
    assert sphere_q1(normals) == 0


def test_frictionless_sphere_cannot_resist_torques():
    assert sphere_q1(AXES, friction=0.0) == 0


def test_six_fingers_on_a_sphere_resist_torques_about_the_diagonal_least():
    """With cones of four edges along the axes, radius r and torque length l the torques reach
    friction * r / l about each axis, and 1 / sqrt(3) of that about the diagonal."""
    for friction, radius in ((0.5, 0.04), (1.0, 0.03), (0.3, 0.06)):
        expected = friction * radius / 0.1 / np.sqrt(3)
        found = sphere_q1(AXES, radius, friction=friction, edges=4)
        assert found == pytest.approx(expected)


def test_many_contacts_approach_the_sphere_that_is_held_everywhere():
    """With contacts all over a sphere and round cones, Q1 is min(sqrt(1 + mu^2), mu r / l): the
    hull's support in force a and torque b along it is sqrt(a^2 + mu^2 (a^2 + (r b / l)^2))."""
    limit = 0.5 * 0.05 / 0.1
    found = []
    for count in (8, 24):
        index = np.arange(count) + 0.5
        azimuth, height = np.pi * (1 + 5**0.5) * index, 1 - 2 * index / count
        across = np.sqrt(1 - height**2)
        normals = np.stack([across * np.cos(azimuth), across * np.sin(azimuth), height], axis=1)
        found.append(sphere_q1(normals, 0.05, friction=0.5, edges=8))
    assert 0.6 * limit < found[0] < found[1] < limit
    assert found[1] > 0.85 * limit


@pytest.mark.parametrize(
    "normals",
    [
        TETRAHEDRON,
        np.array([[1, 0, 0], [-0.5, 0.75**0.5, 0], [-0.5, -(0.75**0.5), 0]]),
        Rotation.random(5, random_state=3).apply([0, 0, 1]),
    ],
    ids=["tetrahedron", "three fingers", "random"],
)
def test_agrees_with_the_least_support_of_round_cones(normals):
    config = Q1Config(friction=0.8, edges=64)
    points = 0.05 * normals
    expected = least_support(points, normals, config, seed=0)
    assert q1(points, normals, config) == pytest.approx(max(expected, 0), rel=3e-3, abs=1e-9)


def test_grasp_of_a_sphere_may_be_turned_as_a_whole():
    """Exact for round cones; those of many edges come near."""
    turned = Rotation.random(random_state=1).apply(TETRAHEDRON)
    expected = sphere_q1(TETRAHEDRON, edges=24)
    assert sphere_q1(turned, edges=24) == pytest.approx(expected, rel=0.02)


def test_more_friction_and_more_contacts_never_hurt():
    some = [sphere_q1(TETRAHEDRON, friction=friction) for friction in (0.2, 0.5, 1.0)]
    assert 0 < some[0] < some[1] < some[2]
    assert sphere_q1(np.vstack([TETRAHEDRON, AXES])) >= some[2]


def test_torques_are_taken_about_the_centre_and_scaled_by_the_length():
    expected = sphere_q1(TETRAHEDRON, 0.04)
    shift = np.array([0.3, -0.2, 0.1])
    assert q1(0.04 * TETRAHEDRON + shift, TETRAHEDRON, center=tuple(shift)) == pytest.approx(
        expected
    )
    assert sphere_q1(TETRAHEDRON, 0.08, torque_length=0.2) == pytest.approx(expected)
    assert q1(0.04 * TETRAHEDRON + shift, TETRAHEDRON) < 0.9 * expected


def test_bad_contacts_are_refused():
    with pytest.raises(ValueError, match="points and normals"):
        q1(np.zeros((3, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="finite"):
        q1(np.full((4, 3), np.nan), TETRAHEDRON)
    with pytest.raises(ValueError, match="length one"):
        q1(TETRAHEDRON, 2 * TETRAHEDRON)


def test_relaxations_of_the_paper():
    """Contacts within 1 cm count; over 5 mm in the object or 1 cm in the table is no grasp."""
    normals = torch.from_numpy(TETRAHEDRON).expand(5, 4, 3)
    gaps = torch.tensor([[0.009, -0.003, 0.0, 0.0]]).repeat(5, 1)
    gaps[4, 3] = 0.011
    contacts = LinkContacts(gaps, 0.04 * normals, normals)
    object_penetration = torch.tensor([0.003, 0.0049, 0.0051, 0.003, 0.003])
    table_penetration = torch.tensor([0.0, 0.0099, 0.0, 0.0101, 0.0])
    found = relaxed_q1(contacts, object_penetration, table_penetration)
    closed = sphere_q1(TETRAHEDRON)
    assert found[:4] == pytest.approx([closed, closed, 0, 0])
    assert found[4] == pytest.approx(sphere_q1(TETRAHEDRON[:3]))
    assert found[4] < 0.5 * closed
