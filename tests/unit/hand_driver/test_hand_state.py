"""States out of the vendor's messages, and the vendor's clock that they tell."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_hand_driver.hand_state import HandStateReader
from dexgrasp_hand_driver.vendor_clock import WINDOW, VendorClock
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.vendor_joints import VendorJoints, VendorStateError

VENDOR = VendorJoints(load_hand())
AHEAD = 12345.0
"""s, of the vendor's clock."""


def message(seconds: float, **fields) -> dict:
    secs, part = divmod(seconds, 1.0)
    header = {"stamp": {"secs": int(secs), "nsecs": round(part * 1e9)}}
    values = np.linspace(-0.2, 0.2, 24).tolist()
    return {"header": header, "name": VENDOR.names, "position": values} | fields


@pytest.fixture
def reader() -> HandStateReader:
    return HandStateReader(VENDOR)


def test_a_state_is_in_our_order_and_signs(reader):
    values = np.arange(24.0)
    state = reader.read(message(AHEAD, velocity=values.tolist(), effort=values.tolist()), 1.0)
    hand = VENDOR.hand
    places = [VENDOR.names.index(name) for name in hand.finger_joints]
    wrist = [VENDOR.names.index(name) for name in VENDOR.wrist]
    assert np.array_equal(state.velocities, hand.hardware_sign * values[places])
    assert np.array_equal(state.wrist_velocities, values[wrist])
    assert np.array_equal(state.efforts, [*(hand.hardware_sign * values[places]), *values[wrist]])
    assert state.positions[0] == -np.linspace(-0.2, 0.2, 24)[3]  # rh_FFJ4


def test_what_is_not_measured_may_be_left_out(reader):
    state = reader.read(message(AHEAD), 1.0)
    assert state.efforts is None
    assert not state.velocities.any()
    assert reader.read(message(AHEAD + 1.0, effort=[None] * 24), 2.0).efforts is None


def test_an_old_state_is_none(reader):
    reader.read(message(AHEAD), 1.0)
    for seconds in (AHEAD, AHEAD - 1.0):
        with pytest.raises(VendorStateError, match="same state comes again"):
            reader.read(message(seconds), 1.1)


@pytest.mark.parametrize("broken", [{}, {"header": None}, {"header": {"stamp": {"secs": None}}}])
def test_another_message_is_refused(reader, broken):
    with pytest.raises(VendorStateError, match="no sensor_msgs/JointState"):
        reader.read(broken, 1.0)


def test_age_counts_what_a_state_took_longer_than_others(reader):
    reader.read(message(AHEAD), 1.0)
    state = reader.read(message(AHEAD + 1.0), 2.3)
    assert state.delay == pytest.approx(0.3)
    assert state.age(2.4) == pytest.approx(0.4)
    assert state.vendor_time(2.4) == pytest.approx(AHEAD + 1.4)


def test_the_clock_follows_one_that_runs_at_another_speed():
    """By 100 ppm, forwards or back; and on ways of 1 to 6 ms."""
    ways = np.random.default_rng(0).uniform(0.001, 0.006, 5000)
    for speed in (1.0 - 1e-4, 1.0 + 1e-4):
        clock = VendorClock()
        for sent, way in zip(np.arange(5000) * 0.1, ways, strict=True):
            stamp = AHEAD + speed * sent
            delay = clock.delay(stamp, sent + way)
            assert delay <= 0.006 + 1e-4 * WINDOW
            assert abs(sent - clock.apart - stamp) < 0.006 + 1e-4 * WINDOW


def test_a_clock_that_was_set_back_is_believed_after_a_while():
    clock = VendorClock()
    clock.delay(100.0, 0.0)
    assert clock.delay(91.0, 1.0) == pytest.approx(10.0)
    delays = [clock.delay(91.0 + late, 1.0 + late) for late in np.arange(0.1, 2 * WINDOW, 0.1)]
    assert delays[0] == pytest.approx(10.0)
    assert delays[-1] == pytest.approx(0.0)
