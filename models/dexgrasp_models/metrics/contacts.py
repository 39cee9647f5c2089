"""Where the hand's links come near an object, and figures of how they touch it.

The object is a dense sample of its surface with outward normals, so a place on it is known to
within the spacing of the sample.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.spec import HandSpec

TOUCH_DISTANCE = 0.002
"""A link this near to the surface touches it (m); DexGraspBench's `contact_threshold`."""
TOUCH_MARGIN = 0.01
"""Digits further away than this (m) count as this far; DexGraspBench's `contact_margin`."""


class LinkContacts(NamedTuple):
    """The point of an object that is nearest to, or deepest in, each link."""

    gaps: Tensor
    """(B, L) signed distance in m, negative inside the link; infinite for links without shapes."""
    points: Tensor
    """(B, L, 3) on the object, m."""
    normals: Tensor
    """(B, L, 3) outward unit normals of the object there."""


@torch.no_grad()
def link_contacts(
    distance: HandDistance, link_poses: Tensor, points: Tensor, normals: Tensor
) -> LinkContacts:
    """The place on the object where each link would touch it.

    Args:
        distance: to the hand.
        link_poses: (B, L, 4, 4) in the object's frame.
        points: (N, 3) surface samples of the object, m.
        normals: (N, 3) outward unit normals.

    Raises:
        ValueError: the samples don't fit together.
    """
    if points.dim() != 2 or points.shape != normals.shape or points.shape[-1] != 3:
        raise ValueError(
            f"expected points (N, 3) with as many normals, got {tuple(points.shape)} and "
            f"{tuple(normals.shape)}"
        )
    gaps, nearest = distance.by_link(points, link_poses).min(dim=1)
    return LinkContacts(gaps, points[nearest], normals[nearest])


def contact_count(contacts: LinkContacts, within: float = TOUCH_DISTANCE) -> Tensor:
    """(B,) number of links whose nearest point of the object is less than ``within`` m away.

    A link that penetrates the object by more than that doesn't count: DexGraspBench's contact
    link number.
    """
    return (contacts.gaps.abs() < within).sum(1)


def contact_distance(spec: HandSpec, contacts: LinkContacts) -> Tensor:
    """(B,) mean over the digits of their gap to the object, zero where they penetrate it, m.

    DexGraspBench's contact distance.
    """
    return _digit_gaps(spec, contacts).clamp_min(0).mean(1)


def contact_consistency(spec: HandSpec, contacts: LinkContacts) -> Tensor:
    """(B,) gap of the digit furthest from the object less that of the nearest or deepest one, m.

    DexGraspBench's contact distance consistency: zero where all digits touch alike.
    """
    gaps = _digit_gaps(spec, contacts)
    return gaps.amax(1) - gaps.amin(1)


def _digit_gaps(spec: HandSpec, contacts: LinkContacts) -> Tensor:
    """(B, 5) signed distance of each digit's nearest link to the object, cut at the margin, m."""
    gaps = []
    for tip in spec.distal_links:
        joints = spec.is_ancestor_joint[spec.link_index(tip)].nonzero()[0]
        gaps.append(contacts.gaps[:, joints + 1].amin(1))  # joint i moves link i + 1
    return torch.stack(gaps, dim=1).clamp_max(TOUCH_MARGIN)
