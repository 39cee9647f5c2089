"""How well CLIP tells grasps apart by the part of the object that they hold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from dexgrasp_models.language.captioned_grasps import CaptionedGrasps
from dexgrasp_models.language.captions import caption
from dexgrasp_models.language.clip import Clip
from dexgrasp_models.language.contrastive import contrastive_loss
from dexgrasp_models.training.objectives import LOSS

_JUDGED_PER_PART = 8
"""Most grasps by one part of an object that are judged."""


class JudgedGrasps(NamedTuple):
    """Grasps of one object that a text chooses among."""

    rows: np.ndarray
    """(N,) into the captioned grasps."""
    parts: np.ndarray
    """(N,) that they hold."""


def judged_grasps(grasps: CaptionedGrasps, count: int, seed: int = 0) -> list[JudgedGrasps]:
    """Grasps of some objects, about `count` of them in all; as many by each part as there are.

    Objects that are always held by the same part come last: there is nothing to choose.
    """
    rng = np.random.default_rng(seed)
    by_part = grasps.rows_by_part
    order = sorted(rng.permutation(len(by_part)), key=lambda index: len(by_part[index]) < 2)
    found: list[JudgedGrasps] = []
    for index in order:
        if sum(len(one.rows) for one in found) >= count:
            break
        chosen = [rng.permutation(rows)[:_JUDGED_PER_PART] for rows in by_part[index]]
        rows = np.concatenate(chosen)
        found.append(JudgedGrasps(rows, grasps.parts[rows]))
    return found


@torch.no_grad()
def judge(clip: Clip, grasps: CaptionedGrasps, judged: list[JudgedGrasps]) -> dict[str, float]:
    """How well CLIP tells grasps apart by the part they hold.

    Returns:
        `loss`: contrastive, over the grasps. `accuracy`: how often, of the captions of all parts of
        the object, the right one is the most similar. `picked`: how often the grasp that is most
        similar to a part's caption holds that part, of the objects held by several parts, and
        `picked_by_chance`; not there if no object is.
    """
    rows = np.concatenate([one.rows for one in judged])
    features = clip.grasp_features(grasps.images(row) for row in rows)
    texts = clip.text_features([grasps.caption(row) for row in rows])
    meanings = torch.tensor([grasps.meaning(row) for row in rows], device=features.device)
    right, picked, chances = [], [], []
    for one, own in zip(judged, features.split([len(one.rows) for one in judged]), strict=True):
        surface = grasps.surface(one.rows[0])
        captions = [caption(surface.category, part) for part in surface.parts]
        cosines = (own @ clip.text_features(captions).T).cpu().numpy()  # (N, P)
        right.extend(cosines.argmax(axis=1) == one.parts)
        held = np.unique(one.parts)
        if len(held) > 1:
            picked.extend(one.parts[cosines[:, held].argmax(axis=0)] == held)
            chances.extend((one.parts[:, None] == held).mean(axis=0))
    found = {
        LOSS: float(contrastive_loss(features, texts, meanings, clip.scale)),
        "accuracy": float(np.mean(right)),
    }
    if picked:
        found |= {"picked": float(np.mean(picked)), "picked_by_chance": float(np.mean(chances))}
    return found
