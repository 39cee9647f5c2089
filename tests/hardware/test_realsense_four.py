"""Four RealSense cameras over DDS: what the contract asks of the topics of cameras."""

from __future__ import annotations

import numpy as np
import pytest
from contract_checks import assert_as_in_contract
from depth_scenes import Sphere, frames_of
from realsense_graph import IMAGES, SERIALS, node_with, write_rig
from ros_graph import eventually, graph
from std_srvs.srv import Trigger

from dexgrasp_counterparts.software_cameras import (
    CX,
    CY,
    FX,
    FY,
    HEIGHT,
    RATE,
    WIDTH,
    SoftwareCameras,
    sending,
)
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_ros import contract, conversions, image_messages

UNITS = {"camera_1": 0.001, "camera_2": 0.0001, "camera_3": 0.001, "camera_4": 0.00025}
"""m, of a count of each camera."""
MATRIX = np.array([[FX, 0.0, CX], [0.0, FY, CY], [0.0, 0.0, 1.0]])
BALL = Sphere(centre=(0.02, -0.01, 0.05), radius=0.05)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """The node of four cameras that look at a ball, what it published, and when it was taken."""
    path = write_rig(tmp_path_factory.mktemp("rig") / "rig.yaml")
    rig, cameras, taken = load_rig(path), SoftwareCameras(), set()
    with graph() as ros:
        received = {make(name).name: ros.collect(make(name)) for name in SERIALS for make in IMAGES}
        plugged = {name: cameras.plug(serial, unit=UNITS[name]) for name, serial in SERIALS.items()}
        # As far as 16 bits reach: a table at 1.5 m is 15000 counts of 0.1 mm.
        depth = {
            frame.camera.name: np.rint(frame.depth * 1e-3 / UNITS[frame.camera.name])
            for frame in frames_of(rig, [BALL])
        }

        def send():
            for name, camera in plugged.items():
                now = ros.tester.get_clock().now().nanoseconds * 1e-9
                taken.add(round(1e3 * now * 1e6))
                camera.send(depth[name].astype(np.uint16), taken=now)

        ros.start(node_with(cameras), rig=path, rate=RATE)
        perception = ros.start(PerceptionNode, rig=path, mask_robot=False, frame_timeout=60.0)
        with sending(send, period=0.2):
            assert eventually(lambda: all(len(found) > 5 for found in received.values()))
            yield ros, received, taken, depth, perception


def test_type_and_qos_of_images(four):
    for name in SERIALS:
        for make in IMAGES:
            assert_as_in_contract(four[0], make(name))


def test_frames_sizes_and_encodings(four):
    _, received, *_ = four
    for name in SERIALS:
        for make, encoding in zip(IMAGES, ("16UC1", None, "rgb8", None), strict=True):
            for message in list(received[make(name).name]):
                assert message.header.frame_id == contract.optical_frame(name)
                assert (message.width, message.height) == (WIDTH, HEIGHT)
                assert encoding is None or message.encoding == encoding


def test_depth_is_in_millimetres_whatever_the_cameras_unit_is(four):
    _, received, _, depth, _ = four
    for name, unit in UNITS.items():
        found = image_messages.depth_from_message(received[contract.depth_image(name).name][-1])
        np.testing.assert_array_equal(found, np.rint(depth[name] * (1e3 * unit)))


def test_intrinsics_are_the_cameras_own(four):
    _, received, *_ = four
    for name in SERIALS:
        for make in (contract.depth_info, contract.color_info):
            info = received[make(name).name][-1]
            np.testing.assert_allclose(np.reshape(info.k, (3, 3)), MATRIX, rtol=1e-6)
            np.testing.assert_allclose(np.reshape(info.p, (3, 4))[:, :3], MATRIX, rtol=1e-6)
            assert (info.distortion_model, list(info.d)) == ("plumb_bob", [0.0] * 5)


def test_stamps_are_when_it_was_taken_and_ascend(four):
    _, received, taken, *_ = four
    for name in SERIALS:
        of = {
            make: [conversions.stamp_to_ns(m.header.stamp) for m in list(received[make(name).name])]
            for make in IMAGES
        }
        # Copied one after the other, while they come: those of depth are the first.
        infos = set(of[contract.depth_info])
        assert set(of[contract.depth_image]) <= infos
        assert set(of[contract.color_image]) & set(of[contract.depth_image])
        assert len(set(of[contract.depth_image]) & taken) > 3
        for found in of.values():
            assert np.all(np.diff(found) > 0)


def test_perception_sees_the_ball(four):
    ros, *_ = four
    cloud = ros.collect(contract.OBJECT_CLOUD)
    answer = ros.call(Trigger, contract.CAPTURE_SERVICE, Trigger.Request())
    assert answer.success, answer.message
    assert ", ".join(SERIALS) in answer.message
    assert "differ" not in answer.message
    assert eventually(lambda: bool(cloud))
    points, _ = conversions.cloud_from_message(cloud[-1])
    assert np.abs(BALL.surface_distance(points.astype(float))).max() < 0.003
