"""The bisector surface against closed forms, and of the hand against distances to all points."""

from __future__ import annotations

import assist_samples as samples
import numpy as np
import pytest
import torch

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.tasks.interaction_bisector import HandBisector, bisector_points

HAND = samples.HAND
DOUBLE = torch.float64


def grid(size: int, step: float) -> torch.Tensor:
    """(size^2, 3) on z = 0 about the origin."""
    places = step * (torch.arange(size, dtype=DOUBLE) - (size - 1) / 2)
    return torch.cartesian_prod(places, places, torch.zeros(1, dtype=DOUBLE))


def test_between_two_planes_it_is_the_plane_amid_them():
    starts, clouds = grid(9, 0.01)[None], grid(31, 0.005)[None] + torch.tensor([0.0, 0.0, 0.06])
    found = bisector_points(starts, clouds, lambda points: points[..., 2])
    assert torch.allclose(found.places, starts + torch.tensor([0.0, 0.0, 0.03]), atol=1e-6)
    assert torch.allclose(found.distances, torch.tensor(0.03, dtype=DOUBLE), atol=1e-6)
    assert torch.allclose(found.directions, torch.tensor([0.0, 0.0, 1.0], dtype=DOUBLE))


def test_of_two_points_it_is_the_plane_across_them():
    """Of the thing's two the one that it didn't start from is the nearer one to the sample."""
    thing = torch.tensor([[0.0, 0.0, 0.0], [0.08, 0.03, 0.0]], dtype=DOUBLE)
    cloud = torch.tensor([[0.1, 0.0, 0.0]], dtype=DOUBLE)

    def distance(points: torch.Tensor) -> torch.Tensor:
        return torch.cdist(points, thing[None]).amin(-1)

    (place,) = bisector_points(thing[None, :1], cloud[None], distance).places[0]
    across, amid = cloud[0] - thing[1], 0.5 * (cloud[0] + thing[1])
    assert abs((place - amid) @ across) / across.norm() < 1e-5
    assert place[1:].abs().max() < 1e-12  # and on its way


def test_of_a_sphere_and_a_point_it_is_a_hyperboloid():
    """All around the sphere, and from within it: distances to the foci differ by its radius."""
    centre, radius = torch.tensor([0.02, -0.01, 0.0], dtype=DOUBLE), 0.03
    generator = torch.Generator().manual_seed(0)
    sides = torch.randn(2, 40, 3, dtype=DOUBLE, generator=generator)
    sides *= torch.linspace(0.0, radius, 40, dtype=DOUBLE)[:, None] / sides.norm(
        dim=-1, keepdim=True
    )
    clouds = torch.tensor([[[0.1, 0.0, 0.0]], [[0.0, 0.05, 0.0]]], dtype=DOUBLE)
    found = bisector_points(
        centre + sides, clouds, lambda points: (points - centre).norm(dim=-1) - radius
    )
    differences = (found.places - centre).norm(dim=-1) - (found.places - clouds).norm(dim=-1)
    assert torch.allclose(differences, torch.tensor(radius, dtype=DOUBLE), atol=1e-5)


def scene(count: int = 6, points: int = 200) -> tuple[HandBisector, torch.Tensor, torch.Tensor]:
    """Joints, and clouds of balls beside the hand, some of which it is in."""
    rng = np.random.default_rng(0)
    balls = rng.normal(size=(count, points, 3))
    balls *= 0.03 / np.linalg.norm(balls, axis=2, keepdims=True)
    balls += rng.uniform([-0.05, -0.2, 0.0], [0.05, 0.0, 0.15], (count, 1, 3))
    joints = torch.as_tensor(samples.joints(count, rng))
    return HandBisector(HAND, 100, DOUBLE), joints, torch.as_tensor(balls)


