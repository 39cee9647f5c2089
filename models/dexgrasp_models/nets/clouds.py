"""The cloud that the networks see, made in one place for training and for the robot.

Its frame is the table-top frame: z up, the table at z = 0, and the mean of the object's points
above the origin. The table is known to be there, so its points are a pattern on the plane z = 0 and
not what cameras saw of it. They only have to tell where the plane is, once the cloud is turned into
the palm's axes; so they are few, a sixteenth: PointNet++ chooses its centres by farthest points,
and a thinly covered plane takes them from the object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dexgrasp_models.geometry.so3 import rotation_from_vector
from dexgrasp_models.parameters import Parameters, parameter

_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class CloudConfig(Parameters):
    """How many points the networks see; 1,024 in all as in UniDexGrasp's students (C.1)."""

    object_points: int = parameter(960, 16, 16384, "", "points of the object")
    table_points: int = parameter(64, 0, 4096, "", "points of the table around it")
    table_radius: float = parameter(0.12, 0.01, 1.0, "m", "of the disc that they are spread over")


def horizontal_centre(points: Tensor) -> Tensor:
    """(..., 3) origin of the table-top frame, of the object's points (..., N, 3) above z = 0."""
    centre = points.mean(dim=-2)
    centre[..., 2] = 0
    return centre


def upright_axes(clouds: Tensor) -> Tensor:
    """Axes that turn with an object about the vertical: x is where it is longest from above.

    Points count by their height above the table, so those of the table itself don't. x is the
    principal axis of what lies below them, in the direction in which it is skewed.

    Args:
        clouds: (B, N, 3) in the table-top frame, m.

    Returns:
        (B, 3, 3) rotations about z, from these axes to the frame; any, of objects that are round.
    """
    weights = clouds[..., 2].clamp_min(0)
    weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-9)
    places = clouds[..., :2] - (weights[:, None] @ clouds[..., :2])
    x, y = places.unbind(dim=-1)
    cross, difference = ((weights * part).sum(dim=1) for part in (2 * x * y, x * x - y * y))
    angles = 0.5 * torch.atan2(cross, difference)
    along = x * angles.cos()[:, None] + y * angles.sin()[:, None]
    angles = torch.where((weights * along**3).sum(dim=1) < 0, angles + math.pi, angles)
    return rotation_from_vector(torch.nn.functional.pad(angles[:, None], (2, 0)))


def table_top_cloud(points: Tensor, config: CloudConfig) -> Tensor:
    """The object's points and the table's.

    Args:
        points: (..., N, 3) of the object in the table-top frame, m, the first of them an even
            sample of all as farthest-point sampling gives them. Where there are too few they are
            repeated.
        config: how many are wanted.

    Returns:
        (..., object_points + table_points, 3).

    Raises:
        ValueError: there are no points.
    """
    if points.shape[-1:] != (3,) or points.dim() < 2 or points.shape[-2] == 0:
        raise ValueError(f"expected points (..., N, 3) of an object, got {tuple(points.shape)}")
    index = torch.arange(config.object_points, device=points.device) % points.shape[-2]
    table = _disc(config).to(points).expand(*points.shape[:-2], -1, -1)
    return torch.cat((points[..., index, :], table), dim=-2)


def _disc(config: CloudConfig) -> Tensor:
    """(T, 3) points spread evenly over a disc on the table, by Vogel's spiral."""
    index = torch.arange(config.table_points, dtype=torch.float64)
    radius = config.table_radius * ((index + 0.5) / max(config.table_points, 1)).sqrt()
    angle = _GOLDEN_ANGLE * index
    return torch.stack((radius * angle.cos(), radius * angle.sin(), torch.zeros_like(index)), dim=1)
