"""The interaction bisector surface of hand and object (She et al., SIGGRAPH 2022), in samples.

It is where the hand is as far as the object: what the baseline IBS sees in the place of the cloud
(GraspGF, 4.3 and C).

A sample lies on the straight way from a point of the hand to the nearest point of the object. That
stays the nearest one all along: balls about places on the way, with the point on their border, lie
in the one about its start. So only the distance to the hand has to be measured, and it is in closed
form. Where both are alike is found by halving the way: the distance to the hand changes no faster
than what is left of the way falls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics, points_on_links
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.hand.surface import sample_surface
from dexgrasp_models.nets.checks import checked_clouds

_HALVINGS = 10
_CHUNKS = {"cpu": 2, "cuda": 64}  # clouds whose distances are held at once; two stay in the cache


class BisectorPoints(NamedTuple):
    """Places that are as far from one thing as from a cloud."""

    places: Tensor
    """(N, S, 3) m."""
    distances: Tensor
    """(N, S) m, to both."""
    directions: Tensor
    """(N, S, 3) unit vectors to the nearest points of the cloud; zero where the start is one."""


def bisector_points(
    starts: Tensor, clouds: Tensor, distance: Callable[[Tensor], Tensor]
) -> BisectorPoints:
    """One from each start, on the way to the nearest point of its cloud; all in the same frames.

    Both distances are alike to 2^-11 of the way's length at worst, mostly to micrometres.

    Args:
        starts: (N, S, 3) on the surface of a thing or in it, m.
        clouds: (N, P, 3) points of the other one, m.
        distance: of points (N, S, 3), (N, S) to the thing, m; what is in it may be negative.

    Raises:
        ValueError: a cloud has no points or another shape, or isn't finite; or there are more or
            fewer clouds.
    """
    if len(checked_clouds(clouds)) != len(starts):
        raise ValueError(f"expected {len(starts)} clouds, got {len(clouds)}")
    nearest = _nearest(starts, clouds)
    offsets = nearest - starts
    lengths = torch.linalg.vector_norm(offsets, dim=-1)
    directions = offsets / lengths.clamp_min(torch.finfo(lengths.dtype).tiny)[..., None]
    # Half way the thing can't be farther than the start is.
    low, high = 0.5 * lengths, lengths
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        found = distance(starts + middle[..., None] * directions).clamp_min(0.0)
        beyond = found - (lengths - middle)
        # It grows by two a metre at most, so that its zero is this far or farther.
        bound = middle - 0.5 * beyond
        low, high = torch.where(beyond < 0.0, bound, low), torch.where(beyond < 0.0, high, bound)
    middle = 0.5 * (low + high)
    return BisectorPoints(starts + middle[..., None] * directions, lengths - middle, directions)


class HandBisector:
    """Samples of the surface between a hand and clouds, each begun at a point of the hand.

    The points are spread evenly over the hand, and the same at each call.

    Attributes:
        kinematics: of the hand.
        parts: (L,) whose each link is: 0 of the palm, then the fingers' in the order of
            `HandSpec.distal_links`.

    Args:
        hand: which.
        samples: S.
        dtype, device: of all tensors.
    """

    def __init__(
        self,
        hand: HandSpec,
        samples: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.kinematics = HandKinematics(hand, dtype, device)
        self._distance = HandDistance(self.kinematics)
        surface = sample_surface(hand, samples, seed=0)
        self._links = torch.as_tensor(surface.link_index, device=device)
        self._points = torch.as_tensor(surface.points, dtype=dtype, device=device)
        self.parts = torch.zeros(len(hand.links), dtype=torch.long, device=device)
        for part, tip in enumerate(map(hand.link_index, hand.distal_links), start=1):
            # A link is a finger's where the joint that moves it also moves the finger's tip.
            for link in range(1, len(hand.links)):
                if hand.is_ancestor_joint[tip, link - 1]:
                    self.parts[link] = part

    def samples(self, link_poses: Tensor, clouds: Tensor) -> tuple[BisectorPoints, Tensor]:
        """The samples, and (N, S) the part of the hand that each is nearest to.

        Args:
            link_poses: (N, L, 4, 4) of `HandKinematics.link_poses`.
            clouds: (N, P, 3) of the objects in the same frames, m.

        Raises:
            ValueError: as `bisector_points`.
        """
        starts = points_on_links(link_poses, self._links, self._points)
        found = bisector_points(
            starts, clouds, lambda points: self._distance.to_links(points, link_poses)
        )
        return found, self.parts[self._distance.nearest(found.places, link_poses).link_index]

    @torch.no_grad()
    def features(self, joints: Tensor, clouds: Tensor) -> Tensor:
        """What of the samples is seen, in the frame of the wrist.

        Args:
            joints: (N, 22) rad.
            clouds: (N, P, 3) of the objects in the wrists' frames, m.

        Returns:
            (N, S, 13): place and distance, m, unit vector to the object's nearest point, and ones
            and zeros that tell the part of the hand.

        Raises:
            ValueError: as `bisector_points`, or joints have another shape or aren't finite.
        """
        if not torch.isfinite(joints).all():
            raise ValueError("joints must be finite")
        palms = torch.eye(4, dtype=joints.dtype, device=joints.device).expand(len(joints), -1, -1)
        found, parts = self.samples(self.kinematics.link_poses(palms, joints), clouds)
        told = one_hot(parts, int(self.parts.max()) + 1).to(joints.dtype)
        return torch.cat((found.places, found.distances[..., None], found.directions, told), dim=-1)


def _nearest(places: Tensor, clouds: Tensor) -> Tensor:
    """(N, S, 3) of clouds (N, P, 3) the points that are nearest to places (N, S, 3)."""
    # As a product of matrices, |p|^2 - 2 s.p, many times as fast; about the clouds' means, for the
    # sake of rounding.
    found = []
    size = _CHUNKS.get(clouds.device.type, 64)
    for some, cloud in zip(places.split(size), clouds.split(size), strict=True):
        mean = cloud.mean(dim=1, keepdim=True)
        points = cloud - mean
        squares = points.square().sum(dim=-1)[:, None]
        index = torch.baddbmm(squares, some - mean, points.transpose(1, 2), alpha=-2).argmin(-1)
        found.append(cloud.gather(1, index[..., None].expand(-1, -1, 3)))
    return torch.cat(found)
