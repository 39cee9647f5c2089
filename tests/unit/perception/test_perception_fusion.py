"""The fused cloud against the surfaces it was rendered from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from depth_scenes import Box, Sphere, Table, frames_of
from scipy.spatial.distance import cdist

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import DepthFrame, load_rig
from dexgrasp_models.perception.fusion import (
    FusionConfig,
    PerceptionError,
    fuse,
    load_fusion_config,
)

CONFIG = FusionConfig()
NOISE = 0.0015
BALL = Sphere((0.02, -0.01, 0.035), 0.035)
BODIES = {
    "ball": BALL,
    "carton": Box((0.0, 0.0, 0.05), (0.07, 0.05, 0.10)),
    "plate": Box((0.03, 0.02, 0.01), (0.18, 0.18, 0.02)),
    "dice": Box((-0.05, 0.05, 0.015), (0.03, 0.03, 0.03)),
}


@pytest.fixture(scope="module")
def rig():
    return load_rig(find_config("cameras/four_d415.yaml"))


@pytest.fixture(scope="module")
def ball_frames(rig):
    return frames_of(rig, [BALL], NOISE)


def normal_errors(cloud, body):
    true = body.normals(cloud.object_points.astype(float))
    cosines = np.einsum("nc,nc->n", true, cloud.object_normals)
    return np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("noise", [0.0, NOISE])
def test_points_lie_on_the_surface_and_normals_stand_on_it(rig, name, noise):
    body = BODIES[name]
    cloud = fuse(frames_of(rig, [body], noise, seed=3), CONFIG)
    distance = np.abs(body.surface_distance(cloud.object_points.astype(float)))
    assert distance.mean() < 0.0005
    assert np.quantile(distance, 0.99) < 0.002
    assert distance.max() < 0.003
    errors = normal_errors(cloud, body)
    assert np.median(errors) < 5.0
    assert np.quantile(errors, 0.7) < 30.0  # on a small box the others are near an edge
    assert cloud.object_points.dtype == cloud.object_normals.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(cloud.object_normals, axis=1), 1.0, atol=1e-5)
    assert cloud.warnings == ()
    assert cloud.cameras_used == ("camera_1", "camera_2", "camera_3", "camera_4")
    assert len(cloud.scene_points) == 0


def test_strong_noise_still_leaves_the_object(rig):
    body = BODIES["carton"]
    cloud = fuse(frames_of(rig, [body], 2 * NOISE), CONFIG)
    distance = np.abs(body.surface_distance(cloud.object_points.astype(float)))
    assert distance.mean() < 0.0015
    assert np.median(normal_errors(cloud, body)) < 15.0


@pytest.mark.parametrize("count", [256, 1024, 2048])
@pytest.mark.parametrize(("noise", "unevenness"), [(0.0, 0.2), (NOISE, 0.45)])
def test_the_samples_are_even_and_as_many_as_asked_for(rig, count, noise, unevenness):
    points = fuse(frames_of(rig, [BALL], noise), replace(CONFIG, n_points=count)).object_points
    assert points.shape == (count, 3)
    gaps = np.sort(cdist(points, points), axis=1)[:, 1]
    # the distances to the next point in a uniform random sample vary by 0.52 of their mean
    assert gaps.std() / gaps.mean() < unevenness


def test_the_lowest_part_of_flat_objects_is_kept(rig):
    cloud = fuse(frames_of(rig, [BODIES["plate"]], NOISE), CONFIG)
    side = cloud.object_points[cloud.object_points[:, 2] < 0.015]
    assert len(side) > 30
    assert side[:, 2].min() < 0.006
    top = cloud.object_points[cloud.object_points[:, 2] > 0.019]
    np.testing.assert_allclose(np.ptp(top[:, :2], axis=0), 0.18, atol=0.006)


def test_equal_frames_give_equal_bits(ball_frames):
    first, second = (fuse(ball_frames, CONFIG) for _ in range(2))
    assert first.object_points.tobytes() == second.object_points.tobytes()
    assert first.object_normals.tobytes() == second.object_normals.tobytes()
    assert first.scene_points.tobytes() == second.scene_points.tobytes()


def test_the_order_of_the_frames_hardly_matters(ball_frames):
    cloud = fuse(ball_frames, CONFIG)
    shuffled = fuse(ball_frames[::-1], CONFIG)
    assert cdist(cloud.object_points, shuffled.object_points).min(axis=1).max() < 0.004


def test_float_images_in_metres_are_worth_as_much(ball_frames):
    metres = [
        replace(frame, depth=np.where(frame.depth > 0, frame.depth * 1e-3, np.nan).astype("f4"))
        for frame in ball_frames
    ]
    np.testing.assert_allclose(
        fuse(metres, CONFIG).object_points, fuse(ball_frames, CONFIG).object_points, atol=1e-5
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, 0.0])
def test_readings_that_are_no_depth_are_ignored(ball_frames, bad):
    metres = [replace(frame, depth=(frame.depth * 1e-3).astype("f4")) for frame in ball_frames]
    metres[1].depth[::2] = bad
    cloud = fuse(metres, CONFIG)
    assert np.isfinite(cloud.object_points).all()
    assert np.abs(BALL.surface_distance(cloud.object_points.astype(float))).max() < 0.003
    assert cloud.warnings == ()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda depth: np.zeros_like(depth), "camera_2: only 0.0 % of the image"),
        (lambda depth: np.full(depth.shape, np.nan, np.float32), "camera_2: only 0.0 %"),
        (lambda depth: depth[:240], "camera_2: image is 640x240, its camera 640x480"),
        (lambda depth: depth[..., None], "camera_2: image is 1x640x480"),
        (lambda depth: depth.astype(np.int32), "camera_2: image of int32"),
    ],
)
def test_a_bad_image_is_left_out_and_named(ball_frames, spoil, reason):
    frames = list(ball_frames)
    frames[1] = replace(frames[1], depth=spoil(frames[1].depth))
    cloud = fuse(frames, CONFIG)
    assert "camera_2" not in cloud.cameras_used
    assert len(cloud.cameras_used) == 3
    assert any(reason in warning for warning in cloud.warnings)
    assert np.abs(BALL.surface_distance(cloud.object_points.astype(float))).max() < 0.003


@pytest.mark.parametrize("missing", [["camera_3"], ["camera_1", "camera_4"]])
def test_missing_cameras_are_named(ball_frames, missing):
    frames = [frame for frame in ball_frames if frame.camera.name not in missing]
    cloud = fuse(frames, CONFIG, missing=dict.fromkeys(missing, "unplugged"))
    assert cloud.warnings == tuple(f"{name}: unplugged" for name in missing)
    assert len(cloud.cameras_used) == 4 - len(missing)
    assert cloud.object_points.shape == (1024, 3)


def test_the_side_that_no_camera_sees_is_empty(rig, ball_frames):
    """Control for the tests above: what cameras 1 and 4 saw is missing without them."""
    seen_side = ball_frames[1:3]  # cameras 2 and 3 stand at -x
    far = BALL.centre[0] + 0.8 * BALL.radius
    full = fuse(ball_frames, CONFIG).object_points
    half = fuse(seen_side, CONFIG).object_points
    assert (full[:, 0] > far).sum() > 30
    assert (half[:, 0] > far).sum() == 0


@pytest.mark.parametrize(
    ("bodies", "count", "reason"),
    [
        ([BALL], 0, "0 usable camera images, 2 needed"),
        ([BALL], 1, "1 usable camera images, 2 needed"),
        ([], 4, "nothing stands above the table"),
        ([Sphere((0.4, 0.0, 0.05), 0.05)], 4, "nothing stands above the table in the workspace"),
        ([Box((0, 0, 0.001), (0.1, 0.1, 0.002))], 4, "nothing stands|too little"),
        ([Box((0, 0, 0.005), (0.008, 0.008, 0.01))], 4, "too small|too little"),
    ],
)
def test_too_little_is_refused_with_the_reason(rig, bodies, count, reason):
    with pytest.raises(PerceptionError, match=reason):
        fuse(frames_of(rig[:count], bodies, NOISE), CONFIG)


def test_a_refusal_also_names_the_failed_cameras(ball_frames):
    spoilt = replace(ball_frames[1], depth=ball_frames[1].depth[:100])
    with pytest.raises(PerceptionError, match=r"camera_3: no image; camera_2: image is 640x100"):
        fuse([ball_frames[0], spoilt], CONFIG, missing={"camera_3": "no image"})


def test_two_frames_of_one_camera_are_refused(ball_frames):
    with pytest.raises(PerceptionError, match="several frames"):
        fuse([*ball_frames, ball_frames[0]], CONFIG)


def test_other_objects_go_to_the_scene(rig):
    small = Box((-0.12, 0.10, 0.02), (0.04, 0.04, 0.04))
    outside = Sphere((0.38, -0.1, 0.06), 0.06)
    large = BODIES["carton"]
    cloud = fuse(frames_of(rig, [large, small, outside], NOISE), CONFIG)
    assert np.abs(large.surface_distance(cloud.object_points.astype(float))).max() < 0.003
    scene = cloud.scene_points.astype(float)
    nearest = np.minimum(
        np.abs(small.surface_distance(scene)), np.abs(outside.surface_distance(scene))
    )
    assert nearest.max() < 0.006
    for body in (small, outside):
        assert (np.abs(body.surface_distance(scene)) < 0.006).sum() > 20


def test_flying_pixels_are_dropped(rig):
    frames = frames_of(rig, [BALL], NOISE)
    rng = np.random.default_rng(9)
    spoilt = []
    for frame in frames:
        depth = frame.depth.copy()
        specks = rng.random(depth.shape) < 0.002
        depth[specks] = rng.integers(300, 700, specks.sum())
        spoilt.append(replace(frame, depth=depth))
    cloud = fuse(spoilt, CONFIG)
    distance = np.abs(BALL.surface_distance(cloud.object_points.astype(float)))
    assert np.quantile(distance, 0.99) < 0.002
    assert distance.max() < 0.005


def test_a_table_out_of_place_is_followed_and_reported(rig):
    tilted = Table(height=0.006, slope=0.015)
    body = Box((0.0, 0.0, 0.056), (0.06, 0.06, 0.10))
    frames = frames_of(rig, [body], NOISE, table=tilted)
    cloud = fuse(frames, CONFIG)
    assert np.abs(body.surface_distance(cloud.object_points.astype(float))).max() < 0.003
    assert len(cloud.warnings) == 4
    assert "camera_1: sees the table +6" in cloud.warnings[0]
    # control: without following it, the table itself becomes the object
    unrefined = fuse(frames, replace(CONFIG, refine_table=False))
    assert np.ptp(unrefined.object_points[:, 0]) > 0.2


def test_the_robots_own_points_are_dropped(rig):
    finger = Box((0.0, 0.0, 0.20), (0.02, 0.02, 0.20))
    bodies = [BODIES["carton"], finger]
    frames = frames_of(rig, bodies, NOISE)
    with_finger = fuse(frames, CONFIG).object_points
    without = fuse(frames, CONFIG, robot_distance=finger.surface_distance).object_points
    assert with_finger[:, 2].max() > 0.25
    assert without[:, 2].max() < 0.103
    assert np.abs(finger.surface_distance(without.astype(float))).min() > 0.008


def test_a_robot_that_hides_everything_is_a_refusal(ball_frames):
    with pytest.raises(PerceptionError, match="nothing stands above"):
        fuse(ball_frames, CONFIG, robot_distance=lambda points: np.full(len(points), -1.0))


def test_an_object_too_small_for_the_sample_is_not_padded(rig):
    body = BODIES["dice"]
    cloud = fuse(frames_of(rig, [body]), replace(CONFIG, n_points=16384))
    count = len(cloud.object_points)
    assert 100 < count < 16384
    assert cloud.warnings == (f"the object shows only {count} points of 16384",)
    assert len(np.unique(cloud.object_points, axis=0)) == count


def test_the_two_faces_of_a_thin_wall_keep_their_normals(rig):
    wall = Box((0.0, 0.0, 0.05), (0.004, 0.10, 0.10))
    cloud = fuse(frames_of(rig, [wall], 0.0), CONFIG)
    points, normals = cloud.object_points, cloud.object_normals
    inner = (np.abs(points[:, 1]) < 0.04) & (points[:, 2] > 0.01) & (points[:, 2] < 0.09)
    sides = np.sign(points[inner, 0]) * normals[inner, 0]
    assert np.quantile(sides, 0.1) > 0.95
    assert min((points[inner, 0] > 0).mean(), (points[inner, 0] < 0).mean()) > 0.4


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"n_points": 3}, "n_points = 3"),
        ({"voxel_size": float("nan")}, "voxel_size = nan"),
        ({"table_margin": -0.001}, "table_margin"),
        ({"workspace_min": (0.3, 0.0, 0.0)}, "workspace_min must lie below"),
        ({"min_cameras": 0}, "min_cameras"),
    ],
)
def test_settings_out_of_range_are_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        FusionConfig(**values)


def test_the_configuration_file_holds_the_defaults():
    assert load_fusion_config() == FusionConfig()


def test_frames_are_not_changed(ball_frames):
    copies = [frame.depth.copy() for frame in ball_frames]
    fuse(ball_frames, CONFIG)
    for frame, copy in zip(ball_frames, copies, strict=True):
        np.testing.assert_array_equal(frame.depth, copy)
    floats = DepthFrame(ball_frames[0].camera, (copies[0] * 1e-3).astype("f4"), 0.0)
    floats.depth[0] = np.nan
    before = floats.depth.copy()
    fuse([floats, *ball_frames[1:]], CONFIG)
    np.testing.assert_array_equal(floats.depth, before)


@pytest.mark.parametrize("name", BODIES)
def test_unidexgrasps_cameras_serve_as_well(name):
    cameras = load_rig(find_config("cameras/unidexgrasp_five.yaml"))
    body = BODIES[name]
    cloud = fuse(frames_of(cameras, [body], NOISE), CONFIG)
    distance = np.abs(body.surface_distance(cloud.object_points.astype(float)))
    assert distance.mean() < 0.0007
    assert np.quantile(distance, 0.99) < 0.003
    assert cloud.warnings == ()
    assert len(cloud.cameras_used) == 5
