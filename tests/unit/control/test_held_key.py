"""What a terminal sends of a held key."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.control.held_key import HeldKey

DELAY, REPEAT, TIMEOUT = 0.5, 0.04, 0.2


def held(strokes, times) -> list[bool]:
    """Whether the key is held at some times, where strokes come at others."""
    key, found = HeldKey(TIMEOUT), []
    for time in times:
        while strokes and strokes[0] <= time:
            key.strike(strokes.pop(0))
        found.append(key.held(time))
    return found


def test_a_key_is_held_from_the_first_repeat_until_none_comes():
    strokes = [1.0, *(1.0 + DELAY + REPEAT * np.arange(25))]
    times = np.arange(0.0, 4.0, 0.01)
    during = times[held(list(strokes), times)]
    assert 0.0 <= during[0] - strokes[2] < 0.011
    assert during[-1] <= strokes[-1] + TIMEOUT < during[-1] + 0.011
    assert np.diff(during).max() < 0.011  # without a break


def test_single_strokes_are_no_hold():
    assert not any(held([1.0, 1.5, 2.0, 3.0], np.arange(0.0, 4.0, 0.01)))
