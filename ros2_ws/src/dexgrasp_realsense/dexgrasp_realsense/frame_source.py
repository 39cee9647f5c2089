"""RealSense cameras and their recordings as sources of images: all that knows pyrealsense2.

The library checks neither the size of a buffer nor its stride: both are looked at here before a
pixel is.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dexgrasp_models.libusb import load_libusb
from dexgrasp_realsense.depth_units import to_millimetres
from dexgrasp_realsense.lens import Lens, ros_distortion

_DEPTH_BYTES, _COLOR_BYTES = 2, 3
"""Of a pixel."""
_ANY = -1
"""Index of a stream."""
_SAME_MOMENT = 0.75
"""Periods by which a colour image may be older or newer than the depth image beside it."""


class CameraError(RuntimeError):
    """A camera that gives no images; the message says why, and what to do."""


class FrameError(ValueError):
    """An image that isn't what it says; the next one may be."""


class RecordingEnded(Exception):
    """A recording has been played to its end."""


@dataclass(frozen=True)
class StreamRequest:
    """What is wanted of a camera.

    Attributes:
        width, height: of depth and colour, pixels; a recording has its own.
        rate: Hz; a recording has its own.
        color: whether colour is wanted.
        spatial_filter, temporal_filter: librealsense's filters of depth, with its own settings.
    """

    width: int
    height: int
    rate: int
    color: bool = True
    spatial_filter: bool = False
    temporal_filter: bool = False


@functools.cache
def import_pyrealsense2() -> ModuleType:
    """The `pyrealsense2` module.

    Raises:
        ImportError: it is not installed, or libusb is not; says what to do.
    """
    load_libusb("pyrealsense2")
    try:
        import pyrealsense2
    except ImportError as error:
        raise ImportError(
            f"RealSense cameras need pyrealsense2 ({error}): pip install pyrealsense2"
        ) from error
    return pyrealsense2


class Frames:
    """What a camera took at one moment. Images are copied and aligned when they are asked for.

    Attributes:
        depth_is_new: False where the colour of depth that came before has come.
        taken_ns: when the depth was taken, by the camera's clock.
        host_clock: whether that is this computer's clock.
    """

    def __init__(
        self, stream: CameraStream, frames: Any, depth: Any, color: Any, depth_is_new: bool
    ) -> None:
        rs = import_pyrealsense2()
        self._stream, self._frames, self._depth, self._color = stream, frames, depth, color
        self.depth_is_new = depth_is_new
        self.taken_ns = round(depth.get_timestamp() * 1e6)
        domain = depth.get_frame_timestamp_domain()
        domains = rs.timestamp_domain
        self.host_clock = domain in (domains.system_time, domains.global_time)

    def depth(self) -> np.ndarray:
        """(H, W) uint16, mm, 0 where nothing was read; valid as long as this object."""
        return to_millimetres(np.asanyarray(self._depth.get_data()), self._stream.depth_unit)

    def color(self) -> np.ndarray | None:
        """(H, W, 3) uint8, red first, aligned with depth and black where that has no reading.

        None without colour of the same moment.

        Raises:
            FrameError: the image isn't what it says.
        """
        return self._stream.aligned_color(self._frames) if self._color else None


