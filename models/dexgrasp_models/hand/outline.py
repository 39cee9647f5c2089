"""How far the hand extends, told by balls whose hull it is."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.hand.kinematics import HandKinematics, points_on_links
from dexgrasp_models.robot.links import Primitive


class HandOutline:
    """Balls whose hull is the hand: ends of the capsules and corners of the boxes.

    Args:
        kinematics: of the hand.

    Attributes:
        digit_of_joint: (J,) digit that each finger joint moves; 0, the palm, is moved by none.
    """

    def __init__(self, kinematics: HandKinematics) -> None:
        spec = kinematics.spec
        links, centres, radii = [], [], []
        for index, link in enumerate(spec.links):
            for primitive in link.primitives:
                ends, radius = _outline_of(primitive)
                links += [index] * len(ends)
                centres.append(ends)
                radii += [radius] * len(ends)
        self._links = torch.tensor(links, device=kinematics.device)
        self._centres = torch.as_tensor(
            np.concatenate(centres), dtype=kinematics.dtype, device=kinematics.device
        )
        self._radii = np.array(radii)
        self._digit_of_link = _digits(spec.parents)
        self._digit = self._digit_of_link[links]
        self.digit_of_joint = self._digit_of_link[1:]

    def digit_heights(self, link_poses: Tensor) -> np.ndarray:
        """(B, G) z of the lowest point of the palm and of each digit, for poses (B, L, 4, 4)."""
        return _least(self._points(link_poses)[..., 2] - self._radii, self._digit)

    def by_digit(self, by_link: np.ndarray) -> np.ndarray:
        """(B, G) least of the values (B, L) of the links of the palm and of each digit."""
        return _least(by_link, self._digit_of_link)

    def reach(self, link_poses: Tensor) -> float:
        """Distance from the palm frame to the farthest point, for poses (1, L, 4, 4)."""
        palm = link_poses[0, 0, :3, 3].double().cpu().numpy()
        from_palm = np.linalg.norm(self._points(link_poses)[0] - palm, axis=-1)
        return float((from_palm + self._radii).max())

    def _points(self, link_poses: Tensor) -> np.ndarray:
        points = points_on_links(link_poses, self._links, self._centres)
        return points.double().cpu().numpy()


def _least(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(B, G) least of the ``values`` (B, K) in each group; ``group`` (K,) counts from 0."""
    return np.stack([values[:, group == g].min(-1) for g in range(group.max() + 1)], axis=-1)


def _digits(parents: np.ndarray) -> np.ndarray:
    """(L,) number of the digit each link is part of; the palm is 0."""
    digit = np.zeros(len(parents), dtype=int)
    for index, parent in enumerate(parents[1:], start=1):
        digit[index] = digit.max() + 1 if parent == 0 else digit[parent]
    return digit


def _outline_of(primitive: Primitive) -> tuple[np.ndarray, float]:
    if primitive.kind == "capsule":
        return primitive.segment, primitive.size[0]
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
    pose = primitive.pose
    return signs * primitive.size @ pose.rotation.T + pose.position, 0.0
