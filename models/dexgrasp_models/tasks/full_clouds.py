"""Clouds of whole objects, from all sides, as GraspGF's policies see them (A.1)."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import numpy as np
import trimesh

from dexgrasp_models.geometry.farthest_points import farthest_points
from dexgrasp_models.objects import LIBRARY_PREFIX, load_surface

_DENSITY = 4  # drawn for each point that is kept, so that they can be spread evenly


def library_source(name: str) -> str:
    """Where an object of the library comes from, as `load_surface` takes it."""
    return LIBRARY_PREFIX + name


class FullClouds:
    """The `Clouds` of objects' surfaces; some of each object are kept, and turned and moved.

    Args:
        source: of an object's name, as `load_surface` takes it.
        kept: different clouds of each object.
        seed: of all of them; they depend on it and on the object's name, not on the order.

    Raises:
        ValueError: none would be kept.
    """

    def __init__(
        self, source: Callable[[str], str] = library_source, *, kept: int = 4, seed: int = 0
    ) -> None:
        if kept < 1:
            raise ValueError(f"at least one cloud of each object has to be kept, not {kept}")
        self._source, self._count, self._seed = source, kept, seed
        self._kept: dict[tuple[str, int], np.ndarray] = {}

    def __call__(
        self,
        name: str,
        scale: float,
        plane: np.ndarray,
        object_pose: np.ndarray,
        points: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        if (name, points) not in self._kept:
            self._kept[name, points] = self._sampled(name, points)
        clouds = self._kept[name, points]
        cloud = scale * clouds[rng.integers(len(clouds))]
        return cloud @ object_pose[:3, :3].T + object_pose[:3, 3]

    def _sampled(self, name: str, points: int) -> np.ndarray:
        """(K, P, 3) in the units of the object's mesh."""
        surface = load_surface(self._source(name))
        seed = np.random.SeedSequence([crc32(name.encode()), self._seed])
        draws = map(np.random.default_rng, seed.spawn(self._count))
        return np.stack([_spread(surface, points, rng) for rng in draws])


def _spread(surface: trimesh.Trimesh, points: int, rng: np.random.Generator) -> np.ndarray:
    """(P, 3) points evenly on a surface."""
    drawn, _ = trimesh.sample.sample_surface(surface, _DENSITY * points, seed=rng)
    found = np.asarray(drawn)
    return found[farthest_points(found, points)]
