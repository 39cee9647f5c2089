"""What depth cameras see of the scenes of a grasp set: a folder with one file an object.

A *scene* is an object of one scale on one table, as grasps name them by `names`, `scales` and
`planes`. It has several clouds: the object turned, moved and measured anew for each. As in a grasp
set a file appears whole or not at all, is mapped into memory, and never changes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError, table_pose
from dexgrasp_models.files import written_whole

FORMAT = "dexgrasp clouds 1"
SUFFIX = ".safetensors"


class Scene(NamedTuple):
    """An object on a table. Numbers are those of the grasp set, to the bit."""

    name: str
    scale: float
    plane: tuple[float, float, float, float]
    """In the frame of the scaled object, see `Grasps.planes`."""


class Scenes(NamedTuple):
    """The scenes of a grasp set."""

    scenes: list[Scene]
    index: np.ndarray
    """(N,) which of them each grasp belongs to; -1 for a grasp without a table."""


def scenes_of(grasps: GraspSet) -> Scenes:
    """The scenes of a set, sorted."""
    columns = (grasps.column("objects"), grasps.column("scales"), grasps.column("planes"))
    rows = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
    on_table = ~np.isnan(rows).any(axis=1)
    unique, inverse = np.unique(rows[on_table], axis=0, return_inverse=True)
    names = grasps.names
    index = np.full(len(rows), -1)
    index[on_table] = inverse.reshape(-1)
    found = [Scene(names[int(row[0])], float(row[1]), tuple(row[2:].tolist())) for row in unique]
    return Scenes(found, index)


def placed_at_random(scene: Scene, radius: float, generator: np.random.Generator) -> np.ndarray:
    """(4, 4) pose in `world` of the scene's object: any yaw, up to `radius` (m) off the centre."""
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("z", generator.uniform(0, 2 * np.pi)).as_matrix()
    angle, distance = generator.uniform(0, 2 * np.pi), radius * np.sqrt(generator.random())
    turned[:2, 3] = distance * np.cos(angle), distance * np.sin(angle)
    return turned @ table_pose(np.array(scene.plane))


@dataclass(frozen=True, eq=False)
class ObjectClouds:
    """V clouds of the scenes of one object.

    Raises:
        GraspDataError: shapes don't fit together, or a value isn't finite.
    """

    name: str
    scales: np.ndarray
    """(V,) float64, of each cloud's scene."""
    planes: np.ndarray
    """(V, 4) float64, of each cloud's scene."""
    points: np.ndarray
    """(V, N, 3) float16 points of the object in the cloud's table-top frame (z up, table at z = 0,
    the mean of the points above the origin), m: rounded by no more than 0.13 mm within half a
    metre. In the order of farthest-point sampling; those that weren't seen repeat others."""
    counts: np.ndarray
    """(V,) int32, how many of the points were seen."""
    object_poses: np.ndarray
    """(V, 4, 4) float64 of the scaled object in the cloud's frame."""

    def __post_init__(self) -> None:
        count = len(self.scales)
        shapes = {
            "scales": (count,),
            "planes": (count, 4),
            "points": (count, *self.points.shape[1:2], 3),
            "counts": (count,),
            "object_poses": (count, 4, 4),
        }
        for name, shape in shapes.items():
            values = getattr(self, name)
            if values.shape != shape:
                raise GraspDataError(f"{name} of clouds must be {shape}, not {values.shape}")
            if not np.isfinite(values).all():
                raise GraspDataError(f"{self.name}: {name} of clouds that are NaN or infinite")

    def __len__(self) -> int:
        return len(self.scales)

    @property
    def scenes(self) -> list[Scene]:
        """That of each cloud."""
        return [
            Scene(self.name, scale, tuple(plane))
            for scale, plane in zip(self.scales.tolist(), self.planes.tolist(), strict=True)
        ]


_ARRAYS = ("scales", "planes", "points", "counts", "object_poses")


class CloudSet:
    """The clouds in a folder. Processes may append at once, each other objects."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path = path
        self.names = tuple(names)
        """Objects with clouds, when the set was opened."""

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool = False) -> Self:
        """The set in a folder.

        Args:
            path: the folder.
            create: whether it may be missing or empty.

        Raises:
            GraspDataError: there is no set, or a file can't be read.
        """
        folder = Path(path)
        files = sorted(folder.glob(f"[!.]*{SUFFIX}"))
        if folder.exists() and not folder.is_dir():
            raise GraspDataError(f"{folder}: a set of clouds is a folder, and this is a file")
        if not files and not create:
            raise GraspDataError(
                f"{folder}: no clouds are there; make them with dexgrasp data clouds"
            )
        return cls(folder, [_header(file)["object"] for file in files])

    def has(self, name: str) -> bool:
        """Whether an object's clouds are there, also since the opening."""
        return self._file(name).is_file()

    def provenance(self, name: str) -> Provenance:
        """Where an object's clouds came from.

        Raises:
            GraspDataError: as `clouds`.
        """
        return Provenance(**json.loads(_header(self._file(name))["provenance"]))

    def clouds(self, name: str) -> ObjectClouds:
        """The clouds of an object.

        Raises:
            GraspDataError: there are none, or the file is broken.
        """
        path = self._file(name)
        _header(path)
        with safe_open(path, framework="np") as file:
            if missing := set(_ARRAYS) - set(file.keys()):
                raise GraspDataError(f"{path}: has no {', '.join(sorted(missing))}")
            return ObjectClouds(name, **{array: file.get_tensor(array) for array in _ARRAYS})

    def append(self, clouds: ObjectClouds, provenance: Provenance) -> Path:
        """Write an object's clouds, whole or not at all; none says that none could be seen.

        Raises:
            GraspDataError: they are there already.
            OSError: they can't be written, as on a full disk.
        """
        path = self._file(clouds.name)
        if path.exists():
            raise GraspDataError(f"{path}: these clouds are finished; finished ones don't change")
        header = {
            "format": FORMAT,
            "object": clouds.name,
            "provenance": json.dumps(asdict(provenance)),
        }
        content = save({n: np.ascontiguousarray(getattr(clouds, n)) for n in _ARRAYS}, header)
        with written_whole(path) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self.names = tuple(sorted({*self.names, clouds.name}))
        return path

    def _file(self, name: str) -> Path:
        return self.path / f"{name.replace('/', '-')}{SUFFIX}"


def _header(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise GraspDataError(f"{path}: there are no such clouds")
    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise GraspDataError(
            f"{path}: is cut short or no file of clouds ({error}); remove it to make it anew"
        ) from error
    if header.get("format") != FORMAT:
        raise GraspDataError(f"{path}: its format is {header.get('format')!r}, not {FORMAT!r}")
    return header
