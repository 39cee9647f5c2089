"""A cloud is streamed when the last image for it has come, no sooner, and not too often."""

from __future__ import annotations

import time

import pytest
from depth_scenes import Sphere, frames_of
from ros_graph import Graph, eventually, graph

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_models.perception.thinning import blocks_for, thinned_camera
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_ros import contract, conversions, image_messages

RIG = [
    thinned_camera(each, blocks_for(each.width, 160))
    for each in load_rig(find_config("cameras/four_d415.yaml"))
]
FRAMES = frames_of(RIG, [Sphere((0.0, 0.0, 0.04), 0.04)])


class Cameras:
    """Publishes one image of each camera, when it is told to."""

    def __init__(self, ros: Graph) -> None:
        self._node = ros.tester
        self._publishers = {
            frame.camera.name: [
                self._node.create_publisher(topic.type, topic.name, topic.qos)
                for topic in (
                    contract.depth_image(frame.camera.name),
                    contract.depth_info(frame.camera.name),
                )
            ]
            for frame in FRAMES
        }

    def show(self, count: int = len(FRAMES)) -> int:
        """Images of so many cameras; their stamp."""
        ns = self._node.get_clock().now().nanoseconds
        for frame in FRAMES[:count]:
            camera, name = frame.camera, frame.camera.name
            depth, info = self._publishers[name]
            at = contract.optical_frame(name)
            info.publish(
                image_messages.camera_info(camera.matrix, camera.width, camera.height, ns, at)
            )
            depth.publish(image_messages.depth_to_message(frame.depth, ns, at))
        return ns

    def listened_to(self) -> bool:
        return all(depth.get_subscription_count() for depth, _ in self._publishers.values())


@pytest.fixture
def streamed():
    """Cameras, and the stamps of the clouds; the node looks at nothing of its own accord."""
    with graph() as ros:
        cameras = Cameras(ros)
        node = ros.start(PerceptionNode, stream_rate=4.0, mask_robot=False, max_frame_age=60.0)
        clouds = ros.collect(contract.CLOUD_STREAM)
        assert eventually(cameras.listened_to)
        for timer in tuple(node.timers):
            if timer.timer_period_ns == conversions.seconds_to_ns(0.25):
                node.destroy_timer(timer)
        yield cameras, lambda: [conversions.stamp_to_ns(each.header.stamp) for each in clouds]


def test_the_last_image_makes_the_cloud(streamed):
    cameras, stamps = streamed
    cameras.show(3)
    assert not eventually(lambda: stamps(), timeout=0.5), "the fourth is waited for"
    last = cameras.show()
    assert eventually(lambda: stamps() == [last])


def test_there_are_no_more_clouds_than_the_rate(streamed):
    cameras, stamps = streamed
    begun = time.monotonic()
    while time.monotonic() < begun + 2.0:
        cameras.show()
        time.sleep(0.02)
    assert eventually(lambda: len(stamps()) >= 2)
    assert len(stamps()) <= 4 * (time.monotonic() - begun) + 2
