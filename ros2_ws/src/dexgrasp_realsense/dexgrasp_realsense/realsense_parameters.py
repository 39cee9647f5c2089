"""Parameters of the RealSense node."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_models.parameters import Parameters, choice, flag, parameter, text
from dexgrasp_realsense.frame_source import StreamRequest


@dataclass(frozen=True)
class RealSenseParameters(Parameters):
    """All of them; what is wanted of the cameras is the same for all."""

    rig: str = text("cameras/four_d415.yaml", "camera rig, a file in config/ or a path")
    resolution: str = choice("640x480", ("640x480", "848x480"), "of depth and colour, pixels")
    rate: int = parameter(15, 1, 90, "Hz", "images of each camera; a camera has some rates only")
    color: bool = flag(True, "whether the cameras give colour beside depth")
    spatial_filter: bool = flag(
        False, "librealsense's spatial filter of depth: smooths within an image and keeps edges"
    )
    temporal_filter: bool = flag(
        False, "librealsense's temporal filter of depth: smooths from image to image"
    )
    camera_timeout: float = parameter(
        2.0,
        0.5,
        60.0,
        "s of wall time",
        "a camera that nothing good has come from for this long is started anew",
    )
    recordings: tuple[str, ...] = text(
        (), "files in the place of cameras, each as camera_1=/data/first.db3"
    )
    repeat_recordings: bool = flag(True, "whether recordings begin again after their end")

    @property
    def request(self) -> StreamRequest:
        """What is wanted of each camera."""
        width, height = map(int, self.resolution.split("x"))
        return StreamRequest(
            width, height, self.rate, self.color, self.spatial_filter, self.temporal_filter
        )
