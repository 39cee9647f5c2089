"""One cloud of what stands on the table, many times a second, of small depth images.

The steps are the first ones of `fuse`, on fewer pixels: the table away, deprojection, crop to the
workspace, voxel means, the robot away. Nothing is sampled, nothing gets normals, and no cluster is
taken for the object: who follows an object knows where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dexgrasp_models.config import load_node_parameters
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.perception.cameras import DepthFrame, RigError
from dexgrasp_models.perception.fusion import (
    FusionConfig,
    PerceptionError,
    RobotDistance,
    depth_millimetres,
    off_robot,
    points_above_table,
    table_seen,
)
from dexgrasp_models.perception.thinning import blocks_for, thinned
from dexgrasp_models.perception.voxels import occupied_neighbours, thin

_TABLE_FIT_STRIDE = 2


@dataclass(frozen=True)
class StreamConfig(Parameters):
    """What streaming does otherwise than a capture; the rest is `FusionConfig`'s."""

    columns: int = parameter(
        160, 40, 1920, "px", "columns of an image at most; of larger ones blocks are taken"
    )
    voxel_size: float = parameter(0.005, 0.001, 0.05, "m", "voxels that pixels are averaged over")
    outlier_neighbours: int = parameter(
        2, 0, 26, "", "of the 26 voxels around one, how many must be occupied for it to be kept"
    )
    min_cameras: int = parameter(2, 1, 16, "", "usable images without which there is no cloud")


def load_stream_config() -> StreamConfig:
    """The settings in the perception node's parameter file, ``perception.yaml``.

    Raises:
        FileNotFoundError, ValueError: when it is missing or holds a bad value.
    """
    parameters = load_node_parameters("perception.yaml", "perception")
    return StreamConfig.from_mapping(parameters.get("stream") or {})


@dataclass(frozen=True, eq=False)
class StreamedCloud:
    """What stands on the table now, without the robot.

    Attributes:
        points: (N, 3) float32 m in `world`, one for each occupied voxel; there may be none.
        cameras_used: names of the cameras whose images contributed.
        left_out: why others did not, by their names.
    """

    points: np.ndarray
    cameras_used: tuple[str, ...]
    left_out: dict[str, str]


def fuse_stream(
    frames: Sequence[DepthFrame],
    config: StreamConfig,
    fusion: FusionConfig,
    *,
    robot_distance: RobotDistance | None = None,
) -> StreamedCloud:
    """The cloud of all that stands in the workspace.

    Args:
        frames: one image a camera; unusable ones are left out.
        config: of the stream.
        fusion: workspace, table and margins, as of captures.
        robot_distance: when given, points nearer to the robot than ``fusion.robot_margin`` are
            dropped.

    Raises:
        PerceptionError: too few images can be used, or two are of one camera.
    """
    names = [frame.camera.name for frame in frames]
    if len(set(names)) < len(names):
        raise PerceptionError("several frames of one camera were given; pass the newest of each")
    # What is outside the workspace is cropped with the same test as a capture's scene.
    within = replace(fusion, scene_min=fusion.workspace_min, scene_max=fusion.workspace_max)
    used, seen, left_out = [], [np.zeros((3, 0), dtype=np.float32)], {}
    for frame in frames:
        try:
            small = thinned(frame, blocks_for(frame.camera.width, config.columns))
            depth = depth_millimetres(small, fusion)
        except (PerceptionError, RigError, ValueError) as error:
            left_out[frame.camera.name] = str(error)
            continue
        table = table_seen(small.camera, depth, fusion, _TABLE_FIT_STRIDE)
        seen.append(points_above_table(table, small.camera, depth, within))
        used.append(frame.camera.name)
    if len(used) < config.min_cameras:
        problems = "".join(f"; {name}: {why}" for name, why in left_out.items())
        raise PerceptionError(
            f"{len(used)} usable camera images, {config.min_cameras} needed{problems}"
        )
    points = thin(np.concatenate(seen, axis=1), config.voxel_size)
    if robot_distance is not None:
        points = points[:, off_robot(points, robot_distance, fusion.robot_margin)]
    dense = occupied_neighbours(points, config.voxel_size) >= config.outlier_neighbours
    return StreamedCloud(points[:, dense].T.astype(np.float32), tuple(used), left_out)
