"""Time budgets as people write them."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """Seconds meant by a text such as 45s, 90m or 1.5h.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*", text)
    if match is None:
        raise ValueError(f"{text!r} is no time: expected a number and s, m or h, as in 90m")
    return float(match[1]) * _UNITS[match[2]]
