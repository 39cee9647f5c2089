"""From frames to a wrist that is locked, filtered, and stamped in ROS time."""

from __future__ import annotations

import numpy as np
import pytest
from leap_hands import PERIOD_US, frame, hand

from dexgrasp_leap.wrist_tracker import LateFrameError, TrackingConfig, WristTracker
from dexgrasp_models.geometry.one_euro import OneEuroPoseFilter
from dexgrasp_ros.device_clock import OutOfOrderError

START = 1_700_000_000_000_000_000
MS = 1_000_000
CONFIG = TrackingConfig()


def arrival(number, late_ns=0):
    """Of the frame of a number, which takes 3 ms at least."""
    return START + 1000 * number * PERIOD_US + 3 * MS + late_ns


def see(tracker, number, *hands, late_ns=0):
    return tracker.see(frame(number, *hands), arrival(number, late_ns))


def test_stamps_have_the_intervals_of_the_device():
    tracker = WristTracker(CONFIG)
    found = [see(tracker, n, hand(), late_ns=(n * 7 % 5) * MS).ns for n in range(20)]
    assert found == [arrival(n) for n in range(20)]


def test_the_pose_is_filtered_by_the_time_of_the_device():
    tracker = WristTracker(CONFIG)
    smooth = OneEuroPoseFilter(CONFIG.min_cutoff, CONFIG.position_beta, CONFIG.rotation_beta)
    rng = np.random.default_rng(4)
    number = 0
    for step in rng.integers(1, 8, 50):
        number += int(step)
        seen = hand(position=rng.uniform(-0.02, 0.02, 3), turn=rng.uniform(-0.2, 0.2, 3))
        found = see(tracker, number, seen, late_ns=int(rng.integers(0, 5)) * MS)
        expected = smooth.filter(seen.wrist, 1e-6 * PERIOD_US * step)
        np.testing.assert_allclose(found.pose, expected, atol=1e-12)
    assert not np.allclose(found.pose, seen.wrist, atol=1e-4)


def test_before_a_hand_was_seen_it_is_told_that_there_is_none():
    found = see(WristTracker(CONFIG), 0, hand(left=True))
    assert (found.tracked, found.id, found.confidence) == (False, 0, 0.0)
    np.testing.assert_array_equal(found.pose, np.eye(4))


def test_a_lost_hand_keeps_its_last_pose_and_a_new_lock_has_another_id_and_no_past():
    tracker = WristTracker(CONFIG)
    last = see(tracker, 0, hand(5, left=False))
    lost = see(tracker, 1)
    assert (lost.tracked, lost.id, lost.ns) == (False, last.id, arrival(1))
    np.testing.assert_array_equal(lost.pose, last.pose)
    elsewhere = hand(5, (0.3, 0.2, 0.1))
    again = see(tracker, 2, elsewhere)
    assert (again.tracked, again.id) == (True, last.id + 1)
    np.testing.assert_array_equal(again.pose, elsewhere.wrist)


def test_frames_out_of_order_are_refused_and_change_nothing():
    tracker = WristTracker(CONFIG)
    found = see(tracker, 5, hand())
    for number in (5, 4):
        with pytest.raises(OutOfOrderError):
            tracker.see(frame(number, hand(9)), arrival(6))
    assert tracker.wrist is found
    assert tracker.lock.held.id == 1


def test_a_frame_from_before_what_was_told_since_is_refused():
    tracker = WristTracker(CONFIG)
    see(tracker, 0, hand())
    tracker.lose("no frames", arrival(20))
    with pytest.raises(OutOfOrderError, match="what was told last"):
        see(tracker, 15, hand(), late_ns=60 * MS)
    assert see(tracker, 21, hand()).tracked


def test_frames_that_were_kept_back_are_refused():
    """A burst of old frames is no motion of now."""
    tracker = WristTracker(CONFIG)
    for n in range(10):
        see(tracker, n, hand())
    for n in range(10, 30):
        with pytest.raises(LateFrameError, match=r"came 0\.[34]\d s late"):
            tracker.see(frame(n, hand()), arrival(59))
    assert tracker.wrist.ns == arrival(9)


def test_another_connection_has_another_clock_and_another_lock():
    tracker = WristTracker(CONFIG)
    before = see(tracker, 1000, hand(5))
    tracker.begin()
    after = tracker.see(frame(3, hand(5)), arrival(1001))
    assert (after.tracked, after.id, after.ns) == (True, before.id + 1, arrival(1001))


def test_a_jump_of_the_devices_clock_is_a_loss_for_a_frame():
    tracker = WristTracker(CONFIG)
    before = see(tracker, 1000, hand(5))
    found = tracker.see(frame(3, hand(5)), arrival(1001))
    assert (found.tracked, found.id) == (True, before.id + 1)
    assert tracker.lock.lost == "a clock has jumped"


def test_time_of_ros_that_is_set_back_is_followed():
    tracker = WristTracker(CONFIG)
    see(tracker, 1000, hand(5))
    assert tracker.see(frame(1001, hand(5)), 5 * MS).ns == 5 * MS


def test_ids_go_on_from_those_of_before():
    assert see(WristTracker(CONFIG, locks=4), 0, hand()).id == 5
