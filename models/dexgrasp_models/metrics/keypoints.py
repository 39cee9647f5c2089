"""The 15 joint positions that stand for the hand's posture in UniDexGrasp's metrics."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from dexgrasp_models.hand.spec import HandSpec


@cache
def keypoint_links(spec: HandSpec) -> tuple[int, ...]:
    """Indices of the links whose origins are the keypoints.

    UniDexGrasp, C.3.1, counts "15 joint (keypoint) positions" and doesn't name them. Read as the
    origins of the proximal, middle and distal link of the five digits, which are the links made of
    capsules: the other joints share these origins, but for the little finger's metacarpal.
    """
    return tuple(
        index
        for index, link in enumerate(spec.links)
        if any(shape.kind == "capsule" for shape in link.primitives)
    )


def keypoints(spec: HandSpec, link_poses: Tensor) -> Tensor:
    """(B, 15, 3) keypoints, in m in the frame of the (B, L, 4, 4) link poses."""
    links = torch.tensor(keypoint_links(spec), device=link_poses.device)
    return link_poses[:, links, :3, 3]
