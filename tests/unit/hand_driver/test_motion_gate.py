"""When commands go to the hand, and when a person has to say so."""

from __future__ import annotations

import pytest

from dexgrasp_hand_driver.motion_gate import MotionGate


@pytest.fixture
def gate() -> MotionGate:
    return MotionGate(patience=0.25)


def test_it_is_closed_until_all_is_well_and_that_is_no_fault(gate):
    assert gate.closed_by
    assert not gate.look("no connection", 0.0, lost=True)
    assert not gate.look("no state", 9.0)
    assert gate.closed_by == "no state"
    gate.look("", 9.1)
    assert not gate.closed_by


def test_a_short_problem_closes_it_for_that_long(gate):
    gate.look("", 0.0)
    for now in (1.0, 1.2, 5.0, 5.2):
        assert not gate.look("late", now)
        assert gate.closed_by == "late"
        if now in (1.2, 5.2):
            gate.look("", now + 0.01)
            assert not gate.closed_by


def test_a_problem_that_lasts_is_a_fault_until_a_person_resumes(gate):
    gate.look("", 0.0)
    gate.look("late", 1.0)
    assert gate.look("late", 1.25)
    assert not gate.look("late", 1.3), "not a new one"
    with pytest.raises(ValueError, match="not yet: late"):
        gate.resume()
    gate.look("", 2.0)
    assert gate.closed_by == "after a fault (late) a person has to resume"
    gate.resume()
    assert not gate.closed_by


def test_a_lost_connection_is_a_fault_at_once(gate):
    gate.look("", 0.0)
    assert gate.look("gone", 0.02, lost=True)
    gate.look("", 0.04)
    assert gate.fault == "gone"


def test_one_late_look_is_no_fault(gate):
    """The looker itself may have slept."""
    gate.look("", 0.0)
    assert not gate.look("late", 60.0)
