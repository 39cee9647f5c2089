"""Folders of meshes, as data sets lay them out.

One folder an object, with `visual.obj` and/or `collision.obj` (as packed for simulators), or with
its one mesh where DexGraspNet and UniDexGrasp (`coacd/decomposed.obj`), ShapeNet
(`models/model_normalized.obj` or `model.obj`) or YCB's own archives (`google_16k/...`) have it;
or mesh files beside each other.
"""

from __future__ import annotations

from pathlib import Path

MESH_SUFFIXES = frozenset({".obj", ".stl", ".ply", ".off", ".glb"})
"""Of files that count as objects where they lie beside each other."""

PAIR = ("visual.obj", "collision.obj")
"""What is seen and what is touched; either may be missing."""

DECOMPOSITIONS = ("collision.obj", "decomposed.obj")
"""Names of files whose groups are convex pieces."""

SINGLE_MESHES = (
    "coacd/decomposed.obj",
    "models/model_normalized.obj",
    "model.obj",
    "google_16k/nontextured.ply",
)
"""Where the one mesh of an object's folder may be; the first that exists counts."""


def single_mesh(folder: Path) -> Path | None:
    """The one mesh in an object's folder, if it is laid out like that."""
    return next((path for name in SINGLE_MESHES if (path := folder / name).is_file()), None)


def is_object_folder(folder: Path) -> bool:
    """Whether `load_object` finds an object in this very folder."""
    return single_mesh(folder) is not None or any((folder / name).is_file() for name in PAIR)


def find_objects(folder: Path) -> tuple[Path, ...]:
    """All objects in a folder and below, sorted: mesh files and folders of one object each.

    Raises:
        ValueError: there are none.
    """
    found = tuple(_objects_in(folder))
    if not found:
        layouts = ", ".join((*PAIR, *SINGLE_MESHES))
        raise ValueError(
            f"{folder} holds no objects: expected mesh files ({', '.join(sorted(MESH_SUFFIXES))}), "
            f"or one folder an object with one of {layouts}"
        )
    return found


def _objects_in(folder: Path) -> list[Path]:
    if is_object_folder(folder):
        return [folder]
    found = []
    for item in sorted(folder.iterdir()):
        if item.is_dir():
            found += _objects_in(item)
        elif item.suffix.lower() in MESH_SUFFIXES:
            found.append(item)
    return found
