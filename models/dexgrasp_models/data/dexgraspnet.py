"""DexGraspNet's files (Wang et al., ICRA 2023): one `.npy` an object, an array of dicts.

Each dict has `qpos`, 28 named numbers, and `scale`, the factor on the object's mesh in the unit
sphere. What more a `GraspSet` knows goes along in further keys that the field's readers pass over:
`plane`, the table, and each figure by its name.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from dexgrasp_models.data.grasps import GraspDataError, Grasps, concatenate
from dexgrasp_models.data.object_arrays import check_is_there, each_read, npy_bytes, read_npy
from dexgrasp_models.data.qpos import (
    known_figures,
    parse_figures,
    parse_number,
    parse_qpos,
    to_grasps,
    to_qpos,
)
from dexgrasp_models.files import folder_written_whole

_KNOWN = ("qpos", "scale", "plane")


def read_dexgraspnet(path: Path, name: str | None = None, ignore: Collection[str] = ()) -> Grasps:
    """The grasps of one file, in float64, numbered by their rows.

    Args:
        path: the file.
        name: of the object; by default the file's.
        ignore: keys to leave out.

    Raises:
        GraspDataError: the file is damaged or foreign, or a grasp in it is.
        OSError: the file can't be opened.
    """
    array = read_npy(path)
    # An object without success is an empty array, which NumPy takes for one of numbers.
    if array.ndim != 1 or (array.dtype != object and array.size):
        raise GraspDataError(
            f"{path}: holds no DexGraspNet grasps (an array {array.shape} of {array.dtype} instead "
            "of a row of dicts)"
        )
    scales, planes, qpos, figures = [], [], [], []
    for row, entry in enumerate(array):
        try:
            if not isinstance(entry, dict):
                raise GraspDataError(f"is a {type(entry).__name__}, not a dict")
            if missing := [key for key in ("qpos", "scale") if key not in entry]:
                raise GraspDataError(f"has no {' and no '.join(missing)}")
            entry = {key: value for key, value in entry.items() if key not in ignore}
            qpos.append(parse_qpos(entry["qpos"]))
            scales.append(parse_number(entry["scale"], "scale"))
            planes.append(parse_plane(entry["plane"]) if "plane" in entry else np.full(4, np.nan))
            figures.append(parse_figures(entry, _KNOWN))
        except GraspDataError as error:
            raise GraspDataError(
                f"{path}: holds no DexGraspNet grasps: number {row} of {len(array)} {error}"
            ) from error
    try:
        return to_grasps(name or path.stem, range(len(array)), scales, planes, qpos, figures)
    except GraspDataError as error:
        raise GraspDataError(f"{path}: {error}") from error


def import_dexgraspnet(
    path: Path, ignore: Collection[str] = (), problems: list[str] | None = None
) -> Grasps:
    """The grasps of a file, or of all `.npy` files below a folder, which name the objects.

    Args:
        path: the file or folder.
        ignore: keys to leave out.
        problems: takes what is wrong with files, which then are left out; without it they raise.

    Raises:
        GraspDataError: there are no grasps, or as `read_dexgraspnet`.
        OSError: as `read_dexgraspnet`.
    """
    check_is_there(path)
    if path.is_file():
        return read_dexgraspnet(path, ignore=ignore)
    files = sorted(path.rglob("[!.]*.npy"))
    if not files:
        raise GraspDataError(f"{path}: no DexGraspNet grasps: expected <object>.npy")

    def read(file: Path) -> Grasps:
        return read_dexgraspnet(file, file.relative_to(path).with_suffix("").as_posix(), ignore)

    return concatenate(each_read(read, files, problems))


def export_dexgraspnet(grasps: Grasps, folder: Path) -> None:
    """Write `<object>.npy` for each object into a new folder, grasps in the order of their numbers.

    Raises:
        FileExistsError: the folder is not empty.
        OSError: something can't be written; then there is no folder.
    """
    with folder_written_whole(folder) as temporary:
        for index, name in enumerate(grasps.names):
            rows = np.flatnonzero(grasps.objects == index)
            if not len(rows):
                continue
            rows = rows[np.argsort(grasps.numbers[rows], kind="stable")]
            array = np.empty(len(rows), dtype=object)
            array[:] = [_entry(grasps, row) for row in rows.tolist()]
            file = temporary / f"{name}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(npy_bytes(array))


def parse_plane(values: object) -> np.ndarray:
    """(4,) finite numbers; their meaning is checked with the grasps.

    Raises:
        GraspDataError: it is something else.
    """
    try:
        plane = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise GraspDataError(f"plane is not four numbers ({error})") from error
    if plane.shape != (4,) or not np.isfinite(plane).all():
        raise GraspDataError(f"plane is not four finite numbers but {plane}")
    return plane


def _entry(grasps: Grasps, row: int) -> dict[str, object]:
    entry: dict[str, object] = {
        "qpos": to_qpos(grasps, row),
        "scale": np.float64(grasps.scales[row]),
    }
    if grasps.has_table[row]:
        entry["plane"] = grasps.planes[row].astype(np.float64)
    return entry | known_figures(grasps, row)
