"""CLIP's contrastive loss, and batches of images of grasps with captions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dexgrasp_models.language.captioned_grasps import CaptionedGrasps
from dexgrasp_models.language.captions import TEMPLATES
from dexgrasp_models.training.data import derived_seed

_GRASPS_PER_OBJECT = 4
"""Grasps of one object in a batch: those by other parts are the contrast that matters later."""


class CaptionBatch(NamedTuple):
    """B images with their captions."""

    images: list[np.ndarray]
    """(side, side, 3) uint8 RGB each."""
    texts: list[str]
    meanings: Tensor
    """(B,) numbers, the same where captions mean the same."""


def contrastive_loss(images: Tensor, texts: Tensor, meanings: Tensor, scale: Tensor) -> Tensor:
    """() CLIP's symmetric cross-entropy; captions that mean the same share the probability.

    Args:
        images: (B, D) unit features.
        texts: (B, D) unit features of their captions.
        meanings: (B,) see `CaptionBatch`.
        scale: () factor on the cosines.
    """
    logits = scale * images @ texts.T
    same = (meanings[:, None] == meanings).to(logits.dtype)
    targets = same / same.sum(dim=1, keepdim=True)
    by_image = functional.cross_entropy(logits, targets)
    return (by_image + functional.cross_entropy(logits.T, targets)) / 2


def caption_batch(grasps: CaptionedGrasps, size: int, seed: int, step: int) -> CaptionBatch:
    """The batch of a step: a function of seed and step alone.

    Objects are alike, however many grasps they have, and so are the parts of an object.
    """
    rng = np.random.default_rng(derived_seed(seed, "batch", step))
    rows: list[int] = []
    while len(rows) < size:
        parts = grasps.rows_by_part[rng.integers(len(grasps.rows_by_part))]
        for _ in range(min(_GRASPS_PER_OBJECT, size - len(rows))):
            rows.append(int(rng.choice(parts[rng.integers(len(parts))])))
    return CaptionBatch(
        [rng.choice(grasps.images(row)) for row in rows],
        [grasps.caption(row, TEMPLATES[rng.integers(len(TEMPLATES))]) for row in rows],
        torch.tensor([grasps.meaning(row) for row in rows]),
    )
