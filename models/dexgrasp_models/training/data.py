"""Clouds paired with the grasps of their scenes, as batches that are functions of their number."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dexgrasp_models.data.cloud_set import CloudSet, Scene, scenes_of
from dexgrasp_models.data.grasp_set import Bounds, GraspSet
from dexgrasp_models.nets.clouds import CloudConfig, table_top_cloud
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.objects.library import SPLITS, split_names
from dexgrasp_models.training.config import TrainingConfig

TRAINING, VALIDATION = "training", "validation"
"""The library's splits that networks learn from and are chosen by; see `objects.library.SPLITS`."""

_VALIDATION_SHARE = 0.1  # of objects that aren't of the library, chosen by their names


class TrainingDataError(ValueError):
    """Data that nothing can be learned from; the message says what is wrong with it."""


class Batch(NamedTuple):
    """B clouds with G grasps each."""

    clouds: Tensor
    """(B, N, 3) of object and table in the table-top frame, m."""
    grasps: GraspTensors
    """B G grasps in the frames of their clouds, those of the first cloud first."""

    def to(self, device: torch.device | str) -> Batch:
        """The same on a device."""
        grasps = GraspTensors(*(field.to(device) for field in self.grasps))
        return Batch(self.clouds.to(device), grasps)

    def part(self, rank: int, parts: int) -> Batch:
        """Every `parts`-th cloud with its grasps; without a remainder all parts are as large."""
        each = self.grasps.count // len(self.clouds)
        clouds = torch.arange(len(self.clouds))[rank::parts]
        rows = (each * clouds[:, None] + torch.arange(each)).flatten()
        return Batch(self.clouds[clouds], self.grasps.select(rows))


