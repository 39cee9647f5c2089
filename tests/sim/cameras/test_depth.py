"""Ray-cast depth against closed forms, and the statistics of its noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import trimesh

from dexgrasp_models.objects import load_object
from dexgrasp_models.perception.cameras import CameraModel, look_at
from dexgrasp_models.perception.ray_casting import Body, RayCaster
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.noise import NoiseConfig, measure_depth, to_counts
from dexgrasp_sim.scene import load_scene

FOCAL = 600.0


def _camera(eye, focus, up=(0.0, 0.0, 1.0)):
    pose = look_at(eye, focus, up)
    return CameraModel("camera", 320, 240, 300.0, 300.0, 159.5, 119.5, pose)


def _rays(camera):
    """Directions (H, W, 3) in world with length 1 along the optical axis."""
    v, u = np.mgrid[: camera.height, : camera.width]
    optical = [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)]
    return np.stack(optical, axis=-1) @ camera.world_T_optical[:3, :3].T


def test_plane_has_the_depth_of_its_equation():
    camera = _camera((0.4, 0.3, 0.5), (0.0, 0.0, 0.0))
    caster = RayCaster([Body(trimesh.creation.box((3.0, 3.0, 0.1)), (1.0, 1.0, 1.0))])
    pose = np.eye(4)
    pose[2, 3] = -0.05
    caster.place(pose[None])
    hits = caster.cast(camera)
    expected = -0.5 / _rays(camera)[..., 2]
    seen = np.isfinite(hits.depth)
    assert seen.mean() > 0.9
    assert np.abs(hits.depth - expected)[seen].max() < 1e-5
    cosine = 0.5 / (expected * np.linalg.norm(_rays(camera), axis=-1))
    assert np.abs(hits.cosine - cosine)[seen].max() < 1e-5


def test_ball_has_the_depth_of_a_sphere():
    camera = _camera((0.5, 0.0, 0.1), (0.0, 0.0, 0.1))
    ball = trimesh.creation.icosphere(subdivisions=5, radius=0.05)
    caster = RayCaster([Body(ball, (1.0, 0.0, 0.0))])
    pose = np.eye(4)
    pose[2, 3] = 0.1
    caster.place(pose[None])
    hits = caster.cast(camera)
    rays = _rays(camera)
    # |eye + t ray - centre| = radius
    offset = np.array([0.5, 0.0, 0.0])
    a, b, c = (rays**2).sum(-1), rays @ offset, offset @ offset - 0.05**2
    inside = b**2 - a * c > 1e-5  # a little away from the silhouette
    expected = (-b - np.sqrt(np.where(inside, b**2 - a * c, 0.0))) / a
    assert inside.sum() > 2000
    assert np.abs(hits.depth - expected)[inside].max() < 2e-4
    assert (hits.bodies[inside] == 0).all()
    assert hits.bodies[0, 0] == -1


def test_nearer_body_hides_the_farther_one():
    camera = _camera((0.5, 0.0, 0.0), (0.0, 0.0, 0.0))
    cube = trimesh.creation.box((0.1, 0.1, 0.1))
    caster = RayCaster([Body(cube, (1.0, 0.0, 0.0)), Body(cube, (0.0, 0.0, 1.0))])
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[0, 0, 3] = 0.2
    caster.place(poses)
    assert caster.cast(camera).bodies[120, 160] == 0
    poses[:, 0, 3] = (0.0, 0.2)
    caster.place(poses)
    assert caster.cast(camera).bodies[120, 160] == 1
    red, _, blue = caster.shade(caster.cast(camera))[120, 160]
    assert blue > red


def _wall(distance, shape=(240, 320)):
    return np.full(shape, distance, dtype=np.float32), np.ones(shape, dtype=np.float32)


def _measured(depth, cosine, config, seed=0):
    return measure_depth(depth, cosine, FOCAL, config, np.random.default_rng(seed))


@pytest.mark.parametrize("distance", [0.7, 1.2, 2.4])
def test_error_grows_with_the_square_of_the_distance(distance):
    config = NoiseConfig(random_dropout=0.0, disparity_step=0.0, correlation=1)
    measured = _measured(*_wall(distance), config) / 1000.0
    expected = config.disparity_error * distance**2 / (FOCAL * config.baseline)
    # Rounding to millimetres adds 1/12 mm^2.
    assert measured.std() == pytest.approx(np.hypot(expected, 1e-3 / np.sqrt(12)), rel=0.03)
    assert measured.mean() == pytest.approx(distance, abs=2e-4 + 2 * expected**2)


def test_disparity_comes_in_steps():
    config = NoiseConfig(disparity_error=0.3, random_dropout=0.0, disparity_step=0.25)
    levels = np.unique(_measured(*_wall(1.5), config))
    disparity = FOCAL * config.baseline * 1000.0 / levels
    assert len(levels) < 12
    assert disparity == pytest.approx(np.round(disparity / 0.25) * 0.25, abs=0.02)


def test_random_pixels_are_lost_at_the_given_rate():
    lost = _measured(*_wall(0.6), NoiseConfig(random_dropout=0.1)) == 0
    assert lost.mean() == pytest.approx(0.1, abs=0.01)


def test_edges_and_grazing_surfaces_lose_pixels_and_flat_ones_do_not():
    depth, cosine = _wall(0.6)
    depth[:, 160:] = 0.8
    config = NoiseConfig(random_dropout=0.0, edge_dropout=1.0, grazing_dropout=1.0)
    lost = _measured(depth, cosine, config) == 0
    assert lost[:, 159:161].all()
    assert not lost[:, :158].any()
    assert not lost[:, 162:].any()
    cosine[:120] = 0.0
    assert (_measured(depth, cosine, config)[:120] == 0).all()


def test_nothing_is_measured_out_of_range_or_where_nothing_is():
    depth, cosine = _wall(0.6)
    depth[:, :50] = 0.1
    depth[:, 50:100] = 5.0
    depth[:, 100:150] = np.inf
    measured = _measured(depth, cosine, NoiseConfig())
    assert (measured[:, :150] == 0).all()
    assert (measured[:, 155:] > 0).mean() > 0.95
    exact = _measured(depth, cosine, NoiseConfig(enabled=False))
    assert (exact[:, 100:150] == 0).all()
    assert (exact[:, 150:] == 600).all()


def test_noise_repeats_with_its_seed_only():
    wall = _wall(0.6)
    assert np.array_equal(_measured(*wall, NoiseConfig()), _measured(*wall, NoiseConfig()))
    assert not np.array_equal(_measured(*wall, NoiseConfig()), _measured(*wall, NoiseConfig(), 1))


def test_millimetres_saturate():
    assert to_counts(np.array([0.0, 0.0014, 70.0])).tolist() == [0, 1, 65535]
    assert to_counts(np.array([0.0, 0.0014, 70.0]), 1e-4).tolist() == [0, 14, 65535]


def test_cameras_see_the_object_where_it_is():
    config = load_scene(noise=NoiseConfig(enabled=False))
    simulator = make_simulator(config, load_object("ball"))
    simulator.reset(3)
    centre = simulator.object_pose() @ [*simulator.object_model.center_of_mass, 1.0]
    for name, camera in simulator.cameras.items():
        depth = simulator.read_depth(name)
        assert depth.shape == (camera.height, camera.width)
        assert depth.dtype == np.uint16
        column, row = np.round(camera.project(centre[None, :3])[0]).astype(int)
        along = (np.linalg.inv(camera.world_T_optical) @ centre)[2]
        assert depth[row, column] == pytest.approx(1000.0 * (along - 0.034), abs=1.5)


def test_images_of_one_tick_agree_and_cameras_differ_in_their_noise():
    simulator = make_simulator(load_scene(), load_object("can"))
    simulator.reset(3)
    first = simulator.read_depth("camera_1")
    assert np.array_equal(first, simulator.read_depth("camera_1"))
    simulator.step()
    assert not np.array_equal(first, simulator.read_depth("camera_1"))


def test_an_unknown_camera_is_refused():
    simulator = make_simulator(load_scene(), load_object("can"))
    simulator.reset(0)
    with pytest.raises(KeyError, match="no camera 'camera_9'; there are camera_1"):
        simulator.read_depth("camera_9")


def test_the_second_rig_has_five_cameras_that_see_the_object():
    config = load_scene(cameras="cameras/unidexgrasp_five.yaml")
    simulator = make_simulator(config, load_object("can"))
    simulator.reset(0)
    assert len(simulator.cameras) == 5
    for camera in simulator.cameras.values():
        hits, _ = simulator.depth_cameras.cast(simulator.snapshot(), camera)
        assert (hits.bodies == 0).sum() > 500


@pytest.mark.parametrize("scene", ["floating", "arm"])
def test_the_waiting_hand_hides_the_object_from_no_camera(scene):
    config = dataclasses.replace(load_scene(), scene=scene)
    simulator = make_simulator(config, load_object("bottle"))
    simulator.reset(0)
    alone = RayCaster([Body(simulator.object_model.visual, (1.0, 1.0, 1.0))])
    alone.place(simulator.object_pose()[None])
    for camera in simulator.cameras.values():
        hits, _ = simulator.depth_cameras.cast(simulator.snapshot(), camera)
        assert (hits.bodies == 0).sum() >= 0.98 * (alone.cast(camera).bodies == 0).sum()