def test_a_hands_samples_are_as_far_from_it_as_from_the_cloud():
    bisector, joints, clouds = scene()
    found = bisector.features(joints, clouds)
    assert found.shape == (6, 100, 13)
    places, distances, directions, parts = found.split((3, 1, 3, 6), dim=-1)
    distances = distances[..., 0]
    to_points, nearest = (places[:, :, None] - clouds[:, None]).norm(dim=-1).min(dim=-1)
    assert torch.allclose(distances, to_points, atol=1e-9)
    poses = bisector.kinematics.link_poses(torch.eye(4, dtype=DOUBLE).expand(6, 4, 4), joints)
    hand = HandDistance(bisector.kinematics)
    assert torch.allclose(distances, hand.to_links(places, poses).clamp_min(0.0), atol=2e-5)
    expected = clouds.gather(1, nearest[..., None].expand(-1, -1, 3)) - places
    apart = distances > 1e-4
    assert torch.allclose(directions[apart], (expected / to_points[..., None])[apart], atol=1e-6)
    assert torch.equal(parts.sum(dim=-1), torch.ones_like(distances))
    # Of the links of the part that is told, one is as near as the whole hand.
    by_link = hand.by_link(places, poses)
    own = torch.where(bisector.parts == parts.argmax(dim=-1)[..., None], by_link, torch.inf)
    assert torch.allclose(own.amin(-1), by_link.amin(-1), atol=1e-9)
    assert parts.flatten(0, 1).amax(dim=0).tolist() == [1.0] * 6  # all are there
    assert 0.0 < float((distances < 1e-4).double().mean()) < 0.5  # what is in the hand


def test_parts_are_the_palm_and_the_fingers():
    parts = HandBisector(HAND, 1).parts.tolist()
    told = dict(zip(HAND.link_names, parts, strict=True))
    assert {name: told[f"rh_{name}"] for name in ("palm", "ffknuckle", "ffdistal", "thbase")} == {
        **{"palm": 0, "ffknuckle": 1, "ffdistal": 1, "thbase": 5}
    }
    assert told["rh_lfmetacarpal"] == told["rh_lfdistal"] == 4


def test_it_moves_with_the_scene():
    bisector, joints, clouds = scene()
    moved = torch.as_tensor(samples.poses(6, np.random.default_rng(1)))
    rotations, shifts = moved[:, :3, :3].mT, moved[:, None, :3, 3]
    eye = torch.eye(4, dtype=DOUBLE).expand(6, 4, 4)
    kinematics = bisector.kinematics
    here, parts = bisector.samples(kinematics.link_poses(eye, joints), clouds)
    there, same = bisector.samples(
        kinematics.link_poses(moved, joints), clouds @ rotations + shifts
    )
    assert torch.allclose(there.places, here.places @ rotations + shifts, atol=1e-9)
    assert torch.allclose(there.directions, here.directions @ rotations, atol=1e-6)
    assert torch.allclose(there.distances, here.distances, atol=1e-9)
    assert torch.equal(parts, same)


def test_hands_are_apart_and_it_is_the_same_each_time():
    bisector, joints, clouds = scene()
    found = bisector.features(joints, clouds)
    assert torch.equal(found, HandBisector(HAND, 100, DOUBLE).features(joints, clouds))
    for row in range(6):
        alone = bisector.features(joints[[row]], clouds[[row]])
        assert torch.allclose(alone[0], found[row], atol=1e-9)
    single = HandBisector(HAND, 100).features(joints.float(), clouds.float())
    assert torch.allclose(single[..., :4].double(), found[..., :4], atol=1e-4)


def test_bad_inputs_are_told():
    bisector, joints, clouds = scene(2)
    with pytest.raises(ValueError, match="with points"):
        bisector.features(joints, clouds[:, :0])
    with pytest.raises(ValueError, match="clouds must be finite"):
        bisector.features(joints, clouds * float("nan"))
    with pytest.raises(ValueError, match="joints must be finite"):
        bisector.features(joints * float("nan"), clouds)
    with pytest.raises(ValueError, match=r"joints \(B, 22\)"):
        bisector.features(joints[:, :18], clouds)
    with pytest.raises(ValueError, match="expected 2 clouds, got 1"):
        bisector.features(joints, clouds[:1])
