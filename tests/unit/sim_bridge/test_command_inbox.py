"""Commands on their way to the simulation loop: what is waited for, and when waiting ends."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from dexgrasp_models.control.types import Command
from dexgrasp_sim_bridge.command_inbox import CommandInbox

POSE, FINGERS = np.eye(4), np.zeros(22)
SOON = 0.05
LONG = 10.0


@pytest.fixture
def inbox():
    return CommandInbox(Command(POSE, FINGERS))


def after_a_moment(action, *arguments) -> None:
    threading.Timer(SOON, action, arguments).start()


def test_a_command_is_whole_with_both_halves_of_one_stamp(inbox):
    inbox.put_wrist(7, POSE)
    assert not inbox.wait_for(7, SOON)
    inbox.put_fingers(6, FINGERS)
    assert not inbox.wait_for(7, SOON)
    after_a_moment(inbox.put_fingers, 7, FINGERS + 1.0)
    assert inbox.wait_for(7, LONG)
    assert np.array_equal(inbox.newest.finger_targets, FINGERS + 1.0)


def test_fingers_engage_and_letting_go_ends_the_wait(inbox):
    inbox.put_wrist(1, POSE)
    assert not inbox.engaged
    inbox.put_fingers(1, FINGERS)
    assert inbox.engaged
    after_a_moment(inbox.hold_fingers, FINGERS)
    assert not inbox.wait_for(2, LONG)
    assert not inbox.engaged


def test_letting_go_holds_what_it_is_told_to(inbox):
    inbox.put_wrist(1, POSE)
    inbox.put_fingers(1, FINGERS + 2.0)
    inbox.hold_wrist(2.0 * POSE)
    assert inbox.engaged
    inbox.hold_fingers(FINGERS + 1.0)
    assert not inbox.engaged
    assert np.array_equal(inbox.newest.finger_targets, FINGERS + 1.0)
    assert np.array_equal(inbox.newest.wrist_target, 2.0 * POSE)


def test_an_interrupted_wait_ends_and_changes_no_targets(inbox):
    inbox.put_fingers(1, FINGERS + 2.0)
    after_a_moment(inbox.interrupt)
    assert not inbox.wait_for(2, LONG)
    assert np.array_equal(inbox.newest.finger_targets, FINGERS + 2.0)


def test_a_wrist_that_another_commands_is_not_waited_for(inbox):
    inbox.put_fingers(5, FINGERS)
    assert not inbox.wait_for_answer(5, SOON)
    assert inbox.wait_for_answer(5, 0.0, wrist=False)


def test_a_late_answer_is_waited_for(inbox):
    inbox.put_wrist(5, POSE)
    inbox.put_fingers(5, FINGERS)
    assert inbox.wait_for_answer(5, 0.0)
    assert not inbox.wait_for_answer(6, SOON)
    inbox.put_wrist(6, POSE)
    after_a_moment(inbox.put_fingers, 6, FINGERS)
    assert inbox.wait_for_answer(6, LONG)


def test_nobody_is_waited_for_who_does_not_answer_states(inbox):
    assert inbox.wait_for_answer(9, 0.0)  # not engaged
    inbox.put_fingers(0, FINGERS)
    assert inbox.wait_for_answer(9, 0.0)  # stamped zero
