"""How an object on the table has moved since it was looked at, by a stream of clouds.

The first cloud is registered to each new one: where it may be is tried all over, by a grid of
distances to it, and the best of that made better by iterated closest points (Besl and McKay, 1992),
of which each counts across the surface and less along it (Chen and Medioni, 1992), robustly, and
less far with each step. An object that stays on the table moves by three numbers, along the table
and about the vertical, so that what little a hand leaves to be seen tells them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from dexgrasp_models.parameters import Parameters, parameter

_SCALES = np.geomspace(0.015, 0.004, 8)
"""m from a surface at which a point counts by a quarter, in each step."""
_ALONG = 0.05
"""Weight of a distance along the surface: it stops what slides, and finds the rims of flat tops."""
_NEIGHBOURS = 10
_POINTS = 400
"""Of a cloud at most."""
_TRIED = 100
"""Points that are tried at all places."""
_GRID = np.array([0.01, 0.01, 0.15])
"""m along x and y, and rad, between the places at which the object is tried."""
_PLACES = np.mgrid[-5:6, -5:6, -3:4].reshape(3, -1).T * _GRID
"""(K, 3) from where it was last."""
_CELL = 0.004
"""m, of the grid of distances."""
_SPACINGS = 2.0
"""Times the distance between a cloud's points, within which others are on the surface between."""
_TURN_TOLD = 0.05
"""Of how much points away from the middle would tell of a turn at best, what those of an object do
for a turn to be followed; of a bowl's or a roll's about 0.01."""
_TOLD = 0.01
"""Least share of the points that must tell a direction along the table by being across it."""


@dataclass(frozen=True)
class TrackerConfig(Parameters):
    """What is believed."""

    reach: float = parameter(
        0.03, 0.005, 0.2, "m", "from the object, within which points are expected to be of it"
    )
    tolerance: float = parameter(
        0.008, 0.001, 0.05, "m", "from the object's points, within which others are on it"
    )
    min_points: int = parameter(30, 4, 10000, "", "on the object, below which it is lost")
    inliers: float = parameter(
        0.75, 0.0, 1.0, "", "part of the points in reach that must be on the object"
    )
    coverage: float = parameter(0.35, 0.0, 1.0, "", "part of the object that must be seen")
    residual: float = parameter(
        0.004, 0.0005, 0.02, "m", "of the points on the object across its surface, rms, at most"
    )
    max_shift: float = parameter(0.1, 0.0, 1.0, "m", "that the object may have moved")
    max_turn: float = parameter(0.5, 0.0, 3.2, "rad", "that the object may have turned")


@dataclass(frozen=True, eq=False)
class Track:
    """What is known of an object's motion since the first cloud.

    Attributes:
        moved: (3,) m along x and y of `world` by which its middle moved, and rad by which it turned
            about the vertical through it; the last that were believed.
        reason: why the newest cloud is not believed; empty where it is.
        too_far: whether it is believed that the object moved farther than is allowed; `moved` is of
            before then, and `reason` says how far.
    """

    moved: np.ndarray
    reason: str = ""
    too_far: bool = False


