"""Objects from mesh files: cleaned, checked, scaled and split into convex pieces for contacts.

An object is one of the generated shapes, one of the library (`library:mug/3`), a mesh file, or a
folder (`folders.py` tells the layouts). A file made of closed convex groups, or named as one
(`collision.obj`, `decomposed.obj`), is taken as its own decomposition; any other closed mesh is
decomposed with CoACD (Wei et al., SIGGRAPH 2022) and the pieces are kept on disk under the hash of
the mesh, in `$DEXGRASP_CACHE` or `~/.cache/dexgrasp`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from scipy.spatial import QhullError

from dexgrasp_models.files import written_whole
from dexgrasp_models.objects.convex_pieces import DecompositionError, convex_pieces
from dexgrasp_models.objects.folders import DECOMPOSITIONS, SINGLE_MESHES, single_mesh
from dexgrasp_models.objects.library import make_named
from dexgrasp_models.objects.overlap import overlap_share
from dexgrasp_models.objects.shapes import SHAPES, make_shape

MAX_EXTENT = 0.40
"""Longest side (m) of an object the hand and the cameras are meant for."""
MIN_EXTENT = 0.01
"""Objects whose longest side is below this (m) are thinner than a fingertip and refused."""

LIBRARY_PREFIX = "library:"
"""Before the name of an object of the library. Their meshes fill the unit sphere, so that the
scale is the radius in metres (see `library.SCALES`)."""

_CONVEX_VOLUME_RATIO = 0.98  # of a group to its hull: rounding in files, not dents
_MAX_OVERLAP_SHARE = 0.005  # of random lines: grazed edges, and folds that do no harm
_COACD = {"threshold": 0.05, "max_convex_hull": 32, "seed": 0}


class MeshError(ValueError):
    """A mesh that can't be used; the message says what is wrong and what would help."""


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """A rigid object, in metres in its own frame.

    Attributes:
        name: for tables and logs.
        visual: the surface, seen by cameras.
        pieces: convex hulls, touched in simulation.
        scale: the factor the file was multiplied by.
        volume: m^3.
        center_of_mass: (3,), homogeneous density.
        unit_inertia: (3, 3) about the centre of mass for a mass of 1 kg, m^2.
    """

    name: str
    visual: trimesh.Trimesh
    pieces: tuple[trimesh.Trimesh, ...]
    scale: float
    volume: float
    center_of_mass: np.ndarray
    unit_inertia: np.ndarray


def load_object(source: str | os.PathLike[str], scale: float = 1.0) -> ObjectModel:
    """An object by the name of a generated shape or of the library, or from a file or folder.

    Args:
        source: a name of `SHAPES`; `library:<category>/<instance>`; a mesh file; or a folder with
            `visual.obj` (what is seen), `collision.obj` (convex pieces, one `o` group each), or
            both, or laid out as a data set's (see `folders`).
        scale: multiplies all lengths of the source; the result is in metres.

    Raises:
        MeshError: nothing there, unreadable, empty, not finite, not closed, passing through
            itself, or of a size that can't be grasped.
    """
    if not np.isfinite(scale) or scale <= 0.0:
        raise MeshError(f"scale must be a positive number, not {scale}")
    name, visual, pieces = _read(source)
    _check_size(name, visual, scale)
    if pieces is None:
        pieces = _decompose(name, visual)
    return _scaled_model(name, visual, pieces, scale)


def load_surface(source: str | os.PathLike[str]) -> trimesh.Trimesh:
    """What is seen of an object, in the source's own units; `source` as for `load_object`.

    Raises:
        MeshError: as `load_object`, but for the size.
    """
    return _read(source)[1]


def prepare_object(source: str | os.PathLike[str]) -> int:
    """Decompose an object ahead of `load_object`, for all scales; returns how many pieces it has.

    Raises:
        MeshError: as `load_object`, but for the size.
    """
    name, visual, pieces = _read(source)
    return len(_decompose(name, visual) if pieces is None else pieces)


def cache_folder() -> Path:
    """Where decompositions and stable poses are kept between runs."""
    return Path(os.environ.get("DEXGRASP_CACHE") or Path.home() / ".cache" / "dexgrasp")


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz file that is either complete or not there."""
    with written_whole(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def content_hash(*parts: object) -> str:
    """A short hash of arrays and printable values."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(
            np.ascontiguousarray(part).tobytes()
            if isinstance(part, np.ndarray)
            else repr(part).encode()
        )
    return digest.hexdigest()[:20]


