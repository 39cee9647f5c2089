"""The cloud of an object from a file, in the place of cameras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dexgrasp_models.perception.cloud_tables import (
    CloudFileError,
    CloudTable,
    read_npy,
    read_npz,
    read_text,
)
from dexgrasp_models.perception.fusion import FusedCloud, FusionConfig
from dexgrasp_models.perception.normals import are_normals, outward_normals
from dexgrasp_models.perception.ply_pcd import read_pcd, read_ply
from dexgrasp_models.perception.surface import evenly_spread
from dexgrasp_models.perception.voxels import group, largest_cluster

_READERS: dict[str, Callable[[Path], CloudTable]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".ply": read_ply,
    ".pcd": read_pcd,
    **dict.fromkeys((".xyz", ".xyzn", ".xyzrgb", ".pts", ".csv"), read_text),
}
SUFFIXES = tuple(_READERS)

UP = {
    "z": np.eye(3),
    "-z": np.diag([1.0, -1.0, -1.0]),
    "y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "-y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "x": np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
    "-x": np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]),
}
"""`world_R_file` by the axis of a file that points up."""

_MIN_POINTS = 64
_MAX_POINTS = 20_000
"""Points of the object beyond which it is thinned before anything is computed for each of them."""
_ENOUGH = 3  # points after thinning for each that is wanted in the end
_FINEST = 0.0005  # m, voxels of the thinning
_CELLS = 256  # along the longest side, at most: the grid of voxels is dense
_SHELL = 0.25  # of the median number of points in a voxel
_MAX_EXTENT = 0.6  # m
_MAX_DISTANCE = 1.0  # m, of the object from the table's centre
_MAX_GAP = 0.05  # m, between the table and the lowest point: cameras see less of a foot, not that
_MAX_DEPTH = 0.01  # m below the table, for noise


def read_object_cloud(
    path: Path, config: FusionConfig | None = None, *, scale: float = 1.0, up: str = "z"
) -> FusedCloud:
    """The cloud of the object on a table from a file.

    The frame is `world`: metres, z up, the table at z = 0. Points of the table may be there and are
    left out; of what remains the largest cluster is the object. Points that are not finite, as
    organised clouds have them, are left out. Normals that are missing are estimated; those in the
    file are checked against the points.

    Args:
        path: one of `SUFFIXES`: points, and normals if the file names them, or has them as the
            further columns of an array.
        config: the table's margin, the clusters' distance, and how many points.
        scale: factor that turns the file's unit into metres.
        up: the axis of the file that points up, of `UP`. The cloud is turned so that it is z.

    Raises:
        CloudFileError: there is no such file, or it holds no such cloud.
        ValueError: the scale is no positive number.
    """
    if not 0.0 < scale < np.inf:
        raise ValueError(f"scale is {scale:g}, not a positive number")
    try:
        return _object_cloud(_read(path), config or FusionConfig(), scale, up)
    except CloudFileError as error:
        raise CloudFileError(f"{path}: {error}") from error.__cause__


def _object_cloud(table: CloudTable, config: FusionConfig, scale: float, up: str) -> FusedCloud:
    notes = list(table.notes)
    total = len(table.points)
    table = table.rows(np.isfinite(table.points).all(axis=1))
    if dropped := total - len(table.points):
        notes.append(f"{dropped} of {total} points are not finite: they are left out")
    if len(table.points) < _MIN_POINTS:
        finite = " finite" if dropped else ""
        raise CloudFileError(
            f"{len(table.points)}{finite} points; at least {_MIN_POINTS} are needed"
        )
    as_it_is = scale == 1.0 and up == "z"
    points = table.points if as_it_is else scale * table.points @ UP[up].T
    _check_above_table(points)
    above = np.flatnonzero(points[:, 2] > config.table_margin)
    if len(above) < _MIN_POINTS:
        raise CloudFileError(f"nothing stands on the table; {len(above)} points above it")
    _check_place(points[above])
    kept = above[largest_cluster(points[above].T, config.cluster_distance)]
    if len(kept) < _MIN_POINTS:
        raise CloudFileError(
            f"its points are farther apart than {1000 * config.cluster_distance:.0f} mm"
        )
    if len(kept) > _MAX_POINTS:
        thinned = kept[_thinned(points[kept], config)]
        notes.append(f"{len(kept)} points of the object are thinned to {len(thinned)}")
        kept = thinned
    given, told = _given_normals(table.rows(kept))
    if given is not None and not as_it_is:
        given = given @ UP[up].T
    chosen, normals, doubts = outward_normals(points[kept], given)
    notes += [*told, *doubts]
    points = points[kept][chosen]
    spread = evenly_spread(points.T, min(config.n_points, len(points)))
    return FusedCloud(
        object_points=points[spread].astype(np.float32),
        object_normals=normals[spread].astype(np.float32),
        warnings=tuple(notes),
    )


def _read(path: Path) -> CloudTable:
    if path.is_dir():
        raise CloudFileError("is a folder, not a file")
    if not path.is_file():
        raise CloudFileError("there is no such file")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise CloudFileError(f"clouds are read from {', '.join(SUFFIXES)} files")
    try:
        return reader(path)
    except OSError as error:
        raise CloudFileError(f"can't be read: {error.strerror}") from error


def _given_normals(table: CloudTable) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Normals in a file, and what is said of columns of which it doesn't say what they are."""
    columns = table.unnamed
    if table.normals is not None or columns is None or columns.shape[1] < 3:
        return table.normals, ()
    for first in range(columns.shape[1] - 2):
        candidates = columns[:, first : first + 3]
        if are_normals(table.points, candidates):
            return candidates, ()
    what = "no normals of its points" if (columns < 0.0).any() else "colours, not normals"
    return None, (f"columns 4 to {3 + columns.shape[1]} are {what}: they are not used",)


