"""The RealSense node over DDS with cameras that librealsense makes: unplugged, and at fault."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from contract_checks import stamps
from rclpy.lifecycle import TransitionCallbackReturn
from realsense_graph import SERIALS, node_with, one_camera, said, write_rig
from ros_graph import eventually, graph

from dexgrasp_counterparts.software_cameras import (
    BASELINE,
    FX,
    HEIGHT,
    RATE,
    WIDTH,
    SeparateCameras,
    SoftwareCameras,
    record,
    rs,
    sending,
)
from dexgrasp_realsense import frame_source
from dexgrasp_realsense.realsense_node import RealSenseNode
from dexgrasp_ros import contract, image_messages
from dexgrasp_ros.parameters import ParameterError
from dexgrasp_ros.process_end import GRACE

HARDWARE_CLOCK = rs.timestamp_domain.hardware_clock


def ticking(start):
    """Times in s, 30 a second."""
    return itertools.count(start, 1.0 / RATE)


# What the images say


def test_colour_is_as_the_depth_camera_would_see_it(tmp_path):
    edge, metres = WIDTH // 2, 1.0
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[:, edge:, 0] = 200
    with one_camera(tmp_path) as one:
        one.send_until(lambda: one.color, round(1e3 * metres), color=picture)
        row = image_messages.color_from_message(one.color[-1])[HEIGHT // 2]
        assert np.argmax(row[:, 0] > 100) == pytest.approx(edge - FX * BASELINE / metres, abs=1.5)
        assert not row[:, 1:].any()


def test_distortion_of_the_depth_camera_is_told(tmp_path):
    coefficients = [0.1, -0.05, 0.001, -0.002, 0.03]
    distortion = rs.distortion.brown_conrady, coefficients
    with one_camera(tmp_path, {"distortion": distortion}) as one:
        one.send_until(lambda: one.info, 700)
        assert one.info[-1].distortion_model == "plumb_bob"
        np.testing.assert_allclose(one.info[-1].d, coefficients, rtol=1e-6)


def test_distortion_without_a_name_in_ros_is_refused(tmp_path):
    distortion = rs.distortion.inverse_brown_conrady, [0.1, 0.0, 0.0, 0.0, 0.0]
    with one_camera(tmp_path, {"distortion": distortion}) as one:
        one.send_until(lambda: one.said("camera_1: ", "inverse_brown_conrady"), 700)
        assert not one.info


def test_filters_smooth_depth(tmp_path):
    """Of images that differ in turn the temporal filter gives what is between."""
    with one_camera(tmp_path, temporal_filter=True, spatial_filter=True) as one:
        turns = itertools.cycle((1000, 1010))
        one.send_until(
            lambda: any(1000 < value < 1010 for value in one.values), lambda: next(turns)
        )


# Images that are not as they should be


def test_images_out_of_order_do_not_go_on(tmp_path):
    with one_camera(tmp_path, camera_timeout=60.0) as one:
        times = ticking(1000.0)
        one.show(600, taken=times, domain=HARDWARE_CLOCK)
        back = itertools.repeat(next(times) - 0.2)
        one.send_until(
            lambda: one.said("camera_1: dropped an image out of order"),
            700,
            taken=back,
            domain=HARDWARE_CLOCK,
        )
        one.show(800, taken=times, domain=HARDWARE_CLOCK)
        assert set(one.values) == {600, 800}
        assert np.all(np.diff(stamps(one.depth)) > 0.0)


@pytest.mark.parametrize("jump", [-500.0, 500.0])
def test_a_jump_of_the_cameras_clock_is_told_and_stamps_go_on(tmp_path, jump):
    with one_camera(tmp_path, camera_timeout=60.0) as one:
        one.show(500, taken=ticking(1000.0), domain=HARDWARE_CLOCK)
        one.show(600, taken=ticking(1000.0 + jump), domain=HARDWARE_CLOCK)
        assert eventually(lambda: one.said("camera_1: its clock", "has jumped"))
        found = stamps(one.depth)
        assert np.all(np.diff(found) > 0.0)
        now = one.ros.tester.get_clock().now().nanoseconds * 1e-9
        assert now - 60.0 < found[-1] <= now


def test_images_of_a_wrong_size_do_not_go_on(tmp_path):
    with one_camera(tmp_path, {"sizes": [(320, 240)]}) as one:
        one.show(500)
        # A row that is told to be shorter than it is: there are too few bytes for the image.
        one.send_until(
            lambda: one.said("camera_1: dropped a depth image of 640 x 480", "640 bytes a row"),
            600,
            stride=WIDTH,
        )
        for _ in range(10):
            one.camera.send(np.full((240, 320), 700, np.uint16))
        one.show(800)
        assert set(one.values) == {500, 800}
        assert all((m.width, m.height) == (WIDTH, HEIGHT) for m in (*one.depth, *one.info))


def test_colour_that_does_not_come_does_not_hold_up_depth_for_good(tmp_path):
    with one_camera(tmp_path, camera_timeout=1.0) as one:
        one.show(500, color=None)
        assert not one.color
        assert eventually(lambda: one.said("camera_1: depth alone, its colour does not come"))


# What a camera has


def test_a_camera_without_colour_gives_depth(tmp_path):
    with one_camera(tmp_path, {"color": False}) as one:
        one.show(500)
        assert not one.color
        assert eventually(lambda: one.said("camera_1: depth alone, it has no colour of this size"))


def test_a_size_that_the_camera_lacks_is_told_with_those_that_it_has(tmp_path):
    with one_camera(tmp_path, resolution="848x480") as one:
        assert eventually(
            lambda: one.said("no depth images of 848x480 at 30 Hz", "but 640x480 at 30 Hz")
        )


def test_a_node_that_is_activated_again_goes_on(tmp_path):
    with one_camera(tmp_path) as one:
        one.show(500)
        assert one.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert not any(thread.name == "camera_1" for thread in threading.enumerate())
        assert one.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        one.show(600)


# Unplugged


def test_a_camera_that_is_unplugged_is_named_and_taken_up_again(tmp_path):
    """The others go on meanwhile, and nothing is started anew."""
    cameras, present = SeparateCameras(), {}
    with graph() as ros:
        diagnostics = ros.collect(contract.DIAGNOSTICS)
        infos = {name: ros.collect(contract.depth_info(name)) for name in SERIALS}
        for name, serial in SERIALS.items():
            present[name] = cameras.plug(serial)
        rig = write_rig(tmp_path / "rig.yaml")
        ros.start(node_with(cameras), rig=rig, rate=RATE, color=False, camera_timeout=1.0)
        with sending(lambda: [camera.send(500) for camera in list(present.values())]):
            assert eventually(lambda: said(diagnostics, "4 of 4 cameras deliver images"))
            del present["camera_2"]
            cameras.unplug(SERIALS["camera_2"])
            assert eventually(
                lambda: said(
                    diagnostics,
                    "3 of 4 cameras deliver images; camera_2: ",
                    f"serial {SERIALS['camera_2']} is not connected: plug it in",
                )
            )
            before = {name: len(found) for name, found in infos.items()}
            others = [name for name in SERIALS if name != "camera_2"]
            assert eventually(lambda: all(len(infos[name]) > before[name] + 5 for name in others))
            assert len(infos["camera_2"]) == before["camera_2"]
            diagnostics.clear()
            present["camera_2"] = cameras.plug(SERIALS["camera_2"])
            assert eventually(lambda: len(infos["camera_2"]) > before["camera_2"] + 5)
            assert eventually(lambda: said(diagnostics, "4 of 4 cameras deliver images"))
            assert np.all(np.diff(stamps(infos["camera_2"])) > 0.0)


def test_cameras_may_come_later(tmp_path):
    with one_camera(tmp_path, None) as one:
        assert eventually(
            lambda: one.said(
                "0 of 1 cameras deliver images; camera_1: serial 900000000001 is not connected"
            )
        )
        one.cameras.plug("another")
        assert eventually(lambda: one.said("plug it in; connected: another"))
        one.camera = one.cameras.plug(SERIALS["camera_1"])
        one.show(500)


# Recordings


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "first.db3"
    record(path, images=20, depth=5000, unit=0.0001)
    return path


def test_a_recording_is_played_again_and_again(tmp_path, recording):
    with one_camera(
        tmp_path, None, recordings=[f"camera_1={recording}"], camera_timeout=60.0
    ) as one:
        assert eventually(lambda: len(one.depth) > 45)
        assert set(one.values) == {500}
        found = stamps(one.depth)
        assert np.all(np.diff(found) > 0.0)
        now = one.ros.tester.get_clock().now().nanoseconds * 1e-9
        assert now - 60.0 < found[-1] <= now
        assert one.color
        assert np.reshape(one.info[-1].k, (3, 3))[0, 0] == pytest.approx(FX)


def test_a_recording_is_played_once(tmp_path, recording):
    with one_camera(
        tmp_path, None, recordings=[f"camera_1={recording}"], repeat_recordings=False
    ) as one:
        assert eventually(lambda: one.said("camera_1: the recording has been played"))
        assert len(one.info) <= 20


def test_cameras_and_recordings_side_by_side(tmp_path, recording):
    """A camera that is played needs no serial."""
    cameras = SoftwareCameras()
    serials = {"camera_2": SERIALS["camera_2"]}
    with graph() as ros:
        infos = [ros.collect(contract.depth_info(f"camera_{n}")) for n in (1, 2)]
        camera = cameras.plug(SERIALS["camera_2"])
        ros.start(
            node_with(cameras),
            rig=write_rig(tmp_path / "rig.yaml", serials, cameras=2),
            recordings=[f"camera_1={recording}"],
            rate=RATE,
        )
        with sending(lambda: camera.send(500)):
            assert eventually(lambda: all(infos))


def test_a_recording_that_is_none_is_told(tmp_path):
    damaged = tmp_path / "damaged.db3"
    damaged.write_text("no recording")
    with one_camera(tmp_path, None, recordings=[f"camera_1={damaged}"]) as one:
        assert eventually(lambda: one.said(f"{damaged} can't be played"))


# What it is configured with


@pytest.mark.parametrize(
    ("serials", "parameters", "reason"),
    [
        (
            {"camera_1": "1", "camera_3": "3"},
            {},
            "no serial of camera_2, camera_4: write it beside the camera's name, as in serial: \"",
        ),
        (dict.fromkeys(SERIALS, "7"), {}, "camera serials occur more than once: 7"),
        (SERIALS, {"recordings": ["camera_1"]}, "recording 'camera_1': write camera=file"),
        (SERIALS, {"recordings": ["left=a.db3"]}, "the rig's cameras are camera_1, camera_2"),
        (SERIALS, {"recordings": ["camera_1=/none.db3"]}, "there is no file /none.db3"),
        (
            SERIALS,
            {"recordings": [f"camera_{n}={__file__}" for n in (1, 2)]},
            "another camera has it already",
        ),
    ],
)
def test_what_it_can_not_be_configured_with(tmp_path, serials, parameters, reason):
    rig = write_rig(tmp_path / "rig.yaml", serials)
    with graph() as ros:
        node = ros.create(node_with(SoftwareCameras()), rig=rig, **parameters)
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert reason in node.failure


def test_connected_cameras_are_listed_for_who_looks_for_a_serial(tmp_path):
    cameras = SoftwareCameras()
    camera = cameras.plug("821212060746")
    with graph() as ros:
        node = ros.create(node_with(cameras), rig=write_rig(tmp_path / "rig.yaml", {}))
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert f"(connected now: {camera.serial})" in node.failure


def test_a_rig_with_a_unit_of_its_own_is_refused(tmp_path):
    with graph() as ros:
        rig = write_rig(tmp_path / "rig.yaml", depth_unit=0.0001)
        node = ros.create(node_with(SoftwareCameras()), rig=rig)
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert "depth_unit of camera_1, camera_2, camera_3, camera_4: leave it out" in node.failure


def test_it_does_not_start_beside_who_publishes_the_same_images(tmp_path):
    with graph() as ros:
        topic = contract.depth_image("camera_3")
        ros.tester.create_publisher(topic.type, topic.name, topic.qos)
        node = ros.create(node_with(SoftwareCameras()), rig=write_rig(tmp_path / "rig.yaml"))
        assert eventually(lambda: node.count_publishers(topic.name) > 0)
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
        assert "/camera_3/depth/image_rect_raw is published by /tester already" in node.failure


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"resolution": "1280x720"}, "'resolution' of /realsense is '1280x720', must be one of"),
        ({"rate": 0}, "'rate' of /realsense is 0 Hz, must be between 1 and 90"),
        ({"camera_timeout": 0.0}, "'camera_timeout' of /realsense is 0"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, reason):
    with graph() as ros, pytest.raises(ParameterError, match=reason):
        ros.create(node_with(SoftwareCameras()), **parameters)


def test_the_node_says_that_pyrealsense2_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    frame_source.import_pyrealsense2.cache_clear()
    with graph() as ros:
        node = ros.create(RealSenseNode, rig=write_rig(tmp_path / "rig.yaml"))
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert "need pyrealsense2" in node.failure
        assert "pip install pyrealsense2" in node.failure
    monkeypatch.undo()
    frame_source.import_pyrealsense2.cache_clear()


# Its process

STREAMING = """
import sys
from functools import partial
from dexgrasp_counterparts.software_cameras import SoftwareCameras, sending
from dexgrasp_realsense.realsense_node import RealSenseNode
from dexgrasp_ros.node_process import main

cameras = SoftwareCameras()
camera = cameras.plug("900000000001")
with sending(lambda: camera.send(500)):
    sys.exit(main(partial(RealSenseNode, cameras.devices)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("program", "says"),
    [
        (["-m", "dexgrasp_realsense.realsense_node"], "0 of 1 cameras deliver images"),
        (["-c", STREAMING], "1 of 1 cameras deliver images"),
    ],
    ids=["no camera", "streaming"],
)
def test_its_process_ends_in_order(tmp_path, program, says, number):
    """Soon, as `process_end` sees to; the rest of the time here is for a busy machine."""
    rig = write_rig(tmp_path / "rig.yaml", cameras=1)
    with graph() as ros:
        diagnostics = ros.collect(contract.DIAGNOSTICS)
        process = subprocess.Popen(
            [sys.executable, *program, "--ros-args", "-p", f"rig:={rig}", "-p", f"rate:={RATE}"],
            env={**ros.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert eventually(lambda: said(diagnostics, says))
            process.send_signal(number)
            _, errors = process.communicate(timeout=GRACE + 15.0)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "Traceback" not in errors
