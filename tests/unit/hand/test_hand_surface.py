"""Points on the hand's surface and contact candidates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hand_samples import HAND, random_joints, random_poses

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics, directions_on_links, points_on_links
from dexgrasp_models.hand.surface import contact_candidates, palmar_direction, sample_surface


@pytest.fixture(scope="module")
def distance() -> HandDistance:
    return HandDistance(HandKinematics(HAND, dtype=torch.float64))


def open_hand(distance: HandDistance) -> torch.Tensor:
    palm = torch.eye(4, dtype=torch.float64)[None]
    return distance.kinematics.link_poses(palm, torch.zeros(1, 22, dtype=torch.float64))


def test_surface_points_lie_on_the_surface_with_outward_normals(distance):
    surface = sample_surface(HAND, 1500, seed=0)
    links, points, normals = (torch.as_tensor(values) for values in surface)
    poses = open_hand(distance)
    placed = points_on_links(poses, links, points)
    outward = directions_on_links(poses, links, normals)
    assert placed.shape == (1, 1500, 3)
    assert distance.to_links(placed, poses).abs().max() < 1e-5
    torch.testing.assert_close(outward.norm(dim=-1), torch.ones(1, 1500, dtype=torch.float64))
    # A little outwards the nearest surface is the same one, seams between shapes aside.
    nearest = distance.nearest(placed + 1e-5 * outward, poses)
    agree = (nearest.normal * outward).sum(-1) > 0.99
    assert agree.double().mean() > 0.99


def test_surface_points_are_spread_by_area():
    surface = sample_surface(HAND, 20_000, seed=1)
    # Bands of equal length on capsules that nothing covers: as many points as their radii tell.
    in_band = (surface.points[:, 2] > 0.008) & (surface.points[:, 2] < 0.02)
    counts, radii = [], []
    for part in ("proximal", "middle", "distal"):
        links = [HAND.link_index(f"rh_{finger}{part}") for finger in ("ff", "mf", "rf", "lf")]
        counts.append(np.isin(surface.link_index[in_band], links).sum())
        radii.append(HAND.links[links[0]].primitives[0].size[0])
    np.testing.assert_allclose(np.divide(counts, counts[0]), np.divide(radii, radii[0]), rtol=0.1)
    # The back of the palm, where nothing covers it, is as densely covered as the fingers are.
    back = (surface.link_index == 0) & (surface.normals[:, 1] == 1) & (surface.points[:, 0] > 0)
    density = back.sum() / (0.043 * 0.098)
    assert density == pytest.approx(counts[0] / (4 * 2 * np.pi * radii[0] * 0.012), rel=0.1)


def test_surface_points_repeat_with_their_seed():
    first, again, other = (sample_surface(HAND, 100, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.points, again.points)
    assert not np.array_equal(first.points, other.points)


def test_count_must_be_positive():
    with pytest.raises(ValueError, match="count must be positive"):
        sample_surface(HAND, 0, seed=0)


def test_pads_face_where_flexion_takes_the_tips(distance):
    """By finite differences of the outermost joint's motion, for all five digits."""
    palm = random_poses(1, np.random.default_rng(0))
    joints = random_joints(1, np.random.default_rng(1))
    for name in HAND.distal_links:
        link = torch.tensor([HAND.link_index(name)])
        tip = torch.as_tensor(HAND.link(name).primitives[0].segment[1:])
        flexed = joints.clone()
        joint = link.item() - 1
        flexed[0, joint] += 1e-6 * np.sign(sum(HAND.limits[joint]))
        before, after = (
            points_on_links(distance.kinematics.link_poses(palm, angles), link, tip)
            for angles in (joints, flexed)
        )
        direction = torch.as_tensor(palmar_direction(HAND, name))[None]
        poses = distance.kinematics.link_poses(palm, joints)
        pad = directions_on_links(poses, link, direction)[0, 0]
        motion = (after - before)[0, 0]
        assert (motion @ pad / motion.norm()).item() == pytest.approx(1, abs=1e-4)


def test_palm_faces_as_the_fingers_do():
    np.testing.assert_allclose(palmar_direction(HAND, "rh_palm"), [0, -1, 0])
    np.testing.assert_allclose(palmar_direction(HAND, "rh_thdistal"), [-1, 0, 0], atol=1e-12)


@pytest.mark.parametrize("links", [None, ("rh_palm", "rh_ffproximal", "rh_lfmetacarpal")])
def test_contact_candidates_lie_on_the_palmar_surface(distance, links):
    candidates = contact_candidates(HAND, links)
    assert candidates.points.shape[1:] == candidates.normals.shape[1:] == (9, 3)
    rows = len(candidates.link_index)
    assert rows == (5 if links is None else 4)
    index = torch.as_tensor(np.repeat(candidates.link_index, 9))
    points = torch.as_tensor(candidates.points.reshape(-1, 3))
    poses = open_hand(distance)
    gaps = distance.by_link(points_on_links(poses, index, points), poses)[0, range(9 * rows), index]
    assert gaps.abs().max() < 1e-9
    for link, normals in zip(candidates.link_index, candidates.normals, strict=True):
        palmar = palmar_direction(HAND, HAND.link_names[link])
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
        assert (normals @ palmar > 0.6).all()


def test_links_without_surface_or_name_are_refused():
    with pytest.raises(ValueError, match="has a primitive"):
        contact_candidates(HAND, ["rh_thhub"])
    with pytest.raises(KeyError):
        contact_candidates(HAND, ["rh_sixth"])
