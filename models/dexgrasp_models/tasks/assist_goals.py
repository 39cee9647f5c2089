"""Which grasps of a set can be goals of the human-assisting task, in a file beside the set.

GraspGF (Wu et al., NeurIPS 2023) keeps the grasps of its data set that its own hand lifts, and of
these some of each object that differ. The file names grasps by their shard and their row in it, so
that a set may grow; it does not hold them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dexgrasp_models.data.grasp_set import GraspSet, Shard
from dexgrasp_models.data.grasps import GraspDataError, Grasps
from dexgrasp_models.files import written_whole
from dexgrasp_models.hand.file_header import check_hand, hand_header

FORMAT = "dexgrasp goals 1"

Choice = Literal["chosen", "chosen_of_all", "held", "all"]
"""Of the grasps that were tried: diverse ones of each object among those that hold, or among all
that were tried; all that hold; all."""

_ARRAYS = {"shards": np.int32, "rows": np.int32, "held": bool, "rises": np.float32,
           "chosen": bool, "chosen_of_all": bool}  # fmt: skip


@dataclass(frozen=True, eq=False)
class TriedGoals:
    """N grasps that were tried by a static lift in the task's own scene.

    Raises:
        GraspDataError: lengths don't fit.
    """

    digests: Mapping[str, str]
    """Of each shard with any of these grasps, by its name, in the order that `shards` counts."""
    objects: tuple[str, ...]
    """Those whose grasps were tried, even if none could be."""
    shards: np.ndarray
    """(N,) int32, which of `digests`."""
    rows: np.ndarray
    """(N,) int32, of the shard."""
    held: np.ndarray
    """(N,) bool: lifted in every test, by the paper's rule (4.2)."""
    rises: np.ndarray
    """(N,) float32, m, in the first test; NaN where the physics became unstable."""
    chosen: np.ndarray
    """(N,) bool: one of the diverse ones among those of its object that hold."""
    chosen_of_all: np.ndarray
    """(N,) bool: one of the diverse ones among all of its object that were tried."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """How they were tried, as JSON gives it back."""

    def __post_init__(self) -> None:
        for name, kind in _ARRAYS.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        lengths = {name: getattr(self, name).shape for name in _ARRAYS}
        if len(set(lengths.values())) > 1 or self.rows.ndim != 1:
            raise GraspDataError(f"tried goals of lengths that don't fit: {lengths}")

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def none(cls, notes: Mapping[str, Any]) -> Self:
        """Nothing tried yet."""
        empty = {name: np.zeros(0, kind) for name, kind in _ARRAYS.items()}
        return cls({}, (), **empty, notes=notes)

    def with_object(self, name: str, found: TriedGoals) -> Self:
        """These and those of one more object."""
        digests = {**self.digests, **found.digests}
        place = {shard: index for index, shard in enumerate(digests)}
        moved = np.array([place[shard] for shard in found.digests], dtype=np.int32)
        columns = {
            column: np.concatenate([getattr(self, column), getattr(found, column)])
            for column in _ARRAYS
        }
        columns["shards"] = np.concatenate([self.shards, moved[found.shards]])
        return type(self)(digests, (*self.objects, name), **columns, notes=self.notes)

    def goals(self, grasps: GraspSet, choice: Choice = "chosen") -> Grasps:
        """The grasps themselves.

        Args:
            grasps: the set that they were tried of, which may have grown.
            choice: which.

        Raises:
            GraspDataError: the set lacks one of their shards, or has another one in its place.
        """
        self.check(grasps)
        wanted = np.ones(len(self), bool) if choice == "all" else getattr(self, choice)
        starts = np.cumsum([0, *map(len, grasps.shards)])
        first = {
            shard.path.stem: start for shard, start in zip(grasps.shards, starts[:-1], strict=True)
        }
        firsts = np.array([first[name] for name in self.digests], dtype=int)
        return grasps[firsts[self.shards[wanted]] + self.rows[wanted]]

    def check(self, grasps: GraspSet) -> None:
        """See that a set has the shards of these grasps, as they were.

        Raises:
            GraspDataError: it lacks one, or has another one in its place.
        """
        present = {shard.path.stem: shard for shard in grasps.shards}
        for name, digest in self.digests.items():
            if name not in present:
                raise GraspDataError(f"{grasps.path}: has no shard {name}, of which goals are")
            if shard_digest(present[name]) != digest:
                raise GraspDataError(
                    f"{present[name].path}: is not what it was when its grasps were tried as "
                    "goals: try them again, into a new file"
                )


def shard_digest(shard: Shard) -> str:
    """A short hash of a shard's file."""
    return hashlib.sha256(shard.path.read_bytes()).hexdigest()[:16]


def save_goals(path: Path, tried: TriedGoals) -> None:
    """Write a file of goals, whole or not at all.

    Raises:
        OSError: it can't be written.
    """
    header = {
        "format": FORMAT,
        **hand_header(),
        **{name: json.dumps(getattr(tried, name)) for name in ("digests", "objects", "notes")},
    }
    content = save({name: np.ascontiguousarray(getattr(tried, name)) for name in _ARRAYS}, header)
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def load_goals(path: Path) -> TriedGoals:
    """The goals in a file of `save_goals`.

    Raises:
        GraspDataError: the file is cut short, is none, or is for another hand.
        OSError: it can't be opened.
    """
    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise GraspDataError(
                    f"{path}: holds no goals; dexgrasp assist goals makes such a file"
                )
            check_hand(path, header, GraspDataError)
            arrays = {name: file.get_tensor(name) for name in _ARRAYS}
        told = {name: json.loads(header[name]) for name in ("digests", "objects", "notes")}
        told["objects"] = tuple(told["objects"])
        return TriedGoals(**told, **arrays)
    except SafetensorError as error:
        raise GraspDataError(f"{path}: is cut short or no file of goals ({error})") from error
    except (KeyError, TypeError) as error:
        raise GraspDataError(f"{path}: is incomplete ({error!r})") from error
