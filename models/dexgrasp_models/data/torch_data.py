"""A set of grasps as PyTorch takes it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dexgrasp_models.data.grasp_set import GraspSet


class GraspDataset(Dataset):
    """Grasps of a set as tensors, each item or batch a dict of

    - `palm_pose` (4, 4): `rh_palm` in the frame of the scaled object, m,
    - `joints` (22,): rad, in the order of `HandSpec.finger_joints`,
    - `plane` (4,): the table in the object's frame; NaN where there is none,
    - `scale` (): factor on the object's mesh,
    - `object` (): int64 index into the set's `names`,
    - each asked-for figure ().

    A batch has one dimension more in front. Only the rows that are asked for are read, and whole
    batches at once (`__getitems__`, which PyTorch's loader looks for).
    """

    def __init__(
        self,
        grasps: GraspSet,
        rows: np.ndarray | None = None,
        figures: Collection[str] = (),
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """
        Args:
            grasps: the set.
            rows: (M,) of it, as `GraspSet.select` gives them; all by default.
            figures: names of those that are part of an item.
            dtype: of all tensors but `object`.

        Raises:
            GraspDataError: there is no such figure.
        """
        for name in figures:
            grasps.figure(name)
        self._grasps = grasps
        self._rows = np.arange(len(grasps)) if rows is None else np.asarray(rows)
        self._figures = tuple(figures)
        self._dtype = dtype
        self._index = {name: index for index, name in enumerate(grasps.names)}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, item: int) -> dict[str, Tensor]:
        return {name: values[0] for name, values in self.batch([item]).items()}

    def __getitems__(self, items: Sequence[int]) -> list[dict[str, Tensor]]:
        batch = self.batch(items)
        return [{name: values[i] for name, values in batch.items()} for i in range(len(items))]

    def batch(self, items: Sequence[int]) -> dict[str, Tensor]:
        """B items as one dict of tensors (B, ...)."""
        found = self._grasps[self._rows[np.asarray(items)]]
        places = np.array([self._index[name] for name in found.names])
        values = {
            "palm_pose": found.palm_poses,
            "joints": found.joints,
            "plane": found.planes,
            "scale": found.scales,
            **{
                name: found.figures.get(name, np.full(len(found), np.nan)) for name in self._figures
            },
        }
        tensors = {name: torch.as_tensor(v, dtype=self._dtype) for name, v in values.items()}
        return tensors | {"object": torch.as_tensor(places[found.objects], dtype=torch.long)}
