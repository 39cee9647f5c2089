"""Fusion of depth images into the point cloud of the object that stands on the table.

Steps: the table's plane refined and removed in each image; deprojection of what is left; crop;
voxel averages; removal of the robot's own points and of outliers; clustering; farthest-point
sampling; normals and smoothing from the local plane of each sampled point. All of it is
deterministic: equal frames give equal bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dexgrasp_models.config import load_node_parameters
from dexgrasp_models.parameters import Parameters, flag, parameter
from dexgrasp_models.perception.cameras import CameraModel, DepthFrame
from dexgrasp_models.perception.surface import local_planes, sample_evenly
from dexgrasp_models.perception.table import TablePlane, distance_factor, fit_table
from dexgrasp_models.perception.voxels import (
    VoxelCloud,
    average,
    largest_cluster,
    occupied_neighbours,
    thin,
)

RobotDistance = Callable[[np.ndarray], np.ndarray]
"""Signed distances (N,) in metres of world points (N, 3) to the robot, negative inside it."""

_TABLE_FIT_STRIDE = 6
_TABLE_MARGIN_LIMIT = 0.008
"""Greatest table margin (m) that noise may call for; flat objects must not be cut away."""
_SCENE_VOXEL_MIN_PIXELS = 8
_DEPTH_UNITS = (1e-5, 1e-4, 1.25e-4, 2e-4, 2.5e-4, 5e-4, 1e-3, 1e-2)
"""Metres that cameras and data sets have a count of 16 bit for."""
_UNIT_STEP = 1.6  # an error of a camera's place is less than that
_UNIT_TOLERANCE = 0.12  # of the logarithm


class PerceptionError(RuntimeError):
    """Too little was seen to describe an object; the message is the reason."""


@dataclass(frozen=True)
class FusionConfig(Parameters):
    """How depth images become the cloud of one object; boxes are in ``world``.

    Raises:
        ValueError: for a value out of its range, or an empty box.
    """

    n_points: int = parameter(1024, 16, 16384, "", "points of the object's cloud")
    workspace_min: tuple[float, float, float] = parameter(
        (-0.25, -0.25, 0.0), -5.0, 5.0, "m", "lower corner of the box that the object stands in"
    )
    workspace_max: tuple[float, float, float] = parameter(
        (0.25, 0.25, 0.40), -5.0, 5.0, "m", "upper corner of the box that the object stands in"
    )
    scene_min: tuple[float, float, float] = parameter(
        (-0.5, -0.5, 0.0), -5.0, 5.0, "m", "lower corner of the box that obstacles stand in"
    )
    scene_max: tuple[float, float, float] = parameter(
        (0.5, 0.5, 0.6), -5.0, 5.0, "m", "upper corner of the box that obstacles stand in"
    )
    table_height: float = parameter(0.0, -2.0, 2.0, "m", "height of the table's top")
    table_margin: float = parameter(
        0.004, 0.0, 0.05, "m", "height over the table up to which points are taken for the table"
    )
    refine_table: bool = flag(
        True, "fit the table's plane in each image, against errors of calibration"
    )
    voxel_size: float = parameter(0.0025, 0.001, 0.02, "m", "voxels that pixels are averaged over")
    outlier_neighbours: int = parameter(
        4, 0, 26, "", "of the 26 voxels around one, how many must be occupied for it to be kept"
    )
    cluster_distance: float = parameter(
        0.010, 0.002, 0.1, "m", "cells of the grid whose connected parts are the clusters"
    )
    normal_radius: float = parameter(
        0.010, 0.002, 0.1, "m", "reach of the local planes that smooth points and give normals"
    )
    scene_voxel_size: float = parameter(0.010, 0.002, 0.1, "m", "voxels of the obstacles' cloud")
    robot_margin: float = parameter(
        0.010, 0.0, 0.1, "m", "distance to the robot up to which points are taken for the robot"
    )
    min_cameras: int = parameter(2, 1, 16, "", "usable images without which a capture is refused")
    min_readings: float = parameter(
        0.05, 0.0, 1.0, "", "part of an image that must have readings for it to be used"
    )
    min_pixels: int = parameter(
        300, 1, 1_000_000, "", "pixels of the object over all images below which it is refused"
    )
    min_extent: float = parameter(0.015, 0.0, 1.0, "m", "least size of an object along one axis")

    def __post_init__(self) -> None:
        super().__post_init__()
        for low, high in (("workspace_min", "workspace_max"), ("scene_min", "scene_max")):
            corners = zip(getattr(self, low), getattr(self, high), strict=True)
            if not all(lower < upper for lower, upper in corners):
                raise ValueError(f"{low} must lie below {high} on every axis")


def load_fusion_config() -> FusionConfig:
    """The settings in the perception node's parameter file, ``perception.yaml``.

    Raises:
        FileNotFoundError, ValueError: when it is missing or holds a bad value.
    """
    parameters = load_node_parameters("perception.yaml", "perception")
    return FusionConfig.from_mapping(parameters.get("fusion") or {})


@dataclass(frozen=True, eq=False)
class FusedCloud:
    """What the cameras saw, in ``world``, metres, float32.

    Attributes:
        object_points: (N, 3) points of the object, spread evenly by farthest-point sampling. N is
            ``n_points``, or less (with a warning) when the object does not show as many.
        object_normals: (N, 3) unit normals that point out of the object, towards the cameras.
        scene_points: (M, 3) thinned points of everything else that stands above the table: other
            objects and obstacles. Neither the table, the object nor the robot is among them.
        cameras_used: names of the cameras whose images contributed.
        warnings: what was missing or doubtful, one phrase each.
    """

    object_points: np.ndarray
    object_normals: np.ndarray
    scene_points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.float32))
    cameras_used: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def fuse(
    frames: Sequence[DepthFrame],
    config: FusionConfig,
    *,
    missing: Mapping[str, str] | None = None,
    robot_distance: RobotDistance | None = None,
) -> FusedCloud:
    """Fuse depth images taken at one time into the cloud of the object on the table.

    The object is the largest cluster of points in the workspace.

    Args:
        frames: one image a camera; unusable ones are left out with a warning.
        config: see :class:`FusionConfig`.
        missing: cameras of the rig that have no frame, and why; they are named in the warnings.
        robot_distance: when given, points nearer to the robot than ``config.robot_margin`` are
            taken for the robot's own and dropped.

    Raises:
        PerceptionError: when too few cameras, or no object, can be seen.
    """
    names = [frame.camera.name for frame in frames]
    if len(set(names)) < len(names):
        raise PerceptionError("several frames of one camera were given; pass the newest of each")
    warnings = [f"{name}: {reason}" for name, reason in (missing or {}).items()]
    try:
        return _fuse(frames, config, robot_distance, warnings)
    except PerceptionError as error:
        raise PerceptionError(
            f"{error} ({'; '.join(warnings)})" if warnings else str(error)
        ) from None


def _fuse(
    frames: Sequence[DepthFrame],
    config: FusionConfig,
    robot_distance: RobotDistance | None,
    warnings: list[str],
) -> FusedCloud:
    used, points = [], []
    for frame in frames:
        try:
            depth = depth_millimetres(frame, config)
        except PerceptionError as error:
            warnings.append(f"{frame.camera.name}: {error}")
            continue
        if doubt := _depth_doubt(frame, depth, config):
            warnings.append(f"{frame.camera.name}: {doubt}")
            continue
        table = table_seen(frame.camera, depth, config)
        deviation = table.offset - config.table_height
        if abs(deviation) > config.table_margin:
            warnings.append(
                f"{frame.camera.name}: sees the table {1e3 * deviation:+.1f} mm from its place; "
                "calibrate this camera"
            )
        used.append(frame.camera)
        points.append(points_above_table(table, frame.camera, depth, config))
    if len(used) < config.min_cameras:
        raise PerceptionError(f"{len(used)} usable camera images, {config.min_cameras} needed")

    cloud = np.concatenate(points, axis=1)
    seen_by = np.repeat(np.arange(len(used)), [seen.shape[1] for seen in points])
    in_workspace = inside_box(cloud, config.workspace_min, config.workspace_max)
    near = average(
        cloud[:, in_workspace],
        seen_by[in_workspace],
        np.stack([camera.world_T_optical[:3, 3] for camera in used]),
        config.voxel_size,
    )
    far = thin(cloud[:, ~in_workspace], config.scene_voxel_size, _SCENE_VOXEL_MIN_PIXELS)
    if robot_distance is not None:
        near = near.select(off_robot(near.points, robot_distance, config.robot_margin))
        far = far[:, off_robot(far, robot_distance, config.robot_margin)]
    dense = occupied_neighbours(near.points, config.voxel_size) >= config.outlier_neighbours
    near = near.select(dense)
    if not len(near):
        raise PerceptionError("nothing stands above the table in the workspace")

    of_object = largest_cluster(near.points, config.cluster_distance)
    surface = near.select(of_object)
    _check_size(surface, config)
    samples = sample_evenly(surface, config.voxel_size, config.n_points)
    if len(samples) < config.n_points:
        warnings.append(f"the object shows only {len(samples)} points of {config.n_points}")
    object_points, object_normals = local_planes(surface, samples, config.normal_radius)
    scene = np.concatenate([near.points[:, ~of_object], far], axis=1)
    return FusedCloud(
        object_points=object_points.astype(np.float32),
        object_normals=object_normals.astype(np.float32),
        scene_points=thin(scene, config.scene_voxel_size).T.astype(np.float32),
        cameras_used=tuple(camera.name for camera in used),
        warnings=tuple(warnings),
    )


def depth_millimetres(frame: DepthFrame, config: FusionConfig) -> np.ndarray:
    """The image as float32 millimetres (height * width,), 0 where there is no reading.

    Raises:
        PerceptionError: it isn't of its camera's size, of no known kind, or nearly empty.
    """
    depth, camera = np.asarray(frame.depth), frame.camera
    if depth.shape != (camera.height, camera.width):
        shape = "x".join(str(side) for side in depth.shape[::-1])
        raise PerceptionError(f"image is {shape}, its camera {camera.width}x{camera.height}")
    if depth.dtype == np.uint16:
        flat = depth.ravel().astype(np.float32)
        if camera.depth_unit != 0.001:
            flat *= np.float32(1000.0 * camera.depth_unit)
    elif np.issubdtype(depth.dtype, np.floating):
        flat = depth.ravel().astype(np.float32) * np.float32(1000.0)
        flat[~(np.isfinite(flat) & (flat > 0.0))] = 0.0
    else:
        raise PerceptionError(f"image of {depth.dtype}; expected uint16 or float32 m")
    readings = np.count_nonzero(flat) / flat.size
    if readings < config.min_readings:
        raise PerceptionError(f"only {100 * readings:.1f} % of the image has a depth reading")
    return flat


def _depth_doubt(frame: DepthFrame, depth: np.ndarray, config: FusionConfig) -> str:
    """Why an image's unit must be another than is said, by the table's distance; "" if it isn't."""
    camera = frame.camera
    points = _deproject(camera, _strided(camera, depth), depth)
    factor = distance_factor(
        points, camera.world_T_optical[:3, 3], config.table_height,
        config.scene_min, config.scene_max,
    )  # fmt: skip
    if factor is None or 1.0 / _UNIT_STEP < factor < _UNIT_STEP:
        return ""
    told = f"its depths are {1.0 / factor:.3g} times those to the table"
    if np.issubdtype(np.asarray(frame.depth).dtype, np.floating):
        return f"{told}; floating-point images have to be in metres"
    unit = min(_DEPTH_UNITS, key=lambda unit: abs(np.log(unit / (factor * camera.depth_unit))))
    if abs(np.log(unit / (factor * camera.depth_unit))) > _UNIT_TOLERANCE:
        return ""
    return (
        f"{told}: a count of its images seems to be {unit:g} m, not {camera.depth_unit:g} m; say "
        f"'depth_unit: {unit:g}' for this camera in the rig"
    )


