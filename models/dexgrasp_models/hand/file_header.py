"""The hand's name in the headers of files of grasps and weights, which fit one hand only."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from dexgrasp_models.hand.spec import load_hand

HAND = "hand"
"""Key of the name in a header."""
UNNAMED = "shadow_hand_right"
"""The hand of files from before headers named one."""


def hand_header() -> dict[str, str]:
    """What a new file's header says of the hand."""
    return {HAND: load_hand().name}


def check_hand(
    path: str | PathLike[str], header: Mapping[str, Any], error: type[Exception]
) -> None:
    """Raises `error` if a file is for another hand than the one described here."""
    of_file, ours = header.get(HAND, UNNAMED), load_hand().name
    if of_file != ours:
        raise error(f"{path}: is for the hand {of_file}, and the hand here is {ours}")
