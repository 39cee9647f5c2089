"""The person's wrist as messages: which are taken, and why others are not."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_control.wrist_input import WristInput
from dexgrasp_ros import conversions
from dexgrasp_ros.conversions import MessageError

SECOND = conversions.NANOSECONDS


def message(ns: int = SECOND, frame: str = conversions.WORLD, x: float = 0.1, w: float = 1.0):
    pose = np.eye(4)
    found = conversions.pose_stamped(pose, ns, frame)
    found.pose.position.x, found.pose.orientation.w = x, w
    return found


def test_the_newest_is_kept():
    wrist = WristInput()
    assert (wrist.newest, wrist.stamp) == (None, -1)
    wrist.put(message())
    wrist.put(message(2 * SECOND, x=0.2))
    ns, pose = wrist.newest
    assert (ns, pose[0, 3], wrist.stamp) == (2 * SECOND, 0.2, 2 * SECOND)


def test_a_stamp_that_comes_again_counts_once():
    wrist = WristInput()
    wrist.put(message())
    wrist.put(message(x=0.3))
    assert wrist.newest[1][0, 3] == 0.1
    assert wrist.received == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (message(3 * SECOND, x=float("nan")), "not finite"),
        (message(3 * SECOND, x=float("inf")), "not finite"),
        (message(3 * SECOND, w=0.5), "length 0.500"),
        (message(3 * SECOND, frame="base_link"), "frame 'base_link', not 'world'"),
        (message(3 * SECOND, frame=""), "frame ''"),
        (message(SECOND), "out of order, 1.000 s before the newest"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_last_good_one_stays(bad, reason):
    wrist = WristInput()
    wrist.put(message(2 * SECOND))
    with pytest.raises(MessageError) as refusal:
        wrist.put(bad)
    assert reason in str(refusal.value)
    assert wrist.fault == str(refusal.value)
    assert wrist.stamp == 2 * SECOND
    wrist.put(message(4 * SECOND))
    assert (wrist.fault, wrist.stamp) == ("", 4 * SECOND)
