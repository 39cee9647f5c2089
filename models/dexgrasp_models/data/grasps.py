"""Grasps in memory: many of them as arrays, checked when constructed."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePosixPath
from typing import Self

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.spec import load_hand

UNIT_TOLERANCE = 1e-3
"""How far a table's normal may be from unit length."""

_FIGURE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NO_FIGURES = ("qpos", "scale", "plane")  # keys of their own in the field's files


class GraspDataError(ValueError):
    """Grasps, or a file of them, that can't be used; the message says what is wrong."""


@dataclass(frozen=True, eq=False)
class Grasps:
    """N grasps. All lengths are in m and all angles in rad.

    The palm's pose is kept as the field's data sets have it, a translation and three angles: that
    is small, and it goes back to them to the bit. `palm_poses` has the matrices.

    Raises:
        GraspDataError: a shape does not fit, or a value makes no sense.
    """

    names: tuple[str, ...]
    """The objects: relative paths with forward slashes, as in `sem/Car-669043a8`."""
    objects: np.ndarray
    """(N,) int32, which of `names`."""
    numbers: np.ndarray
    """(N,) int32, the grasp's number among those of its object where it came from."""
    scales: np.ndarray
    """(N,) factor on the object's mesh."""
    planes: np.ndarray
    """(N, 4) table (a, b, c, d) in the frame of the scaled object: (a, b, c) is the unit normal out
    of the table, and a x + b y + c z + d the height above it. NaN where there is no table."""
    translations: np.ndarray
    """(N, 3) of `rh_palm` in the frame of the scaled object."""
    rotations: np.ndarray
    """(N, 3) turns of `rh_palm` about the object's fixed axes x, y, z in turn: R = Rz Ry Rx."""
    joints: np.ndarray
    """(N, 22) finger joint angles, in the order of `HandSpec.finger_joints`. Their type, float32 or
    float64, is that of all figures and lengths."""
    figures: Mapping[str, np.ndarray] = field(default_factory=dict)
    """(N,) of each name: what was measured of the grasps. NaN where it is not known; yes is 1."""
    squeezes: np.ndarray = None  # type: ignore[assignment]  # becomes NaN
    """(N, 22) joint targets, rad, with which the hand presses from the grasp, possibly inside the
    object and beyond limits. A row of NaN where they are not known."""

    def __post_init__(self) -> None:
        joints = np.asarray(self.joints)
        dtype = joints.dtype if joints.dtype in (np.float32, np.float64) else np.dtype(np.float64)
        count = len(joints)
        shapes = {
            "objects": (count,),
            "numbers": (count,),
            "scales": (count,),
            "planes": (count, 4),
            "translations": (count, 3),
            "rotations": (count, 3),
            "joints": (count, len(load_hand().joints)),
            "squeezes": (count, len(load_hand().joints)),
        }
        if self.squeezes is None:
            self._set("squeezes", np.full(shapes["squeezes"], np.nan))
        for name, shape in shapes.items():
            kind = np.int32 if name in ("objects", "numbers") else dtype
            self._set(name, _array(getattr(self, name), kind, shape, name))
        self._set("names", tuple(self.names))
        self._set(
            "figures",
            {
                name: _array(values, dtype, (count,), f"figure {name}")
                for name, values in self.figures.items()
            },
        )
        self._check()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check(self) -> None:
        for name in self.names:
            check_object_name(name)
        if len(set(self.names)) != len(self.names):
            raise GraspDataError("an object is named twice")
        if np.any((self.objects < 0) | (self.objects >= len(self.names))):
            raise GraspDataError(f"an object's index is not in 0 to {len(self.names) - 1}")
        for name in ("scales", "translations", "rotations", "joints"):
            values = getattr(self, name)
            finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
            _refuse(~finite, f"{name} that are NaN or infinite")
        _refuse(self.scales <= 0.0, "a scale that is not positive")
        norms = np.linalg.norm(self.planes[:, :3], axis=1)
        is_plane = np.isfinite(self.planes).all(axis=1) & (np.abs(norms - 1.0) <= UNIT_TOLERANCE)
        no_plane = np.isnan(self.planes).all(axis=1)
        _refuse(~(is_plane | no_plane), "a table plane without a unit normal")
        known = np.isfinite(self.squeezes)
        _refuse(known.any(axis=1) & ~known.all(axis=1), "squeezes that are known in part")
        _refuse(np.isinf(self.squeezes).any(axis=1), "squeezes that are infinite")
        for name, values in self.figures.items():
            if not _FIGURE_NAME.fullmatch(name) or name in _NO_FIGURES:
                raise GraspDataError(
                    f"{name!r} is no figure's name: letters, digits, _, - and . only, and not "
                    + ", ".join(_NO_FIGURES)
                )
            _refuse(np.isinf(values), f"a figure {name} that is infinite")

    def __len__(self) -> int:
        return len(self.joints)

    def __getitem__(self, rows: np.ndarray | slice | Sequence[int]) -> Self:
        """The grasps of a slice, of a (N,) mask or of (M,) indices; all `names` stay."""
        return replace(
            self,
            figures={name: values[rows] for name, values in self.figures.items()},
            **{name: getattr(self, name)[rows] for name in PER_GRASP},
        )

    @property
    def has_table(self) -> np.ndarray:
        """(N,) bool: whether the grasp is one of an object on a table."""
        return ~np.isnan(self.planes[:, 0])

    @property
    def has_squeeze(self) -> np.ndarray:
        """(N,) bool: whether it is known how the hand presses from the grasp."""
        return ~np.isnan(self.squeezes[:, 0])

    @property
    def palm_poses(self) -> np.ndarray:
        """(N, 4, 4) float64 pose of `rh_palm` in the frame of the scaled object."""
        poses = np.tile(np.eye(4), (len(self), 1, 1))
        if len(self):
            poses[:, :3, :3] = Rotation.from_euler("xyz", self.rotations).as_matrix()
        poses[:, :3, 3] = self.translations
        return poses

    def held_as(self, others: Self) -> Self:
        """The same objects, scales and tables with the hands of N other grasps.

        Raises:
            GraspDataError: there are more or fewer.
        """
        return replace(
            self,
            translations=others.translations,
            rotations=others.rotations,
            joints=others.joints,
            squeezes=others.squeezes,
        )

    def astype(self, dtype: type[np.floating]) -> Self:
        """The same in float32 (half the size) or float64."""
        return replace(self, joints=self.joints.astype(dtype))

    @classmethod
    def of_object(
        cls,
        name: str,
        scale: float,
        palm_poses: np.ndarray,
        joints: np.ndarray,
        plane: Sequence[float] | np.ndarray | None = None,
        figures: Mapping[str, np.ndarray] | None = None,
        squeezes: np.ndarray | None = None,
    ) -> Self:
        """Grasps of one object at one scale on one table, numbered from 0.

        Args:
            name: the object's.
            scale: factor on its mesh.
            palm_poses: (N, 4, 4) of `rh_palm` in the frame of the scaled object.
            joints: (N, 22); float32 makes all of it float32.
            plane: (4,) the table; None for none.
            figures: (N,) of each name.
            squeezes: (N, 22) rad.

        Raises:
            GraspDataError: as the class.
        """
        palm_poses = np.asarray(palm_poses)
        count = len(palm_poses)
        if palm_poses.shape != (count, 4, 4):
            raise GraspDataError(f"palm poses have the shape {palm_poses.shape}, not (N, 4, 4)")
        return cls(
            (name,),
            np.zeros(count),
            np.arange(count),
            np.full(count, scale),
            np.tile(np.full(4, np.nan) if plane is None else plane, (count, 1)),
            palm_poses[:, :3, 3],
            to_angles(palm_poses[:, :3, :3]),
            joints,
            figures or {},
            squeezes,  # type: ignore[arg-type]  # None is none known
        )


