"""Closed surfaces of solids: bodies that touch, shells inside others.

A surface tells by its winding where the material is: it lies inside a shell wound outward, and
outside one wound inward, as around a cavity. A shell inside another that is wound like it adds
nothing, since there is material on both sides.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import trimesh
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_SAME_ANGLE = 1e-6  # rad, about an edge
_TOUCHING = 1e-3  # of the volume: what bodies that touch may share by rounding


def cleaned(vertices: np.ndarray, faces: np.ndarray) -> trimesh.Trimesh:
    """Geometry alone, outward: vertices merged, faces without area or told twice dropped.

    Where that isn't closed but the surface is, its bodies are told apart and united.

    Args:
        vertices: (V, 3), finite.
        faces: (F, 3) indices of vertices.
    """
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.merge_vertices()
    merged = mesh.copy()
    mesh.update_faces(mesh.nondegenerate_faces() & mesh.unique_faces())
    mesh.remove_unreferenced_vertices()
    if not len(mesh.faces):
        return mesh
    given = mesh.faces.copy()
    trimesh.repair.fix_normals(mesh, multibody=True)
    if mesh.is_watertight:
        return _with_cavities(mesh, given) if mesh.body_count > 1 else mesh
    split = split_at_edges(merged.vertices, merged.faces)
    if split is None:
        return mesh
    given = split.faces.copy()
    trimesh.repair.fix_normals(split, multibody=True)
    return united(_with_cavities(split, given))


def split_at_edges(vertices: np.ndarray, faces: np.ndarray) -> trimesh.Trimesh | None:
    """The same surface with its bodies apart where they touch; None where it isn't closed.

    At an edge of more than two faces those belong together that have material between them. Faces
    that lie on each other back to back are no surface, and left out.

    Args:
        vertices: (V, 3), each place once.
        faces: (F, 3) indices of vertices, wound consistently.
    """
    faces = _without_walls(faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)])
    if np.linalg.det(vertices[faces]).sum() < 0.0:  # six times the volume
        faces = faces[:, ::-1]
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    half_edges = np.column_stack([np.minimum(start, end), np.maximum(start, end)])
    _, edge, count = np.unique(half_edges, axis=0, return_inverse=True, return_counts=True)
    edge = edge.ravel()
    forward = start < end
    if not len(faces) or (2 * np.bincount(edge[forward], minlength=len(count)) != count).any():
        return None
    angles = _angles(vertices, faces)
    partner = np.empty(len(edge), dtype=int)
    groups = np.split(np.argsort(edge, kind="stable"), np.cumsum(count)[:-1])
    for group in groups:
        partner[group] = (
            group[::-1] if len(group) == 2 else _partners(angles[group], forward[group], group)
        )
    return _welded(vertices, faces, partner)


def united(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A closed mesh whose bodies touch, as one surface; itself if they share more than that."""
    bodies = mesh.split(only_watertight=False)
    if len(bodies) < 2 or not all(body.is_watertight for body in bodies):
        return mesh
    solids = [body for body in bodies if body.volume > 0.0]
    result = trimesh.boolean.union(solids)
    if cavities := [body for body in bodies if body.volume < 0.0]:
        for cavity in cavities:
            cavity.invert()
        result = trimesh.boolean.difference([result, *cavities])
    result = trimesh.Trimesh(result.vertices, result.faces, process=False)
    shared = abs(mesh.volume - result.volume)
    return result if result.is_watertight and shared <= _TOUCHING * result.volume else mesh


