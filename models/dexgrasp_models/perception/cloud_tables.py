"""Point clouds as files hold them: points, and what else stands beside each point.

Every size that a file declares is checked against the file itself before any of it is believed.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

_COORDINATES = ("x", "y", "z")
_NORMALS = (
    ("nx", "ny", "nz"),
    ("normal_x", "normal_y", "normal_z"),
    ("normals_x", "normals_y", "normals_z"),
)
_POINT_ARRAYS = ("points", "xyz", "object_points", "cloud", "point_cloud", "pcd")
_NORMAL_ARRAYS = ("normals", "normal", "object_normals")
_MAX_COLUMNS = 16
"""An array with more is an image, or lies on its side."""
_SEPARATORS = str.maketrans(",;\t", "   ")
_COMMENTS = ("#", "//", "%")
_DECIMAL_COMMAS = re.compile(r"\s*(-?\d*,\d+([eE][-+]?\d+)?(\s*;\s*|\s+)){2,}-?\d*,\d+")


class CloudFileError(ValueError):
    """A file that holds no cloud of an object on a table; the message says what is wrong."""


@dataclass(frozen=True, eq=False)
class CloudTable:
    """The rows of a file.

    Attributes:
        points: (N, 3) float64, as the file has them.
        normals: (N, 3) float64 that the file calls so, or None.
        unnamed: (N, C) further numbers of which the file doesn't say what they are, or None.
        notes: what a user should know of the file, one phrase each.
    """

    points: np.ndarray
    normals: np.ndarray | None = None
    unnamed: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def rows(self, chosen: np.ndarray) -> CloudTable:
        """Those of a mask or of indices."""
        return replace(
            self,
            points=self.points[chosen],
            normals=None if self.normals is None else self.normals[chosen],
            unnamed=None if self.unnamed is None else self.unnamed[chosen],
        )


def from_records(records: np.ndarray, what: str) -> CloudTable:
    """Of a structured array (N,) with fields x, y, z, and normals where it has them.

    Raises:
        CloudFileError: it has no such fields of numbers.
    """
    names = {
        name.lower(): name
        for name in records.dtype.names or ()
        if records.dtype[name].kind in "fiu" and not records.dtype[name].shape
    }
    if not all(name in names for name in _COORDINATES):
        found = ", ".join(records.dtype.names or ()) or "none"
        raise CloudFileError(f"{what} without x, y and z; there is {found}")

    def columns(wanted: tuple[str, ...]) -> np.ndarray:
        return np.stack([records[names[name]].astype(np.float64) for name in wanted], axis=1)

    normals = next((each for each in _NORMALS if all(name in names for name in each)), None)
    return CloudTable(columns(_COORDINATES), None if normals is None else columns(normals))


def from_array(values: np.ndarray) -> CloudTable:
    """Of an array (..., C), whose first three columns are the points.

    Raises:
        CloudFileError: it is none of numbers in that shape.
    """
    if values.dtype.names:
        return from_records(values.reshape(-1), "a structured array")
    if values.dtype.kind not in "fiu":
        raise CloudFileError(f"holds no array of numbers, but of {values.dtype}")
    if values.ndim not in (2, 3) or not 3 <= values.shape[-1] <= _MAX_COLUMNS:
        raise CloudFileError(
            f"expected points (N, 3), (N, 6) with normals, or organised (H, W, 3); got "
            f"{values.shape}"
        )
    table = values.reshape(-1, values.shape[-1]).astype(np.float64)
    return CloudTable(table[:, :3], unnamed=table[:, 3:] if table.shape[1] > 3 else None)


def read_npy(path: Path) -> CloudTable:
    """A file of NumPy's: `(N, 3)` or more columns, organised `(H, W, 3)`, or structured."""
    try:
        # Mapped, since that compares the declared size with the file's.
        values = np.load(path, allow_pickle=False, mmap_mode="r")
    except Exception as error:  # of a damaged header, whatever parses it raises
        raise CloudFileError(f"holds no array of numbers ({error})") from error
    if not isinstance(values, np.ndarray):
        raise CloudFileError("holds several arrays; call it .npz")
    return from_array(np.asarray(values))


