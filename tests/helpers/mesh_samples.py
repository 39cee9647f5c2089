"""Meshes as files of the field write them: solids with a known volume, and their text."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import trimesh

BRACKET = 1e-3 * np.array(
    [(0, 0), (60, 0), (60, 15), (15, 15), (15, 45), (60, 45), (60, 60), (0, 60)]
)
"""(8, 2) outline of a C, m: concave, 1,800 + 450 mm^2."""
BRACKET_AREA = 60 * 60e-6 - 45 * 30e-6


def prism(outline: np.ndarray, height: float) -> tuple[np.ndarray, list[list[int]]]:
    """Vertices (2N, 3) and the faces, two of N corners and N of four, of a standing prism."""
    count = len(outline)
    vertices = np.vstack([np.c_[outline, np.full(count, z)] for z in (0.0, height)])
    sides = [[i, (i + 1) % count, count + (i + 1) % count, count + i] for i in range(count)]
    return vertices, [list(range(count))[::-1], list(range(count, 2 * count)), *sides]


def block(low: Sequence[float], high: Sequence[float]) -> trimesh.Trimesh:
    """A box between two corners."""
    return trimesh.creation.box(bounds=(low, high))


def obj_text(vertices: np.ndarray, faces: Sequence[Sequence[int]], first: int = 1) -> str:
    """Plain OBJ."""
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in np.asarray(vertices, dtype=float).tolist()]
    lines += ["f " + " ".join(str(int(corner) + first) for corner in face) for face in faces]
    return "\n".join(lines) + "\n"


def ply_bytes(
    vertices: np.ndarray, faces: Sequence[Sequence[int]], kind: str = "binary_little_endian"
) -> bytes:
    """A PLY file of any kind, its faces as they are."""
    header = (
        f"ply\nformat {kind} 1.0\ncomment by hand\nelement vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\nproperty uchar red\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    ).encode()
    if kind == "ascii":
        rows = [f"{x:.9g} {y:.9g} {z:.9g} 7" for x, y, z in vertices]
        rows += [" ".join(map(str, (len(face), *face))) for face in faces]
        return header + ("\n".join(rows) + "\n").encode()
    order = "<" if "little" in kind else ">"
    body = b"".join(struct.pack(f"{order}3fB", *vertex, 7) for vertex in vertices)
    return (
        header
        + body
        + b"".join(struct.pack(f"{order}B{len(face)}i", len(face), *face) for face in faces)
    )