PER_GRASP = tuple(item.name for item in fields(Grasps) if item.name not in ("names", "figures"))
"""Fields of `Grasps` with one row a grasp."""


def concatenate(parts: Sequence[Grasps]) -> Grasps:
    """All grasps in order; a figure that a part lacks is NaN there.

    Raises:
        GraspDataError: there is no part.
    """
    if not parts:
        raise GraspDataError("no grasps to put together")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in PER_GRASP}
    names, columns["objects"] = merge_objects([(part.names, part.objects) for part in parts])
    figures = dict.fromkeys(name for part in parts for name in part.figures)
    return Grasps(
        names=names,
        figures={
            name: np.concatenate(
                [part.figures.get(name, np.full(len(part), np.nan)) for part in parts]
            )
            for name in figures
        },
        **columns,
    )


def merge_objects(
    parts: Sequence[tuple[tuple[str, ...], np.ndarray]],
) -> tuple[tuple[str, ...], np.ndarray]:
    """All names, each once, and all indices into them, of parts with names and (N,) indices."""
    names = tuple(dict.fromkeys(name for known, _ in parts for name in known))
    place = {name: index for index, name in enumerate(names)}
    indices = [
        np.array([place[name] for name in known], dtype=np.int32)[objects]
        for known, objects in parts
    ]
    return names, np.concatenate(indices)