def _read(
    source: str | os.PathLike[str],
) -> tuple[str, trimesh.Trimesh, tuple[trimesh.Trimesh, ...] | None]:
    """Name, surface and, where the source has them, convex pieces; in the source's units."""
    text, path = str(source), Path(source)
    if text in SHAPES:
        return text, make_shape(text), None
    if text.startswith(LIBRARY_PREFIX):
        name = text.removeprefix(LIBRARY_PREFIX)
        try:
            return name, make_named(name).mesh, None
        except ValueError as error:
            raise MeshError(str(error)) from error
    if path.is_dir():
        return path.resolve().name, *_read_folder(path)
    if path.is_file():
        return path.stem, *_read_file(path)
    raise MeshError(
        f"{source}: no such mesh file or folder, and no shape of that name; "
        f"the shapes are {', '.join(SHAPES)}; the library's objects are as {LIBRARY_PREFIX}mug/3"
    )


def _read_folder(path: Path) -> tuple[trimesh.Trimesh, tuple[trimesh.Trimesh, ...] | None]:
    if (mesh := single_mesh(path)) is not None:
        return _read_file(mesh)
    visual_path, collision_path = path / "visual.obj", path / "collision.obj"
    pieces = None
    if collision_path.is_file():
        pieces = _hulls(_read_groups(collision_path), collision_path)
    if visual_path.is_file():
        groups = _read_groups(visual_path)
        visual = _clean(trimesh.util.concatenate(groups))
        if pieces is None:
            _check_closed(visual, visual_path)
        return visual, pieces
    if pieces is None:
        raise MeshError(
            f"{path}: expected visual.obj or collision.obj in this folder, "
            f"or one of {', '.join(SINGLE_MESHES)}"
        )
    return trimesh.util.concatenate(pieces), pieces


def _read_file(path: Path) -> tuple[trimesh.Trimesh, tuple[trimesh.Trimesh, ...] | None]:
    groups = _read_groups(path)
    if path.name in DECOMPOSITIONS or all(map(_is_closed_convex, groups)):
        pieces = _hulls(groups, path)
        return trimesh.util.concatenate(pieces), pieces
    mesh = _clean(trimesh.util.concatenate(groups))
    _check_closed(mesh, path)
    return mesh, None


def _read_groups(path: Path) -> list[trimesh.Trimesh]:
    """The cleaned non-empty meshes of a file, one for each `o` group or scene node."""
    try:
        scene = trimesh.load_scene(
            path, split_objects=True, group_material=False, skip_materials=True, process=False
        )
        meshes = [item for item in scene.dump() if isinstance(item, trimesh.Trimesh)]
    except Exception as error:  # readers of the many formats raise anything
        raise MeshError(f"{path}: can't be read as a mesh ({error})") from error
    if any(not np.isfinite(mesh.vertices).all() for mesh in meshes):
        raise MeshError(f"{path}: has vertices that are NaN or infinite; export it again")
    groups = [group for group in map(_clean, meshes) if len(group.faces)]
    if not groups:
        raise MeshError(f"{path}: has no triangles")
    return groups


