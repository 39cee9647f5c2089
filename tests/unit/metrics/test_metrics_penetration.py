"""Penetration, contacts and keypoints in closed form, and against sampled surfaces."""

from __future__ import annotations

from itertools import combinations, product

import mujoco
import numpy as np
import pytest
import torch
from hand_samples import HAND, random_joints, random_poses
from scipy.optimize import lsq_linear

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics, points_on_links
from dexgrasp_models.hand.surface import sample_surface
from dexgrasp_models.metrics.contacts import (
    LinkContacts,
    contact_consistency,
    contact_count,
    contact_distance,
    link_contacts,
)
from dexgrasp_models.metrics.keypoints import keypoint_links, keypoints
from dexgrasp_models.metrics.penetration import (
    object_penetration,
    self_penetration,
    table_penetration,
)
from dexgrasp_sim.backends.mujoco import robot_model

DISTANCE = HandDistance(HandKinematics(HAND, dtype=torch.float64))
PALM_FRONT = -0.0111
"""The palm's box reaches this far to the palmar side (-y)."""


def link_poses(height: float = 0.0, batch: int = 1, **angles: float) -> torch.Tensor:
    """(B, L, 4, 4) open hand `height` above the origin, but for some joints' angles."""
    palm = torch.eye(4).double().repeat(batch, 1, 1)
    palm[:, 2, 3] = height
    joints = torch.zeros(batch, 22).double()
    for name, angle in angles.items():
        joints[:, HAND.joint_index(f"rh_{name}")] = angle
    return DISTANCE.kinematics.link_poses(palm, joints)


def plate(depth: float, spacing: float = 0.002) -> tuple[torch.Tensor, torch.Tensor]:
    """A plate on the palm's front that reaches `depth` into it: points and outward normals."""
    line = torch.arange(-0.01, 0.0101, spacing).double()
    x, z = torch.meshgrid(line, line + 0.04, indexing="ij")
    y = torch.full_like(x, PALM_FRONT + depth)
    points = torch.stack([x, y, z], dim=-1).reshape(-1, 3)
    return points, torch.tensor([0.0, 1.0, 0.0]).double().expand_as(points)


@pytest.mark.parametrize("depth", [0.001, 0.004, 0.009])
def test_depth_of_a_plate_in_the_palm(depth):
    points, _ = plate(depth)
    found = object_penetration(DISTANCE, link_poses(), points)
    assert found.item() == pytest.approx(depth)


def test_an_object_beside_the_hand_does_not_penetrate():
    assert object_penetration(DISTANCE, link_poses(), plate(-0.001)[0]).item() == 0


def test_object_penetration_agrees_with_a_dense_box_in_a_capsule():
    """A box's corner on the middle finger's axis is as deep as the capsule's radius."""
    poses = link_poses()
    axis = poses[0, HAND.link_index("rh_mfproximal")] @ torch.tensor([0, 0, 0.0225, 1]).double()
    assert object_penetration(DISTANCE, poses, axis[None, :3]).item() == pytest.approx(0.01)
    aside = axis[:3] - torch.tensor([0.0, 0.006, 0.0])
    assert object_penetration(DISTANCE, poses, aside[None]).item() == pytest.approx(0.004)


def test_table_penetration_of_the_open_hand_is_its_longest_way_down():
    """Fingers up, the palm's box is lowest: 11 mm below the frame's origin (0.038 - 0.049)."""
    for height, expected in ((0.001, 0.010), (0.011, 0.0), (0.5, 0.0), (-0.02, 0.031)):
        assert table_penetration(HAND, link_poses(height)).item() == pytest.approx(
            expected, abs=1e-12
        )


def test_table_penetration_agrees_with_sampled_surfaces():
    rng = np.random.default_rng(0)
    palm, joints = random_poses(40, rng), random_joints(40, rng)
    palm[:, :3, 3] *= 0.05
    poses = DISTANCE.kinematics.link_poses(palm, joints)
    normal = torch.as_tensor(rng.normal(size=(40, 3)))
    normal = normal / normal.norm(dim=1, keepdim=True)
    plane = torch.cat([normal, torch.as_tensor(rng.uniform(-0.02, 0.08, (40, 1)))], dim=1)
    surface = sample_surface(HAND, 20_000, seed=0)
    points = points_on_links(
        poses, torch.as_tensor(surface.link_index), torch.as_tensor(surface.points)
    )
    sampled = -((points * plane[:, None, :3]).sum(-1) + plane[:, 3:]).amin(1)
    exact = table_penetration(HAND, poses, plane)
    assert (exact > 0).sum() > 10
    assert (exact >= sampled.clamp_min(0) - 1e-9).all()  # samples can only miss the lowest point
    assert (exact - sampled.clamp_min(0)).max() < 0.0015


