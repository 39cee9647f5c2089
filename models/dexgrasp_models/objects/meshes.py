"""Objects from mesh files: cleaned, checked, scaled and split into convex pieces for contacts.

An object is one of the generated shapes, one of the library (`library:mug/3`), a mesh file, or a
folder (`folders.py` tells the layouts). A file made of closed convex groups, or named as one
(`collision.obj`, `decomposed.obj`), is taken as its own decomposition; any other closed mesh is
decomposed with CoACD (Wei et al., SIGGRAPH 2022) and the pieces are kept on disk under the hash of
the mesh, in `$DEXGRASP_CACHE` or `~/.cache/dexgrasp`.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast
from zipfile import BadZipFile

import numpy as np
import trimesh
from scipy.spatial import QhullError

from dexgrasp_models.cache import cache_folder, content_hash, save_arrays
from dexgrasp_models.objects.convex_pieces import DecompositionError, convex_pieces
from dexgrasp_models.objects.folders import (
    BENCH_VISUAL,
    DECOMPOSITIONS,
    LAYOUTS,
    PAIR,
    bench_pieces,
    single_mesh,
    single_urdf,
)
from dexgrasp_models.objects.library import make_named
from dexgrasp_models.objects.mesh_files import read_groups
from dexgrasp_models.objects.overlap import overlap_share
from dexgrasp_models.objects.shapes import SHAPES, make_shape
from dexgrasp_models.objects.solids import cleaned, outer, united
from dexgrasp_models.objects.urdf_objects import URDF_SUFFIX, read_urdf

MAX_EXTENT = 0.40
"""Longest side (m) of an object the hand and the cameras are meant for."""
MIN_EXTENT = 0.01
"""Objects whose longest side is below this (m) are thinner than a fingertip and refused."""

LIBRARY_PREFIX = "library:"
"""Before the name of an object of the library. Their meshes fill the unit sphere, so that the
scale is the radius in metres (see `library.SCALES`)."""

Pieces = tuple[trimesh.Trimesh, ...]
Source = tuple[trimesh.Trimesh, Pieces | None]
"""Surface and, where the source has them, convex pieces; in the source's units."""

_MAX_RATIO = 3.0  # of what is seen to what is touched of it, in length
_CONVEX_VOLUME_RATIO = 0.98  # of a group to its hull: rounding in files, not dents
_EXACTLY = 1.0 - 1e-6  # the same, where a hull shows all that there is to see
_CONVEX_PIECE_RATIO = 0.9  # the same, of a group that is meant to be a convex piece
_MAX_DENT = 0.02  # of a piece's longest side
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
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise MeshError(f"{source}: {error.strerror}") from error
    if is_folder:
        return path.resolve().name, *_read_folder(path)
    if is_file:
        return path.stem, *_read_file(path)
    raise MeshError(
        f"{source}: no such mesh file or folder, and no shape of that name; "
        f"the shapes are {', '.join(SHAPES)}; the library's objects are as {LIBRARY_PREFIX}mug/3"
    )


def _read_folder(path: Path) -> Source:
    if (mesh := single_mesh(path)) is not None:
        return _read_file(mesh)
    visual_path, collision_path = path / "visual.obj", path / "collision.obj"
    touched: list[trimesh.Trimesh] = []
    if collision_path.is_file():
        touched = _read_groups(collision_path)
    elif not visual_path.is_file() and (files := bench_pieces(path)):
        visual_path, collision_path = path / BENCH_VISUAL, files[0].parent
        touched = [group for file in files for group in _read_groups(file)]
    elif not visual_path.is_file():
        if (urdf := single_urdf(path)) is None:
            raise MeshError(
                f"{path}: expected {' or '.join(PAIR)} in this folder, or one of "
                f"{', '.join(LAYOUTS[len(PAIR) :])}"
            )
        return _read_urdf(urdf)
    seen = _read_groups(visual_path) if visual_path.is_file() else []
    return _seen_and_touched(seen, touched, visual_path, collision_path)