def read_npz(path: Path) -> CloudTable:
    """A file of NumPy's with the array `points`, and with `normals` where they are known."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if isinstance(stored, np.ndarray):
                raise CloudFileError("holds one array; call it .npy")
            arrays = {name: stored[name] for name in stored.files}
    except CloudFileError:
        raise
    except Exception as error:  # as for one array, and whatever unpacks it raises
        raise CloudFileError(f"holds no arrays of numbers, or is cut short ({error})") from error
    name = next((name for name in _POINT_ARRAYS if name in arrays), None)
    if name is None and len(arrays) == 1:
        name = next(iter(arrays))
    if name is None:
        held = ", ".join(arrays) or "nothing"
        raise CloudFileError(f"has no array 'points'; it holds {held}")
    table = from_array(arrays[name])
    normals = next((arrays[name] for name in _NORMAL_ARRAYS if name in arrays), None)
    if normals is None:
        return table
    if normals.dtype.kind not in "fiu" or normals.shape != (*arrays[name].shape[:-1], 3):
        raise CloudFileError(f"normals {normals.shape} for points {arrays[name].shape}")
    return replace(table, normals=normals.reshape(-1, 3).astype(np.float64), unnamed=None)


def read_text(path: Path) -> CloudTable:
    """A point a line, `x y z ...`, with blanks, commas, semicolons or tabs in between.

    The number of lines, names of the columns and comments may stand before. Named so or in a file
    `.xyzn`, columns are normals; in `.xyzrgb` and `.pts` the further ones never are.

    Raises:
        CloudFileError: it is no such text, or has another number of lines than it says.
    """
    text = decoded(path.read_bytes())
    lines = text.splitlines()
    start, names, count = _heading(lines)
    values = numbers(lines[start:])
    if count is not None and len(values) != count:
        raise CloudFileError(f"is cut short: {len(values)} of the {count} points that it declares")
    if not len(values):
        raise CloudFileError("holds no numbers")
    if values.shape[1] < 3:
        raise CloudFileError(f"has {values.shape[1]} numbers a line; a point has x, y and z")
    if set(_COORDINATES) <= set(names) and len(set(names)) == len(names) == values.shape[1]:
        # NumPy's stub wants formats beside names.
        records = np.rec.fromarrays(values.T, names=list(names))  # type: ignore[call-overload]
        return from_records(records, "columns")
    suffix = path.suffix.lower()
    if suffix == ".xyzn":
        if values.shape[1] < 6:
            raise CloudFileError(f"has {values.shape[1]} numbers a line, not x y z nx ny nz")
        return CloudTable(values[:, :3], values[:, 3:6])
    further = values.shape[1] > 3 and suffix not in (".xyzrgb", ".pts")
    return CloudTable(values[:, :3], unnamed=values[:, 3:] if further else None)


def decoded(data: bytes) -> str:
    """Text of a file, with or without a byte-order mark.

    Raises:
        CloudFileError: it is none.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CloudFileError("is not the text that its name promises") from error
    if "\0" in text:
        raise CloudFileError("is not the text that its name promises")
    return text


def numbers(lines: list[str]) -> np.ndarray:
    """(N, C) float64 of lines with numbers; empty lines and comments are left out.

    Raises:
        CloudFileError: a line has something else, or another number of them.
    """
    first = next((line for line in lines if _is_row(line)), "")
    if _DECIMAL_COMMAS.match(first) and "." not in first:
        lines = [line.replace(",", ".") for line in lines]
    body = "\n".join(lines).translate(_SEPARATORS)
    if not body.strip():
        return np.empty((0, 0))
    try:
        return np.loadtxt(io.StringIO(body), comments=_COMMENTS, ndmin=2, dtype=np.float64)
    except ValueError as error:
        raise CloudFileError(
            f"is no table of numbers, or is cut short: {str(error).split(';')[0]}"
        ) from error


def _heading(lines: list[str]) -> tuple[int, tuple[str, ...], int | None]:
    """Where the numbers begin, names of their columns, and their count where it is declared."""
    names: tuple[str, ...] = ()
    count = None
    for index, line in enumerate(lines):
        words = line.translate(_SEPARATORS).split()
        if count is None and len(words) == 1 and words[0].isdecimal():
            count = int(words[0])
        elif _is_row(line):
            return index, names, count
        elif words:
            found = [word.strip("#/%\"'").lower() for word in words]
            names = tuple(filter(None, found)) or names
    return len(lines), names, count


def _is_row(line: str) -> bool:
    try:
        return all(
            isinstance(float(word), float) for word in line.translate(_SEPARATORS).split()[:3]
        ) and bool(line.strip())
    except ValueError:
        return False