def _thinned(points: np.ndarray, config: FusionConfig) -> np.ndarray:
    """Indices of at most `_MAX_POINTS` of (N, 3) points: of each voxel the one next to its mean.

    Voxels are as fine as those of fused images, or finer for a small object. Those with few points
    are left out: they are the sparse shell that noise lays around a surface.
    """
    columns = np.ascontiguousarray(points.T)
    finest = float(np.ptp(points, axis=0).max()) / _CELLS
    size = max(config.voxel_size, finest)
    voxel, count = group(columns, size)
    while count < _ENOUGH * config.n_points and size > max(_FINEST, finest):
        size = max(size / 1.4, finest)
        voxel, count = group(columns, size)
    while count > _MAX_POINTS:
        size *= max(1.1, (count / _MAX_POINTS) ** 0.5)
        voxel, count = group(columns, size)
    numbers = np.bincount(voxel, minlength=count)
    means = np.stack([np.bincount(voxel, row, minlength=count) for row in columns]) / numbers
    farthest_first = np.argsort(-np.square(columns - means[:, voxel]).sum(axis=0), kind="stable")
    nearest = np.empty(count, dtype=np.int64)
    nearest[voxel[farthest_first]] = farthest_first
    return np.sort(nearest[numbers >= _SHELL * np.median(numbers)])


def _check_above_table(points: np.ndarray) -> None:
    lowest = points[:, 2].min()
    if lowest >= -_MAX_DEPTH:
        return
    heights = {up: float((points @ UP[up][2]).min()) for up in UP}
    fitting = [up for up in heights if -_MAX_DEPTH <= heights[up] <= _MAX_GAP]
    hint = f"; if its {fitting[0]} points up, say --up={fitting[0]}" if fitting else ""
    raise CloudFileError(
        f"the lowest point is {-1000 * lowest:.0f} mm below z = 0, where the table has to be, z "
        f"pointing up; move the cloud{hint}"
    )


def _check_place(points: np.ndarray) -> None:
    low, high = points.min(0), points.max(0)
    if (high - low).max() > _MAX_EXTENT:
        raise CloudFileError(
            f"{(high - low).max():.2f} m across, more than {_MAX_EXTENT} m; it has to be in metres "
            "(--scale 0.001 for millimetres), and of one object with at most its table"
        )
    distance = np.linalg.norm((low + high)[:2] / 2)
    if distance > _MAX_DISTANCE:
        raise CloudFileError(
            f"{distance:.2f} m from the table's centre, the origin; move the cloud"
        )
    if low[2] > _MAX_GAP:
        raise CloudFileError(
            f"the lowest point is {1000 * low[2]:.0f} mm above z = 0, where the table has to be; "
            "move the cloud down to its table"
        )
