"""The streamed cloud against the surfaces it was rendered from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from depth_scenes import Box, Sphere, Table, frames_of
from scipy.spatial import cKDTree

from dexgrasp_models.config import find_config
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.cameras import DepthFrame, load_rig
from dexgrasp_models.perception.fusion import PerceptionError, fuse, load_fusion_config
from dexgrasp_models.perception.robot_mask import robot_distance
from dexgrasp_models.perception.streaming import (
    StreamConfig,
    fuse_stream,
    load_stream_config,
)
from dexgrasp_models.perception.thinning import thinned_camera

NOISE = 0.0015
CONFIG = StreamConfig()
FUSION = load_fusion_config()
CARTON = Box((0.03, -0.02, 0.05), (0.07, 0.05, 0.10))
BALL = Sphere((-0.1, 0.1, 0.035), 0.035)


@pytest.fixture(scope="module")
def rig():
    return load_rig(find_config("cameras/four_d415.yaml"))


@pytest.fixture(scope="module")
def small_rig(rig):
    return [thinned_camera(camera, 4) for camera in rig]


@pytest.mark.parametrize("noise", [0.0, NOISE])
@pytest.mark.parametrize("size", ["small", "full"])
def test_points_lie_on_what_stands_there_and_the_table_is_gone(rig, small_rig, size, noise):
    frames = frames_of(small_rig if size == "small" else rig, [CARTON, BALL], noise)
    cloud = fuse_stream(frames, CONFIG, FUSION)
    points = cloud.points.astype(float)
    distance = np.min([abs(body.surface_distance(points)) for body in (CARTON, BALL)], axis=0)
    assert distance.mean() < 0.001
    assert distance.max() < 0.005
    assert cloud.cameras_used == tuple(camera.name for camera in rig)
    assert not cloud.left_out
    assert cloud.points.dtype == np.float32


def test_it_covers_what_a_capture_sees(rig, small_rig):
    captured = fuse(frames_of(rig, [CARTON], NOISE), FUSION).object_points
    streamed = fuse_stream(frames_of(small_rig, [CARTON], NOISE), CONFIG, FUSION).points
    assert np.quantile(cKDTree(streamed).query(captured)[0], 0.95) < 0.006
    assert np.quantile(cKDTree(captured).query(streamed)[0], 0.95) < 0.006


def test_what_is_outside_the_workspace_is_not_seen(small_rig):
    outside = Sphere((0.3, 0.0, 0.035), 0.035)
    cloud = fuse_stream(frames_of(small_rig, [CARTON, outside]), CONFIG, FUSION)
    assert (cloud.points[:, 0] < 0.25).all()


def test_an_empty_table_gives_no_points(small_rig):
    assert len(fuse_stream(frames_of(small_rig, [], NOISE), CONFIG, FUSION).points) < 10
    assert len(fuse_stream(frames_of(small_rig, []), CONFIG, FUSION).points) == 0


def test_a_table_that_is_not_where_it_should_be_goes_as_well(small_rig):
    frames = [DepthFrame(f.camera, f.depth, f.stamp) for f in frames_of(small_rig, [CARTON])]
    frames[0] = frames_of(small_rig[:1], [CARTON, Table(height=0.007)])[0]
    assert fuse_stream(frames, CONFIG, FUSION).points[:, 2].min() > 0.004
    unrefined = replace(FUSION, refine_table=False)
    assert fuse_stream(frames, CONFIG, unrefined).points[:, 2].min() < 0.0075


def test_the_robots_own_points_are_left_out(small_rig):
    hand, palm = load_hand(), np.eye(4)
    palm[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    palm[:3, 3] = [-0.1, 0.1, 0.05]  # the ball is in its palm
    distance = robot_distance(hand, palm, np.zeros(22))
    frames = frames_of(small_rig, [CARTON, BALL])
    cloud = fuse_stream(frames, CONFIG, FUSION, robot_distance=distance)
    everything = fuse_stream(frames, CONFIG, FUSION)
    assert (distance(everything.points) < FUSION.robot_margin).sum() > 20
    assert (distance(cloud.points) > FUSION.robot_margin).all()
    kept = everything.points[distance(everything.points) > FUSION.robot_margin + 0.01]
    assert len(kept) > 1000
    assert cKDTree(cloud.points).query(kept)[0].max() == 0.0


def test_unusable_images_are_left_out_with_the_reason(small_rig):
    frames = frames_of(small_rig, [CARTON])
    frames[1] = DepthFrame(small_rig[1], np.zeros((120, 160), np.uint16), 0.0)
    frames[2] = DepthFrame(small_rig[2], np.zeros((10, 10), np.uint16), 0.0)
    cloud = fuse_stream(frames, CONFIG, FUSION)
    assert cloud.cameras_used == ("camera_1", "camera_4")
    assert "0.0 % of the image" in cloud.left_out["camera_2"]
    assert "image is 10x10" in cloud.left_out["camera_3"]
    with pytest.raises(PerceptionError, match=r"2 usable camera images, 3 needed; camera_2: only"):
        fuse_stream(frames, replace(CONFIG, min_cameras=3), FUSION)
    with pytest.raises(PerceptionError, match="several frames of one camera"):
        fuse_stream([frames[0], frames[0]], CONFIG, FUSION)


def test_equal_frames_give_equal_bits(rig):
    frames = frames_of(rig, [CARTON], NOISE)
    first, second = (fuse_stream(frames, CONFIG, FUSION).points for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_configured_settings_can_be_read():
    assert load_stream_config() == CONFIG
