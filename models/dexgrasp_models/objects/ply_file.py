"""Vertices and faces of PLY files, text or binary, whatever the number of the faces' corners."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_TYPES = {
    "char": "b", "int8": "b", "uchar": "B", "uint8": "B",
    "short": "h", "int16": "h", "ushort": "H", "uint16": "H",
    "int": "i", "int32": "i", "uint": "I", "uint32": "I",
    "float": "f", "float32": "f", "double": "d", "float64": "d",
}  # fmt: skip
_CORNERS = ("vertex_indices", "vertex_index")
_CUT = "has less data than its header tells of: it is cut short"


@dataclass
class _Element:
    name: str
    count: int
    properties: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, type, and of a list the type of its length."""


def read_ply(content: bytes) -> tuple[np.ndarray, list[np.ndarray]]:
    """(V, 3) vertices, and the corners of each face; none of a file of points.

    Raises:
        ValueError: it is cut short, or no PLY file.
    """
    order, elements, body = _header(content)
    rows = _text_rows(body, elements) if order is None else _binary_rows(body, elements, order)
    vertices, faces = np.zeros((0, 3)), []
    for element in elements:
        names = [name for name, *_ in element.properties]
        if element.name == "vertex":
            if not {"x", "y", "z"} <= set(names):
                raise ValueError("has vertices without x, y and z")
            place = [names.index(axis) for axis in "xyz"]
            found = [[row[i] for i in place] for row in next(rows)]
            vertices = np.array(found, dtype=np.float64).reshape(-1, 3)
        elif element.name == "face" and (used := [n for n in _CORNERS if n in names]):
            corners = names.index(used[0])
            faces = [np.array(row[corners], dtype=np.int64) for row in next(rows)]
        else:
            next(rows)
    return vertices, [face for face in faces if face.ndim == 1 and len(face) >= 3]


def _header(content: bytes) -> tuple[str | None, list[_Element], bytes]:
    """Byte order (None of text), elements, and what follows."""
    head, end, body = content.partition(b"end_header")
    lines = [line.split() for line in head.decode("utf-8", errors="replace").splitlines()]
    if not end or not lines or lines[0] != ["ply"]:
        raise ValueError("is no PLY file, or cut short in its header")
    order, elements = None, []
    try:
        for words in lines[1:]:
            match words:
                case ["format", kind, *_]:
                    order = {"ascii": None, "binary_little_endian": "<", "binary_big_endian": ">"}[
                        kind
                    ]
                case ["element", name, count]:
                    elements.append(_Element(name, int(count)))
                case ["property", "list", length, kind, name]:
                    elements[-1].properties.append((name, _TYPES[kind], _TYPES[length]))
                case ["property", kind, name]:
                    elements[-1].properties.append((name, _TYPES[kind], ""))
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(f"has a header that is no PLY's ({error!r})") from None
    return order, elements, body[2 if body.startswith(b"\r\n") else 1 :]


def _text_rows(body: bytes, elements: list[_Element]) -> Iterator[list]:
    """The rows of each element in turn, a value or a list for each property."""
    lines = iter([words for line in body.decode().splitlines() if (words := line.split())])
    for element in elements:
        rows = []
        for _ in range(element.count):
            words = next(lines, [])
            row: list[Any] = []
            place = 0
            try:
                for _, _, length in element.properties:
                    if not length:
                        row.append(float(words[place]))
                        place += 1
                        continue
                    count = int(float(words[place]))
                    row.append([float(word) for word in words[place + 1 : place + 1 + count]])
                    place += 1 + count
                    if len(row[-1]) < count:
                        raise IndexError
            except IndexError:
                raise ValueError(_CUT) from None
            rows.append(row)
        yield rows


def _binary_rows(body: bytes, elements: list[_Element], order: str) -> Iterator[list]:
    place = 0
    for element in elements:
        kinds = "".join(kind for _, kind, _ in element.properties)
        rows: list = []
        try:
            if not any(length for *_, length in element.properties):
                size = struct.calcsize(order + kinds)
                part = body[place : place + size * element.count]
                if len(part) < size * element.count:
                    raise ValueError(_CUT)
                rows = list(struct.iter_unpack(order + kinds, part)) if size else []
                place += len(part)
                yield rows
                continue
            for _ in range(element.count):
                row = []
                for _, kind, length in element.properties:
                    count = 1
                    if length:
                        (count,) = struct.unpack_from(order + length, body, place)
                        place += struct.calcsize(order + length)
                    values = struct.unpack_from(f"{order}{count}{kind}", body, place)
                    place += struct.calcsize(f"{order}{count}{kind}")
                    row.append(values if length else values[0])
                rows.append(row)
        except struct.error:
            raise ValueError(_CUT) from None
        yield rows