def outer(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """What of a closed mesh can be touched from outside: it without its cavities."""
    labels, inside = _nesting(mesh)
    enclosed = np.any(inside, axis=1)
    if not enclosed.any():
        return mesh
    outside = np.flatnonzero(~enclosed[labels])
    return cast(trimesh.Trimesh, mesh.submesh([outside], append=True, repair=False))


def _with_cavities(mesh: trimesh.Trimesh, given: np.ndarray) -> trimesh.Trimesh:
    """A closed mesh, all of whose bodies are outward, with its cavities as its faces told them."""
    labels, inside = _nesting(mesh)
    if not inside.any():
        return mesh
    places = given.argmin(axis=1), mesh.faces.argmin(axis=1)
    rows = np.arange(len(given))
    second = [f[rows, (p + 1) % 3] for f, p in zip((given, mesh.faces), places, strict=True)]
    as_given = second[0] == second[1]
    total = np.bincount(labels)
    share = np.bincount(labels, weights=as_given) / total
    sign = np.where(share == 1.0, 1, np.where(share == 0.0, -1, 0))
    layers = np.zeros(len(total), dtype=int)
    keep = np.ones(len(total), dtype=bool)
    hollow = np.zeros(len(total), dtype=bool)
    for body in np.argsort(inside.sum(axis=1)):  # from the outside to the inside
        around = np.flatnonzero(inside[body])
        if not len(around):
            layers[body] = 1
            continue
        parent = around[inside[around].sum(axis=1).argmax()]
        root = around[inside[around].sum(axis=1).argmin()]
        # Of one wound both ways the next layer is supposed to be the other of air and material.
        alternate = -1 if layers[parent] > 0 else 1
        step = sign[body] * (sign[root] or 1) or alternate
        layers[body] = layers[parent] + step
        keep[body] = (layers[body] > 0) != (layers[parent] > 0)
        hollow[body] = layers[body] <= 0
    faces = np.where(hollow[labels][:, None], mesh.faces[:, ::-1], mesh.faces)[keep[labels]]
    result = trimesh.Trimesh(mesh.vertices, faces, process=False)
    result.remove_unreferenced_vertices()
    return result


def _nesting(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    """(F,) which body each face is of, and (B, B) whether a body is inside another."""
    count, labels = connected_components(
        coo_matrix(
            (np.ones(len(mesh.face_adjacency)), mesh.face_adjacency.T), shape=2 * (len(mesh.faces),)
        ),
        directed=False,
    )
    inside = np.zeros((count, count), dtype=bool)
    if count == 1:
        return labels, inside
    triangles = [mesh.triangles[labels == body] for body in range(count)]
    low = np.array([part.min(axis=(0, 1)) for part in triangles])
    high = np.array([part.max(axis=(0, 1)) for part in triangles])
    for body in range(count):
        fits = (low <= low[body]).all(axis=1) & (high >= high[body]).all(axis=1)
        for other in np.flatnonzero(fits & (np.arange(count) != body)):
            points = triangles[body][:: max(1, len(triangles[body]) // 5)].mean(axis=1)
            inside[body, other] = np.median(_winding(triangles[other], points)) > 0.5
    return labels, inside


def _winding(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,) times that (F, 3, 3) triangles of a closed surface go around points, in either sense."""
    a, b, c = np.moveaxis(triangles[None] - points[:, None, None], 2, 0)
    la, lb, lc = (np.linalg.norm(x, axis=2) for x in (a, b, c))
    volume = np.einsum("nfi,nfi->nf", a, np.cross(b, c))
    rest = la * lb * lc
    for (x, y), length in (((a, b), lc), ((b, c), la), ((c, a), lb)):
        rest = rest + np.einsum("nfi,nfi->nf", x, y) * length
    return np.abs(np.arctan2(volume, rest).sum(axis=1)) / (2 * np.pi)


def _without_walls(faces: np.ndarray) -> np.ndarray:
    """Faces without those that lie back to back, as between bodies that touch in whole faces."""
    corners = np.sort(faces, axis=1)
    turns = np.where(
        np.roll(faces, 1, axis=1)[np.arange(len(faces)), faces.argmin(axis=1)] == corners[:, 2],
        1,
        -1,
    )
    _, group = np.unique(corners, axis=0, return_inverse=True)
    group = group.ravel()
    # How often each is told one way more than the other.
    rest = np.bincount(group, weights=turns).astype(int)
    order = np.argsort(group, kind="stable")
    rank = np.empty(len(faces), dtype=int)
    for turn in (1, -1):
        same = order[turns[order] == turn]
        starts = np.flatnonzero(np.r_[True, group[same][1:] != group[same][:-1]])
        lengths = np.diff(np.r_[starts, len(same)])
        rank[same] = np.arange(len(same)) - np.repeat(starts, lengths)
    return faces[(turns == np.sign(rest[group])) & (rank < np.abs(rest[group]))]


def _angles(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(3F,) angle of each half-edge's face about its edge, seen along it from its lower vertex."""
    start, end = faces, np.roll(faces, -1, axis=1)
    apex = vertices[np.roll(faces, -2, axis=1)].reshape(-1, 3)
    low = vertices[np.minimum(start, end)].reshape(-1, 3)
    along = vertices[np.maximum(start, end)].reshape(-1, 3) - low
    length = np.linalg.norm(along, axis=1, keepdims=True)
    along = along / np.where(length > 0.0, length, 1.0)
    first = np.cross(along, np.eye(3)[np.abs(along).argmin(axis=1)])
    second = np.cross(along, first)
    out = apex - low
    return np.arctan2(np.einsum("hi,hi->h", out, second), np.einsum("hi,hi->h", out, first))


def _partners(angles: np.ndarray, forward: np.ndarray, half_edges: np.ndarray) -> np.ndarray:
    """(N,) which of an edge's half-edges goes with each: those with material between them.

    By angle, a half-edge that goes backward begins a sector of material, and the next that goes
    forward ends it. Where faces lie on each other, what ends goes before what begins.
    """
    turned = (angles - angles[0] + _SAME_ANGLE) % (2 * np.pi)
    order = np.argsort(turned)
    step = np.cumsum(np.r_[0, np.diff(turned[order]) > _SAME_ANGLE])
    order = order[np.lexsort([~forward[order], step])]
    partner = np.full(len(order), -1)
    begun: list[int] = []
    for one in [*order, *order]:  # twice: a sector may go across where the turn begins
        if partner[one] >= 0 or one in begun:
            continue
        if not forward[one]:
            begun.append(one)
        elif begun:
            other = begun.pop()
            partner[one], partner[other] = other, one
    return half_edges[partner]


def _welded(vertices: np.ndarray, faces: np.ndarray, partner: np.ndarray) -> trimesh.Trimesh:
    """A mesh in which two faces share a vertex only if their half-edges go with each other."""
    here = np.arange(faces.size)
    following = here - here % 3 + (here + 1) % 3
    count, corner = connected_components(
        coo_matrix((np.ones(faces.size), (here, following[partner])), shape=2 * (faces.size,)),
        directed=False,
    )
    places = np.empty((count, 3))
    places[corner] = vertices[faces.ravel()]
    return trimesh.Trimesh(places, corner.reshape(-1, 3), process=False)