def _read_urdf(path: Path) -> Source:
    try:
        shapes = read_urdf(path)
    except (ValueError, OSError) as error:
        raise MeshError(f"{path}: can't be read as a URDF of an object ({error})") from error
    seen: list[trimesh.Trimesh] = []
    touched: list[trimesh.Trimesh] = []
    for one in shapes:
        for group in _read_groups(one.shape) if isinstance(one.shape, Path) else [one.shape]:
            placed = group.copy().apply_transform(one.placed)
            (seen if one.seen else touched).append(placed)
    if not shapes:
        raise MeshError(f"{path}: has neither visual nor collision geometry")
    return _seen_and_touched(seen, touched, path, path)


def _seen_and_touched(
    seen: list[trimesh.Trimesh], touched: list[trimesh.Trimesh], seen_in: Path, touched_in: Path
) -> Source:
    """Surface and pieces of what is seen and what is touched, of which one may be missing."""
    if not touched:
        return _closed(_joined(seen), seen_in), None
    pieces, surface = _read_pieces(touched, touched_in)
    if not seen:
        return surface, pieces
    visual = _joined(seen)
    _check_alike(visual, pieces, seen_in)
    return visual, pieces


def _check_alike(visual: trimesh.Trimesh, pieces: Pieces, path: Path) -> None:
    """What is seen and what is touched must be the same object, in the same unit."""
    bounds = np.array([piece.bounds for piece in pieces])
    touched = bounds[:, 1].max(axis=0) - bounds[:, 0].min(axis=0)
    ratio = float(visual.extents.max() / touched.max())
    apart = np.abs(visual.bounds.sum(axis=0) - bounds[:, 1].max(axis=0) - bounds[:, 0].min(axis=0))
    if not 1 / _MAX_RATIO < ratio < _MAX_RATIO or (apart > visual.extents + touched).any():
        raise MeshError(
            f"{path}: what is seen is {visual.extents.max():.3g} long and what is touched "
            f"{touched.max():.3g}, or elsewhere; give both in one unit and frame"
        )


def _read_file(path: Path) -> Source:
    if path.suffix.lower() == URDF_SUFFIX:
        return _read_urdf(path)
    groups = _read_groups(path)
    if path.name in DECOMPOSITIONS or all(map(_is_closed_convex, groups)):
        pieces, surface = _read_pieces(groups, path)
        return surface, pieces
    return _closed(_joined(groups), path), None


def _read_groups(path: Path) -> list[trimesh.Trimesh]:
    """The cleaned non-empty meshes of a file, one for each `o` group or scene node."""
    try:
        found = read_groups(path, split_groups=path.name in DECOMPOSITIONS)
        groups = [
            group for vertices, faces in found if len((group := cleaned(vertices, faces)).faces)
        ]
    except Exception as error:  # readers of the many formats raise anything
        raise MeshError(f"{path}: can't be read as a mesh ({error})") from error
    if not groups:
        raise MeshError(f"{path}: has no triangles")
    return groups


def _joined(groups: list[trimesh.Trimesh]) -> trimesh.Trimesh:
    whole = cast(trimesh.Trimesh, trimesh.util.concatenate(groups))
    return cleaned(whole.vertices, whole.faces)


def _is_closed_convex(mesh: trimesh.Trimesh, ratio: float = _CONVEX_VOLUME_RATIO) -> bool:
    if not (mesh.is_watertight and mesh.body_count == 1):
        return False
    try:
        return mesh.volume >= ratio * mesh.convex_hull.volume
    except QhullError:  # flat
        return False


