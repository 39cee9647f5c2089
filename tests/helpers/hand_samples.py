"""The hand in any configuration."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.spec import load_hand

HAND = load_hand()


def random_poses(count: int, rng: np.random.Generator) -> torch.Tensor:
    poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    poses[:, :3, :3] = torch.as_tensor(Rotation.random(count, random_state=rng).as_matrix())
    poses[:, :3, 3] = torch.as_tensor(rng.uniform(-1, 1, (count, 3)))
    return poses


def random_joints(count: int, rng: np.random.Generator) -> torch.Tensor:
    return torch.as_tensor(rng.uniform(*HAND.limits.T, (count, len(HAND.joints))))


def moved(poses: torch.Tensor, twists: torch.Tensor) -> torch.Tensor:
    """Poses moved by twists (B, 6) in their own frames, to take derivatives along rigid motions."""
    linear, (x, y, z) = twists[:, :3], twists[:, 3:].unbind(1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    generator = torch.cat([skew, linear[..., None]], dim=2)
    generator = torch.cat([generator, torch.zeros_like(generator[:, :1])], dim=1)
    return poses @ torch.linalg.matrix_exp(generator)
