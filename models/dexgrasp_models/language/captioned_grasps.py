"""Images of a set's grasps with captions, made from the named parts of the library's objects."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import NamedTuple, Self

import numpy as np
import torch
import trimesh

from dexgrasp_models.data.grasp_set import Bounds, GraspSet
from dexgrasp_models.data.grasps import Grasps, concatenate, table_pose
from dexgrasp_models.geometry.farthest_points import farthest_points
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.language.captions import UNCLEAR, caption, touched_parts
from dexgrasp_models.language.grasp_images import VIEWS, GraspRenderer
from dexgrasp_models.objects.library import CATEGORIES, make_named
from dexgrasp_models.training.data import TrainingDataError, derived_seed

_TOUCHED_POINTS = 4096  # of the surface, where it is asked which part is touched
_DRAWN_POINTS = 1024  # as many as perception's clouds have
_HANDS_AT_ONCE = 64
_GRASPS_KEPT = 2048  # whose images take some 600 MB at 224 px


class ObjectSurface(NamedTuple):
    """What is known of an object of the library."""

    category: str
    parts: tuple[str, ...]
    points: np.ndarray
    """(1024, 3) spread evenly over the object of radius 1."""
    normals: np.ndarray
    """(1024, 3) outward unit normals."""


class CaptionedGrasps:
    """Grasps of objects on a table, each of which holds one part of its object.

    Images are drawn when they are asked for; the newest are kept.

    Attributes:
        grasps: N of them.
        parts: (N,) index into the parts of the object.
        surfaces: of the objects, in the order of `grasps.names`.
        grasps_left_out: how many more there were: without a table, of other objects than the
            library's, or where it isn't clear which part is held.
    """

    def __init__(
        self,
        grasps: Grasps,
        parts: np.ndarray,
        surfaces: Sequence[ObjectSurface],
        side: int,
        views: int = VIEWS,
        grasps_left_out: int = 0,
    ) -> None:
        """`side`, `views`: of the images, see `GraspRenderer`."""
        self.grasps, self.parts, self.surfaces = grasps, parts, tuple(surfaces)
        self.grasps_left_out = grasps_left_out
        self._renderer = GraspRenderer(views, side)
        self._kept = lru_cache(maxsize=_GRASPS_KEPT)(self._drawn)
        meanings = dict.fromkeys(self._meaning(row) for row in range(len(grasps)))
        self._numbers = {meaning: number for number, meaning in enumerate(meanings)}

    @classmethod
    def load(
        cls,
        grasps: GraspSet,
        objects: Collection[str],
        side: int,
        bounds: Bounds | None = None,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> Self:
        """Those of some objects of a set.

        Args:
            grasps: the set.
            objects: names; those that the set doesn't have don't matter.
            side: of the images, px.
            bounds: of figures; only such grasps, see `GraspSet.select`.
            progress: is told how many objects are done, of how many.

        Raises:
            TrainingDataError: no grasp has a caption.
            GraspDataError: a file can't be used, or there is no such figure.
        """
        asked = sorted(set(objects) & set(grasps.names))
        distance = HandDistance(HandKinematics(load_hand()))
        found: list[Grasps] = []
        parts: list[np.ndarray] = []
        surfaces: dict[str, ObjectSurface] = {}
        total = 0
        for done, name in enumerate(asked):
            progress(done, len(asked))
            chosen = grasps[grasps.select(bounds, [name])]
            total += len(chosen)
            chosen = chosen[chosen.has_table]
            if not _of_library(name) or not len(chosen):
                continue
            surface, held = _held_parts(name, chosen, distance)
            clear = held != UNCLEAR
            if clear.any():
                # A shard may name further objects.
                alone = replace(chosen, names=(name,), objects=np.zeros(len(chosen)))
                found.append(alone[clear])
                parts.append(held[clear])
                surfaces[name] = surface
        progress(len(asked), len(asked))
        if not found:
            raise TrainingDataError(
                f"{grasps.path}: none of the {total} grasps of {len(asked)} objects gives a "
                "caption: that takes objects of the library on a table, held by one of their parts"
            )
        captioned = concatenate(found)
        return cls(
            captioned,
            np.concatenate(parts),
            [surfaces[name] for name in captioned.names],
            side,
            grasps_left_out=total - len(captioned),
        )

    def __len__(self) -> int:
        return len(self.grasps)

    def surface(self, row: int) -> ObjectSurface:
        """Of the object that a grasp is of."""
        return self.surfaces[self.grasps.objects[row]]

    def caption(self, row: int, *template: str) -> str:
        """What a grasp is called, by default in the words that are judged by."""
        return caption(*self._meaning(row), *template)

    def meaning(self, row: int) -> int:
        """A number that grasps share whose captions mean the same."""
        return self._numbers[self._meaning(row)]

    def images(self, row: int) -> np.ndarray:
        """(V, side, side, 3) uint8 RGB: all views of a grasp."""
        return self._kept(int(row))

    @cached_property
    def rows_by_part(self) -> list[list[np.ndarray]]:
        """Of each object, the rows of its grasps by each part that is held at all."""
        found = []
        for index in range(len(self.surfaces)):
            rows = np.flatnonzero(self.grasps.objects == index)
            held = self.parts[rows]
            found.append([rows[held == part] for part in np.unique(held)])
        return found

    def fingerprint(self) -> str:
        """Differs where objects, grasps or their captions do."""
        digest = hashlib.sha256(repr(self.grasps.names).encode())
        for values in (self.grasps.objects, self.parts, self.grasps.translations):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:16]

    def _meaning(self, row: int) -> tuple[str, str]:
        surface = self.surface(row)
        return surface.category, surface.parts[self.parts[row]]

    def _drawn(self, row: int) -> np.ndarray:
        grasp, surface = self.grasps[[row]], self.surface(row)
        pose = table_pose(grasp.planes[0])
        points = (grasp.scales[0] * surface.points) @ pose[:3, :3].T + pose[:3, 3]
        normals = surface.normals @ pose[:3, :3].T
        return next(self._renderer.draw(points, normals, pose @ grasp.palm_poses, grasp.joints))


def _of_library(name: str) -> bool:
    category, _, instance = name.partition("/")
    return category in CATEGORIES and instance.isascii() and instance.isdigit()


def _held_parts(
    name: str, grasps: Grasps, distance: HandDistance
) -> tuple[ObjectSurface, np.ndarray]:
    """An object of the library, and the part (N,) that each of its grasps holds."""
    made = make_named(name)
    points, faces = trimesh.sample.sample_surface(
        made.mesh, _TOUCHED_POINTS, seed=derived_seed(name)
    )
    parts = made.face_parts[faces]
    held = []
    for start in range(0, len(grasps), _HANDS_AT_ONCE):
        some = grasps[start : start + _HANDS_AT_ONCE]
        poses, joints = (
            torch.as_tensor(values, dtype=torch.float32)
            for values in (some.palm_poses, some.joints)
        )
        links = distance.kinematics.link_poses(poses, joints)
        # Grasps of one object differ in its scale.
        scaled = torch.as_tensor(some.scales[:, None, None] * points, dtype=torch.float32)
        held.append(touched_parts(distance, links, scaled, parts))
    spread = farthest_points(points, _DRAWN_POINTS)
    surface = ObjectSurface(
        made.category, made.parts, points[spread], made.mesh.face_normals[faces[spread]]
    )
    return surface, np.concatenate(held)