class ObjectTracker:
    """Follows one object.

    Args:
        cloud: (N, 3) m in `world`, of the object alone, as it was at first.
        config: of what is believed.

    Raises:
        ValueError: the cloud has too few points, or they aren't finite.
    """

    def __init__(self, cloud: np.ndarray, config: TrackerConfig | None = None) -> None:
        self._config = config or TrackerConfig()
        cloud = np.asarray(cloud, dtype=float)
        if cloud.ndim != 2 or cloud.shape[1] != 3 or not np.isfinite(cloud).all():
            raise ValueError(f"an object's cloud is finite (N, 3), not {cloud.shape}")
        cloud = np.unique(cloud, axis=0)
        if len(cloud) < max(self._config.min_points, _NEIGHBOURS):
            raise ValueError(
                f"{len(cloud)} points are too few to follow an object by; "
                f"{max(self._config.min_points, _NEIGHBOURS)} are needed"
            )
        self._cloud = _thinned(cloud)
        self._tree = cKDTree(self._cloud)
        self._normals = _normals(self._cloud, self._tree)
        spacing = np.median(self._tree.query(self._cloud, k=2)[0][:, 1])
        self._tolerance = max(self._config.tolerance, _SPACINGS * float(spacing))
        self._middle = 0.5 * (cloud.min(axis=0) + cloud.max(axis=0))
        self._moved = np.zeros(3)
        self._free = 3 if self._tells_turns() else 2
        about = self._cloud - self._middle
        self._corner = about.min(axis=0) - self._config.reach
        shape = np.ceil((about.max(axis=0) + self._config.reach - self._corner) / _CELL).astype(int)
        free = np.ones(shape + 1, dtype=bool)
        free[tuple(np.rint((about - self._corner) / _CELL).astype(int).T)] = False
        field = np.minimum(_CELL * distance_transform_edt(free), self._config.reach)
        self._corner -= _CELL
        self._field = np.pad(field, 1, constant_values=self._config.reach)
        """m to the cloud, at most the reach; at its border stands what lies outside of it."""
        tried = _PLACES if self._free == 3 else _PLACES[_PLACES[:, 2] == 0.0]
        self._places = tried[:, : self._free] @ np.eye(self._free, 3)

    def update(self, points: np.ndarray) -> Track:
        """What a new cloud tells.

        Args:
            points: (M, 3) m in `world`, of what stands on the table; also of other things.
        """
        points = np.asarray(points, dtype=float).reshape(-1, 3)
        points = points[np.isfinite(points).all(axis=1)]
        moved, problem = self._registered(points)
        if problem:
            return Track(self._moved, problem)
        shift, turn = float(np.hypot(*moved[:2])), abs(float(moved[2]))
        if shift > self._config.max_shift or turn > self._config.max_turn:
            reason = (
                f"the object was moved by {shift:.3f} m and {turn:.2f} rad; "
                f"{self._config.max_shift:g} m and {self._config.max_turn:g} rad are followed"
            )
            return Track(self._moved, reason, too_far=True)
        self._moved = moved
        return Track(moved)

    def motion(self, moved: np.ndarray) -> np.ndarray:
        """(4, 4) in `world` of an object that moved by so much, see `Track`."""
        x, y, turn = moved
        motion = np.eye(4)
        motion[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        motion[:3, 3] = self._middle + np.array([x, y, 0.0]) - motion[:3, :3] @ self._middle
        return motion

    def _registered(self, points: np.ndarray) -> tuple[np.ndarray, str]:
        """The (3,) motion that fits best, and why it isn't believed."""
        c = self._config
        size = np.linalg.norm(self._cloud - self._middle, axis=1).max()
        middle = self._middle + np.append(self._moved[:2], 0.0)
        farthest = size + c.max_shift + c.reach
        points = points[np.linalg.norm(points - middle, axis=1) < farthest]
        if len(points) < c.min_points:
            return self._moved, f"{len(points)} points are where the object may be"
        points = _thinned(points)
        found = [self._fitted(start, points) for start in self._starts(points)]
        best = min(found, key=lambda moved: self._misfit(moved, points))
        return best, self._doubt(best, points)

    def _starts(self, points: np.ndarray) -> np.ndarray:
        """(2, 3) where it was last, and the best of the places around."""
        places = self._moved + self._places
        points = _thinned(points, _TRIED)
        x, y = (points[:, None, :2] - self._middle[:2] - places[:, :2]).transpose(2, 0, 1)
        cos, sin = np.cos(places[:, 2]), np.sin(places[:, 2])
        z = np.broadcast_to(points[:, 2:] - self._middle[2], x.shape)
        # Points as they were before the motion, about the object's middle.
        before = np.stack([cos * x + sin * y, cos * y - sin * x, z], axis=-1)
        misfits = np.mean(self._far(before) ** 2, axis=0)
        return np.stack([self._moved, places[np.argmin(misfits)]])

    def _far(self, points: np.ndarray) -> np.ndarray:
        """(...) m of points (..., 3) about the middle to the first cloud, at most the reach."""
        cells = np.rint((points - self._corner) / _CELL)
        np.clip(cells, 0, np.array(self._field.shape) - 1, out=cells)
        x, y, z = np.moveaxis(cells.astype(int), -1, 0)
        return self._field[x, y, z]

    def _tells_turns(self) -> bool:
        """Whether the object isn't alike all around, so that turns of it can be seen."""
        arms, across = (self._cloud - self._middle)[:, :2], self._normals[:, :2]
        turning = arms[:, 0] * across[:, 1] - arms[:, 1] * across[:, 0]
        # What a turn does to the points beyond what some shift does as well.
        ways = np.column_stack([across, turning])
        told = ways.T @ ways + 1e-9 * np.eye(3)
        alone = told[2, 2] - told[2, :2] @ np.linalg.solve(told[:2, :2], told[:2, 2])
        most = np.sum((arms**2).sum(axis=1) * (across**2).sum(axis=1))
        return bool(alone > _TURN_TOLD * most)

    def _fitted(self, moved: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The (3,) motion near one that fits."""
        moved, free = moved.copy(), self._free
        for scale in _SCALES:
            distances, matches = self._nearest(moved, points)
            weights = (scale**2 / (scale**2 + distances**2)) ** 2
            here, normals, ways = self._matched(moved, matches)
            left, ways = points - here, ways[:, :free]
            across = np.einsum("nkc,nc->nk", ways, normals)
            off = np.einsum("nc,nc->n", left, normals)
            matrix = (1.0 - _ALONG) * (across.T * weights) @ across
            matrix += _ALONG * np.einsum("n,nkc,nlc->kl", weights, ways, ways)
            vector = (1.0 - _ALONG) * across.T @ (weights * off)
            vector += _ALONG * np.einsum("n,nkc,nc->k", weights, ways, left)
            moved[:free] += np.linalg.solve(matrix, vector)
        return moved

    def _matched(
        self, moved: np.ndarray, matches: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Some of the cloud's points (M, 3) where they have moved to, their normals (M, 3), and how
        each goes on with each number of the motion, (M, 3, 3)."""
        rotation = self.motion(moved)[:3, :3]
        arms = (self._cloud[matches] - self._middle) @ rotation.T
        ways = np.zeros((len(matches), 3, 3))
        ways[:, 0, 0] = ways[:, 1, 1] = 1.0
        ways[:, 2, 0], ways[:, 2, 1] = -arms[:, 1], arms[:, 0]
        here = self._middle + np.append(moved[:2], 0.0) + arms
        return here, self._normals[matches] @ rotation.T, ways

    def _nearest(self, moved: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances (M,) of points to the cloud that was moved, and indices (M,) of its points."""
        motion = self.motion(moved)
        distances, matches = self._tree.query((points - motion[:3, 3]) @ motion[:3, :3])
        return distances, matches

    def _misfit(self, moved: np.ndarray, points: np.ndarray) -> float:
        """Mean squares of distances, m^2, of points to the object and back, each cut off."""
        limit, motion = self._config.reach, self.motion(moved)
        there = self._nearest(moved, points)[0]
        back = cKDTree(points).query(self._cloud @ motion[:3, :3].T + motion[:3, 3])[0]
        return sum(float(np.mean(np.minimum(each, limit) ** 2)) for each in (there, back))

    def _doubt(self, moved: np.ndarray, points: np.ndarray) -> str:
        """Why a motion isn't believed, or nothing."""
        c, motion = self._config, self.motion(moved)
        distances, matches = self._nearest(moved, points)
        on = distances < self._tolerance
        if on.sum() < c.min_points:
            return f"{on.sum()} points are on the object, {c.min_points} are needed"
        share = on.sum() / np.count_nonzero(distances < c.reach)
        if share < c.inliers:
            return f"{100 * share:.0f} % of the points there are on it: it is another, or moved up"
        cloud = self._cloud @ motion[:3, :3].T + motion[:3, 3]
        seen = np.mean(cKDTree(points).query(cloud)[0] < self._tolerance)
        if seen < c.coverage:
            return f"{100 * seen:.0f} % of the object is seen"
        here, normals, _ = self._matched(moved, matches[on])
        rms = float(np.sqrt(np.mean(np.einsum("nc,nc->n", points[on] - here, normals) ** 2)))
        if rms > c.residual:
            return f"its points are {1e3 * rms:.1f} mm off its surface: it is another"
        if np.linalg.eigvalsh(normals[:, :2].T @ normals[:, :2] / len(normals))[0] < _TOLD:
            return "what is seen of it doesn't tell how far it moved along one direction"
        return ""


def _thinned(points: np.ndarray, count: int = _POINTS) -> np.ndarray:
    """At most so many of them, all over their order."""
    if len(points) <= count:
        return points
    return points[np.linspace(0, len(points) - 1, count).astype(int)]


def _normals(points: np.ndarray, tree: cKDTree) -> np.ndarray:
    """(N, 3) unit normals of the planes through neighbours, of either side."""
    near = points[tree.query(points, k=_NEIGHBOURS)[1]]
    near = near - near.mean(axis=1, keepdims=True)
    return np.linalg.eigh(np.einsum("nki,nkj->nij", near, near))[1][:, :, 0]
