"""What a feed opens: a connected camera, or a recording of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_realsense.frame_source import CameraStream, RealSenseDevices, StreamRequest


@dataclass(frozen=True)
class ConnectedCamera:
    """A camera by its serial."""

    devices: RealSenseDevices
    serial: str
    request: StreamRequest
    repeats: ClassVar[bool] = True
    is_recorded: ClassVar[bool] = False

    def open(self, color: bool) -> CameraStream:
        request = dataclasses.replace(self.request, color=self.request.color and color)
        return self.devices.open_camera(self.serial, request)

    def is_there(self) -> bool:
        return self.serial in self.devices.serials()


@dataclass(frozen=True)
class Recording:
    """A file that the camera's images were recorded to; played once, or again and again."""

    devices: RealSenseDevices
    path: Path
    request: StreamRequest
    repeats: bool
    is_recorded: ClassVar[bool] = True

    def open(self, color: bool) -> CameraStream:
        request = dataclasses.replace(self.request, color=self.request.color and color)
        return self.devices.open_recording(self.path, request)

    def is_there(self) -> bool:
        return self.path.is_file()


def recordings_by_camera(
    given: Iterable[str], cameras: Iterable[CameraModel]
) -> Mapping[str, Path]:
    """Files by the names of their cameras, of texts such as ``camera_1=/data/first.db3``.

    Raises:
        ValueError: a text is not of this form, or a camera that the rig lacks, or a camera or
            a file is named twice.
        FileNotFoundError: there is no such file.
    """
    names = [camera.name for camera in cameras]
    found: dict[str, Path] = {}
    for text in given:
        name, separator, path = (part.strip() for part in text.partition("="))
        if not separator or not path:
            raise ValueError(f"recording {text!r}: write camera=file, as in {names[0]}=/data/a.db3")
        if name not in names:
            raise ValueError(f"recording {text!r}: the rig's cameras are {', '.join(names)}")
        if name in found:
            raise ValueError(f"recording {text!r}: {name} has one already, {found[name]}")
        if not Path(path).is_file():
            raise FileNotFoundError(f"recording of {name}: there is no file {path}")
        if Path(path) in found.values():
            raise ValueError(f"recording {text!r}: another camera has it already, and one plays it")
        found[name] = Path(path)
    return found


def refuse_unusable(cameras: Iterable[CameraModel], connected: Iterable[str]) -> None:
    """Refuses cameras of a rig that can't be told apart, or whose depth would be misread.

    Args:
        cameras: those that are to be connected.
        connected: serials of what is, for the message.

    Raises:
        ValueError: names them, and says what to write.
    """
    cameras = list(cameras)
    nameless = [camera.name for camera in cameras if camera.serial is None]
    if nameless:
        there = ", ".join(connected) or "none"
        raise ValueError(
            f"the rig has no serial of {', '.join(nameless)}: write it beside the camera's name, as"
            f' in serial: "821212060746" (connected now: {there})'
        )
    if odd := [camera.name for camera in cameras if camera.depth_unit != 0.001]:
        raise ValueError(
            f"the rig has a depth_unit of {', '.join(odd)}: leave it out, as this node publishes"
            " millimetres whatever the camera's own unit is"
        )
