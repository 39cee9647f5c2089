"""Triangles of mesh files: by trimesh, or by readers of our own where it reads something else.

Its readers of STL, PLY and OFF refuse what other programs write (bytes after the triangles, faces
of several lengths), or make fans of concave faces. What those here give of a plain file is what
trimesh gives, to the bit.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import re
from pathlib import Path

import numpy as np
import trimesh

from dexgrasp_models.objects.obj_text import plain_obj
from dexgrasp_models.objects.ply_file import read_ply
from dexgrasp_models.objects.polygons import all_fans_are_right, all_triangulated

Triangles = tuple[np.ndarray, np.ndarray]
"""(V, 3) vertices and (F, 3) indices of them."""

_FARTHEST = 1e9  # of a vertex, in any unit: more is damage
_STL_HEADER, _STL_TRIANGLE = 84, 50  # bytes
_STL_VERTEX = re.compile(r"\bvertex[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)", re.IGNORECASE)
_STL_SOLID = re.compile(r"^[ \t]*solid\b.*$", re.IGNORECASE | re.MULTILINE)


def read_groups(path: Path, split_groups: bool = False) -> list[Triangles]:
    """The triangles of a file, for each of its `o` groups, solids or scene nodes.

    Args:
        path: the file.
        split_groups: whether an OBJ without `o` is split by `g`.

    Raises:
        ValueError: it is damaged, cut short, or of a format that isn't known.
        OSError: it can't be opened.
        Exception: what the readers of the many formats raise.
    """
    content = path.read_bytes()
    match path.suffix.lower():
        case ".obj":
            groups = _by_trimesh(plain_obj(content, split_groups), "obj")
        case ".stl":
            groups = _read_stl(content)
        case ".ply":
            groups = _read_ply(content)
        case ".off":
            groups = [_triangles(*_read_off(content))]
        case _:
            groups = _by_trimesh(path)
    for vertices, faces in groups:
        _check(vertices, faces)
    return groups


def _by_trimesh(source: bytes | Path, kind: str | None = None) -> list[Triangles]:
    scene = trimesh.load_scene(
        io.BytesIO(source) if isinstance(source, bytes) else source,
        file_type=kind,
        split_objects=True,
        group_material=False,
        skip_materials=True,
        process=False,
    )
    meshes = (item for item in scene.dump() if isinstance(item, trimesh.Trimesh))
    return [(np.asarray(mesh.vertices), np.asarray(mesh.faces)) for mesh in meshes]


def _check(vertices: np.ndarray, faces: np.ndarray) -> None:
    if not np.isfinite(vertices).all():
        raise ValueError("has vertices that are NaN or infinite; export it again")
    if len(vertices) and np.abs(vertices).max() > _FARTHEST:
        raise ValueError(
            f"has a vertex at {np.abs(vertices).max():.3g}, farther than any object's: it is "
            "damaged; export it again"
        )
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise ValueError(
            f"has a face with the vertex {faces.max()} of {len(vertices)}: it is damaged or cut "
            "short"
        )


def _triangles(vertices: np.ndarray, faces: list[np.ndarray]) -> Triangles:
    if faces and (min(map(min, faces)) < 0 or max(map(max, faces)) >= len(vertices)):
        raise ValueError(
            f"has a face with the vertex {max(map(max, faces))}, and {len(vertices)} vertices "
            "counted from 0: it is damaged or cut short"
        )
    if all_fans_are_right(vertices, faces):
        return vertices, np.reshape(trimesh.geometry.triangulate_quads(faces), (-1, 3))
    return vertices, all_triangulated(vertices, faces)


def _read_ply(content: bytes) -> list[Triangles]:
    vertices, faces = read_ply(content)
    if len({len(face) for face in faces}) == 1 and all_fans_are_right(vertices, faces):
        # Its order of vertices is that of the decompositions that are kept already.
        with contextlib.suppress(Exception):
            return _by_trimesh(content, "ply")
    return [_triangles(vertices, faces)]


def _read_stl(content: bytes) -> list[Triangles]:
    content = content.removeprefix(codecs.BOM_UTF8)
    count = int.from_bytes(content[80:_STL_HEADER], "little")
    expected = _STL_HEADER + count * _STL_TRIANGLE
    is_text = content.lstrip()[:5].lower() == b"solid" and b"facet" in content[:2000].lower()
    if is_text and len(content) != expected:
        return _read_stl_text(content.decode("utf-8", errors="replace"))
    if len(content) < _STL_HEADER or expected > len(content):
        whole = max(len(content) - _STL_HEADER, 0) // _STL_TRIANGLE
        raise ValueError(f"has {whole} of the {count} triangles that it tells of: it is cut short")
    kind = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
    corners = np.frombuffer(content, kind, count, _STL_HEADER)["corners"]
    return [_soup(corners.astype(np.float64))]


def _read_stl_text(text: str) -> list[Triangles]:
    solids = _STL_SOLID.split(text)[1:]
    groups = []
    for solid in solids:
        numbers = np.array(_STL_VERTEX.findall(solid), dtype=np.float64)
        if len(numbers) != len(re.findall(r"\bvertex\b", solid, re.IGNORECASE)) or (
            len(numbers) % 3
        ):
            raise ValueError("has a triangle without three corners: it is damaged or cut short")
        groups.append(_soup(numbers.reshape(-1, 3, 3)))
    return groups


def _soup(corners: np.ndarray) -> Triangles:
    return corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3)


def _read_off(content: bytes) -> tuple[np.ndarray, list[np.ndarray]]:
    lines = [line.split("#")[0].split() for line in content.decode("utf-8-sig").splitlines()]
    lines = [words for words in lines if words]
    if not lines or not lines[0][0].upper().endswith("OFF") or "BINARY" in lines[0]:
        raise ValueError("is no OFF file of text")
    rows = iter([lines[0][1:], *lines[1:]] if len(lines[0]) > 1 else lines[1:])
    try:
        vertex_count, face_count = map(int, next(rows)[:2])
        vertices = np.array([next(rows)[:3] for _ in range(vertex_count)], dtype=np.float64)
        faces = []
        for _ in range(face_count):
            length, *corners = next(rows)
            faces.append(np.array(corners[: int(length)], dtype=np.int64))
            if len(faces[-1]) < int(length):
                raise StopIteration
    except StopIteration:
        raise ValueError("has fewer vertices or faces than it tells of: it is cut short") from None
    return vertices.reshape(-1, 3), [face for face in faces if len(face) >= 3]
