"""One cloud of four 160x120 depth images, as streamed to who follows an object, beside Open3D's.

Open3D makes a cloud of each image, crops it to the workspace above the table, and averages all of
them over a voxel grid. Both run on one core and see the same images of the generated objects,
ray-cast with noise; the robot is left out here only, in a second row of times, since Open3D has
nothing like it. Times are processor time, so that other programs count little.

    python bench/cloud_stream.py [--repeats 50] [--noise 0.0015] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# First: it takes one core, before libraries start threads.
from fusion import deprojected, distances_mm, o3d, times_ms  # isort: skip

import numpy as np
from object_images import make_scene, render
from reports import write_report

from dexgrasp_models.config import find_config
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects.shapes import SHAPES
from dexgrasp_models.perception.cameras import CameraModel, DepthFrame, load_rig
from dexgrasp_models.perception.fusion import FusionConfig, load_fusion_config
from dexgrasp_models.perception.robot_mask import robot_distance
from dexgrasp_models.perception.streaming import StreamConfig, fuse_stream, load_stream_config
from dexgrasp_models.perception.thinning import blocks_for, thinned_camera
from dexgrasp_models.tasks.goal_frame import first_hands

TIME_LIMIT_MS = 15.0
HAND_HEIGHT = 0.2
"""m of the palm over the table: the hand is on its way down."""


def fuse_with_open3d(
    frames: Sequence[DepthFrame], stream: StreamConfig, config: FusionConfig
) -> np.ndarray:
    """Points (N, 3) by Open3D's operators."""
    cloud = o3d.geometry.PointCloud()
    box = o3d.geometry.AxisAlignedBoundingBox(
        (*config.workspace_min[:2], config.table_height + config.table_margin),
        config.workspace_max,
    )
    for frame in frames:
        cloud += deprojected(frame.camera, frame.depth).crop(box)
    return np.asarray(cloud.voxel_down_sample(stream.voxel_size).points)


def measure(
    name: str,
    rig: Sequence[CameraModel],
    stream: StreamConfig,
    config: FusionConfig,
    arguments: argparse.Namespace,
) -> dict[str, float | str]:
    """Times and errors of both on one object."""
    rng = np.random.default_rng(arguments.seed)
    scene, hand = make_scene(name), load_hand()
    small = [thinned_camera(each, blocks_for(each.width, stream.columns)) for each in rig]
    frames = [render(scene, camera, arguments.noise, rng) for camera in small]
    full = [render(scene, camera, arguments.noise, rng) for camera in rig]
    palm = first_hands(np.zeros(1), HAND_HEIGHT)[0]

    def with_robot(images: Sequence[DepthFrame]) -> np.ndarray:
        robot = robot_distance(hand, palm, np.zeros(len(hand.joints)))
        return fuse_stream(images, stream, config, robot_distance=robot).points

    def median(run) -> float:
        return float(np.median(times_ms(run, arguments.repeats)))

    cloud = fuse_stream(frames, stream, config).points
    peer = fuse_with_open3d(frames, stream, config)
    ours = median(lambda: fuse_stream(frames, stream, config))
    theirs = median(lambda: fuse_with_open3d(frames, stream, config))
    return {
        "object": name,
        "ms": ours,
        "with_robot_ms": median(lambda: with_robot(frames)),
        "full_with_robot_ms": median(lambda: with_robot(full)),
        "open3d_ms": theirs,
        "ratio": theirs / ours,
        "points": len(cloud),
        "distance_mm": float(distances_mm(scene, cloud).mean()),
        "open3d_distance_mm": float(distances_mm(scene, peer).mean()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.0015, help="standard deviation, m")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    rig, config = load_rig(find_config("cameras/four_d415.yaml")), load_fusion_config()
    stream = load_stream_config()

    print("ms of one core; distance: mean of the points to the object, mm")
    print("object    ours  with robot  of 640x480  Open3D (times ours)  distance  Open3D's  points")
    rows = []
    for name in SHAPES:
        row = measure(name, rig, stream, config, arguments)
        rows.append(row)
        print(
            "{object:8s}{ms:6.1f}{with_robot_ms:12.1f}{full_with_robot_ms:12.1f}{open3d_ms:8.1f} "
            "({ratio:4.2f}){distance_mm:17.2f}{open3d_distance_mm:10.2f}{points:8d}".format(**row),
            flush=True,
        )
    slowest = max(row["with_robot_ms"] for row in rows)
    passed = slowest < TIME_LIMIT_MS
    print(
        f"slowest object {slowest:.1f} ms of {TIME_LIMIT_MS:.0f} ms allowed: "
        f"{'ok' if passed else 'too slow'}"
    )
    write_report(
        arguments.out,
        {
            "limit_ms": TIME_LIMIT_MS,
            "passed": passed,
            "noise_m": arguments.noise,
            "seed": arguments.seed,
            "objects": rows,
        },
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
