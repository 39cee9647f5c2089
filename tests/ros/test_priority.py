"""An active node's process has real-time priority where its parameter asks for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import toy_node
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from ros_graph import eventually, graph

from dexgrasp_ros import priority

ASKED = 7
OTHERS = (os.SCHED_OTHER, 0)
REAL_TIME = (os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, ASKED)


def said(code: str) -> str:
    """What a Python process of its own prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


GRANTED = """
import os
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
except PermissionError:
    print("no")
"""
needs_the_right = pytest.mark.skipif(bool(said(GRANTED)), reason="no right to real-time priority")

THREADS = """
import os, threading
from dexgrasp_ros.priority import take_precedence
from dexgrasp_ros.worker import Worker

def look(name):
    policy = os.sched_getscheduler(0)
    print(name, "as others" if policy == os.SCHED_OTHER else os.sched_getparam(0).sched_priority)

def wait_and_look():
    go_on.wait(10.0)
    look("before")

go_on, worker = threading.Event(), Worker("jobs")
worker.start(lambda: None).wait(10.0)
before = threading.Thread(target=wait_and_look)
before.start()
assert take_precedence(7)
go_on.set()
before.join(10.0)
look("itself")
later = threading.Thread(target=look, args=["later"])
later.start()
later.join(10.0)
worker.start(lambda: look("job")).wait(10.0)
"""


def scheduling(process: int) -> set[tuple[int, int]]:
    """Policies and priorities of a process's threads."""
    threads = [int(name) for name in os.listdir(f"/proc/{process}/task")]
    return {
        (os.sched_getscheduler(each), os.sched_getparam(each).sched_priority) for each in threads
    }


@needs_the_right
def test_a_nodes_process_has_it_from_its_activation_on():
    with graph() as ros:
        asked = ("-p", "autostart:=false", "-p", f"realtime_priority:={ASKED}")
        process = subprocess.Popen(
            [sys.executable, toy_node.__file__, "--ros-args", *asked],
            env=ros.environment,
        )
        try:
            for transition, expected in (
                (Transition.TRANSITION_CONFIGURE, {OTHERS}),
                (Transition.TRANSITION_ACTIVATE, {REAL_TIME}),
            ):
                request = ChangeState.Request(transition=Transition(id=transition))
                assert ros.call(ChangeState, "toy/change_state", request).success
                assert eventually(lambda of=expected: scheduling(process.pid) == of)
        finally:
            process.kill()
            process.wait()


@needs_the_right
def test_threads_of_before_have_it_and_later_ones_and_jobs_have_none():
    assert said(THREADS).splitlines() == [
        "before 7",
        "itself 7",
        "later as others",
        "job as others",
    ]


def test_a_system_that_does_not_grant_it_is_no_error(monkeypatch):
    def refuse(*asked: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not priority.take_precedence(ASKED)
    priority.stand_back()
