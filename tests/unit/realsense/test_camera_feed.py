"""A feed takes its camera up, watches it, and takes it up again, with streams of a script."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from dexgrasp_realsense import camera_feed
from dexgrasp_realsense.camera_feed import CameraFeed
from dexgrasp_realsense.frame_source import (
    CameraError,
    FrameError,
    RecordingEnded,
    StreamRequest,
)

PATIENCE = 60.0
MS = 1_000_000


class ScriptedStream:
    """Gives what it is told, then nothing; an exception is raised."""

    lens = "lens"

    def __init__(self, script, has_color=True):
        self.script, self.has_color, self.closed = iter(script), has_color, False

    def next(self, timeout):
        item = next(self.script, None)
        if isinstance(item, Exception):
            raise item
        if item is None:
            threading.Event().wait(0.01)
        return item

    def close(self):
        self.closed = True


class ScriptedSource:
    """Opens one stream after the other; what is no stream is raised."""

    def __init__(self, *streams, repeats=True, there=True, is_recorded=False):
        self.streams, self.repeats, self.there = list(streams), repeats, there
        self.is_recorded = is_recorded
        self.request = StreamRequest(640, 480, 30)
        self.opened = []

    def open(self, color):
        self.opened.append(color)
        item = self.streams.pop(0) if self.streams else CameraError("no more")
        if isinstance(item, Exception):
            raise item
        return item

    def is_there(self):
        return self.there


def frame(milliseconds, is_new=True, host_clock=False):
    taken = milliseconds * MS
    return SimpleNamespace(taken_ns=taken, host_clock=host_clock, depth_is_new=is_new)


class Run:
    """A feed, what it handed on, and everything that it said."""

    def __init__(self, source, silence=1e6, on_frames=None, now=0):
        self.stamps, self.said, self.faults = [], [], []
        self.changed = threading.Condition()
        ticks = itertools.count(now)
        self.feed = CameraFeed(
            "camera",
            source,
            lambda: next(ticks) * MS,
            silence,
            on_frames=on_frames or (lambda lens, frames, ns: self.stamps.append(ns)),
            on_change=self._note,
            on_fault=self._fault,
        )
        self.feed.start()

    def until(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), self.said
        self.feed.stop()
        assert self.feed.join(PATIENCE)

    def _note(self):
        with self.changed:
            self.said += [self.feed.problem, self.feed.warning]
            self.changed.notify_all()

    def _fault(self, error):
        with self.changed:
            self.faults.append(error)
            self.changed.notify_all()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(camera_feed, "RETRY", 0.01)
    monkeypatch.setattr(camera_feed, "UNPLUGGED_AFTER", 0.02)


def said(run, text):
    return lambda: any(text in each for each in run.said)


def test_a_camera_that_can_not_be_opened_is_tried_again():
    stream = ScriptedStream([frame(0)])
    run = Run(ScriptedSource(CameraError("not there"), CameraError("not there"), stream))
    run.until(lambda: len(run.stamps) == 1 and run.feed.problem == "")
    assert [each for each in run.said if each] == ["not there"]
    assert stream.closed


def test_a_camera_that_is_gone_is_not_waited_for():
    source = ScriptedSource(ScriptedStream([frame(0)]), there=False)
    run = Run(source)
    run.until(said(run, "it was unplugged: plug it in again"))


def test_a_silent_camera_is_started_anew_as_it_was():
    source = ScriptedSource(ScriptedStream([frame(0)]), ScriptedStream([frame(0)]))
    run = Run(source, silence=0.1)
    run.until(lambda: len(source.opened) > 1)
    assert source.opened[:2] == [True, True]


def test_a_camera_that_never_spoke_is_tried_without_colour_and_in_turn():
    source = ScriptedSource(*(ScriptedStream([]) for _ in range(3)))
    run = Run(source, silence=0.1)
    run.until(said(run, "no more"))
    assert source.opened[:4] == [True, False, True, False]


def test_colour_that_comes_later_has_the_stamp_of_its_depth():
    frames = [frame(0), frame(0, False), frame(33), frame(0, False), frame(33, False)]
    run = Run(ScriptedSource(ScriptedStream([*frames, RecordingEnded()]), repeats=False))
    run.until(lambda: run.feed.ended)
    first, again, second, of_second = run.stamps
    assert first == again < second == of_second
    assert run.feed.frames == 2


def test_bad_images_are_counted_and_the_others_go_on():
    frames = [frame(100), FrameError("small"), frame(90), frame(133), RecordingEnded()]
    run = Run(ScriptedSource(ScriptedStream(frames), repeats=False))
    run.until(lambda: run.feed.ended)
    assert len(run.stamps) == 2
    assert run.feed.dropped == {"wrong size": 1, "out of order": 1}


def test_a_recording_that_repeats_is_opened_again():
    source = ScriptedSource(*(ScriptedStream([frame(0), RecordingEnded()]) for _ in range(3)))
    run = Run(source)
    run.until(said(run, "no more"))
    assert len(run.stamps) == 3
    assert run.stamps == sorted(run.stamps)


def test_a_recording_of_just_now_is_stamped_as_it_is_played():
    """Its times are of this computer's clock, but not of now: a repetition would go back."""
    taken = [frame(500, host_clock=True), frame(510, host_clock=True), RecordingEnded()]
    again = (ScriptedStream(taken) for _ in range(2))
    played = Run(ScriptedSource(*again, is_recorded=True), now=1000)
    played.until(said(played, "no more"))
    assert len(played.stamps) == 4
    assert np.all(np.diff(played.stamps) > 0)
    assert played.stamps[0] >= 1000 * MS

    live = Run(ScriptedSource(ScriptedStream(taken), repeats=False), now=1000)
    live.until(lambda: live.feed.ended)
    assert live.stamps == [500 * MS, 510 * MS]


def test_an_error_of_who_takes_the_images_is_a_fault():
    def fail(*_):
        raise KeyError("a bug")

    run = Run(ScriptedSource(ScriptedStream([frame(0)])), on_frames=fail)
    run.until(lambda: run.faults)
    assert isinstance(run.faults[0], KeyError)
