"""When targets come to hands, against the closed form of an even way."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_learning.late_targets import LateTargets

TICKS = 5
DELAYS = np.array([0, 2, 5, 12])


def at(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Targets of four hands that go 1 cm along x in a step, and turn by 0.1 rad about z."""
    wrists = np.tile(np.eye(4), (len(DELAYS), 1, 1))
    cos, sin = np.cos(0.1 * step), np.sin(0.1 * step)
    wrists[:, :2, :2] = [[cos, -sin], [sin, cos]]
    wrists[:, 0, 3] = 0.01 * step
    return wrists, np.full((len(DELAYS), 2), float(step))


def sent(ticks: int, delays: np.ndarray) -> LateTargets:
    return LateTargets(*at(0), delays, ticks)


def test_a_wrist_is_where_it_would_have_been_that_long_ago():
    late = sent(TICKS, DELAYS)
    for step in range(1, 7):
        late.send(*at(step))
        for tick, (wrists, joints) in enumerate(late.arriving(), start=1):
            ago = np.maximum((step - 1) * TICKS + tick - DELAYS, 0) / TICKS
            assert wrists[:, 0, 3] == pytest.approx(0.01 * ago, abs=1e-12)
            assert np.arctan2(wrists[:, 1, 0], wrists[:, 0, 0]) == pytest.approx(0.1 * ago)
            assert joints[:, 0] == pytest.approx(np.ceil(ago - 1e-9)), "at once, when told"
        assert tick == TICKS


def test_whole_steps_give_the_targets_themselves():
    late = sent(1, np.array([0, 1, 2, 3]))
    for step in range(1, 6):
        late.send(*at(step))
        ((wrists, joints),) = late.arriving()
        for row, delay in enumerate(range(4)):
            told = at(max(step - delay, 0))
            assert np.array_equal(wrists[row], told[0][row])
            assert np.array_equal(joints[row], told[1][row])


def test_copies_go_on_alike_and_apart():
    late = sent(TICKS, DELAYS)
    late.send(*at(1))
    copies = late.repeated(2)
    late.send(*at(2))
    copies.send(*(np.repeat(each, 2, axis=0) for each in at(2)))
    for one, both in zip(late.arriving(), copies.arriving(), strict=True):
        for part in (0, 1):
            assert np.array_equal(np.repeat(one[part], 2, axis=0), both[part])