def _strided(camera: CameraModel, depth: np.ndarray, stride: int = _TABLE_FIT_STRIDE) -> np.ndarray:
    """Flat indices of the pixels with a reading on a coarse grid."""
    rows, columns = np.mgrid[: camera.height : stride, : camera.width : stride]
    pixels = (rows * camera.width + columns).ravel()
    return pixels[depth[pixels] > 0.0]


def table_seen(
    camera: CameraModel,
    depth: np.ndarray,
    config: FusionConfig,
    stride: int = _TABLE_FIT_STRIDE,
) -> TablePlane:
    """The table as a camera sees it, by every so many-th pixel each way of an image in mm."""
    if not config.refine_table:
        return TablePlane(config.table_height)
    points = _deproject(camera, _strided(camera, depth, stride), depth)
    low = (*config.scene_min[:2], -np.inf)
    high = (*config.scene_max[:2], np.inf)
    return fit_table(points[:, inside_box(points, low, high)], config.table_height)


def points_above_table(
    table: TablePlane, camera: CameraModel, depth: np.ndarray, config: FusionConfig
) -> np.ndarray:
    """Points (3, N) in the scene's box above the table, float32."""
    normal = np.array([-table.slope_x, -table.slope_y, 1.0])
    lowest = table.margin(config.table_margin, _TABLE_MARGIN_LIMIT)
    lowest -= normal @ camera.world_T_optical[:3, 3] - table.offset
    # A pixel's height over the plane is its depth times a factor that is affine in row and column,
    # so the table's pixels, which are the most, go before any is deprojected.
    right, down, forward = normal @ camera.world_T_optical[:3, :3]
    by_column = right * (np.arange(camera.width) - camera.cx) / camera.fx
    by_row = down * (np.arange(camera.height) - camera.cy) / camera.fy + forward
    height = by_row[:, None].astype(np.float32) + by_column.astype(np.float32)
    height *= depth.reshape(height.shape)
    above = np.flatnonzero(height > np.float32(1e3 * lowest))
    points = _deproject(camera, above[depth[above] > 0.0], depth)
    return points[:, inside_box(points, config.scene_min, config.scene_max)]


