"""The cloud of an object from a file, in the place of cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dexgrasp_models.open3d_import import import_open3d
from dexgrasp_models.perception.fusion import FusedCloud, FusionConfig
from dexgrasp_models.perception.surface import farthest_points
from dexgrasp_models.perception.voxels import largest_cluster

SUFFIXES = (".npy", ".ply", ".pcd", ".xyz", ".xyzn")

_MIN_POINTS = 64
_MAX_EXTENT = 0.6  # m
_MAX_DISTANCE = 1.0  # m, of the object from the table's centre
_MAX_GAP = 0.05  # m, between the table and the lowest point: cameras see less of a foot, not that
_MAX_DEPTH = 0.01  # m below the table, for noise
_NEIGHBOURS = 16  # that make a normal


class CloudFileError(ValueError):
    """A file that holds no cloud of an object on a table; the message says what is wrong."""


def read_object_cloud(path: Path, config: FusionConfig | None = None) -> FusedCloud:
    """The cloud of the object on a table from a file.

    The frame is `world`: metres, z up, the table at z = 0. Points of the table may be there and are
    left out; of what remains the largest cluster is the object.

    Args:
        path: `.npy` with (N, 3) points, or (N, 6) with outward normals; or a point cloud that
            Open3D reads. Normals that are missing are estimated, and point away from the middle.
        config: the table's margin, the clusters' distance, and how many points.

    Raises:
        CloudFileError: there is no such file, or it holds no such cloud.
    """
    config = config or FusionConfig()
    points, normals = _read(path)
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        raise CloudFileError(f"{path}: {(~finite).sum()} of {len(points)} points are not finite")
    if len(points) < _MIN_POINTS:
        raise CloudFileError(f"{path}: {len(points)} points; at least {_MIN_POINTS} are needed")
    if points[:, 2].min() < -_MAX_DEPTH:
        raise CloudFileError(
            f"{path}: the lowest point is {-1000 * points[:, 2].min():.0f} mm below z = 0, where "
            "the table has to be, z pointing up; move the cloud"
        )
    above = np.flatnonzero(points[:, 2] > config.table_margin)
    if len(above) < _MIN_POINTS:
        raise CloudFileError(f"{path}: nothing stands on the table; {len(above)} points above it")
    _check_place(path, points[above])
    kept = above[largest_cluster(points[above].T, config.cluster_distance)]
    if len(kept) < _MIN_POINTS:
        raise CloudFileError(
            f"{path}: its points are farther apart than {1000 * config.cluster_distance:.0f} mm"
        )
    normals = _estimated_normals(points[kept]) if normals is None else normals[kept]
    spread = farthest_points(points[kept].T, min(config.n_points, len(kept)))
    return FusedCloud(
        object_points=points[kept][spread].astype(np.float32),
        object_normals=normals[spread].astype(np.float32),
        scene_points=np.zeros((0, 3), dtype=np.float32),
        cameras_used=(),
        warnings=(),
    )


def _read(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    if not path.is_file():
        raise CloudFileError(f"{path}: there is no such file")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise CloudFileError(f"{path}: clouds are read from {', '.join(SUFFIXES)} files")
    if suffix == ".npy":
        try:
            values = np.load(path, allow_pickle=False)
            values = np.asarray(values, dtype=np.float64)
        except (ValueError, OSError, EOFError) as error:
            raise CloudFileError(f"{path}: holds no array of numbers ({error})") from error
        if values.ndim != 2 or values.shape[1] not in (3, 6):
            raise CloudFileError(f"{path}: expected points (N, 3) or (N, 6), got {values.shape}")
        return values[:, :3], values[:, 3:] if values.shape[1] == 6 else None
    o3d = import_open3d()
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        cloud = o3d.io.read_point_cloud(str(path), remove_nan_points=False)
    return np.asarray(cloud.points), np.asarray(cloud.normals) if cloud.has_normals() else None


def _check_place(path: Path, points: np.ndarray) -> None:
    low, high = points.min(0), points.max(0)
    if (high - low).max() > _MAX_EXTENT:
        raise CloudFileError(
            f"{path}: {(high - low).max():.2f} m across, more than {_MAX_EXTENT} m; it has to be "
            "in metres, and of one object with at most its table"
        )
    distance = np.linalg.norm((low + high)[:2] / 2)
    if distance > _MAX_DISTANCE:
        raise CloudFileError(
            f"{path}: {distance:.2f} m from the table's centre, the origin; move the cloud"
        )
    if low[2] > _MAX_GAP:
        raise CloudFileError(
            f"{path}: the lowest point is {1000 * low[2]:.0f} mm above z = 0, where the table has "
            "to be; move the cloud down to its table"
        )


def _estimated_normals(points: np.ndarray) -> np.ndarray:
    o3d = import_open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(_NEIGHBOURS))
    cloud.orient_normals_consistent_tangent_plane(_NEIGHBOURS)
    normals = np.asarray(cloud.normals)
    outwards = np.einsum("ij,ij->i", normals, points - points.mean(axis=0)).sum()
    return normals if outwards >= 0 else -normals
