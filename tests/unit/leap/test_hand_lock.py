"""One hand is followed as long as it is seen, and no other takes over."""

from __future__ import annotations

import pytest
from leap_hands import hand

from dexgrasp_leap.hand_lock import HandLock


def lock(side="right"):
    return HandLock(side, most_jump=0.1, most_turn=1.0)


@pytest.mark.parametrize(
    ("side", "expected"), [("right", [None, 2]), ("left", [1, 1]), ("any", [1, 1])]
)
def test_the_first_hand_of_the_wanted_side_is_taken_up(side, expected):
    kept = lock(side)
    frames = [[hand(1, left=True)], [hand(1, left=True), hand(2)]]
    found = [kept.follow(hands) for hands in frames]
    assert [each and each.id for each in found] == expected


def test_a_second_hand_does_not_take_over():
    kept = lock()
    kept.follow([hand(5)])
    for hands in ([hand(3), hand(5)], [hand(5), hand(3)]):
        assert kept.follow(hands).id == 5
    assert kept.number == 1


def test_what_is_seen_is_the_newest_pose():
    kept = lock()
    kept.follow([hand(5)])
    moved = hand(5, (0.05, 0.0, 0.2))
    assert kept.follow([moved]) is moved is kept.held


def test_a_lost_hand_is_told_before_another_is_taken_up():
    kept = lock()
    kept.follow([hand(5)])
    assert kept.follow([hand(3)]) is None
    assert (kept.held, kept.lost, kept.number) == (None, "out of sight", 1)
    assert kept.follow([hand(3)]).id == 3
    assert kept.number == 2


def test_the_same_id_after_a_loss_is_a_new_lock():
    kept = lock()
    kept.follow([hand(5)])
    kept.follow([])
    kept.follow([hand(5)])
    assert kept.number == 2


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (hand(5, (0.0, 0.11, 0.2)), "it jumped by 0.11 m"),
        (hand(5, turn=(0.0, 1.1, 0.0)), "it turned by 1.1 rad at once"),
        (hand(5, left=True), "it is of the other side now"),
    ],
)
def test_an_id_that_goes_over_to_another_hand_is_a_loss(now, reason):
    kept = lock()
    kept.follow([hand(5)])
    assert kept.follow([now]) is None
    assert kept.lost == reason


def test_ids_that_are_swapped_are_a_loss():
    here, there = (0.0, 0.15, 0.2), (0.0, -0.15, 0.2)
    kept = lock()
    kept.follow([hand(5, here), hand(3, there)])
    assert kept.follow([hand(3, here), hand(5, there)]) is None
    assert kept.number == 1


@pytest.mark.parametrize("now", [hand(5, (0.0, 0.09, 0.2)), hand(5, turn=(0.0, 0.9, 0.0))])
def test_a_quick_motion_is_followed(now):
    kept = lock()
    kept.follow([hand(5)])
    assert kept.follow([now]) is now


def test_many_small_steps_are_no_jump():
    kept = lock()
    for n in range(20):
        assert kept.follow([hand(5, (0.05 * n, 0.0, 0.2))]) is not None


def test_locks_are_counted_on_from_those_before():
    kept = HandLock("any", 0.1, 1.0, number=7)
    kept.follow([hand(5)])
    assert kept.number == 8
