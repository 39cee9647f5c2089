"""Point clouds in PLY and PCD files: text or binary, of either byte order, compressed.

The header says how many bytes or lines follow; a file that has fewer is refused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from dexgrasp_models.perception.cloud_tables import (
    CloudFileError,
    CloudTable,
    decoded,
    from_records,
    numbers,
)

_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_PLY_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_PCD_TYPES = {"F": "f", "I": "i", "U": "u"}
_PCD_SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
_PCD_KEYS = (
    "VERSION", "FIELDS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "VIEWPOINT", "POINTS", "DATA",
)  # fmt: skip
_NO_VIEWPOINT = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
_HEADER_LIMIT = 1 << 20  # bytes
_MAX_POINTS = 1 << 40  # more is no number of points but nonsense


def read_ply(path: Path) -> CloudTable:
    """The vertices of a PLY file.

    Raises:
        CloudFileError: it has no whole vertices with x, y, z.
    """
    data = path.read_bytes()
    end = re.search(rb"[\r\n]end_header[ \t]*(\r\n|\n|\r)", data[:_HEADER_LIMIT])
    if not re.match(rb"ply[ \t]*[\r\n]", data) or end is None:
        raise CloudFileError("has no whole header of a PLY file")
    order, elements = _ply_header(data[: end.start()].decode("latin-1").splitlines())
    body = data[end.end() :]
    if order == "":
        return _ply_text(body, elements)
    for name, count, fields in elements:
        kind = _ply_record(name, fields, order)
        size = kind.itemsize * count
        if name == "vertex":
            records = _records(body, kind, count)
            table = from_records(records, "vertices")
            last = name == elements[-1][0]
            return _with_tail(table, len(body) - size if last else 0)
        body = body[size:]
    raise CloudFileError("has no vertices")


def read_pcd(path: Path) -> CloudTable:
    """The points of a PCD file; organised ones come in rows.

    Raises:
        CloudFileError: it has no whole points with x, y, z.
    """
    data = path.read_bytes()
    end = re.search(rb"^DATA[ \t]+(\S+)[ \t]*(\r\n|\n|\r|$)", data[:_HEADER_LIMIT], re.MULTILINE)
    if end is None:
        raise CloudFileError("has no whole header of a PCD file")
    header = _pcd_header(data[: end.start()].decode("latin-1").splitlines())
    kind, count = _pcd_record(header)
    body, how = data[end.end() :], end[1].decode("latin-1").lower()
    if how == "ascii":
        rows = _rows(body, count)
        names = kind.names or ()
        widths = [int(np.prod(kind[name].shape)) for name in names]
        table = from_records(_named_columns(rows, names, widths), "points")
    elif how == "binary":
        table = _with_tail(
            from_records(_records(body, kind, count), "points"), len(body) - count * kind.itemsize
        )
    elif how == "binary_compressed":
        table = from_records(_decompressed(body, kind, count), "points")
    else:
        raise CloudFileError(f"has DATA {how}, not ascii, binary or binary_compressed")
    if [float(value) for value in header.get("VIEWPOINT", _NO_VIEWPOINT)] != _NO_VIEWPOINT:
        table = _noted(table, "its VIEWPOINT is not applied to the points")
    return table


_Element = tuple[str, int, list[tuple[str, str]]]
"""Name, count, and the types and names of its properties."""


def _ply_header(lines: list[str]) -> tuple[str, list[_Element]]:
    order: str | None = None
    elements: list[_Element] = []
    for line in lines[1:]:
        words = line.split()
        match words:
            case ["format", name, _] if name in _PLY_ORDERS:
                order = _PLY_ORDERS[name]
            case ["element", name, count] if count.isdecimal() and int(count) < _MAX_POINTS:
                elements.append((name, int(count), []))
            case ["property", "list", _, _, name] if elements:
                elements[-1][2].append(("list", name))
            case ["property", kind, name] if elements and kind in _PLY_TYPES:
                elements[-1][2].append((_PLY_TYPES[kind], name))
            case [] | ["comment" | "obj_info", *_]:
                pass
            case _:
                raise CloudFileError(f"has a line that is not of a PLY header: {line.strip()!r}")
    if order is None:
        raise CloudFileError("does not say whether it is ascii or binary")
    return order, elements


def _ply_record(element: str, fields: list[tuple[str, str]], order: str) -> np.dtype:
    if any(kind == "list" for kind, _ in fields):
        raise CloudFileError(f"has lists in or before its vertices ({element})")
    return _dtype([(name, order + kind, ()) for kind, name in fields])


def _ply_text(body: bytes, elements: list[_Element]) -> CloudTable:
    lines = [line for line in decoded(body).splitlines() if line.strip()]
    for name, count, fields in elements:
        if name != "vertex":
            lines = lines[count:]
            continue
        kind = _ply_record(name, fields, "")
        if len(lines) < count:
            raise _cut_short(len(lines), count)
        rows = numbers(lines[:count])
        table = from_records(_named_columns(rows, kind.names or (), None), "vertices")
        surplus = len(lines) - count if name == elements[-1][0] else 0
        return _with_tail(table, surplus, "lines")
    raise CloudFileError("has no vertices")


def _pcd_header(lines: list[str]) -> dict[str, list[str]]:
    header = {}
    for line in lines:
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        # COLUMNS is what version 0.5 called the fields.
        key = {"COLUMNS": "FIELDS"}.get(words[0].upper(), words[0].upper())
        if key not in _PCD_KEYS:
            raise CloudFileError(f"has a line that is not of a PCD header: {line.strip()[:40]!r}")
        header[key] = words[1:]
    viewpoint = header.get("VIEWPOINT", [])
    try:
        [float(value) for value in viewpoint]
    except ValueError as error:
        raise CloudFileError("has a VIEWPOINT that is no row of numbers") from error
    return header


def _pcd_record(header: dict[str, list[str]]) -> tuple[np.dtype, int]:
    """What a point consists of, and how many there are."""
    fields = header.get("FIELDS", [])
    types = [kind.upper() for kind in header.get("TYPE", ["F"] * len(fields))]
    sizes = _whole(header, "SIZE", ["4"] * len(fields))
    counts = _whole(header, "COUNT", ["1"] * len(fields))
    if not fields or not len(fields) == len(types) == len(sizes) == len(counts):
        raise CloudFileError("FIELDS, SIZE, TYPE and COUNT of its header don't match")
    described: list[tuple[str, str, tuple[int, ...]]] = []
    for name, kind, size, count in zip(fields, types, sizes, counts, strict=True):
        if size not in _PCD_SIZES.get(kind, ()):
            raise CloudFileError(f"has a field {name} of TYPE {kind} and SIZE {size}")
        described.append((name, f"<{_PCD_TYPES[kind]}{size}", () if count == 1 else (count,)))
    width, height = (_whole(header, key, ["0"])[:1] or [0] for key in ("WIDTH", "HEIGHT"))
    area = width[0] * max(height[0], 1)
    points = (_whole(header, "POINTS", [str(area)])[:1] or [area])[0]
    if "WIDTH" in header and points != area:
        raise CloudFileError(f"declares {points} points, but WIDTH and HEIGHT make {area}")
    return _dtype(described), points


def _whole(header: dict[str, list[str]], key: str, default: list[str]) -> list[int]:
    words = header.get(key, default)
    if not all(word.isdecimal() and int(word) < _MAX_POINTS for word in words):
        raise CloudFileError(f"has {key} {' '.join(words)[:40]}")
    return [int(word) for word in words]


def _dtype(fields: list[tuple[str, str, tuple[int, ...]]]) -> np.dtype:
    """With the first of fields that have one name, as the padding `_`, under it."""
    seen: dict[str, int] = {}
    named = []
    for name, kind, shape in fields:
        seen[name] = seen.get(name, 0) + 1
        named.append((name if seen[name] == 1 else f"{name} {seen[name]}", kind, shape))
    return np.dtype(named)


def _records(body: bytes, kind: np.dtype, count: int) -> np.ndarray:
    if len(body) < count * kind.itemsize:
        raise _cut_short(len(body) // max(kind.itemsize, 1), count)
    return np.frombuffer(body, kind, count) if count else np.empty(0, kind)


def _rows(body: bytes, count: int) -> np.ndarray:
    lines = [line for line in decoded(body).splitlines() if line.strip()]
    if len(lines) < count:
        raise _cut_short(len(lines), count)
    return numbers(lines[:count])


def _named_columns(
    rows: np.ndarray, names: tuple[str, ...], widths: list[int] | None
) -> np.ndarray:
    """Rows (N, C) as records, by the first column of each name."""
    widths = widths or [1] * len(names)
    if len(rows) and rows.shape[1] != sum(widths):
        raise CloudFileError(f"has {rows.shape[1]} numbers a line, not {sum(widths)} as declared")
    records = np.empty(len(rows), [(name, np.float64) for name in names])
    if len(rows):
        for name, column in zip(names, np.cumsum([0, *widths[:-1]]), strict=True):
            records[name] = rows[:, column]
    return records


def _decompressed(body: bytes, kind: np.dtype, count: int) -> np.ndarray:
    """Points of a compressed PCD, which stores one field of all points after the other."""
    if len(body) < 8:
        raise _cut_short(0, count)
    packed, size = np.frombuffer(body, "<u4", 2).tolist()
    if len(body) - 8 < packed:
        raise CloudFileError(
            f"is cut short: {len(body) - 8} of the {packed} bytes that it declares"
        )
    if size != count * kind.itemsize:
        raise CloudFileError(f"declares {count} points of {kind.itemsize} bytes, but {size} bytes")
    plain = _lzf(body[8 : 8 + packed], size)
    records = np.empty(count, kind)
    start = 0
    for name in kind.names or ():
        field = kind[name]
        end = start + count * field.itemsize
        records[name] = np.frombuffer(plain[start:end], field.base).reshape(count, *field.shape)
        start = end
    return records


def _lzf(packed: bytes, size: int) -> bytes:
    """Decompressed bytes of Marc Lehmann's LZF, of which PyPI has no wheel.

    Raises:
        CloudFileError: they are not `size` bytes.
    """
    plain = bytearray()
    at, end = 0, len(packed)
    try:
        while at < end and len(plain) <= size:
            control = packed[at]
            at += 1
            if control < 32:  # so many bytes as they are, and one more
                plain += packed[at : at + control + 1]
                at += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += packed[at]
                at += 1
            back = ((control & 31) << 8) + packed[at] + 1
            at += 1
            length += 2
            start = len(plain) - back
            if start < 0:
                raise CloudFileError("has compressed data that are damaged")
            if back >= length:
                plain += plain[start : start + length]
            else:  # what is copied repeats itself
                piece = bytes(plain[start:])
                plain += (piece * (length // back + 1))[:length]
    except IndexError as error:
        raise CloudFileError("has compressed data that are damaged") from error
    if len(plain) != size or at != end:
        raise CloudFileError("has compressed data that are damaged")
    return bytes(plain)


def _with_tail(table: CloudTable, surplus: int, unit: str = "bytes") -> CloudTable:
    if surplus <= 0:
        return table
    declared = f"the {len(table.points)} points that it declares"
    return _noted(table, f"{surplus} {unit} after {declared} are not used")


def _noted(table: CloudTable, note: str) -> CloudTable:
    return replace(table, notes=(*table.notes, note))


def _cut_short(held: int, declared: int) -> CloudFileError:
    return CloudFileError(f"is cut short: {held} of the {declared} points that it declares")
