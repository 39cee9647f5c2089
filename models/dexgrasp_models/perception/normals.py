"""Outward normals of an object's points: estimated where none are given, checked where they are."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from dexgrasp_models.open3d_import import import_open3d

_NEIGHBOURS = 16  # that make a normal
_NO_LENGTH = 1e-6
_UNIT = 0.1  # by which the length of a normal may differ from 1 where nothing calls it a normal
_FEW = 0.1  # part of the points that may be left out for want of a normal
_FIT = 0.6  # mean |cosine| to the estimated normals; directions at random have 0.5
_CERTAIN_FIT, _UNIT_FIT = 0.9, 0.8  # of columns that nothing calls normals
_PARALLEL = 0.7  # |cosine|
_OPPOSED = 0.003  # part of parallel neighbours that may have opposite normals by chance
_SHEETS = 0.5  # how much of one mind such neighbours are about which lies behind the other
_WALLS = 0.05  # part of parallel neighbours that are opposite in an object of thin walls
_BETTER = 0.5  # times as many such neighbours, at most, after normals are turned
_INWARD = -0.03  # outwardness: for noise, since that of a whole surface is always positive


def outward_normals(
    points: np.ndarray, given: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Unit normals out of an object that stands on the table z = 0.

    Normals that are given stay as they are, to the bit, where they are unit vectors out of the
    surface. Those into it are turned, and those that are none are estimated anew.

    Args:
        points: (N, 3) of one object, m.
        given: (N, 3) its normals as a file has them.

    Returns:
        (M,) indices of the points that have a normal, (M, 3) the normals, and what was wrong with
        the given ones, one phrase each.
    """
    every = np.arange(len(points))
    if given is None:
        return every, _oriented(points, _estimated(points)), []
    lengths = np.linalg.norm(given, axis=1)
    valid = np.isfinite(lengths) & (lengths > _NO_LENGTH)
    notes = []
    if not valid.all():
        told = f"{(~valid).sum()} of {len(points)} normals are zero or not finite"
        if (~valid).mean() > _FEW:
            return (
                every,
                _oriented(points, _estimated(points)),
                [f"{told}: all are estimated from the points"],
            )
        notes.append(f"{told}: their points are left out")
    kept = every[valid]
    points, given, lengths = points[kept], given[kept], lengths[kept]
    if np.abs(lengths - 1.0).max() > 1e-3:
        given = given / lengths[:, None]
    if normal_fit(points, given) < _FIT:
        notes.append("its normals don't fit its points: they are estimated from the points")
        return kept, _oriented(points, _estimated(points)), notes
    normals, note = _turned_outward(points, given)
    return kept, normals, [*notes, *([note] if note else [])]


def are_normals(points: np.ndarray, columns: np.ndarray) -> bool:
    """Whether numbers (N, 3) beside points, of which nothing says what they are, are normals.

    They are where they are directions that the surface has: as a rule of unit length, and neither
    colours nor anything else.
    """
    lengths = np.linalg.norm(columns, axis=1)
    usable = np.isfinite(lengths) & (lengths > _NO_LENGTH)
    if usable.mean() < 0.5:
        return False
    lengths, points = lengths[usable], points[usable]
    fit = normal_fit(points, columns[usable] / lengths[:, None])
    unit = np.mean(np.abs(lengths - 1.0) < _UNIT) > 1.0 - _FEW
    return bool(fit > (_UNIT_FIT if unit else _CERTAIN_FIT))


def normal_fit(points: np.ndarray, normals: np.ndarray) -> float:
    """Mean |cosine| between unit normals (N, 3) and those estimated from the points."""
    return float(np.mean(np.abs(np.einsum("ij,ij->i", _estimated(points), normals))))


def _estimated(points: np.ndarray) -> np.ndarray:
    """Unit normals (N, 3) of the planes around points, to either side."""
    o3d = import_open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(_NEIGHBOURS))
    return np.asarray(cloud.normals)


def _turned_outward(points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, str]:
    """Given normals, turned where they point inward, and what was done, if anything."""
    opposed, depth = _opposed(points, normals)
    if opposed > _OPPOSED and abs(depth) < _SHEETS:
        # Estimated ones lead over edges, where those of faces turn at once.
        outward = _oriented(points, _estimated(points))
        turned = np.einsum("ij,ij->i", outward, normals) < 0.0
        anew = np.where(turned[:, None], -normals, normals)
        if _opposed(points, anew)[0] < _BETTER * opposed:
            return anew, f"{turned.mean():.0%} of its normals point inward: they are turned"
    outward = outwardness(points, normals).mean()
    if outward < _INWARD or (outward < 0.0 and opposed > _WALLS and depth > _SHEETS):
        return -normals, "its normals point inward: they are turned"
    return normals, ""


