"""States of training that it is resumed from."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dexgrasp_models.files import written_whole
from dexgrasp_models.hand.file_header import HAND, check_hand, hand_header

FORMAT = "dexgrasp checkpoint 1"


class TrainingError(RuntimeError):
    """Training that can't begin or go on; the message says why and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """All that the next step depends on, besides the data.

    Random numbers are drawn from generators seeded by the seed and the step, so there is no state
    of theirs to keep.
    """

    step: int
    """Steps that are done."""
    seconds: float
    """Spent on them."""
    best: float
    """Least validation loss so far."""
    objective: Mapping[str, Any]
    optimiser: dict[str, Any]
    average: dict[str, Any] | None = None
    """The running mean of the weights, where there is one."""


def save_checkpoint(path: Path, checkpoint: Checkpoint, settings: Mapping[str, Any]) -> None:
    """Write it, whole or not at all, in the place of an older one.

    Args:
        path: of the file.
        checkpoint: what to write.
        settings: what a run must share with this one to go on from here; anything JSON can hold.

    Raises:
        OSError: it can't be written, as on a full disk; an older one stays.
    """
    content = {"format": FORMAT, **hand_header(), "settings": json.dumps(settings, sort_keys=True)}
    # On a full disk PyTorch's own writer to files raises that a position is unexpected.
    buffer = io.BytesIO()
    torch.save(content | checkpoint.__dict__, buffer)
    with written_whole(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_checkpoint(path: Path, settings: Mapping[str, Any]) -> Checkpoint:
    """Read what `save_checkpoint` wrote; on the CPU.

    Raises:
        TrainingError: it can't be read, or is of a run with other settings or another hand.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever unpickling raises
        raise TrainingError(
            f"{path}: is cut short or no checkpoint ({error}); remove it to begin anew"
        ) from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise TrainingError(f"{path}: is no checkpoint of this version; remove it to begin anew")
    check_hand(path, content, TrainingError)
    content.pop(HAND, None)
    stored, given = json.loads(content.pop("settings")), json.loads(json.dumps(settings))
    if stored != given:
        changed = sorted(k for k in {*stored, *given} if stored.get(k) != given.get(k))
        raise TrainingError(
            f"{path}: that run had other settings ({', '.join(changed)}); choose a new folder, or "
            "begin anew with --restart"
        )
    return Checkpoint(**content)
