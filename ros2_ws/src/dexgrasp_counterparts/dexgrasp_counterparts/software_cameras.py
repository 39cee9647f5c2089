"""RealSense cameras without a device: librealsense's own, in a real context and pipeline."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from dexgrasp_realsense.frame_source import (
    CameraStream,
    RealSenseDevices,
    StreamRequest,
    import_pyrealsense2,
)

rs = import_pyrealsense2()

WIDTH, HEIGHT, RATE = 640, 480, 30
FX, FY, CX, CY = 601.5, 602.25, 318.75, 240.5
BASELINE = 0.015
"""m, from the depth camera to that of colour."""


class Pinhole(NamedTuple):
    """Intrinsics without distortion, pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


PINHOLE = Pinhole(WIDTH, HEIGHT, FX, FY, CX, CY)
DEPTH_UID, COLOR_UID = 10, 20


class SoftwareCameras:
    """A context of librealsense in which cameras are plugged in and out.

    Attributes:
        devices: what the node takes in place of the computer's own.
    """

    def __init__(self) -> None:
        self.context = rs.context()
        # Devices of a program's own are in the lists as long as somebody holds what this tells of.
        self._plugged: list[Any] = []
        self.context.set_devices_changed_callback(
            lambda changed: self._plugged.append(changed.get_new_devices())
        )
        self.devices = RealSenseDevices(self.context)
        self._by_serial: dict[str, SoftwareCamera] = {}

    def plug(self, serial: str, **options: Any) -> SoftwareCamera:
        """A camera that is there from now on."""
        camera = SoftwareCamera(serial, **options)
        camera.device.add_to(self.context)
        self._by_serial[serial] = camera
        return camera

    def unplug(self, serial: str) -> None:
        """Takes the context's only camera away; who streams from it gets nothing more.

        Librealsense says nothing of it, and lists the camera until its last holder lets go.
        """
        camera = self._by_serial.pop(serial)
        camera.gone = True
        del camera.device, camera.depth_sensor, camera.color_sensor
        self._plugged.clear()
        gc.collect()


class SeparateCameras:
    """Cameras in a context of librealsense each, so that one can be unplugged beside others.

    In one context each pipeline holds the list of all, and a software's device that has gone
    crashes who looks it up there; one of the bus does not. Takes the place of `RealSenseDevices`.
    """

    def __init__(self) -> None:
        self._contexts: dict[str, SoftwareCameras] = {}

    @property
    def devices(self) -> SeparateCameras:
        """What the node takes in place of the computer's own."""
        return self

    def plug(self, serial: str, **options: Any) -> SoftwareCamera:
        """A camera that is there from now on."""
        self._contexts[serial] = SoftwareCameras()
        return self._contexts[serial].plug(serial, **options)

    def unplug(self, serial: str) -> None:
        """Takes a camera away."""
        self._contexts[serial].unplug(serial)

    def serials(self) -> tuple[str, ...]:
        return tuple(s for each in self._contexts.values() for s in each.devices.serials())

    def open_camera(self, serial: str, request: StreamRequest) -> CameraStream:
        return self._contexts[serial].devices.open_camera(serial, request)


