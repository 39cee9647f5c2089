"""Ranges and kinds of the numbers in a configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import pytest

from dexgrasp_models.parameters import Parameters, choice, choices_of, flag, parameter, text


@dataclass(frozen=True)
class Box(Parameters):
    sides: int = parameter(6, 1, 12, "", "how many")
    width: float = parameter(0.5, 0, 1, "m", "from left to right")
    counts: tuple[int, ...] = parameter((1, 2), 0, 9, "", "of each side", any_length=True)
    corner: tuple[float, float] = parameter((0.0, 0.0), -1, 1, "m", "where it stands")
    paint: str = choice("red", ("red", "blue"), "its colour")
    wood: str = choice("oak", lambda: ("oak", "pine"), "what it is made of")
    lid: bool = flag(True, "whether it has one")
    label: str = text("", "what it says")
    stickers: tuple[str, ...] = text((), "what else it says")


def test_what_fits_is_taken():
    given = {"sides": 12, "width": 1, "counts": [3], "corner": [0, 0.5], "paint": "blue"}
    given |= {"wood": "pine", "lid": False, "label": "x", "stickers": ["y", "z"]}
    expected = Box(12, 1.0, (3,), (0, 0.5), "blue", "pine", False, "x", ("y", "z"))
    assert Box.from_mapping(given) == expected
    assert [choices_of(item) for item in fields(Box)][4:7] == [("red", "blue"), ("oak", "pine"), ()]


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
        ({"width": True}, "Box.width = True: expected 0 to 1 m$"),
        ({"width": [0.5]}, r"Box.width = \(0.5,\): expected 0 to 1 m$"),
        ({"counts": []}, r"Box.counts = \(\): expected at least one number$"),
        ({"counts": 3}, "Box.counts = 3: expected a list of numbers$"),
        ({"corner": [0.0]}, r"Box.corner = \(0.0,\): expected 2 numbers$"),
        ({"corner": [0.0, True]}, r"Box.corner = \(0.0, True\): expected -1 to 1 m$"),
        ({"paint": "green"}, "Box.paint = 'green': expected one of: red, blue$"),
        ({"paint": ["red"]}, r"Box.paint = \('red',\): expected one of: red, blue$"),
        ({"wood": None}, "Box.wood = None: expected one of: oak, pine$"),
        ({"lid": "no"}, "Box.lid = 'no': expected true or false$"),
        ({"lid": 1}, "Box.lid = 1: expected true or false$"),
        ({"label": 7}, "Box.label = 7: expected a text$"),
        ({"stickers": "y"}, "Box.stickers = 'y': expected a list of texts$"),
        ({"stickers": ["y", 7]}, r"Box.stickers = \('y', 7\): expected a text$"),
        ({"height": 1.0}, "Box has no parameter height; it has sides, width, counts, corner"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, Any], complaint: str):
    with pytest.raises(ValueError, match=complaint):
        Box.from_mapping(values)