def test_table_needs_a_unit_normal():
    with pytest.raises(ValueError, match="length one"):
        table_penetration(HAND, link_poses(), (0.0, 0.0, 2.0, 0.0))


def test_the_open_hand_is_clear_of_itself():
    assert self_penetration(HAND, link_poses()).item() == 0


def segment_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Least distance of two segments (2, 3), a bounded least squares problem."""
    directions = np.stack([one[1] - one[0], other[0] - other[1]], axis=1)
    return float(np.sqrt(2 * lsq_linear(directions, other[0] - one[0], bounds=(0, 1)).cost))


@pytest.mark.parametrize("angle", [0.0, 0.05, 0.1])
def test_fingers_leaning_on_each_other_overlap_as_their_axes_say(angle):
    """Two fingers turned towards each other: radii less the distance of the capsules' segments."""
    poses = link_poses(MFJ4=-angle, RFJ4=angle)
    fingers = []
    for name in ("mf", "rf"):
        links = [HAND.link_index(f"rh_{name}{part}") for part in ("proximal", "middle", "distal")]
        shapes = [(link, HAND.links[link].primitives[0]) for link in links]
        fingers.append(
            [
                (
                    points_on_links(
                        poses, torch.tensor([link, link]), poses.new_tensor(shape.segment)
                    )[0].numpy(),
                    shape.size[0],
                )
                for link, shape in shapes
            ]
        )
    expected = max(
        one_radius + other_radius - segment_distance(one, other)
        for (one, one_radius), (other, other_radius) in product(*fingers)
    )
    assert (expected > 0) == (angle > 0)
    found = self_penetration(HAND, poses).item()
    assert found == pytest.approx(max(0.0, expected), abs=1e-6)


def test_agrees_with_mujoco_on_random_postures():
    """MuJoCo's distances between all pairs of shapes of links over two joints apart."""
    spec = mujoco.MjSpec()
    robot_model.add_free_hand(spec, HAND, "independent", friction=1.0)
    model = spec.compile()
    data = mujoco.MjData(model)
    parent = model.body_parentid
    palm = model.body("rh_palm").id

    def chain(body: int) -> list[int]:
        """The body, its parent and its grandparent, within the hand."""
        bodies = [body]
        while bodies[-1] != palm and len(bodies) < 3:
            bodies.append(int(parent[bodies[-1]]))
        return bodies

    bodies = model.geom_bodyid
    pairs = [
        (one, other)
        for one, other in combinations(range(model.ngeom), 2)
        if bodies[one] not in chain(bodies[other]) and bodies[other] not in chain(bodies[one])
    ]
    rng = np.random.default_rng(3)
    joints = random_joints(20, rng)
    ours = self_penetration(
        HAND, DISTANCE.kinematics.link_poses(torch.eye(4).double().repeat(20, 1, 1), joints)
    )
    addresses = [model.jnt_qposadr[model.joint(name).id] for name in HAND.finger_joints]
    assert (ours > 0.002).sum() > 5
    for angles, found in zip(joints.numpy(), ours.tolist(), strict=True):
        data.qpos[addresses] = angles
        mujoco.mj_kinematics(model, data)
        least = min(mujoco.mj_geomDistance(model, data, *pair, 0.01, None) for pair in pairs)
        assert found == pytest.approx(max(0.0, -least), abs=2e-5)


