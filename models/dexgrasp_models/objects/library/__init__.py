"""A library of parametric objects: categories, each a seeded generator of closed meshes.

An instance is named by its category and its seed, as `mug/3`; the same name is always the same
mesh. Meshes are canonicalised as the papers' are (UniDexGrasp, appendix A): the centre of the
bounding box in the origin, the farthest vertex at distance 1; `SCALES` make them life-size.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import cast
from zlib import crc32

import numpy as np
import trimesh
import yaml
from manifold3d import Manifold
from numpy.random import Generator

from dexgrasp_models.objects.library import (
    electronics,
    food,
    household,
    tools,
    toys,
    vessels,
    wearables,
)
from dexgrasp_models.objects.library.solids import union

CATEGORIES: dict[str, Callable[[Generator], Mapping[str, Manifold]]] = {
    name: build
    for group in (vessels, tools, food, electronics, toys, household, wearables)
    for name, build in group.CATEGORIES.items()
}
"""Generators by category: from random numbers to named parts, overlapping, in any unit."""

SCALES = (0.06, 0.08, 0.10, 0.12, 0.15)
"""Radii (m) of the sphere around an object in the papers' data sets."""

SPLITS = ("training", "validation", "unseen_instances", "unseen_categories")
"""Trained on; chosen by, be it weights or settings; and UniDexGrasp's (sec. 4.1) that only report:
other instances of the same categories, and other categories."""

_TOLERANCE = 5e-4  # of the bounding radius: smaller features that unions leave behind are removed


@dataclass(frozen=True, eq=False)
class LibraryObject:
    """One instance of a category.

    Attributes:
        category: of `CATEGORIES`.
        instance: its seed.
        mesh: closed, in the unit sphere, z up as the object stands or lies in use.
        parts: names, such as handle and body.
        face_parts: (F,) index into `parts` of each face of `mesh`.
    """

    category: str
    instance: int
    mesh: trimesh.Trimesh
    parts: tuple[str, ...]
    face_parts: np.ndarray

    @property
    def name(self) -> str:
        """As `make_named` takes it."""
        return f"{self.category}/{self.instance}"

    def part(self, name: str) -> trimesh.Trimesh:
        """The open surface of one part.

        Raises:
            ValueError: no such part; the message lists those there are.
        """
        if name not in self.parts:
            raise ValueError(f"{self.name} has no part {name!r}; it has {', '.join(self.parts)}")
        faces = np.flatnonzero(self.face_parts == self.parts.index(name))
        return cast(trimesh.Trimesh, self.mesh.submesh([faces], append=True, repair=False))


def make_instance(category: str, seed: int) -> LibraryObject:
    """The instance of a category that a seed stands for.

    Raises:
        ValueError: no such category, or a negative seed; the message says what there is.
    """
    if category not in CATEGORIES:
        raise ValueError(f"no category {category!r} in the library; {_categories_like(category)}")
    if seed < 0:
        raise ValueError(f"{category}/{seed}: instances are numbered from 0")
    rng = np.random.default_rng([crc32(category.encode()), seed])
    parts = CATEGORIES[category](rng)
    mesh, face_parts = _joined(list(parts.values()))
    return LibraryObject(category, seed, mesh, tuple(parts), face_parts)


def make_named(name: str) -> LibraryObject:
    """The instance of a name such as `mug/3`.

    Raises:
        ValueError: not of that form, or as `make_instance`.
    """
    category, _, instance = name.partition("/")
    if not _is_number(instance):
        raise ValueError(
            f"{name!r} is no object of the library: expected <category>/<instance>, as mug/3"
        )
    return make_instance(category, int(instance))


def split_names(split: str) -> tuple[str, ...]:
    """Names of the instances of a split.

    Raises:
        ValueError: no such split; the message lists those there are.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; the splits are {', '.join(SPLITS)}")
    return tuple(f"{category}/{i}" for category, found in _splits()[split].items() for i in found)


def select_names(selection: str) -> tuple[str, ...]:
    """Names meant by a split, by a category (its instances in all splits), or by a name.

    Raises:
        ValueError: it is neither.
    """
    if selection in SPLITS:
        return split_names(selection)
    category, slash, instance = selection.partition("/")
    if category in CATEGORIES and not slash:
        numbers = sorted(i for split in _splits().values() for i in split.get(category, ()))
        return tuple(f"{category}/{i}" for i in numbers)
    if category in CATEGORIES and _is_number(instance):
        return (f"{category}/{int(instance)}",)
    raise ValueError(
        f"{selection!r} is no split ({', '.join(SPLITS)}), no category and no <category>/<instance>"
        f" of the library; {_categories_like(category)}"
    )


def canonicalized(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with its bounding box centred in the origin and its farthest vertex at 1."""
    vertices = mesh.vertices - mesh.bounds.mean(axis=0)
    vertices = vertices / np.linalg.norm(vertices, axis=1).max()
    return trimesh.Trimesh(vertices, mesh.faces, process=False)


@functools.cache
def _splits() -> dict[str, dict[str, list[int]]]:
    """Instances by split and category."""
    return yaml.safe_load(Path(__file__).with_name("splits.yaml").read_text(encoding="utf-8"))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _categories_like(name: str) -> str:
    close = get_close_matches(name, CATEGORIES, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}its categories are {', '.join(CATEGORIES)}"


def _joined(parts: list[Manifold]) -> tuple[trimesh.Trimesh, np.ndarray]:
    """One canonical mesh of overlapping parts, and the index (F,) of the part each face is of."""
    originals = [part.as_original() for part in parts]
    whole = union(originals)
    low, high = np.reshape(whole.bounding_box(), (2, 3))
    found = whole.simplify(_TOLERANCE * np.linalg.norm(high - low) / 2).to_mesh64()
    index = {part.original_id(): i for i, part in enumerate(originals)}
    # Runs of faces that stem from one part; their bounds count triangle corners.
    owners = [index[int(run)] for run in found.run_original_id]
    face_parts = np.repeat(owners, np.diff(found.run_index) // 3)
    mesh = trimesh.Trimesh(found.vert_properties, found.tri_verts.astype(np.int64), process=False)
    return canonicalized(mesh), face_parts
