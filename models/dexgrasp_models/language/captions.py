"""What a grasp is called, by the part of the object that the fingers touch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.hand.distance import HandDistance

TEMPLATES = (
    "a robot hand grasping the {object} by the {part}",
    "a robot hand grasps the {object} by its {part}",
    "a robot hand holding the {part} of the {object}",
    "grasp the {object} by the {part}",
    "the {part} of the {object}",
)
"""Ways to say it; the first is the one that is judged by."""

UNCLEAR = -1
"""Where the fingers touch no part, or none more than all others together."""

_TOUCHING = 0.005  # m: a link closer to the surface than this touches it


def caption(category: str, part: str, template: str = TEMPLATES[0]) -> str:
    """Says that an object of a category is grasped by a part, both as the library names them."""
    return template.format(object=category.replace("_", " "), part=part.replace("_", " "))


@torch.no_grad()
def touched_parts(
    distance: HandDistance, link_poses: Tensor, points: Tensor, parts: np.ndarray
) -> np.ndarray:
    """(B,) the part of an object that each of B hands holds, or `UNCLEAR`.

    Every link that touches the object counts for the part that it is nearest to, or deepest in.

    Args:
        distance: to the hand.
        link_poses: (B, L, 4, 4) in the points' frame.
        points: (N, 3) a dense sample of the object's surface, or (B, N, 3), m.
        parts: (N,) index from 0 of the part each point is of.
    """
    gaps, nearest = distance.by_link(points, link_poses).min(dim=1)
    touched = torch.as_tensor(parts)[nearest]
    votes = torch.nn.functional.one_hot(touched, int(parts.max()) + 1)
    votes = (votes * (gaps < _TOUCHING)[..., None]).sum(dim=1)
    most, which = votes.max(dim=1)
    return torch.where(2 * most > votes.sum(dim=1), which, UNCLEAR).numpy()
