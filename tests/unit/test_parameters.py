"""Ranges and kinds of the numbers in a configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from dexgrasp_models.parameters import Parameters, parameter


@dataclass(frozen=True)
class Box(Parameters):
    sides: int = parameter(6, 1, 12, "", "how many")
    width: float = parameter(0.5, 0, 1, "m", "from left to right")
    counts: tuple[int, ...] = parameter((1, 2), 0, 9, "", "of each side")


def test_what_fits_is_taken():
    assert Box.from_mapping({"sides": 12, "width": 1, "counts": [3]}) == Box(12, 1.0, (3,))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"sides": 13}, "Box.sides = 13: expected 1 to 12$"),
        ({"sides": 2.0}, "Box.sides = 2.0: expected a whole number from 1 to 12$"),
        ({"sides": True}, "Box.sides = True: expected 1 to 12$"),
        ({"counts": [1, 2.5]}, r"Box.counts = \(1, 2.5\): expected a whole number from 0 to 9$"),
        ({"width": -0.1}, "Box.width = -0.1: expected 0 to 1 m$"),
        ({"width": math.nan}, "Box.width = nan: expected 0 to 1 m$"),
        ({"width": "wide"}, "Box.width = 'wide': expected 0 to 1 m$"),
        ({"height": 1.0}, "Box has no parameter height; it has sides, width, counts$"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, Any], complaint: str):
    with pytest.raises(ValueError, match=complaint):
        Box.from_mapping(values)
