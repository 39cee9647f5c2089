"""Which intrinsics an image is read by, in whatever order the two come."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from rclpy.publisher import Publisher
from ros_graph import Graph, eventually, graph
from sensor_msgs.msg import CameraInfo, Image

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_models.perception.thinning import blocks_for, thinned_camera
from dexgrasp_perception.camera_input import UNPAIRED_AFTER, CameraInput
from dexgrasp_ros import contract, conversions, image_messages

CAMERA = load_rig(find_config("cameras/four_d415.yaml"))[0]
CAMERA = thinned_camera(CAMERA, blocks_for(CAMERA.width, 160))


class Arrivals(threading.Condition):
    """Counts what has arrived."""

    count = 0

    def notify_all(self) -> None:
        self.count += 1
        super().notify_all()


class Watched:
    """A camera that sends what it is told to, and the input that listens to it.

    What is sent has arrived when the call returns.
    """

    def __init__(self, ros: Graph) -> None:
        self._image, self._info = (
            ros.tester.create_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.depth_image(CAMERA.name), contract.depth_info(CAMERA.name))
        )
        self._arrivals = Arrivals()
        self._read: list[float] = []
        self._input = CameraInput(
            ros.node("listener"),
            CAMERA,
            self._arrivals,
            on_image=lambda: self._read.append(self.frame()[0]),
        )
        self._input.ask_for_images()
        assert eventually(
            lambda: all(end.get_subscription_count() for end in (self._image, self._info))
        )

    def send_image(self, second: int) -> None:
        blank = np.zeros((CAMERA.height, CAMERA.width), np.uint16)
        self._send(self._image, image_messages.depth_to_message(blank, *self._header(second)))

    def send_info(self, second: int, focal: float) -> None:
        camera = replace(CAMERA, fx=focal, fy=focal)
        size = (camera.width, camera.height)
        self._send(
            self._info, image_messages.camera_info(camera.matrix, *size, *self._header(second))
        )

    def frame(self) -> tuple[float, float]:
        """Stamp (s) of the image that is read now, and the focal length that it is read by."""
        frame, _ = self._input.frame()
        return frame.stamp, frame.camera.fx

    @property
    def read(self) -> list[float]:
        """Stamps of the images that it was told of."""
        return self._read

    @property
    def complete(self) -> bool:
        return self._input.has_taken(0, 100 * conversions.NANOSECONDS)

    @staticmethod
    def _header(second: int) -> tuple[int, str]:
        return second * conversions.NANOSECONDS, contract.optical_frame(CAMERA.name)

    def _send(self, publisher: Publisher, message: Image | CameraInfo) -> None:
        before = self._arrivals.count
        publisher.publish(message)
        assert eventually(lambda: self._arrivals.count > before)


@pytest.fixture
def camera():
    with graph() as ros:
        yield Watched(ros)


def test_an_image_waits_for_its_own_intrinsics(camera):
    camera.send_info(1, 100.0)
    camera.send_image(1)
    camera.send_image(2)
    assert camera.frame() == (1.0, 100.0)
    camera.send_info(2, 200.0)
    assert camera.frame() == (2.0, 200.0)
    assert camera.read == [1.0, 2.0]


def test_intrinsics_wait_for_their_own_image(camera):
    camera.send_info(1, 100.0)
    camera.send_info(2, 200.0)
    camera.send_image(1)
    assert camera.frame() == (1.0, 100.0)
    camera.send_image(2)
    assert camera.frame() == (2.0, 200.0)
    assert camera.read == [1.0, 2.0]


def test_intrinsics_that_are_stamped_otherwise_are_taken_as_they_come(camera):
    camera.send_info(50, 100.0)
    for second in range(1, UNPAIRED_AFTER):
        camera.send_image(second)
        assert not camera.complete
    camera.send_image(UNPAIRED_AFTER)
    camera.send_info(51, 200.0)
    assert camera.complete
    camera.send_image(9)
    assert camera.frame() == (9.0, 200.0)
    assert camera.read == [UNPAIRED_AFTER, 9.0]


def test_where_time_begins_anew_the_newest_of_a_stamp_counts(camera):
    for focal in (100.0, 200.0):
        camera.send_info(1, focal)
        camera.send_image(1)
    assert camera.frame() == (1.0, 200.0)
    assert camera.read == [1.0, 1.0]


def test_a_camera_that_lost_some_intrinsics_is_read_by_its_own_again(camera):
    camera.send_info(1, 100.0)
    for second in range(2, 2 + UNPAIRED_AFTER):
        camera.send_image(second)
    camera.send_info(8, 200.0)
    camera.send_image(8)
    camera.send_image(9)
    assert camera.frame() == (8.0, 200.0)