def _deproject(camera: CameraModel, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Points (3, N) in world, m, float32, of flat pixel indices (N,) and the image's mm."""
    rows, columns = np.divmod(pixels.astype(np.int32), np.int32(camera.width))
    forward = depth[pixels] * np.float32(1e-3)
    right = (columns.astype(np.float32) - np.float32(camera.cx)) * forward
    down = (rows.astype(np.float32) - np.float32(camera.cy)) * forward
    pose = camera.world_T_optical.astype(np.float32)
    points = np.empty((3, len(pixels)), dtype=np.float32)
    for point, (x, y, z, origin) in zip(points, pose[:3], strict=True):
        np.multiply(right, x / np.float32(camera.fx), out=point)
        point += down * (y / np.float32(camera.fy))
        point += forward * z
        point += origin
    return points


def inside_box(points: np.ndarray, low: Sequence[float], high: Sequence[float]) -> np.ndarray:
    """Mask (N,) of the points (3, N) in an axis-aligned box."""
    inside = np.ones(points.shape[1], dtype=bool)
    for values, lower, upper in zip(points, low, high, strict=True):
        inside &= (values >= lower) & (values <= upper)
    return inside


def off_robot(points: np.ndarray, distance: RobotDistance, margin: float) -> np.ndarray:
    """Mask (N,) of the points (3, N) farther from the robot than a margin in m."""
    if not points.shape[1]:
        return np.zeros(0, dtype=bool)
    return np.asarray(distance(np.ascontiguousarray(points.T))) > margin


def _check_size(surface: VoxelCloud, config: FusionConfig) -> None:
    pixels = int(surface.pixels.sum())
    if pixels < config.min_pixels:
        raise PerceptionError(
            f"too little of the object is seen: {pixels} pixels, {config.min_pixels} needed"
        )
    extent = float(np.ptp(surface.points, axis=1).max())
    if extent < config.min_extent:
        raise PerceptionError(
            f"the object is too small: {1e3 * extent:.0f} mm across, "
            f"{1e3 * config.min_extent:.0f} mm needed"
        )