class SoftwareCamera:
    """A D415 whose images a test makes.

    Args:
        serial: of the device.
        unit: metres that a count of its depth is.
        sizes: of its depth images, in addition to that of `pinhole`.
        distortion: model and coefficients of its depth.
        color: whether it has a camera of colour.
        baseline: m, from the depth camera to that of colour.
        pinhole: its intrinsics.
        rate: Hz, at which it says that it gives images.
    """

    def __init__(
        self,
        serial: str,
        unit: float = 0.001,
        sizes: Iterable[tuple[int, int]] = (),
        distortion: tuple[Any, list[float]] = (rs.distortion.brown_conrady, [0.0] * 5),
        color: bool = True,
        baseline: float = BASELINE,
        pinhole: Pinhole = PINHOLE,
        rate: int = RATE,
    ) -> None:
        self.serial, self.unit, self.gone = serial, unit, False
        self._shape = pinhole.height, pinhole.width
        self.number = 0
        self._lock = threading.Lock()
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.serial_number, serial)
        self.device.register_info(rs.camera_info.name, "Intel RealSense D415")
        self.depth_sensor = self.device.add_sensor("Stereo Module")
        self.depth_sensor.add_read_only_option(rs.option.depth_units, unit)
        self.depth_profiles = {
            size: self.depth_sensor.add_video_stream(
                _stream(
                    rs.stream.depth,
                    DEPTH_UID + n,
                    pinhole._replace(width=size[0], height=size[1]),
                    rate,
                    (rs.format.z16, 2),
                    distortion,
                ),
                n == 0,
            )
            for n, size in enumerate([(pinhole.width, pinhole.height), *sizes])
        }
        self.color_sensor = None
        if color:
            self.color_sensor = self.device.add_sensor("RGB Camera")
            self.color_profile = self.color_sensor.add_video_stream(
                _stream(rs.stream.color, COLOR_UID, pinhole, rate, (rs.format.rgb8, 3)), True
            )
            depth = self.depth_profiles[pinhole.width, pinhole.height]
            depth.register_extrinsics_to(self.color_profile, _shifted(baseline))
            self.color_profile.register_extrinsics_to(depth, _shifted(-baseline))
        self.device.create_matcher(rs.matchers.dlr_c)

    def send(
        self,
        depth: np.ndarray | int,
        color: np.ndarray | int | None = 90,
        taken: float | None = None,
        domain: Any = rs.timestamp_domain.system_time,
        stride: int | None = None,
    ) -> None:
        """Depth (H, W) uint16 and colour (H, W, 3) uint8 of one moment, or one value for all.

        Args:
            depth: counts.
            color: None sends no colour.
            taken: s, by the camera's clock; by default now.
            domain: which clock that is.
            stride: bytes a row of depth, if it is to be told wrong.
        """
        with self._lock:
            if self.gone:
                return
            self.number += 1
            milliseconds = 1e3 * (time.time() if taken is None else taken)
            depth = np.asarray(depth, np.uint16)
            depth = np.broadcast_to(depth, depth.shape or self._shape)
            profile = self.depth_profiles[depth.shape[1], depth.shape[0]]
            frame = self._frame(depth, 2, milliseconds, domain, profile)
            if stride is not None:
                frame.stride = stride
            self.depth_sensor.on_video_frame(frame)
            if color is not None and self.color_sensor is not None:
                pixels = np.broadcast_to(np.asarray(color, np.uint8), (*self._shape, 3))
                self.color_sensor.on_video_frame(
                    self._frame(pixels, 3, milliseconds, domain, self.color_profile)
                )

    def _frame(
        self, pixels: np.ndarray, size: int, milliseconds: float, domain: Any, profile: Any
    ) -> Any:
        frame = rs.software_video_frame()
        frame.pixels = np.ascontiguousarray(pixels)  # strides are not looked at
        frame.stride = pixels.shape[1] * size
        frame.bpp = size
        frame.timestamp, frame.domain = milliseconds, domain
        frame.frame_number = self.number
        frame.profile = profile.as_video_stream_profile()
        frame.depth_units = self.unit
        return frame


@contextmanager
def sending(*makers: Callable[[], Any], period: float = 0.05) -> Iterator[None]:
    """Calls each maker of images time and again, as cameras do."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(period):
            for make in makers:
                make()

    thread = threading.Thread(target=run, name="cameras", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60.0)


def record(path: Any, images: int, depth: int, color: bool = True, unit: float = 0.001) -> None:
    """Has librealsense record some images of equal depth, 30 a second."""
    cameras = SoftwareCameras()
    camera = cameras.plug("recorded", color=color, unit=unit)
    config = rs.config()
    config.enable_device(camera.serial)
    config.enable_stream(rs.stream.depth, WIDTH, HEIGHT, rs.format.z16, RATE)
    if color:
        config.enable_stream(rs.stream.color, WIDTH, HEIGHT, rs.format.rgb8, RATE)
    config.enable_record_to_file(str(path))
    pipeline = rs.pipeline(cameras.context)
    pipeline.start(config)
    for _ in range(images):
        camera.send(depth)
        pipeline.try_wait_for_frames(1000)
        time.sleep(1.0 / RATE)
    pipeline.stop()


def _stream(
    kind: Any,
    uid: int,
    pinhole: Pinhole,
    rate: int,
    pixels: tuple[Any, int],
    distortion: tuple[Any, list[float]] = (rs.distortion.none, [0.0] * 5),
) -> Any:
    """A stream of pixels of some format and bytes."""
    stream, intrinsics = rs.video_stream(), rs.intrinsics()
    intrinsics.width, intrinsics.height, intrinsics.fx, intrinsics.fy, *center = pinhole
    intrinsics.ppx, intrinsics.ppy = center
    intrinsics.model, intrinsics.coeffs = distortion
    stream.type, stream.index, stream.uid = kind, 0, uid
    stream.width, stream.height, stream.fps = pinhole.width, pinhole.height, rate
    stream.fmt, stream.bpp = pixels
    stream.intrinsics = intrinsics
    return stream


def _shifted(x: float) -> Any:
    found = rs.extrinsics()
    found.rotation, found.translation = [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0], [x, 0, 0]
    return found
