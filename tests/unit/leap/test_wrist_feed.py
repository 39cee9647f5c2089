"""One connection after another, and what is told between them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from leap_hands import PERIOD_US, frame, hand

from dexgrasp_leap import wrist_feed
from dexgrasp_leap.transport import Receiver, ServiceError
from dexgrasp_leap.wrist_feed import WristFeed
from dexgrasp_leap.wrist_tracker import TrackedWrist, TrackingConfig, WristTracker

MS = 1_000_000


@dataclass
class Clock:
    """That by which the feed tells silence.

    Attributes:
        now: s.
    """

    now: float = 100.0


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(wrist_feed.time, "monotonic", lambda: made.now)
    return made


@pytest.fixture(autouse=True)
def no_pause(monkeypatch) -> None:
    monkeypatch.setattr(wrist_feed, "RETRY", 0.0)


class Played:
    """A transport whose connections are given: functions of the receiver, one after another."""

    service = "a stage"
    advice = "Look behind the curtain."

    def __init__(self, *connections: Callable[[Receiver], None]) -> None:
        self._connections = list(connections)
        self.over = threading.Event()

    def follow(self, receiver: Receiver, stop: threading.Event) -> None:
        if self._connections:
            self._connections.pop(0)(receiver)
        else:
            self.over.set()
            stop.wait()


class Stage:
    """A feed of played connections, with a clock of its own."""

    def __init__(self, *connections: Callable[[Receiver], None]) -> None:
        self.now_ns = 0
        self.told: list[TrackedWrist] = []
        self.faults: list[Exception] = []
        self.transport = Played(*connections)
        self.feed = WristFeed(
            self.transport,
            WristTracker(TrackingConfig()),
            lambda: self.now_ns,
            stale_after=0.1,
            on_wrist=self.told.append,
            on_fault=self.faults.append,
        )

    def play(self, receiver: Receiver, numbers: range, late_ns: int = 0) -> None:
        for n in numbers:
            self.now_ns = 1000 * n * PERIOD_US + MS + late_ns
            receiver.take(frame(n, hand()))

    @property
    def changes(self) -> list[tuple[bool, int]]:
        found: list[tuple[bool, int]] = []
        for wrist in self.told:
            if found[-1:] != [(wrist.tracked, wrist.id)]:
                found.append((wrist.tracked, wrist.id))
        return found

    def run(self) -> None:
        """Until all connections have been played."""
        self.feed.start()
        assert self.transport.over.wait(60.0)
        assert self.feed.stop(60.0)


def test_the_end_of_a_connection_is_a_loss_and_the_next_one_another_hand():
    def first(receiver):
        receiver.connected()
        stage.play(receiver, range(10))
        raise ServiceError("it was killed")

    def second(receiver):
        assert not stage.feed.is_connected
        assert stage.feed.problem == "it was killed"
        receiver.connected()
        assert stage.feed.is_connected
        stage.play(receiver, range(10), late_ns=1000 * MS)  # its clock begins anew

    stage = Stage(first, second)
    stage.run()
    assert stage.changes == [(True, 1), (False, 1), (True, 2), (False, 2)]
    assert (stage.feed.connections, stage.faults) == (2, [])


def test_attempts_that_fail_tell_nothing():
    def fail(receiver):
        raise ServiceError("nobody is there")

    stage = Stage(fail, fail)
    stage.run()
    assert stage.told == []
    assert stage.feed.problem == "nobody is there"


def test_a_frame_that_was_kept_back_ends_the_connection():
    after: list[int] = []

    def kept_back(receiver):
        receiver.connected()
        stage.play(receiver, range(10))
        stage.play(receiver, range(10, 20), late_ns=400 * MS)
        after.append(1)  # not reached

    stage = Stage(kept_back)
    stage.run()
    assert after == []
    assert stage.changes == [(True, 1), (False, 1)]
    assert stage.feed.dropped.total() == 1
    assert "came 0.40 s late" in stage.feed.problem


def test_silence_is_a_loss_again_and_again_until_frames_come(clock):
    stage = Stage()
    stage.feed.start()
    stage.feed.connected()
    stage.play(stage.feed, range(5))
    stage.feed.watch()
    assert stage.changes == [(True, 1)]
    clock.now += 0.11
    assert stage.feed.is_stale
    for _ in range(2):
        stage.now_ns += MS
        stage.feed.watch()
    assert [wrist.tracked for wrist in stage.told[-3:]] == [True, False, False]
    stage.play(stage.feed, range(20, 21))
    assert not stage.feed.is_stale
    assert stage.changes == [(True, 1), (False, 1), (True, 2)]
    stage.feed.stop(60.0)


def test_frames_out_of_order_are_no_sign_of_life(clock):
    stage = Stage()
    stage.feed.connected()
    stage.play(stage.feed, range(5, 6))
    clock.now += 0.11
    stage.play(stage.feed, range(5, 6))
    assert stage.feed.is_stale
    assert stage.feed.dropped == {"a frame out of order": 1}


def test_nothing_is_told_after_the_end(clock):
    stage = Stage()
    stage.feed.start()
    stage.feed.connected()
    assert stage.feed.stop(60.0)
    stage.play(stage.feed, range(3))
    clock.now += 0.11
    stage.feed.watch()
    assert stage.told == []


def test_devices_are_counted():
    feed = Stage().feed
    assert not feed.has_no_device  # nothing is known
    feed.attached("1", True)
    feed.attached("2", True)
    feed.attached("1", False)
    assert not feed.has_no_device
    feed.attached("2", False)
    assert feed.has_no_device
    feed.connected()
    assert not feed.has_no_device


def test_a_mistake_ends_it_and_is_told():
    begun = threading.Event()

    def mistaken(receiver):
        begun.set()
        raise ZeroDivisionError

    stage = Stage(mistaken)
    stage.feed.start()
    assert begun.wait(60.0)
    assert stage.feed.stop(60.0)
    assert [type(fault) for fault in stage.faults] == [ZeroDivisionError]


def test_the_rate_is_that_of_the_last_second(clock):
    stage = Stage()
    stage.feed.connected()
    stage.play(stage.feed, range(40))
    clock.now += 0.6
    stage.play(stage.feed, range(40, 50))
    assert stage.feed.rate == 50.0
    clock.now += 0.6
    assert stage.feed.rate == 10.0