class GraspScenes:
    """Scenes with clouds and grasps, in memory: 6 kB a cloud and 150 B a grasp.

    Attributes:
        scenes: S of them.
        grasps_left_out: how many grasps have no cloud, or no table.
    """

    def __init__(
        self,
        scenes: list[Scene],
        grasps: GraspTensors,
        grasp_counts: np.ndarray,
        points: Tensor,
        object_poses: Tensor,
        cloud_counts: np.ndarray,
        grasps_left_out: int = 0,
    ) -> None:
        """
        Args:
            scenes: S of them.
            grasps: in the frames of their objects, those of the first scene first.
            grasp_counts: (S,) how many each scene has.
            points: (V, N, 3) float16 of all clouds, those of the first scene first; see
                `ObjectClouds`.
            object_poses: (V, 4, 4) of the objects in the clouds' frames.
            cloud_counts: (S,) how many each scene has.
            grasps_left_out: see the class.
        """
        self.scenes, self.grasps_left_out = scenes, grasps_left_out
        self._grasps, self._points = grasps, points
        self._object_poses = object_poses.float()
        self._grasp_counts = torch.as_tensor(grasp_counts)
        self._cloud_counts = torch.as_tensor(cloud_counts)
        self._grasp_starts = self._grasp_counts.cumsum(0) - self._grasp_counts
        self._cloud_starts = self._cloud_counts.cumsum(0) - self._cloud_counts

    @classmethod
    def load(
        cls,
        grasps: GraspSet,
        clouds: CloudSet,
        objects: Collection[str],
        bounds: Bounds | None = None,
    ) -> Self:
        """The scenes of some objects.

        Args:
            grasps: the set.
            clouds: of its scenes.
            objects: names; those that the sets don't have don't matter.
            bounds: of figures; only such grasps, see `GraspSet.select`.

        Raises:
            TrainingDataError: no grasp that is asked for has a cloud.
            GraspDataError: a file can't be used, or there is no such figure.
        """
        asked = sorted(set(objects) & set(grasps.names))
        rows = grasps.select(bounds, asked)
        if not len(rows):
            raise TrainingDataError(f"{grasps.path}: has no grasps of the {len(objects)} objects")
        all_scenes, index = scenes_of(grasps)
        rows_of: dict[Scene, list[int]] = {}
        for row in rows[index[rows] >= 0]:
            rows_of.setdefault(all_scenes[index[row]], []).append(row)

        scenes: list[Scene] = []
        points, poses, cloud_counts = [], [], []
        for name in sorted({scene.name for scene in rows_of} & set(clouds.names)):
            found = clouds.clouds(name)
            views: dict[Scene, list[int]] = {}
            for view, scene in enumerate(found.scenes):
                views.setdefault(scene, []).append(view)
            for scene in sorted(set(views) & set(rows_of)):
                scenes.append(scene)
                points.append(torch.as_tensor(found.points[views[scene]]))
                poses.append(torch.as_tensor(found.object_poses[views[scene]]))
                cloud_counts.append(len(views[scene]))
        if not scenes:
            raise TrainingDataError(
                f"{clouds.path}: none of the {len(rows)} grasps has a cloud of its scene; make "
                f"clouds of this very set: dexgrasp data clouds {grasps.path} {clouds.path}"
            )
        if len({part.shape[1] for part in points}) > 1:
            raise TrainingDataError(f"{clouds.path}: its clouds have different numbers of points")
        used = np.array([row for scene in scenes for row in rows_of[scene]])
        chosen = grasps[used]
        poses_of_palm = torch.as_tensor(chosen.palm_poses, dtype=torch.float32)
        return cls(
            scenes,
            GraspTensors(
                poses_of_palm[:, :3, :3],
                poses_of_palm[:, :3, 3],
                torch.as_tensor(chosen.joints, dtype=torch.float32),
            ),
            np.array([len(rows_of[scene]) for scene in scenes]),
            torch.cat(points),
            torch.cat(poses),
            np.array(cloud_counts),
            len(rows) - len(used),
        )

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def grasp_count(self) -> int:
        """How many grasps all scenes have."""
        return self._grasps.count

    @property
    def cloud_count(self) -> int:
        """How many clouds all scenes have."""
        return len(self._points)

    @property
    def objects(self) -> tuple[str, ...]:
        """Names, sorted."""
        return tuple(sorted({scene.name for scene in self.scenes}))

    def fingerprint(self) -> str:
        """Differs where scenes, or numbers of their grasps and clouds, do."""
        counts = (self._grasp_counts.tolist(), self._cloud_counts.tolist())
        return hashlib.sha256(repr((self.scenes, counts)).encode()).hexdigest()[:16]

    def batch(
        self,
        scenes: Tensor,
        grasps: int,
        cloud: CloudConfig,
        generator: torch.Generator,
        *,
        turn: bool = False,
        jitter: float = 0.0,
    ) -> Batch:
        """One cloud of each of some scenes, and grasps of each.

        Args:
            scenes: (B,) indices.
            grasps: G, of each scene; different ones as long as there are.
            cloud: of how many points.
            generator: draws all.
            turn: whether to turn each cloud with its grasps by any angle about the vertical.
            jitter: deviation of noise on the object's points, m.
        """
        shares = torch.rand(len(scenes), 2, generator=generator)
        views = self._cloud_starts[scenes] + (shares[:, 0] * self._cloud_counts[scenes]).long()
        rows = self._grasp_rows(scenes, grasps, generator).flatten()

        points, poses = self._points[views].float(), self._object_poses[views]
        if turn:
            turns = _about_z(2 * torch.pi * shares[:, 1])
            points = points @ turns[:, :3, :3].transpose(1, 2)
            poses = turns @ poses
        if jitter:
            points = points + jitter * torch.randn(points.shape, generator=generator)
        poses = poses.repeat_interleave(grasps, dim=0)
        chosen = self._grasps.select(rows)
        moved = poses[:, :3, :3] @ chosen.translations[..., None]
        return Batch(
            table_top_cloud(points, cloud),
            GraspTensors(
                poses[:, :3, :3] @ chosen.rotations,
                moved.squeeze(-1) + poses[:, :3, 3],
                chosen.joints,
            ),
        )

    def _grasp_rows(self, scenes: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """(B, G) rows: the first of a random order of each scene's grasps, from the start again."""
        counts = self._grasp_counts[scenes]
        most = int(counts.max())
        keys = torch.rand(len(scenes), most, generator=generator)
        keys[torch.arange(most) >= counts[:, None]] = 2.0
        place = torch.arange(count) % counts[:, None]
        return self._grasp_starts[scenes][:, None] + keys.argsort(dim=1).gather(1, place)


class TrainingBatches(Dataset):
    """The batch of each step: a function of the seed and the step alone.

    So a run that is resumed at a step goes on exactly as if it hadn't ended, whatever loaded the
    batches, and several processes agree on what a batch is. All scenes are seen in a new order
    again and again, one cloud each time; scenes count alike, however many grasps they have.
    """

    def __init__(
        self, scenes: GraspScenes, config: TrainingConfig, seed: int, rank: int = 0, parts: int = 1
    ) -> None:
        """`rank`, `parts`: which part of each batch this process takes."""
        self._scenes, self._config, self._seed = scenes, config, seed
        self._rank, self._parts = rank, parts
        self._order = lru_cache(maxsize=4)(self._drawn_order)

    def __len__(self) -> int:
        return self._config.steps

    def __getitem__(self, step: int) -> Batch:
        config = self._config
        places = config.batch * step + np.arange(config.batch)
        epochs, places = np.divmod(places, len(self._scenes))
        chosen = [self._order(int(e))[p] for e, p in zip(epochs, places, strict=True)]
        batch = self._scenes.batch(
            torch.as_tensor(np.array(chosen)),
            config.grasps,
            config.cloud,
            torch.Generator().manual_seed(derived_seed(self._seed, "batch", step)),
            turn=config.turn,
            jitter=config.jitter,
        )
        return batch.part(self._rank, self._parts)

    def _drawn_order(self, epoch: int) -> np.ndarray:
        seed = derived_seed(self._seed, "epoch", epoch)
        return np.random.default_rng(seed).permutation(len(self._scenes))

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_order"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._order = lru_cache(maxsize=4)(self._drawn_order)


def validation_batches(scenes: GraspScenes, config: TrainingConfig, seed: int = 0) -> list[Batch]:
    """Always the same clouds, spread over the scenes, as they were seen."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(scenes), generator=generator)[: config.validation_clouds]
    return [
        scenes.batch(part, config.validation_grasps, config.cloud, generator)
        for part in order.split(max(config.batch, 1))
    ]


def split_objects(names: Collection[str], split: str) -> list[str]:
    """Those of a set's objects that belong to a split.

    The library has splits of its own. Of other objects a tenth, chosen by their names, is for
    validation, and the rest for training.

    Raises:
        ValueError: there is no such split.
    """
    wanted = set(split_names(split))
    library = {name for other in SPLITS for name in split_names(other)}

    def of_others(name: str) -> str:
        return VALIDATION if _share(name) < _VALIDATION_SHARE else TRAINING

    return sorted(n for n in names if n in wanted or (n not in library and of_others(n) == split))


def derived_seed(*parts: object) -> int:
    """A seed for one purpose, of anything that has a text."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:6], "big")


def _share(name: str) -> float:
    return derived_seed(name) / 2**48


def _about_z(angles: Tensor) -> Tensor:
    """(B, 4, 4) turns by (B,) rad about the vertical."""
    poses = torch.eye(4).repeat(len(angles), 1, 1)
    poses[:, 0, 0] = poses[:, 1, 1] = angles.cos()
    poses[:, 1, 0] = angles.sin()
    poses[:, 0, 1] = -angles.sin()
    return poses