@pytest.mark.parametrize(("flexion", "touches"), [(1.5, False), (1.8, True)])
def test_a_finger_in_the_palm_is_as_deep_as_the_distance_says(flexion, touches):
    """Capsules' ends in a box: their radii less the distances from the ends' centres to the box."""
    poses = link_poses(FFJ3=flexion, FFJ2=1.571, FFJ1=1.4)  # the deep one is beyond its limit
    depths = [0.0]
    for name in ("rh_ffmiddle", "rh_ffdistal"):
        link = HAND.link_index(name)
        shape = HAND.links[link].primitives[0]
        ends = points_on_links(poses, torch.tensor([link, link]), poses.new_tensor(shape.segment))
        to_palm = DISTANCE.by_link(ends, poses)[0, :, 0].min().item()
        depths.append(shape.size[0] - to_palm)
    assert (max(depths) > 0) == touches
    assert self_penetration(HAND, poses).item() == pytest.approx(max(depths), abs=1e-6)


def test_a_batch_is_evaluated_grasp_by_grasp():
    rng = np.random.default_rng(1)
    poses = DISTANCE.kinematics.link_poses(random_poses(6, rng), random_joints(6, rng))
    points, normals = plate(0.002)
    together = (
        object_penetration(DISTANCE, poses, points),
        table_penetration(HAND, poses),
        self_penetration(HAND, poses),
        contact_count(link_contacts(DISTANCE, poses, points, normals)),
    )
    for index in range(len(poses)):
        one = poses[index : index + 1]
        alone = (
            object_penetration(DISTANCE, one, points),
            table_penetration(HAND, one),
            self_penetration(HAND, one),
            contact_count(link_contacts(DISTANCE, one, points, normals)),
        )
        for found, expected in zip(together, alone, strict=True):
            assert found[index].item() == pytest.approx(expected.item())


def test_contact_of_the_palm_with_a_plate():
    points, normals = plate(-0.0015)
    contacts = link_contacts(DISTANCE, link_poses(), points, normals)
    assert contacts.gaps[0, 0].item() == pytest.approx(0.0015)
    assert contacts.points[0, 0, 1].item() == pytest.approx(PALM_FRONT - 0.0015)
    assert torch.equal(contacts.normals[0, 0], torch.tensor([0.0, 1.0, 0.0]).double())
    knuckle = HAND.link_index("rh_ffknuckle")
    assert contacts.gaps[0, knuckle].item() == np.inf
    assert contact_count(contacts).item() == 1
    assert contact_count(contacts, within=0.001).item() == 0
    deep = link_contacts(DISTANCE, link_poses(), *plate(0.003))
    assert contact_count(deep).item() == 0  # too deep to count as touching


def test_contact_figures_of_known_gaps():
    gaps = torch.full((1, len(HAND.links)), torch.inf)
    tips = [HAND.link_index(name) for name in HAND.distal_links]
    gaps[0, tips] = torch.tensor([0.001, -0.002, 0.004, 0.5, 0.0])
    gaps[0, HAND.link_index("rh_ffmiddle")] = 0.003  # the fingertip is nearer
    contacts = LinkContacts(gaps, gaps.new_zeros(1, len(HAND.links), 3), gaps.new_zeros(1, 1, 3))
    assert contact_count(contacts).item() == 2  # below 2 mm: the first and the last
    assert contact_distance(HAND, contacts).item() == pytest.approx((1 + 0 + 4 + 10 + 0) / 5000)
    assert contact_consistency(HAND, contacts).item() == pytest.approx(0.012)


def test_contacts_need_a_normal_for_each_point():
    with pytest.raises(ValueError, match="as many normals"):
        link_contacts(DISTANCE, link_poses(), torch.zeros(5, 3), torch.zeros(4, 3))


def test_keypoints_are_three_joints_of_each_digit():
    names = [HAND.link_names[index] for index in keypoint_links(HAND)]
    assert len(names) == 15
    assert all(name.endswith(("proximal", "middle", "distal")) for name in names)
    rng = np.random.default_rng(2)
    palm, joints = random_poses(3, rng), random_joints(3, rng)
    poses = DISTANCE.kinematics.link_poses(palm, joints)
    found = keypoints(HAND, poses)
    # A keypoint is where a joint's axis is: turning that joint leaves it in its place.
    for index, link in enumerate(keypoint_links(HAND)):
        turned = joints.clone()
        turned[:, link - 1] += 0.1
        moved = keypoints(HAND, DISTANCE.kinematics.link_poses(palm, turned))
        assert torch.allclose(moved[:, index], found[:, index])
        assert not torch.allclose(moved, found) or names[index].endswith("distal")
