"""A set of grasps on disk: a folder of memory-mapped shards that grows by whole files.

Each shard is one `safetensors` file: named arrays behind a small JSON header with the objects'
names and where the grasps came from. Weighed against it:

- HDF5 (h5py) appends in place, so a kill can spoil the file and all that was finished before.
- Zarr is a folder of many small files that belong together, each of which can be missing.
- Arrow (pyarrow) fits as well, at a hundred times the size of the dependency.
- `.npy` has neither names nor text, so each shard would be several files.

safetensors is memory-mapped, without compression (angles hardly compress), refuses files that are
cut short, can't carry code, and is what network weights are kept in. One shard is one file, put in
place by one rename: a finished one is never touched again (but to fill in squeezes, by a rename
too), a half-written one never seen.
`docs/data_format.md` describes the format.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from operator import methodcaller
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dexgrasp_models.data.grasps import PER_GRASP, GraspDataError, Grasps, merge_objects
from dexgrasp_models.files import written_whole
from dexgrasp_models.hand.file_header import check_hand, hand_header

FORMAT = "dexgrasp grasps 1"
SUFFIX = ".safetensors"

_FIGURE = "figure."
_SQUEEZES = "squeezes"  # the one column that may be missing
_SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

Bounds = Mapping[str, tuple[float, float]]
"""Least and greatest value of each figure, both allowed."""


@dataclass(frozen=True)
class Provenance:
    """Where the grasps of a shard came from."""

    seed: int | None = None
    """Of the random generator; None where nothing was drawn."""
    command: str = field(default_factory=lambda: _command())
    """What made them."""
    version: str = field(default_factory=lambda: _version())
    """Of dexgrasp."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Anything more that JSON can hold: settings, origin, licence."""


class Shard:
    """One file of a set, memory-mapped: its arrays are read when they are used.

    Raises:
        GraspDataError: the file is cut short, is no shard, or is for another hand.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # PyTorch's reader maps the file; NumPy's would copy it.
            self._file = safe_open(path, framework="pt")
            header = self._file.metadata() or {}
        except (SafetensorError, OSError) as error:
            raise GraspDataError(
                f"{path}: is cut short or no shard of grasps ({error}); remove it to go on without"
            ) from error
        if header.get("format") != FORMAT:
            raise GraspDataError(f"{path}: its format is {header.get('format')!r}, not {FORMAT!r}")
        check_hand(path, header, GraspDataError)
        self._stored = set(self._file.keys())
        try:
            self.names: tuple[str, ...] = tuple(json.loads(header["objects"]))
            self.provenance = Provenance(**json.loads(header["provenance"]))
            self._length = int(self._file.get_slice("joints").get_shape()[0])
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise GraspDataError(f"{path}: its header is incomplete ({error!r})") from error
        if missing := set(PER_GRASP) - self._stored - {_SQUEEZES}:
            raise GraspDataError(f"{path}: has no {', '.join(sorted(missing))}")
        self._columns: dict[str, np.ndarray] = {}

    def __reduce__(self) -> tuple[type[Shard], tuple[Path]]:
        # Another process maps the file itself.
        return Shard, (self.path,)

    def __len__(self) -> int:
        return self._length

    @cached_property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures that were measured of these grasps."""
        return tuple(
            sorted(name.removeprefix(_FIGURE) for name in self._stored if name.startswith(_FIGURE))
        )

    def column(self, name: str) -> np.ndarray:
        """(N, ...) a field of `Grasps` with one row a grasp, mapped from the file."""
        if name == _SQUEEZES and name not in self._stored:
            joints = self.column("joints")
            return np.broadcast_to(joints.dtype.type(np.nan), joints.shape)  # takes no memory
        if name not in self._columns:
            self._columns[name] = self._file.get_tensor(name).numpy()
        return self._columns[name]

    def figure(self, name: str) -> np.ndarray:
        """(N,) mapped from the file; NaN where it was not measured."""
        if _FIGURE + name in self._stored:
            return self.column(_FIGURE + name)
        return np.full(len(self), np.nan, dtype=np.float32)

    def grasps(self, rows: np.ndarray | slice = slice(None)) -> Grasps:
        """The grasps of some rows, checked again."""
        return Grasps(
            names=self.names,
            figures={name: self.figure(name)[rows] for name in self.figures},
            **{name: self.column(name)[rows] for name in PER_GRASP},
        )


