"""The space key as a clutch, in a terminal of the test's own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from ros_graph import Graph, eventually, graph

from dexgrasp_ros import contract

COMMAND = [sys.executable, "-m", "dexgrasp_teleop.keyboard_clutch"]
REPEAT = 0.04
"""Seconds between two strokes of a held key."""


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """The keyboard's end of a terminal, and the program's."""
    keyboard, program = pty.openpty()
    try:
        yield keyboard, program
    finally:
        os.close(keyboard)
        os.close(program)


def started(ros: Graph, program: int, *parameters: str) -> subprocess.Popen:
    arguments = ["--ros-args", *(word for each in parameters for word in ("-p", each))]
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=ros.environment,
        stdin=program,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_held_space_key_is_a_pressed_clutch_until_it_is_let_go(end):
    with graph() as ros, terminal() as (keyboard, program):
        before = termios.tcgetattr(program)
        clutch = ros.collect(contract.CLUTCH)
        process = started(ros, program, "timeout:=1.0")  # the machine may be busy
        try:
            assert eventually(lambda: clutch)
            os.write(keyboard, b"abd\n")
            assert termios.tcgetattr(program) != before
            deadline = time.monotonic() + 60.0
            while not clutch[-1].buttons[0]:
                assert time.monotonic() < deadline
                os.write(keyboard, b" ")
                time.sleep(REPEAT)
            assert eventually(lambda: not clutch[-1].buttons[0])
            assert not any(message.buttons[1] for message in tuple(clutch))
            os.write(keyboard, b"c")
            assert eventually(lambda: bool(clutch[-1].buttons[1]))
            assert eventually(lambda: not clutch[-1].buttons[1])
            process.send_signal(end)
            output, _ = process.communicate(timeout=30.0)
            assert process.returncode == 0
        finally:
            process.kill()
        assert termios.tcgetattr(program) == before
        assert list(clutch[0].buttons) == [0, 0]
        pressed = [int(message.buttons[0]) for message in clutch]
        assert sum(now != last for last, now in pairwise(pressed)) == 2
        lines = output.splitlines()
        assert [line for line in lines if line in ("held", "released")] == ["held", "released"]


def test_beside_another_clutch_it_ends_and_restores_the_terminal():
    with graph() as ros, terminal() as (_, program):
        before = termios.tcgetattr(program)
        topic = contract.CLUTCH
        ros.node("pedal").create_publisher(topic.type, topic.name, topic.qos)
        process = started(ros, program)
        try:
            output, _ = process.communicate(timeout=60.0)
        finally:
            process.kill()
        assert termios.tcgetattr(program) == before
        assert process.returncode == 1
        assert "/teleop/clutch is published by" in output


def test_without_a_terminal_it_says_so():
    ended = subprocess.run(
        COMMAND, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60.0
    )
    assert ended.returncode == 1
    assert ended.stderr == "keyboard_clutch reads keys: start it in a terminal of its own\n"
