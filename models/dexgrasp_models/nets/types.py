"""What the networks take and give."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class GraspTensors(NamedTuple):
    """B grasps, in the frame of the cloud that they belong to."""

    rotations: Tensor
    """(B, 3, 3) of `rh_palm`."""
    translations: Tensor
    """(B, 3) of `rh_palm`, m."""
    joints: Tensor
    """(B, 22) rad, in the order of `HandSpec.finger_joints`."""

    @property
    def count(self) -> int:
        """B; `len` of a named tuple is its number of fields."""
        return len(self.rotations)

    @property
    def palm_poses(self) -> Tensor:
        """(B, 4, 4) of `rh_palm`."""
        poses = torch.zeros_like(self.rotations[:, :1, :1]).repeat(1, 4, 4)
        poses[:, :3, :3] = self.rotations
        poses[:, :3, 3] = self.translations
        poses[:, 3, 3] = 1
        return poses

    def select(self, index: Tensor | slice) -> GraspTensors:
        """The grasps at `index`, anything that indexes a tensor's first dimension."""
        return GraspTensors(*(field[index] for field in self))

    def checked(self) -> GraspTensors:
        """The same, after a check.

        Raises:
            ValueError: shapes don't fit together, or something isn't finite.
        """
        batch = len(self.rotations)
        wanted = {
            "rotations": (batch, 3, 3),
            "translations": (batch, 3),
            "joints": (batch, 22),
        }
        for name, shape in wanted.items():
            values = getattr(self, name)
            if values.shape != shape:
                raise ValueError(f"{name} must be {shape}, not {tuple(values.shape)}")
            if not torch.isfinite(values).all():
                raise ValueError(f"{name} must be finite")
        return self
