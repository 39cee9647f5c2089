"""The RealSense node with cameras of librealsense's own, which see the simulated cell.

The driver is the real one, and so is the client library: it takes images of a software's device in
the process that streams from it. They are rendered, in a process of their own, of what the cell
says of itself on /sim/joint_states and /sim/object_pose.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dexgrasp_counterparts.cell_parameters import ObjectParameters
from dexgrasp_counterparts.software_cameras import Pinhole, SoftwareCamera, SoftwareCameras
from dexgrasp_counterparts.truth import Truth
from dexgrasp_models.objects import load_object
from dexgrasp_models.parameters import flag
from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_realsense.realsense_node import RealSenseNode
from dexgrasp_ros import conversions
from dexgrasp_ros.node import ConfigurationError
from dexgrasp_ros.node_process import main
from dexgrasp_ros.parameters import current_parameters, declare_parameters
from dexgrasp_sim.cameras.camera_process import CameraProcess, View
from dexgrasp_sim.interface import Snapshot
from dexgrasp_sim.scene import load_scene

IDLE_PERIOD = 2.0
"""s from one image to the next while nobody subscribes to any: they take a processor to render,
which cameras have for themselves on hardware."""


@dataclass(frozen=True)
class SceneParameters(ObjectParameters):
    """What the cameras see beside the robot."""

    box: bool = flag(False, "whether the box into which objects are released stands on the table")


class CameraNode(RealSenseNode):
    """All cameras of the rig, as the real node has them, with what a simulated cell looks like.

    Images are taken at the rate that the driver asks for, or as fast as they can be rendered; where
    nobody looks at them, one in `IDLE_PERIOD`. A camera to which the rig gives no serial gets its
    name as one.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._shown = declare_parameters(self, SceneParameters)
        self._noise = declare_parameters(self, load_scene().noise, prefix="noise.")
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def configure(self) -> None:
        """Plugs the cameras in.

        Raises:
            ConfigurationError: the rig's images have another size than the driver asks for.
        """
        shown = current_parameters(self, self._shown)
        noise = current_parameters(self, self._noise, prefix="noise.")
        request = self.parameters.request
        self._seed = shown.seed
        cameras = SoftwareCameras()
        self._plugged: dict[str, SoftwareCamera] = {}
        for camera in self.rig():
            if (camera.width, camera.height) != (request.width, request.height):
                raise ConfigurationError(
                    f"{camera.name} of the rig has images of {camera.width}x{camera.height}, and"
                    f" `resolution` is {self.parameters.resolution}: they have to be the same"
                )
            assert camera.serial is not None
            self._plugged[camera.name] = cameras.plug(
                camera.serial,
                color=request.color,
                baseline=0.0,
                pinhole=Pinhole(
                    camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
                ),
                rate=request.rate,
            )
        self._given_devices = cameras.devices
        super().configure()
        scene = load_scene(scene="arm", cameras=str(self.rig_path), noise=noise, box=shown.box)
        self._renderer = CameraProcess(scene, load_object(shown.object, shown.scale))
        self._views = [View(name, depth=True, color=request.color) for name in self._plugged]
        # The first images take long, and are not waited for by a camera's driver.
        nothing = Snapshot(0.0, {}, np.eye(4), np.eye(4))
        self._renderer.submit(nothing, self._views)
        self._newest: tuple[int, dict[str, Any]] | None = None
        self._truth = Truth(self, self._take)

    def activate(self) -> None:
        self._renderer.wait_until_idle()
        super().activate()
        self._stop.clear()
        self._thread = threading.Thread(target=self._guarded, name="images", daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        super().deactivate()

    def cleanup(self) -> None:
        self._renderer.close()

    def rig(self) -> Sequence[CameraModel]:
        return [
            dataclasses.replace(camera, serial=camera.serial or camera.name)
            for camera in super().rig()
        ]

    def _take(self, ns: int, messages: dict[str, Any]) -> None:
        self._newest = ns, messages

    # The thread of the images

    def _guarded(self) -> None:
        try:
            self._run()
        except Exception as error:
            self.fail(error)

    def _run(self) -> None:
        due, idle_until, shown = time.monotonic(), 0.0, None
        while not self._stop.is_set():
            newest = self._newest
            wanted = self.has_audience or time.monotonic() >= idle_until
            if newest is not None and newest is not shown and wanted:
                shown, idle_until = newest, time.monotonic() + IDLE_PERIOD
                self._show(*newest)
            now = time.monotonic()
            due = max(due + 1.0 / self.parameters.rate, now)
            self._stop.wait(due - now)

    def _show(self, ns: int, messages: dict[str, Any]) -> None:
        """Has all cameras take an image of a moment."""
        snapshot = self._truth.snapshot(ns, messages, self._seed)
        images = self._renderer.submit(snapshot, self._views).result()
        for view, image in zip(self._views, images, strict=True):
            assert image.depth is not None
            camera = self._plugged[view.camera]
            camera.send(image.depth, image.color, taken=ns / conversions.NANOSECONDS)


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(CameraNode))


if __name__ == "__main__":
    run()