def _read_pieces(
    groups: list[trimesh.Trimesh], path: Path
) -> tuple[tuple[trimesh.Trimesh, ...], trimesh.Trimesh]:
    """Convex pieces of groups that are meant to be such, and what they look like.

    Flat groups, which exporters leave behind, give none; one that isn't convex is decomposed.
    Groups that only nearly are convex are seen as they are, those of a decomposition as pieces.
    """
    pieces: list[trimesh.Trimesh] = []
    as_meant = path.name in DECOMPOSITIONS or all(_is_closed_convex(g, _EXACTLY) for g in groups)
    for group in groups:
        try:
            hull = group.convex_hull
        except QhullError:  # flat
            continue
        if _is_closed_convex(group, _CONVEX_PIECE_RATIO) or _is_open_but_convex(group, hull):
            pieces.append(hull)
        elif group.is_watertight:
            as_meant = False
            pieces += _decompose(str(path), group)
        else:
            _refuse_open(group, path)
    if not pieces:
        raise MeshError(f"{path}: all its pieces are flat, so nothing of it has a volume")
    whole = trimesh.util.concatenate(pieces if as_meant else groups)
    return tuple(pieces), cast(trimesh.Trimesh, whole)


def _is_open_but_convex(mesh: trimesh.Trimesh, hull: trimesh.Trimesh) -> bool:
    """Whether all faces of a mesh that isn't closed lie on its hull."""
    if mesh.is_watertight:
        return False
    offsets = np.einsum("fi,fi->f", hull.face_normals, hull.triangles[:, 0])
    depth = (offsets - mesh.triangles_center @ hull.face_normals.T).min(axis=1)
    return bool(depth.max() <= _MAX_DENT * mesh.extents.max())


def _closed(mesh: trimesh.Trimesh, path: Path) -> trimesh.Trimesh:
    """A mesh that must be closed, with bodies that touch united."""
    if not (mesh.is_watertight and mesh.volume > 0.0):
        _refuse_open(mesh, path)
    share = overlap_share(mesh)
    if share > _MAX_OVERLAP_SHARE and mesh.body_count > 1:
        mesh = united(mesh)
        share = overlap_share(mesh)
    if share > _MAX_OVERLAP_SHARE:
        raise MeshError(
            f"{path}: the mesh passes through itself (seen along {share:.1%} of random lines), "
            "so what is inside is ambiguous; unite its solids (a boolean union), or give a "
            "folder with a collision.obj of convex pieces beside visual.obj"
        )
    return mesh


def _refuse_open(mesh: trimesh.Trimesh, path: Path) -> NoReturn:
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
    """Convex pieces of a closed mesh, without its cavities; from the cache where they are."""
    mesh = outer(mesh)
    if _is_closed_convex(mesh) and mesh.body_count == 1:
        return (mesh.convex_hull,)
    key = content_hash(mesh.vertices, mesh.faces, sorted(_COACD.items()))
    path = cache_folder() / "pieces" / f"{key}.npz"
    if (points := _kept_pieces(path)) is None:
        points = _coacd(name, mesh)
        save_arrays(path, **{f"piece_{i}": vertices for i, vertices in enumerate(points)})
    return tuple(trimesh.convex.convex_hull(piece) for piece in points)


def _kept_pieces(path: Path) -> list[np.ndarray] | None:
    """None where there are none, or where the file was damaged."""
    try:
        with np.load(path) as stored:
            return [stored[f"piece_{i}"] for i in range(len(stored.files))] or None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None


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
    inertias = (_inertia_about(solid, center) for solid in solids)
    inertia = sum(inertias, start=np.zeros((3, 3))) / volume
    return ObjectModel(name, scaled_visual, scaled_pieces, scale, volume, center, inertia)


def _inertia_about(solid: trimesh.Trimesh, point: np.ndarray) -> np.ndarray:
    """(3, 3) inertia of a solid of density 1 about a point (parallel-axis theorem)."""
    offset = solid.center_mass - point
    return solid.moment_inertia + solid.volume * (
        offset @ offset * np.eye(3) - np.outer(offset, offset)
    )