def _clean(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Geometry alone: vertices merged, faces without area or told twice dropped, outward."""
    mesh = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    mesh.merge_vertices()
    mesh.update_faces(mesh.nondegenerate_faces() & mesh.unique_faces())
    mesh.remove_unreferenced_vertices()
    if len(mesh.faces):
        trimesh.repair.fix_normals(mesh, multibody=True)
    return mesh


def _is_closed_convex(mesh: trimesh.Trimesh) -> bool:
    if not mesh.is_watertight:
        return False
    try:
        return mesh.volume >= _CONVEX_VOLUME_RATIO * mesh.convex_hull.volume
    except QhullError:  # flat
        return False


def _hulls(groups: list[trimesh.Trimesh], path: Path) -> tuple[trimesh.Trimesh, ...]:
    """Convex hulls of the groups; flat ones, which exporters leave behind, have none."""
    hulls = []
    for group in groups:
        with contextlib.suppress(QhullError):
            hulls.append(group.convex_hull)
    if not hulls:
        raise MeshError(f"{path}: all its pieces are flat, so nothing of it has a volume")
    return tuple(hulls)


def _check_closed(mesh: trimesh.Trimesh, path: Path) -> None:
    if mesh.is_watertight and mesh.volume > 0.0:
        if (share := overlap_share(mesh)) > _MAX_OVERLAP_SHARE:
            raise MeshError(
                f"{path}: the mesh passes through itself (seen along {share:.1%} of random lines), "
                "so what is inside is ambiguous; unite its solids (a boolean union), or give a "
                "folder with a collision.obj of convex pieces beside visual.obj"
            )
        return
    edges, counts = np.unique(mesh.edges_sorted, axis=0, return_counts=True)
    raise MeshError(
        f"{path}: the mesh is not closed ({np.count_nonzero(counts != 2)} of {len(edges)} edges "
        "don't join exactly two faces), so it has no inside; fill its holes, or give a folder with "
        "a collision.obj of convex pieces beside visual.obj"
    )


def _check_size(name: str, mesh: trimesh.Trimesh, scale: float) -> None:
    extent = float(mesh.extents.max()) * scale
    if MIN_EXTENT <= extent <= MAX_EXTENT:
        return
    problem = "too large to grasp" if extent > MAX_EXTENT else "too small to grasp"
    fitting = 0.15 * scale / extent
    for unit, factor in (("millimetres", 1e-3), ("centimetres", 1e-2)):
        if MIN_EXTENT <= extent / scale * factor <= MAX_EXTENT and extent > MAX_EXTENT:
            hint = f"if the file is in {unit}, use scale {factor}; "
            break
    else:
        hint = ""
    raise MeshError(
        f"{name}: {extent:.4g} m at its longest, {problem} "
        f"(limits {MIN_EXTENT} to {MAX_EXTENT} m); "
        f"{hint}scale {fitting:.3g} would make it 0.15 m"
    )


def _decompose(name: str, mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, ...]:
    """Convex pieces of a closed mesh, from the cache where they are."""
    if _is_closed_convex(mesh) and mesh.body_count == 1:
        return (mesh.convex_hull,)
    key = content_hash(mesh.vertices, mesh.faces, sorted(_COACD.items()))
    path = cache_folder() / "pieces" / f"{key}.npz"
    if not path.is_file():
        parts = _coacd(name, mesh)
        save_arrays(path, **{f"piece_{i}": vertices for i, vertices in enumerate(parts)})
    with np.load(path) as stored:
        points = [stored[f"piece_{i}"] for i in range(len(stored.files))]
    return tuple(trimesh.convex.convex_hull(piece) for piece in points)


def _coacd(name: str, mesh: trimesh.Trimesh) -> list[np.ndarray]:
    # Its own look for faces that cross fails on some that only touch; that the mesh is closed is
    # known already.
    unlooked = _COACD | {"preprocess_mode": "off"}
    try:
        with contextlib.suppress(DecompositionError):
            return convex_pieces(mesh.vertices, mesh.faces, _COACD)
        return convex_pieces(mesh.vertices, mesh.faces, unlooked)
    except DecompositionError as error:
        raise MeshError(f"{name}: can't be split into convex pieces ({error})") from error


def _scaled_model(
    name: str, visual: trimesh.Trimesh, pieces: tuple[trimesh.Trimesh, ...], scale: float
) -> ObjectModel:
    scaled_visual = visual.copy().apply_scale(scale)
    scaled_pieces = tuple(piece.copy().apply_scale(scale) for piece in pieces)
    solids = [scaled_visual] if scaled_visual.is_volume else list(scaled_pieces)
    masses = np.array([solid.volume for solid in solids])
    volume = float(masses.sum())
    center = sum(m * s.center_mass for m, s in zip(masses, solids, strict=True)) / volume
    inertia = sum(_inertia_about(solid, center) for solid in solids) / volume
    return ObjectModel(name, scaled_visual, scaled_pieces, scale, volume, center, inertia)


def _inertia_about(solid: trimesh.Trimesh, point: np.ndarray) -> np.ndarray:
    """(3, 3) inertia of a solid of density 1 about a point (parallel-axis theorem)."""
    offset = solid.center_mass - point
    return solid.moment_inertia + solid.volume * (
        offset @ offset * np.eye(3) - np.outer(offset, offset)
    )