class CameraStream:
    """A camera, or a recording, that is giving images.

    Attributes:
        lens: of the depth images.
        depth_unit: metres that a count is.
        has_color: whether it gives colour beside depth.
    """

    def __init__(self, pipeline: Any, config: Any, request: StreamRequest, has_color: bool) -> None:
        rs = import_pyrealsense2()
        profile = pipeline.start(config)
        self._pipeline, self.has_color = pipeline, has_color
        try:
            device = profile.get_device()
            depth = profile.get_stream(rs.stream.depth).as_video_stream_profile()
            self.lens = _lens(depth)
            self.depth_unit = _depth_unit(device)
            self._playback = device.as_playback() if device.is_playback() else None
        except Exception:
            self.close()
            raise
        self._period_ms = 1e3 / max(depth.fps(), 1)
        self._color_number: int | None = None
        self._last_depth: tuple[int, float] | None = None
        self._align = rs.align(rs.stream.depth)
        self._filters = [
            make()
            for make, wanted in (
                (rs.spatial_filter, request.spatial_filter),
                (rs.temporal_filter, request.temporal_filter),
            )
            if wanted
        ]

    def next(self, timeout: float) -> Frames | None:
        """The newest frames; None if none came in `timeout` seconds, or nothing new.

        Raises:
            FrameError: the depth image has another size than the camera says, or too few bytes.
            CameraError: the camera gives none any more.
            RecordingEnded: there are no more.
        """
        with _as_camera_errors("it stopped giving images"):
            arrived, frames = self._pipeline.try_wait_for_frames(round(1e3 * timeout))
            if not arrived:
                self._look_for_end()
                return None
            depth = frames.get_depth_frame()
            if not depth:  # the first may hold colour alone
                return None
            self._check(depth, "depth", _DEPTH_BYTES, self.lens.width, self.lens.height)
            color = self._new_color(frames, depth)
            # The library gives depth as soon as it waits for colour no more, and again with it.
            identity = depth.get_frame_number(), depth.get_timestamp()
            is_new, self._last_depth = identity != self._last_depth, identity
            if not is_new and color is None:
                return None
            for each in self._filters if is_new else ():
                # All frames, also where nobody looks: the temporal one remembers the last it saw.
                depth = each.process(depth).as_depth_frame()
            return Frames(self, frames, depth, color, is_new)

    def aligned_color(self, frames: Any) -> np.ndarray:
        """Colour of some frames as the depth camera would see it: (H, W, 3) uint8.

        Raises:
            FrameError: the image isn't what it says.
        """
        with _as_camera_errors("its colour can't be aligned with its depth"):
            color = frames.get_color_frame()
            size = color.get_profile().as_video_stream_profile()
            self._check(color, "colour", _COLOR_BYTES, size.width(), size.height())
            aligned = self._align.process(frames).get_color_frame()
            self._check(aligned, "aligned colour", _COLOR_BYTES, self.lens.width, self.lens.height)
            return np.asanyarray(aligned.get_data())

    def close(self) -> None:
        """Gives the camera back."""
        with contextlib.suppress(RuntimeError):  # of a device that is no more
            self._pipeline.stop()
        # A device that was unplugged stays in librealsense's lists as long as somebody holds it.
        self._pipeline = self._playback = None

    def _look_for_end(self) -> None:
        status = import_pyrealsense2().playback_status.stopped
        if self._playback is not None and self._playback.current_status() == status:
            raise RecordingEnded

    def _new_color(self, frames: Any, depth: Any) -> Any:
        """The colour frame, if it was not there before and is of the same moment as the depth."""
        color = frames.get_color_frame() if self.has_color else None
        if not color or color.get_frame_number() == self._color_number:
            return None
        if color.get_frame_timestamp_domain() == depth.get_frame_timestamp_domain():
            apart = abs(color.get_timestamp() - depth.get_timestamp())
            if apart > _SAME_MOMENT * self._period_ms:
                return None
        self._color_number = color.get_frame_number()
        return color

    @staticmethod
    def _check(frame: Any, what: str, pixel: int, width: int, height: int) -> None:
        step = width * pixel
        found = frame.get_width(), frame.get_height(), frame.get_stride_in_bytes()
        if found != (width, height, step):
            raise FrameError(
                f"a {what} image of {found[0]} x {found[1]} pixels, {found[2]} bytes a row;"
                f" expected {width} x {height}, {step} bytes"
            )
        # Frames of a program's own, as in tests, don't say how many they have.
        if 0 < frame.get_data_size() < height * step:
            raise FrameError(
                f"a {what} image of {frame.get_data_size()} bytes; expected {height * step}"
            )


