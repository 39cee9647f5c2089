"""UniDexGrasp's files (Xu et al., CVPR 2023): one `.npz` a grasp, in a folder an object.

Each has `qpos`, a dict of 28 named numbers; `scale`, one over the factor on the object's mesh in
the unit sphere; and `plane`, the table in the frame of the scaled object, its normal pointing out
of the table. Figures go along as further arrays. `scale` and `plane` are single precision there, so
a plane known better than that is rounded.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from dexgrasp_models.data.dexgraspnet import parse_plane
from dexgrasp_models.data.grasps import GraspDataError, Grasps, concatenate
from dexgrasp_models.data.object_arrays import check_is_there, each_read, read_npz, write_npz
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


def read_unidexgrasp(
    folder: Path,
    name: str | None = None,
    ignore: Collection[str] = (),
    problems: list[str] | None = None,
) -> Grasps:
    """The grasps of one object's folder, in float64, numbered as the files are named.

    Args:
        folder: has `<number>.npz`.
        name: of the object; by default the folder's.
        ignore: arrays to leave out.
        problems: takes what is wrong with files, which then are left out; without it they raise.

    Raises:
        GraspDataError: there are no grasps, or a file is damaged or foreign.
        OSError: a file can't be opened.
    """
    files = sorted(folder.glob("[!.]*.npz"))
    if not files:
        raise GraspDataError(f"{folder}: no UniDexGrasp grasps: expected <number>.npz")
    entries = each_read(lambda file: _read_entry(file, ignore), files, problems)
    numbers, scales, planes, qpos, figures = zip(*entries, strict=True)
    try:
        return to_grasps(name or folder.resolve().name, numbers, scales, planes, qpos, figures)
    except GraspDataError as error:
        raise GraspDataError(f"{folder}: {error}") from error


def import_unidexgrasp(
    path: Path, ignore: Collection[str] = (), problems: list[str] | None = None
) -> Grasps:
    """The grasps of an object's folder, or of all such folders below one, which name the objects.

    Args:
        path: the folder.
        ignore: arrays to leave out.
        problems: takes what is wrong with files, which then are left out; without it they raise.

    Raises:
        GraspDataError: there are no grasps, or as `read_unidexgrasp`.
        OSError: as `read_unidexgrasp`.
    """
    check_is_there(path)
    if path.is_file():
        raise GraspDataError(
            f"{path}: is a file, no UniDexGrasp grasps: expected <number>.npz in a folder"
        )
    folders = sorted({file.parent for file in path.rglob("[!.]*.npz")})
    if not folders or folders == [path]:
        return read_unidexgrasp(path, None, ignore, problems)

    def read(folder: Path) -> Grasps:
        return read_unidexgrasp(folder, folder.relative_to(path).as_posix(), ignore, problems)

    told = len(problems) if problems is not None else 0
    found = each_read(read, folders, problems)
    if problems is not None:  # a folder without any good file tells its first one twice
        problems[told:] = dict.fromkeys(problems[told:])
    return concatenate(found)


_GREATEST_NUMBER = int(np.iinfo(np.int32).max)

_Entry = tuple[int, float, np.ndarray, list[float], dict[str, float]]


def _read_entry(file: Path, ignore: Collection[str]) -> _Entry:
    """Number, scale, plane, qpos and figures of a grasp."""
    entry = {key: value for key, value in read_npz(file).items() if key not in ignore}
    try:
        if not (file.stem.isascii() and file.stem.isdecimal()):
            raise GraspDataError("its name is not a number")
        if int(file.stem) > _GREATEST_NUMBER:
            raise GraspDataError(f"the number in its name is beyond {_GREATEST_NUMBER}: rename it")
        if missing := [key for key in _KNOWN if key not in entry]:
            raise GraspDataError(f"has no {' and no '.join(missing)}")
        if entry["qpos"].shape != () or entry["qpos"].dtype != object:
            raise GraspDataError(f"qpos is an array {entry['qpos'].shape}, not one dict")
        inverse = parse_number(entry["scale"], "scale")
        if inverse <= 0.0:
            raise GraspDataError(f"scale is {inverse:g}, not positive")
        return (
            int(file.stem),
            1.0 / inverse,
            parse_plane(entry["plane"]),
            parse_qpos(entry["qpos"].item()),
            parse_figures(entry, _KNOWN),
        )
    except GraspDataError as error:
        raise GraspDataError(f"{file}: holds no UniDexGrasp grasp: {error}") from error


def export_unidexgrasp(grasps: Grasps, folder: Path) -> None:
    """Write `<object>/<number>.npz` for each grasp into a new folder.

    Grasps keep their numbers; those of an object in which a number occurs twice get new ones.

    Raises:
        GraspDataError: a grasp has no table.
        FileExistsError: the folder is not empty.
        OSError: something can't be written; then there is no folder.
    """
    without = int((~grasps.has_table).sum())
    if without:
        raise GraspDataError(f"{without} of {len(grasps)} grasps have no table; UniDexGrasp's do")
    with folder_written_whole(folder) as temporary:
        for index, name in enumerate(grasps.names):
            rows = np.flatnonzero(grasps.objects == index)
            numbers = grasps.numbers[rows]
            if len(np.unique(numbers)) < len(numbers):
                numbers = np.arange(len(rows))
            (temporary / name).mkdir(parents=True, exist_ok=True)
            for number, row in zip(numbers, rows.tolist(), strict=True):
                write_npz(temporary / name / f"{number:05d}.npz", _entry(grasps, row))


def _entry(grasps: Grasps, row: int) -> dict[str, np.ndarray]:
    figures = known_figures(grasps, row)
    return {
        "qpos": np.array(to_qpos(grasps, row), dtype=object),
        "scale": np.array(1.0 / float(grasps.scales[row]), dtype=np.float32),
        "plane": grasps.planes[row].astype(np.float32),
        **{name: np.array(value) for name, value in figures.items()},
    }
