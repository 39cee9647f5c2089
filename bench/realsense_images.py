"""What an image of a RealSense camera costs its node, by what is wanted of it.

    python bench/realsense_images.py [--images 60]

The camera is one that librealsense makes itself; bus and device take no time. Processor time of the
whole process from the arrival in librealsense's queue to the message, without sending it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from dexgrasp_realsense.frame_source import CameraStream, Frames, StreamRequest
from dexgrasp_ros import image_messages

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))
from dexgrasp_counterparts.software_cameras import RATE, WIDTH, SoftwareCameras

SIZE = 640, 480
WARM_UP = 5


def main() -> None:
    """Prints a row for each thing that can be wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60)
    images = parser.parse_args().images

    def depth(frames: Frames, _: CameraStream) -> None:
        image_messages.depth_to_message(frames.depth(), 0, "camera")

    def color(frames: Frames, _: CameraStream) -> None:
        if (found := frames.color()) is not None:
            image_messages.color_to_message(found, 0, "camera")

    def info(_: Frames, stream: CameraStream) -> None:
        lens = stream.lens
        image_messages.camera_info(lens.matrix, *SIZE, 0, "camera", lens.distortion)

    table = Table("of an image of 640 x 480", "ms, median", "ms, 90 %")
    for name, unit, filters, want in (
        ("looked at, and its intrinsics", 0.001, {}, info),
        ("depth, from mm", 0.001, {}, depth),
        ("depth, from 0.1 mm", 0.0001, {}, depth),
        ("colour, aligned", 0.001, {}, color),
        ("depth, temporal filter", 0.001, {"temporal_filter": True}, depth),
        ("depth, spatial filter", 0.001, {"spatial_filter": True}, depth),
    ):
        request = StreamRequest(*SIZE, RATE, **filters)
        milliseconds = measured(unit, request, want, images)
        high = float(np.quantile(milliseconds, 0.9))
        table.add_row(name, f"{statistics.median(milliseconds):.2f}", f"{high:.2f}")
    Console().print(table)


def measured(
    unit: float,
    request: StreamRequest,
    want: Callable[[Frames, CameraStream], None],
    images: int,
) -> list[float]:
    """Milliseconds of processor time for each image."""
    cameras = SoftwareCameras()
    camera = cameras.plug("1", unit=unit)
    stream = cameras.devices.open_camera("1", request)
    # A slope with steps and noise: filters and alignment depend on what they see.
    rng = np.random.default_rng(0)
    metres = np.linspace(0.5, 1.5, WIDTH) + 0.1 * (np.arange(WIDTH) // 80 % 2)
    depth = np.rint((metres + rng.normal(0.0, 0.002, SIZE[::-1])) / unit).astype(np.uint16)
    found = []
    for number in range(WARM_UP + images):
        camera.send(depth, color=number % 256)
        time.sleep(0.01)  # librealsense's own threads have passed it on by now
        begun = time.process_time()
        frames = stream.next(1.0)
        assert frames is not None
        want(frames, stream)
        found.append(1e3 * (time.process_time() - begun))
    stream.close()
    return found[WARM_UP:]


if __name__ == "__main__":
    main()