def to_angles(rotations: np.ndarray) -> np.ndarray:
    """(N, 3) angles about the fixed axes x, y, z in turn, of (N, 3, 3) rotation matrices."""
    if len(rotations) == 0:
        return np.zeros((0, 3))
    with warnings.catch_warnings():
        # At a right angle about y two of the three turn the same way; any split is the rotation.
        warnings.filterwarnings("ignore", message="Gimbal lock")
        return Rotation.from_matrix(rotations).as_euler("xyz")


def table_plane(world_T_object: np.ndarray) -> np.ndarray:
    """(..., 4) planes in the object's frame, of (..., 4, 4) object poses on the table z = 0."""
    return np.asarray(world_T_object)[..., 2, :]


def table_pose(plane: np.ndarray) -> np.ndarray:
    """(4, 4) pose of an object on the table z = 0, of its (4,) plane in the object's frame.

    A plane leaves the place on the table and the turn about z open: the object's origin is put
    above the world's, and the object is turned as little as possible.
    """
    normal = np.asarray(plane[:3], dtype=np.float64)
    normal = normal / np.linalg.norm(normal)
    pose = np.eye(4)
    axis, cosine = np.cross(normal, [0.0, 0.0, 1.0]), normal[2]
    sine = float(np.linalg.norm(axis))
    # Straight upside down any horizontal axis would do.
    axis = axis / sine if sine > 0.0 else np.array([1.0, 0.0, 0.0])
    pose[:3, :3] = Rotation.from_rotvec(math.atan2(sine, cosine) * axis).as_matrix()
    pose[2, 3] = plane[3]
    return pose


def check_object_name(name: str) -> None:
    """Names become paths when grasps are exported, so they have to stay inside a folder.

    Raises:
        GraspDataError: it is empty, absolute, or leads out of its folder.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name:
        raise GraspDataError(f"{name!r} is no object's name: expected a relative path as in a/b")


def _array(values: object, dtype: np.dtype | type, shape: tuple[int, ...], what: str) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise GraspDataError(f"{what}: not numbers ({error})") from error
    if array.shape != shape:
        raise GraspDataError(f"{what} have the shape {array.shape}, expected {shape}")
    return array


def _refuse(rows: np.ndarray, problem: str) -> None:
    if rows.any():
        bad = np.flatnonzero(rows)
        raise GraspDataError(f"{len(bad)} of {len(rows)} grasps have {problem}; first {bad[0]}")