def outwardness(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(N,) evidence that normals point out of an object on the table z = 0; below 0 into it.

    Two things tell: a body has its volume on the inner side, whether or not its underside is there;
    and of an object on a table more is seen from above than from below, as the inside of a bowl.
    """
    foot = np.array([*points[:, :2].mean(axis=0), 0.0])
    rays = points - foot
    rays /= np.linalg.norm(rays, axis=1, keepdims=True).clip(1e-9)
    return 2.0 * normals[:, 2] + np.einsum("ij,ij->i", rays, normals)


def _oriented(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Normals turned to one side of the surface, along its smoothest ways, and that side outward.

    The graph of nearest neighbours bounds the effort where a triangulation has none: in points of
    one plane.
    """
    index, neighbours, cosines, across = _pairs(points, normals)
    # Ways in the surface and along like normals come first: not through a wall, nor over an edge.
    weights = 1e-6 + 1.0 - np.abs(cosines) + np.square(across)
    count = len(points)
    graph = sparse.csr_matrix((weights, (index, neighbours)), shape=(count, count))
    tree = csgraph.minimum_spanning_tree(graph)
    parts, part = csgraph.connected_components(tree, directed=False)
    # One root above all parts, so that they are walked through at once.
    first = np.full(parts, -1)
    first[part[::-1]] = np.arange(count)[::-1]
    tree = tree.tocoo()
    rows = np.concatenate([tree.row, np.full(parts, count)])
    columns = np.concatenate([tree.col, first])
    rooted = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(count + 1, count + 1))
    order, before = csgraph.breadth_first_order(rooted, count, directed=False)
    steps, parents = order[1:], before[order[1:]]
    of_parent = normals[np.where(parents == count, steps, parents)]
    turns = np.where(np.einsum("ij,ij->i", normals[steps], of_parent) < 0.0, -1, 1).tolist()
    signs = [1] * (count + 1)
    for node, parent, turn in zip(steps.tolist(), parents.tolist(), turns, strict=True):
        signs[node] = signs[parent] * turn
    sign = np.array(signs[:count], dtype=np.float64)
    evidence = np.bincount(part, outwardness(points, normals) * sign, minlength=parts)
    sign *= np.where(evidence < 0.0, -1.0, 1.0)[part]
    return normals * sign[:, None]


def _opposed(points: np.ndarray, normals: np.ndarray) -> tuple[float, float]:
    """Part of the neighbours whose normals are parallel but opposite, and where they lie.

    The two faces of a thin wall lie behind each other's normals, -1; in front of them, +1, where
    the normals point into the wall. In one surface with normals to both sides, and where there are
    no such neighbours, it is about 0.
    """
    index, neighbours, cosines, _ = _pairs(points, normals)
    opposite = cosines < -_PARALLEL
    if not opposite.any():
        return 0.0, 0.0
    offsets = points[neighbours[opposite]] - points[index[opposite]]
    depths = np.einsum("ij,ij->i", offsets, normals[index[opposite]])
    share = opposite.sum() / (np.abs(cosines) > _PARALLEL).sum()
    return float(share), float(depths.sum() / np.abs(depths).sum().clip(1e-12))


def _pairs(
    points: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points and their neighbours: both indices, the cosine of their normals, and |sine| of the
    way from one to the other over the surface of the first."""
    count = min(_NEIGHBOURS, len(points))
    distances, neighbours = cKDTree(points).query(points, k=count)
    index = np.repeat(np.arange(len(points)), count)
    neighbours, distances = neighbours.ravel(), distances.ravel()
    others = neighbours != index
    index, neighbours, distances = index[others], neighbours[others], distances[others]
    cosines = np.einsum("ij,ij->i", normals[index], normals[neighbours])
    offsets = (points[neighbours] - points[index]) / distances.clip(1e-9)[:, None]
    across = np.abs(np.einsum("ij,ij->i", offsets, normals[index]))
    return index, neighbours, cosines, across
