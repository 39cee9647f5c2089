"""Folders of meshes, as data sets lay them out.

One folder an object, with `visual.obj` and/or `collision.obj` (as packed for simulators), with
its one mesh where DexGraspNet and UniDexGrasp (`coacd/decomposed.obj`), ShapeNet
(`models/model_normalized.obj` or `model.obj`) or YCB's own archives (`google_16k/...`) have it,
with convex pieces as DexGraspBench has them (`urdf/meshes/convex_piece_000.obj` ...), or with one
URDF and the meshes that it names; or mesh files and URDFs beside each other.
"""

from __future__ import annotations

from pathlib import Path

from dexgrasp_models.objects.urdf_objects import URDF_SUFFIX, urdf_meshes

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
    "decomposed.obj",
)
"""Where the one mesh of an object's folder may be; the first that exists counts."""

BENCH_PIECES, BENCH_VISUAL = "urdf/meshes/convex_piece_*.obj", "mesh/simplified.obj"
"""What is touched and, where it is there, what is seen in an object's folder of DexGraspBench."""

LAYOUTS = (*PAIR, *SINGLE_MESHES, BENCH_PIECES, f"one {URDF_SUFFIX} file")
"""What makes a folder an object, for messages."""


def single_mesh(folder: Path) -> Path | None:
    """The one mesh in an object's folder, if it is laid out like that."""
    return next((path for name in SINGLE_MESHES if (path := folder / name).is_file()), None)


def bench_pieces(folder: Path) -> list[Path]:
    """The convex pieces in an object's folder of DexGraspBench, sorted; none in any other."""
    return sorted(folder.glob(BENCH_PIECES))


def single_urdf(folder: Path) -> Path | None:
    """The one URDF in an object's folder, if it names a mesh or there is no mesh beside it."""
    found = [path for path in folder.iterdir() if path.suffix.lower() == URDF_SUFFIX]
    if len(found) != 1 or not found[0].is_file():
        return None
    named = any(path.is_file() for path in urdf_meshes(found[0]))
    return found[0] if named or not any(map(_is_mesh, folder.iterdir())) else None


def is_object_folder(folder: Path) -> bool:
    """Whether `load_object` finds an object in this very folder."""
    return (
        single_mesh(folder) is not None
        or any((folder / name).is_file() for name in PAIR)
        or bool(bench_pieces(folder))
        or single_urdf(folder) is not None
    )


def find_objects(folder: Path) -> tuple[Path, ...]:
    """All objects in a folder and below, sorted: files and folders of one object each.

    Raises:
        ValueError: there are none.
        OSError: a folder can't be read.
    """
    found = tuple(_objects_in(folder, ()))
    if not found:
        raise ValueError(
            f"{folder} holds no objects: expected mesh files ({', '.join(sorted(MESH_SUFFIXES))}), "
            f"or one folder an object with one of {', '.join(LAYOUTS)}"
        )
    return found


def _objects_in(folder: Path, around: tuple[Path, ...]) -> list[Path]:
    if is_object_folder(folder):
        return [folder]
    here = (*around, folder.resolve())
    found: list[Path] = []
    for item in sorted(folder.iterdir()):
        if item.name.startswith("."):  # what copying programs leave behind
            continue
        if item.is_dir():
            if item.resolve() not in here:  # a link that leads back
                found += _objects_in(item, here)
        elif _is_mesh(item) or item.suffix.lower() == URDF_SUFFIX:
            found.append(item)
    parts = set().union(*(urdf_meshes(item) for item in found if item.suffix == URDF_SUFFIX))
    return [item for item in found if item.resolve() not in parts]


def _is_mesh(path: Path) -> bool:
    return path.suffix.lower() in MESH_SUFFIXES