class RealSenseDevices:
    """The cameras that are connected to this computer.

    Args:
        context: librealsense's view of them; by default a new one.

    Raises:
        ImportError: as `import_pyrealsense2`.
    """

    def __init__(self, context: Any = None) -> None:
        self._rs = import_pyrealsense2()
        self._context = context or self._rs.context()
        self._opening = threading.Lock()

    def serials(self) -> tuple[str, ...]:
        """Serials of all that are connected; takes milliseconds."""
        return tuple(self._connected())

    def open_camera(self, serial: str, request: StreamRequest) -> CameraStream:
        """Has a camera give images: depth, and colour if it is wanted and there.

        Raises:
            CameraError: it is not connected, is used by another program, or can't give them.
            LensError: as `ros_distortion`.
        """
        with (
            self._opening,
            _as_camera_errors(
                "it can't be started (if another program uses it, end that; else plug it in again)"
            ),
        ):
            # Asked first: for a camera that is not there the library would wait 15 s, and Python
            # with it.
            connected = self._connected()
            if serial not in connected:
                others = f"; connected: {', '.join(connected)}" if connected else ""
                raise CameraError(f"serial {serial} is not connected: plug it in{others}")
            for color in (True, False) if request.color else (False,):
                config = self._config(color, request.width, request.height, request.rate)
                config.enable_device(serial)
                pipeline = self._rs.pipeline(self._context)
                if config.can_resolve(pipeline):
                    return CameraStream(pipeline, config, request, color)
            raise CameraError(
                f"serial {serial} has no depth images of {request.width}x{request.height} at"
                f" {request.rate} Hz, but {self._offered(connected[serial])}: set resolution and"
                " rate to one of them, and plug it into a socket of USB 3"
            )

    def open_recording(self, path: Path, request: StreamRequest) -> CameraStream:
        """Plays a recording from its start, at the speed at which it was made.

        Raises:
            CameraError: it is missing, damaged, or has no depth images.
            LensError: as `ros_distortion`.
        """
        if not path.is_file():
            raise CameraError(f"there is no recording {path}")
        with self._opening, _as_camera_errors(f"the recording {path} can't be played"):
            for color in (True, False) if request.color else (False,):
                config = self._config(color)
                config.enable_device_from_file(str(path), repeat_playback=False)
                pipeline = self._rs.pipeline(self._context)
                if config.can_resolve(pipeline):
                    break
            # A file can't be plugged in: if it doesn't do, this says at once why.
            return CameraStream(pipeline, config, request, color)

    def _config(self, color: bool, width: int = 0, height: int = 0, rate: int = 0) -> Any:
        """Asks for depth, and for colour of the same size and rate; 0 takes any."""
        rs, config = self._rs, self._rs.config()
        config.enable_stream(rs.stream.depth, _ANY, width, height, rs.format.z16, rate)
        if color:
            config.enable_stream(rs.stream.color, _ANY, width, height, rs.format.rgb8, rate)
        return config

    def _connected(self) -> dict[str, Any]:
        """The devices by their serials."""
        number, found = self._rs.camera_info.serial_number, {}
        with _as_camera_errors("the cameras can't be listed"):
            devices = list(self._context.query_devices())
        for device in devices:
            # One that was unplugged just now may be listed, and raises; asked for more it crashes.
            with contextlib.suppress(RuntimeError):
                if device.supports(number):
                    found[device.get_info(number)] = device
        return found

    def _offered(self, device: Any) -> str:
        """What depth images a device has."""
        profiles = [
            profile.as_video_stream_profile()
            for sensor in device.query_sensors()
            for profile in sensor.get_stream_profiles()
            if profile.stream_type() == self._rs.stream.depth
        ]
        offered = sorted({(each.width(), each.height(), each.fps()) for each in profiles})
        return ", ".join(f"{w}x{h} at {fps} Hz" for w, h, fps in offered) or "none at all"


def _lens(profile: Any) -> Lens:
    found = profile.get_intrinsics()
    return Lens(
        width=found.width,
        height=found.height,
        fx=found.fx,
        fy=found.fy,
        cx=found.ppx,
        cy=found.ppy,
        distortion=ros_distortion(found.model.name, found.coeffs),
    )


def _depth_unit(device: Any) -> float:
    """Metres that a count of a device's depth is."""
    unit = float(device.first_depth_sensor().get_depth_scale())
    if not (math.isfinite(unit) and unit > 0.0):
        raise CameraError(f"it says that a count of its depth is {unit} m: plug it in again")
    return unit


@contextlib.contextmanager
def _as_camera_errors(what: str) -> Iterator[None]:
    """The library's own errors as those of a camera."""
    try:
        yield
    except CameraError:
        raise
    except RuntimeError as error:
        raise CameraError(f"{what}: {error}") from error
