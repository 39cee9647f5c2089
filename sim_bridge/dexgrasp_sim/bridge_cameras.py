"""The bridge's camera topics: images at a fixed rate, rendered beside the simulation or with it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from rclpy.publisher import Publisher

from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ManagedNode
from dexgrasp_sim.interface import Simulator

REPEAT_EVERY = 5
"""Calls of :meth:`BridgeCameras.repeat` for one repetition of the images."""


@dataclass(frozen=True)
class _CameraTopics:
    camera: CameraModel
    depth: Publisher
    info: Publisher
    color: Publisher

    @property
    def depth_wanted(self) -> bool:
        return self.depth.get_subscription_count() > 0

    @property
    def color_wanted(self) -> bool:
        return self.color.get_subscription_count() > 0


class BridgeCameras:
    """Publishes the images of all cameras; what nobody subscribes to is not rendered.

    In lock-step the images are rendered between two ticks. In real time a thread renders them from
    a saved state on a twin of the simulator, so that the physics does not wait; a camera that is
    still being rendered when the next image is due loses that image.

    Args:
        node: publishes.
        simulator: is looked at.
        make_twin: builds an equal simulator; None renders between two ticks.
        period_ticks: ticks from one image to the next.
    """

    def __init__(
        self,
        node: ManagedNode,
        simulator: Simulator,
        make_twin: Callable[[], Simulator] | None,
        period_ticks: int,
    ) -> None:
        self._simulator = simulator
        self._period_ticks = period_ticks
        self._topics = [_camera_topics(node, camera) for camera in simulator.cameras.values()]
        self._repeats = 0
        self._jobs: queue.Queue[tuple[Any, int, Collection[str]] | None] = queue.Queue(maxsize=1)
        self._thread: threading.Thread | None = None
        self._twin = make_twin() if make_twin is not None else None

    def start(self) -> None:
        """Starts the thread, where there is a twin to render."""
        if self._twin is not None:
            self._thread = threading.Thread(target=self._render_jobs, name="cameras", daemon=True)
            self._thread.start()

    def publish_if_due(self, tick: int, ns: int, disabled: Collection[str]) -> None:
        """Publishes the images of this tick, or has the thread do it, if it is time for some."""
        self._repeats = 0
        if tick % self._period_ticks or not self._wanted(disabled):
            return
        if self._twin is None:
            self._publish(self._simulator, ns, disabled)
        elif self._jobs.empty():
            self._jobs.put((self._simulator.save_state(), ns, disabled))

    def repeat(self, ns: int, disabled: Collection[str]) -> None:
        """Publishes the images of a tick at which time stands still, on every fifth call."""
        if self._repeats % REPEAT_EVERY == 0:
            self._publish(self._simulator, ns, disabled)
        self._repeats += 1

    def stop(self) -> None:
        """Ends the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _wanted(self, disabled: Collection[str]) -> list[_CameraTopics]:
        return [
            topics
            for topics in self._topics
            if topics.camera.name not in disabled and (topics.depth_wanted or topics.color_wanted)
        ]

    def _publish(self, simulator: Simulator, ns: int, disabled: Collection[str]) -> None:
        for topics in self._wanted(disabled):
            camera, frame = topics.camera, topics.camera.optical_frame
            topics.info.publish(
                conversions.camera_info(camera.matrix, camera.width, camera.height, ns, frame)
            )
            if topics.depth_wanted:
                depth = simulator.read_depth(camera.name)
                topics.depth.publish(conversions.depth_to_message(depth, ns, frame))
            if topics.color_wanted:
                color = simulator.read_color(camera.name)
                topics.color.publish(conversions.color_to_message(color, ns, frame))

    def _render_jobs(self) -> None:
        while (job := self._jobs.get()) is not None:
            state, ns, disabled = job
            self._twin.restore_state(state)
            self._publish(self._twin, ns, disabled)


def _camera_topics(node: ManagedNode, camera: CameraModel) -> _CameraTopics:
    topics = (contract.depth_image, contract.depth_info, contract.color_image)
    return _CameraTopics(
        camera,
        *(
            node.create_lifecycle_publisher(topic.type, topic.name, topic.qos)
            for topic in (make(camera.name) for make in topics)
        ),
    )
