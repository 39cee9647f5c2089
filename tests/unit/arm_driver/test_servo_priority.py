"""What threads that the controller's client starts have of the servo process."""

from __future__ import annotations

import ctypes
import threading

from dexgrasp_arm_driver.servo_loop import Priority

_PR_GET_TIMERSLACK = 30


def slack() -> int:
    """ns, of the thread that asks."""
    return ctypes.CDLL(None).prctl(_PR_GET_TIMERSLACK)


def test_threads_that_may_wake_late_are_those_that_are_started_meanwhile():
    own, found = slack(), {}
    go_on = threading.Event()

    def late() -> None:
        go_on.wait(10.0)
        found["late"] = slack()

    with Priority(0).lowered(slack=0.0005):
        thread = threading.Thread(target=late)
        thread.start()
    go_on.set()
    thread.join()
    assert found == {"late": 500_000}
    assert slack() == own
    with Priority(0).lowered():
        assert slack() == own
