"""Energy terms against closed forms, their gradient against finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from grasp_clouds import seen, standing

from dexgrasp_models.geometry.so3 import rotation_from_vector
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.object_surface import (
    CloudError,
    ObjectSurface,
    center_of_mass,
)
from dexgrasp_models.synthesis.refine import (
    GraspBatch,
    energy_gradient,
    evaluate,
    refine,
)
from dexgrasp_models.synthesis.sampling import draw, sample_grasps

DOUBLE = torch.float64

DEPTHS = {  # distance of inner points to the surface of the solids in grasp_clouds
    "sphere": lambda p: 0.035 - np.linalg.norm(p - (0.0, 0.0, 0.035), axis=1),
    "box": lambda p: ((0.03, 0.025, 0.06) - np.abs(p - (0.0, 0.0, 0.06))).min(1),
    "cylinder": lambda p: np.minimum(
        0.033 - np.linalg.norm(p[:, :2], axis=1), 0.055 - np.abs(p[:, 2] - 0.055)
    ),
}


def surface_of(
    name: str, config: EnergyConfig, dtype: torch.dtype = torch.float32
) -> ObjectSurface:
    cloud = seen(standing(name))
    return ObjectSurface.from_cloud(cloud.object_points, cloud.object_normals, config, dtype)


def in_double(batch: GraspBatch) -> GraspBatch:
    return GraspBatch(
        batch.palm_poses.double(), batch.coordinates.double(), batch.preshape.double()
    )


@pytest.mark.parametrize("coupled", [True, False])
def test_gradient_agrees_with_finite_differences(coupled: bool) -> None:
    # Forces are re-solved to convergence at each point; pads keep their identity over small steps.
    config = EnergyConfig(batch=4, closure_steps=1000)
    hand = PlanningHand(load_hand(), coupled, dtype=DOUBLE)
    energy = GraspEnergy(hand, surface_of("box", config, DOUBLE), config)
    single = GraspEnergy(PlanningHand(load_hand(), coupled), surface_of("box", config), config)
    batch = in_double(sample_grasps(single, config, np.random.default_rng(0)))
    _, gradient = energy_gradient(energy, batch)
    step = 1e-6
    columns = [*range(6), 6, 7, 8, gradient.shape[1] - 1]
    numeric = []
    for column in columns:
        totals = []
        for sign in (1.0, -1.0):
            move = torch.zeros_like(gradient)
            move[:, column] = sign * step
            palm = batch.palm_poses.clone()
            rotation = palm[:, :3, :3].clone()
            palm[:, :3, 3] += (rotation @ move[:, :3, None])[..., 0]
            palm[:, :3, :3] = rotation @ rotation_from_vector(move[:, 3:6])
            moved = GraspBatch(palm, batch.coordinates + move[:, 6:], batch.preshape)
            totals.append(evaluate(energy, moved).total)
        numeric.append((totals[0] - totals[1]) / (2 * step))
    expected = torch.stack(numeric, dim=1)
    scale = expected.abs().amax(1, keepdim=True)
    # A kink (a point entering the margin, a pad changing) may fall within a step, rarely.
    error = ((gradient[:, columns] - expected).abs() / scale).flatten()
    assert error.median() < 1e-4
    assert error.quantile(0.9) < 2e-2


def test_penetration_of_one_point_is_its_depth() -> None:
    config = EnergyConfig(penetration_margin=0.002)
    hand = PlanningHand(load_hand())
    energy = GraspEnergy(hand, surface_of("sphere", config), config)
    palm, joints = torch.eye(4)[None].clone(), torch.zeros(1, 22)
    palm[0, 2, 3] = 1.0
    poses = hand.link_poses(palm, joints)
    assert energy.penetration(poses).item() == 0.0
    # 3 mm under the flat back of the palm's box, which is 11.1 mm thick on each side.
    point = torch.tensor([[0.011, 0.0111 - 0.003, 1.038]])
    inside = ObjectSurface(
        point[None], point[None], point[None], torch.zeros(1, 1), point[None], point, 1
    )
    assert GraspEnergy(hand, inside, config).penetration(poses).item() == pytest.approx(
        0.005, abs=1e-6
    )
    # The same point as the centre of a ball of 10 mm is 10 mm deeper.
    ball = replace(inside, obstacle_radii=torch.full((1, 1), 0.01))
    assert GraspEnergy(hand, ball, config).penetration(poses).item() == pytest.approx(
        0.015, abs=1e-6
    )


def test_table_term_counts_what_is_below_its_margin() -> None:
    config = EnergyConfig(table_margin=0.006)
    hand = PlanningHand(load_hand())
    energy = GraspEnergy(hand, surface_of("sphere", config), config)
    palm, joints = torch.eye(4)[None].clone(), torch.zeros(1, 22)
    palm[0, 2, 3] = 0.2
    assert energy.table(hand.link_poses(palm, joints)).item() == 0.0
    palm[0, 2, 3] = -0.2
    poses = hand.link_poses(palm, joints)
    heights = hand.balls(poses)[0, :, 2] - hand.ball_radii
    expected = (0.006 - heights).clamp_min(0).sum()
    assert energy.table(poses).item() == pytest.approx(expected.item())
    assert energy.table(poses).item() > 0.1


def test_open_hand_is_free_of_self_penetration_and_crossed_fingers_are_not() -> None:
    hand = PlanningHand(load_hand())
    config = EnergyConfig()
    energy = GraspEnergy(hand, surface_of("sphere", config), config)
    palm = torch.eye(4)[None]
    joints = torch.zeros(1, 22)
    assert energy.self_penetration(hand.link_poses(palm, joints)).item() == pytest.approx(
        0, abs=1e-4
    )
    joints[0, hand.spec.joint_index("rh_FFJ4")] = -0.349
    joints[0, hand.spec.joint_index("rh_MFJ4")] = 0.349
    assert energy.self_penetration(hand.link_poses(palm, joints)).item() > 0.005


def test_balls_lie_within_the_hand() -> None:
    hand = PlanningHand(load_hand())
    poses = hand.link_poses(torch.eye(4)[None], torch.full((1, 22), 0.1))
    depth = -hand.distance.to_links(hand.balls(poses), poses)[0]
    assert (depth >= hand.ball_radii - 1e-6).all()


def test_pads_lie_on_the_hand_and_face_outwards() -> None:
    hand = PlanningHand(load_hand())
    poses = hand.link_poses(torch.eye(4)[None], torch.zeros(1, 22))
    pads = hand.pads(poses)
    on = hand.distance.to_links(pads.points.reshape(1, -1, 3), poses)
    off = hand.distance.to_links((pads.points + 0.002 * pads.normals).reshape(1, -1, 3), poses)
    assert on.abs().max() < 1e-5
    assert torch.allclose(off, torch.full_like(off, 0.002), atol=1e-5)


def test_smoothed_surface_of_a_sphere() -> None:
    config = EnergyConfig()
    surface = surface_of("sphere", config)
    center = torch.tensor([0.0, 0.0, 0.035])
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(50, 3, generator=generator), dim=-1)
    directions[:, 2] = directions[:, 2].abs()
    points, normals = surface.smooth((center + 0.037 * directions)[None], 12, 0.006)
    assert ((points - center).norm(dim=-1) - 0.035).abs().max() < 0.002
    assert (normals * directions).sum(-1).min() > 0.98


@pytest.mark.parametrize("name", ["sphere", "box", "cylinder"])
def test_inner_balls_fit_inside(name: str) -> None:
    config = EnergyConfig()
    surface = surface_of(name, config)
    radii = surface.obstacle_radii[0]
    balls = radii > 0
    assert balls.sum() > 10
    depth = DEPTHS[name](surface.obstacle_points[0, balls].numpy())
    assert (depth >= radii[balls].numpy() - 0.003).all()


def test_center_of_mass_of_an_uneven_object() -> None:
    """A hammer-like pair of boxes: the mean of the points is off by more than a centimetre."""
    head = trimesh.creation.box((0.03, 0.10, 0.03))
    handle = trimesh.creation.box((0.20, 0.02, 0.02))
    head.apply_translation((0.0, 0.0, 0.015))
    handle.apply_translation((0.115, 0.0, 0.010))
    volumes = head.volume, handle.volume
    expected = np.average([head.centroid, handle.centroid], axis=0, weights=volumes)
    cloud = seen(trimesh.util.concatenate([head, handle]))
    estimate = center_of_mass(cloud.object_points.astype(float))
    assert np.linalg.norm(estimate - expected) < 0.006


def test_walls_reach_the_table() -> None:
    assert surface_of("box", EnergyConfig()).points[..., 2].min() < 0.003


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 3)), "0 object points"),
        (np.zeros((10, 3)), "10 object points"),
        (np.full((200, 3), np.nan), "not finite"),
        (np.zeros((200, 2)), "shape"),
        (np.random.default_rng(0).random((200, 3)) * (0.1, 0.1, 0.002), "too flat"),
        (np.random.default_rng(0).random((200, 3)) * (0.001, 0.001, 0.2), "line"),
    ],
)
def test_clouds_that_cannot_be_planned_on(points: np.ndarray, message: str) -> None:
    normals = np.zeros_like(points)
    normals[:, -1] = 1.0
    with pytest.raises(CloudError, match=message):
        ObjectSurface.from_cloud(points, normals, EnergyConfig())


def test_drawn_grasps_come_from_above_within_limits_and_repeat() -> None:
    config = EnergyConfig(min_elevation=0.5)
    hand = PlanningHand(load_hand())
    surface = surface_of("cylinder", config)
    one, two = (draw(hand, surface, 200, config, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.palm_poses, two.palm_poses)
    assert torch.equal(one.coordinates, two.coordinates)
    other = draw(hand, surface, 200, config, np.random.default_rng(8))
    assert not torch.equal(one.palm_poses, other.palm_poses)
    assert (one.coordinates >= hand.lower).all()
    assert (one.coordinates <= hand.upper).all()
    rotation = one.palm_poses[:, :3, :3]
    assert torch.allclose(rotation.mT @ rotation, torch.eye(3).expand_as(rotation), atol=1e-5)
    # From the middle of the palm to the pinch centre it points down by the least elevation or more.
    pads = hand.pads(hand.link_poses(one.palm_poses, hand.joints(one.coordinates))).points[:, :, 4]
    pinch = 0.5 * (pads[:, :4].mean(1) + pads[:, 4])
    heel = (rotation @ torch.tensor([0.0, 0.0, 0.06])) + one.palm_poses[:, :3, 3]
    down = -torch.nn.functional.normalize(pinch - heel, dim=-1)[:, 2]
    assert down.min() > np.sin(0.5) - 1e-4


def test_refinement_lowers_the_energy_within_the_limits() -> None:
    config = EnergyConfig(batch=8, samples_per_grasp=2, iterations=60)
    hand = PlanningHand(load_hand())
    energy = GraspEnergy(hand, surface_of("cylinder", config), config)
    start = sample_grasps(energy, config, np.random.default_rng(0))
    end = refine(energy, start, config)
    assert evaluate(energy, end).total.median() < 0.5 * evaluate(energy, start).total.median()
    assert (end.coordinates >= hand.lower).all()
    assert (end.coordinates <= hand.upper).all()
    rotation = end.palm_poses[:, :3, :3]
    assert torch.allclose(rotation.mT @ rotation, torch.eye(3).expand_as(rotation), atol=1e-4)


def test_coupled_coordinates_bend_both_outer_joints_alike() -> None:
    hand = PlanningHand(load_hand())
    joints = hand.joints(torch.rand(5, len(hand.lower)))
    for tendon in hand.spec.tendons:
        middle, distal = hand.spec.joint_index(tendon.middle), hand.spec.joint_index(tendon.distal)
        assert torch.equal(joints[:, middle], joints[:, distal])
    assert torch.allclose(hand.joints(hand.coordinates(joints)), joints, atol=1e-6)
