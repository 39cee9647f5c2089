"""Parameters of the perception node beside those of fusion and stream."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_models.parameters import Parameters, choice, flag, parameter, text

RIG, TF = "rig", "tf"
"""Who tells where the cameras stand."""


@dataclass(frozen=True)
class PerceptionParameters(Parameters):
    """Beside `FusionConfig`, prefix `fusion.`, and `StreamConfig`, prefix `stream.`."""

    rig: str = text("cameras/four_d415.yaml", "camera rig, a file in config/ or a path")
    extrinsics: str = choice(
        RIG,
        (RIG, TF),
        "where the cameras stand: as the rig says, or as tf says of the frames of their images",
    )
    frame_timeout: float = parameter(
        4.0,
        0.0,
        600.0,
        "s of wall time",
        "a camera that nothing has come from for this long is not waited for by a capture",
    )
    max_frame_age: float = parameter(
        0.5,
        0.0,
        60.0,
        "s",
        "where no newer image comes, how much before the request one may have been taken",
    )
    camera_timeout: float = parameter(
        5.0,
        0.1,
        600.0,
        "s of wall time",
        "a camera that nothing has come from for this long is reported as silent",
    )
    mask_robot: bool = flag(True, "leave out the robot's own points")
    stream_rate: float = parameter(
        0.0,
        0.0,
        60.0,
        "Hz",
        "of clouds on perception/cloud_stream at most, while somebody listens there; 0: none",
    )