class GraspSet:
    """All shards of a folder as one sequence of grasps, in the order of the shards' names.

    One process may append while others read what was there when they opened the set. Several may
    append at once; those that go on after an interruption name their shards and leave out what
    `has_shard`.

    Attributes:
        path: the folder.
        shards: in order.
    """

    def __init__(self, path: Path, shards: Sequence[Shard]) -> None:
        self.path = path
        self.shards = tuple(shards)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool = False) -> Self:
        """The set in a folder.

        Args:
            path: the folder.
            create: whether the set may be new, its folder empty or missing.

        Raises:
            GraspDataError: there is no set, or a shard can't be read.
        """
        folder = Path(path)
        if folder.exists() and not folder.is_dir():
            raise GraspDataError(f"{folder}: a set of grasps is a folder, and this is a file")
        # Names with a dot in front are not finished.
        files = sorted(folder.glob(f"[!.]*{SUFFIX}"))
        if not files and not create:
            raise GraspDataError(f"{folder}: no set of grasps (a folder with *{SUFFIX}) is there")
        return cls(folder, [Shard(file) for file in files])

    def __len__(self) -> int:
        return sum(map(len, self.shards))

    def __getitem__(self, rows: np.ndarray | slice | Sequence[int]) -> Grasps:
        """The grasps of a slice, of a (N,) mask or of (M,) indices, in that order.

        Raises:
            IndexError: the set has no such row.
        """
        indices = np.arange(len(self))[rows]
        if not len(indices):
            return self._first.grasps(slice(0, 0))
        starts = self._starts
        owners = np.searchsorted(starts, indices, side="right") - 1
        order = np.argsort(owners, kind="stable")
        used, first = np.unique(owners[order], return_index=True)
        groups = [
            (self.shards[owner], indices[asked] - starts[owner])
            for owner, asked in zip(used, np.split(order, first[1:]), strict=True)
        ]
        back = np.argsort(order)

        def gathered(read: Callable[[Shard], np.ndarray]) -> np.ndarray:
            return np.concatenate([read(shard)[rows] for shard, rows in groups])[back]

        columns = {name: gathered(methodcaller("column", name)) for name in PER_GRASP}
        figures = dict.fromkeys(name for shard, _ in groups for name in shard.figures)
        names, objects = merge_objects(
            [(shard.names, shard.column("objects")[rows]) for shard, rows in groups]
        )
        return Grasps(
            names=names,
            figures={name: gathered(methodcaller("figure", name)) for name in figures},
            **columns | {"objects": objects[back]},
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all objects, sorted."""
        return tuple(sorted({name for shard in self.shards for name in shard.names}))

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of all figures, sorted."""
        return tuple(sorted({name for shard in self.shards for name in shard.figures}))

    def column(self, name: str) -> np.ndarray:
        """(N, ...) a field of `Grasps`; `objects` are indices into the set's `names`."""
        if name not in PER_GRASP:
            raise GraspDataError(f"no column {name!r}; there are {', '.join(PER_GRASP)}")
        if name == "objects":
            # The sorted names come first, so that the indices are those into `names`.
            parts = [(shard.names, shard.column(name)) for shard in self.shards]
            return merge_objects([(self.names, np.zeros(0, dtype=np.int32)), *parts])[1]
        return np.concatenate(
            [self._first.column(name), *(s.column(name) for s in self.shards[1:])]
        )

    def figure(self, name: str) -> np.ndarray:
        """(N,) NaN where it was not measured.

        Raises:
            GraspDataError: no grasp has such a figure.
        """
        if name not in self.figures:
            known = ", ".join(self.figures) or "none"
            raise GraspDataError(f"{self.path}: no figure {name!r}; there are {known}")
        return np.concatenate([shard.figure(name) for shard in self.shards])

    def select(
        self, bounds: Bounds | None = None, objects: Collection[str] | None = None
    ) -> np.ndarray:
        """(M,) rows of the grasps of some objects whose figures are within bounds.

        A figure that was not measured is out of any bounds.

        Raises:
            GraspDataError: there is no such figure or object.
        """
        chosen = np.ones(len(self), dtype=bool)
        for name, (least, greatest) in (bounds or {}).items():
            values = self.figure(name)
            chosen &= (values >= least) & (values <= greatest)
        if objects is not None:
            if unknown := sorted(set(objects) - set(self.names)):
                raise GraspDataError(f"{self.path}: no grasps of {', '.join(unknown)}")
            wanted = np.array([name in objects for name in self.names])
            chosen &= wanted[self.column("objects")]
        return np.flatnonzero(chosen)

    def has_shard(self, name: str) -> bool:
        """Whether a shard of this name is finished, also by another process since the opening."""
        return self._shard_path(name).is_file()

    def append(self, grasps: Grasps, provenance: Provenance, shard: str | None = None) -> Path:
        """Write grasps as a new shard, whole or not at all.

        Args:
            grasps: at least one, unless the shard is named: then it says that none was found.
            provenance: where they came from.
            shard: its name; by default a running number and a hash of the content.

        Returns:
            The new file.

        Raises:
            GraspDataError: there is nothing to write, or the name is taken or no file's.
            OSError: it can't be written, as on a full disk; the set is as it was.
        """
        if len(grasps) == 0 and shard is None:
            raise GraspDataError("no grasps to append")
        content = _serialised(grasps, provenance)
        if shard is None:
            # The hash keeps two processes that append at once from taking the same name.
            shard = f"{len(self.shards):06d}-{hashlib.sha256(content).hexdigest()[:8]}"
        path = self._shard_path(shard)
        if path.exists():
            raise GraspDataError(f"{path}: this shard is finished; finished shards are not changed")
        _write(path, content)
        self.shards = tuple(sorted((*self.shards, Shard(path)), key=lambda one: one.path))
        return path

    def fill_in_squeezes(self, shard: Shard, squeezes: np.ndarray) -> None:
        """Store a shard of this set anew, with squeezes and otherwise the same.

        The one change that a finished shard may see. It is replaced whole or not at all; who has it
        open goes on with what was there.

        Args:
            shard: of `shards`.
            squeezes: (N, 22) rad; NaN where they are not known.

        Raises:
            GraspDataError: a shape or a value doesn't fit.
            OSError: it can't be written, as on a full disk; the set is as it was.
        """
        grasps = replace(shard.grasps(), squeezes=squeezes)
        _write(shard.path, _serialised(grasps, shard.provenance))
        new = Shard(shard.path)
        self.shards = tuple(new if one is shard else one for one in self.shards)

    @property
    def _first(self) -> Shard:
        if not self.shards:
            raise GraspDataError(f"{self.path}: the set is empty")
        return self.shards[0]

    @property
    def _starts(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum([len(shard) for shard in self.shards])[:-1]])

    def _shard_path(self, name: str) -> Path:
        if not _SHARD_NAME.fullmatch(name):
            raise GraspDataError(f"{name!r} is no shard's name: letters, digits, _, - and . only")
        return self.path / f"{name}{SUFFIX}"


def _serialised(grasps: Grasps, provenance: Provenance) -> bytes:
    used = sorted(set(grasps.objects.tolist()))
    place = np.zeros(len(grasps.names), dtype=np.int32)
    place[used] = np.arange(len(used))
    arrays = {name: getattr(grasps, name) for name in PER_GRASP}
    arrays["objects"] = place[grasps.objects]
    if not grasps.has_squeeze.any():
        del arrays[_SQUEEZES]
    arrays |= {_FIGURE + name: values for name, values in grasps.figures.items()}
    header = {
        "format": FORMAT,
        **hand_header(),
        "objects": json.dumps([grasps.names[index] for index in used]),
        "provenance": json.dumps(asdict(provenance)),
    }
    return save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, header)


def _write(path: Path, content: bytes) -> None:
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _command() -> str:
    program, *arguments = sys.argv
    return shlex.join([Path(program).name, *arguments])


def _version() -> str:
    try:
        return version("dexgrasp_models")
    except PackageNotFoundError:
        return "not installed"
