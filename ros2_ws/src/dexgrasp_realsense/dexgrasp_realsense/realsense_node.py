"""The node of all RealSense cameras of a rig, on the topics of the contract."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import CameraModel, load_rig
from dexgrasp_realsense.camera_feed import CameraFeed
from dexgrasp_realsense.frame_source import Frames, RealSenseDevices
from dexgrasp_realsense.lens import Lens
from dexgrasp_realsense.realsense_parameters import RealSenseParameters
from dexgrasp_realsense.sources import (
    ConnectedCamera,
    Recording,
    recordings_by_camera,
    refuse_unusable,
)
from dexgrasp_ros import contract
from dexgrasp_ros.camera_topics import CameraTopics
from dexgrasp_ros.node import ERROR, OK, WARN, ConfigurationError, ManagedNode
from dexgrasp_ros.node_process import main

HEALTH_PERIOD = 1.0
"""Seconds of wall time between two looks at what the cameras deliver."""
END_PATIENCE = 1.0
"""Seconds of wall time for the cameras to be given back; a node ends within 2 s."""


class RealSenseNode(ManagedNode):
    """Publishes what the cameras take; each camera has a thread, and none waits for another.

    Images that nobody subscribes to are neither aligned nor copied. Intrinsics come with every
    image, and tell that the camera is there.

    Args:
        devices: the cameras; by default those that are connected to this computer.
        options: as of any node.
    """

    parameters_type = RealSenseParameters

    def __init__(self, devices: RealSenseDevices | None = None, **options: Any) -> None:
        super().__init__("realsense", **options)
        self._given_devices = devices
        self._feeds: dict[str, CameraFeed] = {}
        self._reporting = threading.Lock()  # so that the last to look has the last word

    # Lifecycle

    def configure(self) -> None:
        """Reads the rig, finds a source for each of its cameras, and creates the publishers."""
        p = self.parameters
        rig = self.rig()
        recordings = recordings_by_camera(p.recordings, rig)
        devices = self._devices()
        refuse_unusable(
            [camera for camera in rig if camera.name not in recordings], devices.serials()
        )
        self.hardware_id = ", ".join(
            f"{camera.name}: {recordings.get(camera.name) or camera.serial}" for camera in rig
        )

        def source(camera: CameraModel) -> ConnectedCamera | Recording:
            if recording := recordings.get(camera.name):
                return Recording(devices, recording, p.request, p.repeat_recordings)
            assert camera.serial is not None  # refused above
            return ConnectedCamera(devices, camera.serial, p.request)

        self._sources = {camera.name: source(camera) for camera in rig}
        self._topics = {camera.name: CameraTopics(self, camera.name) for camera in rig}
        self.create_timer(HEALTH_PERIOD, self._report_health, clock=self.steady_clock)

    def activate(self) -> None:
        """Takes the cameras up; those that are not there are waited for."""
        self.neighbours.refuse_publishers([contract.depth_image(name) for name in self._sources])
        self._feeds = {
            name: CameraFeed(
                name,
                source,
                lambda: self.get_clock().now().nanoseconds,
                self.parameters.camera_timeout,
                on_frames=partial(self._publish, self._topics[name]),
                on_change=self._report_health,
                on_fault=self.fail,
            )
            for name, source in self._sources.items()
        }
        for feed in self._feeds.values():
            feed.start()

    def deactivate(self) -> None:
        """Gives the cameras back; one that librealsense does not let go of gives up later."""
        for feed in self._feeds.values():
            feed.stop()
        until = time.monotonic() + END_PATIENCE
        for name, feed in self._feeds.items():
            if not feed.join(max(0.0, until - time.monotonic())):
                self.get_logger().warning(f"{name} is still busy: it is given back when it answers")
        self._feeds = {}

    @property
    def has_audience(self) -> bool:
        """Whether anybody subscribes to images of any camera."""
        return any(any(topics.audience) for topics in self._topics.values())

    def rig(self) -> Sequence[CameraModel]:
        """The cameras of the file that the parameter `rig` names.

        Raises:
            RigError: it can't be used.
            FileNotFoundError: it is not there.
        """
        return load_rig(self.rig_path)

    @property
    def rig_path(self) -> Path:
        """Where that file is."""
        path = Path(self.parameters.rig)
        return path if path.is_absolute() else find_config(self.parameters.rig)

    def _devices(self) -> RealSenseDevices:
        try:
            return self._given_devices or RealSenseDevices()
        except ImportError as error:
            raise ConfigurationError(str(error)) from error

    def _publish(self, topics: CameraTopics, lens: Lens, frames: Frames, ns: int) -> None:
        """In the thread of a feed."""
        depth_audience, color_audience = topics.audience
        if frames.depth_is_new:
            topics.publish_info(lens.matrix, lens.width, lens.height, ns, lens.distortion)
            if depth_audience:
                topics.publish_depth(frames.depth(), ns)
        if color_audience and (color := frames.color()) is not None:
            topics.publish_color(color, ns)

    # Health

    def _report_health(self) -> None:
        with self._reporting:
            feeds = dict(self._feeds)
            if not self.active or not feeds:
                return
            problems = {name: feed.problem for name, feed in feeds.items() if feed.problem}
            warnings = {name: feed.warning for name, feed in feeds.items() if feed.warning}
            message = "; ".join(
                [
                    f"{len(feeds) - len(problems)} of {len(feeds)} cameras deliver images",
                    *(f"{name}: {what}" for name, what in (warnings | problems).items()),
                ]
            )
            waited_for = sum(not feeds[name].ended for name in problems)
            level = ERROR if waited_for == len(feeds) else WARN if problems or warnings else OK
            self.report(level, message, **{name: _figures(feed) for name, feed in feeds.items()})


def _figures(feed: CameraFeed) -> str:
    """How many images come, and how many were dropped since the start."""
    rate = "no images" if feed.rate is None else f"{feed.rate:.1f} Hz"
    dropped = [f"{number} {reason}" for reason, number in list(feed.dropped.items())]
    return f"{rate}, dropped: {', '.join(dropped) or 'none'}"


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(RealSenseNode))


if __name__ == "__main__":
    run()
