"""Keeps the images of one camera coming, in a thread of its own; without ROS."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from dexgrasp_realsense.frame_source import (
    CameraError,
    CameraStream,
    FrameError,
    Frames,
    RecordingEnded,
    StreamRequest,
)
from dexgrasp_realsense.lens import Lens, LensError
from dexgrasp_ros.device_clock import DeviceClock, OutOfOrderError

RETRY = 1.0
"""Seconds from one attempt to take a camera up to the next."""
WAIT = 0.1
"""Seconds that a thread waits for an image before it looks whether it is to end."""
UNPLUGGED_AFTER = 0.5
"""Seconds without an image after which it is looked whether the camera is still there."""
WARNING_KEPT = 5.0
"""Seconds for which a warning stands after what it warns of last happened."""

_RATE_WINDOW = 30
"""Images from which their rate is told."""


class Source(Protocol):
    """A camera or a recording."""

    def open(self, color: bool) -> CameraStream:
        """Has it give images, with or without colour.

        Raises:
            CameraError, LensError: it gives none; says why.
        """

    def is_there(self) -> bool:
        """Whether it is still connected; what is not is not waited for."""

    @property
    def repeats(self) -> bool:
        """Whether it is opened again after its end."""

    @property
    def is_recorded(self) -> bool:
        """Whether its times are those at which it was recorded."""

    @property
    def request(self) -> StreamRequest:
        """What is wanted of it."""


class CameraFeed:
    """Opens a camera, hands on its images, and takes it up again after it was gone or silent.

    Args:
        name: of the camera, for the thread's name.
        source: is opened.
        now_ns: ROS time.
        silence: seconds without an image after which the camera is started anew.
        on_frames: takes the images with their lens and stamp, in the feed's thread.
        on_change: called when `problem` or `warning` has changed.
        on_fault: called with an error that the feed can't go on after.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        now_ns: Callable[[], int],
        silence: float,
        *,
        on_frames: Callable[[Lens, Frames, int], None],
        on_change: Callable[[], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._source = source
        self._now_ns = now_ns
        self._silence = silence
        self._on_frames, self._on_change, self._on_fault = on_frames, on_change, on_fault
        self._stop = threading.Event()
        self._color = True
        self._warned = ("", -float("inf"))
        self._handed_on: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.problem = "no image has come yet"
        """Why there are no images, and what to do; empty while they come."""
        self.ended = False
        """Whether it is a recording that has been played."""
        self.dropped: Counter[str] = Counter()
        """Images that were not handed on, by reason."""
        self.frames = 0
        """Images that were handed on."""

    @property
    def rate(self) -> float | None:
        """Images a second that it gave lately; None while it gives none."""
        times = self._handed_on
        if self.problem or len(times) < 2:
            return None
        seconds = times[-1] - times[0]
        return (len(times) - 1) / seconds if seconds > 0.0 else None

    @property
    def warning(self) -> str:
        """What is wrong with images that come, or came lately; empty if nothing is."""
        message, told = self._warned
        return message if time.monotonic() - told < WARNING_KEPT else ""

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Has it end; it may still be at work in librealsense."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Whether it has ended, within some seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self.ended:
                self._once()
        except Exception as error:
            self._on_fault(error)

    def _once(self) -> None:
        """One time from opening the camera to its end."""
        frames_before = self.frames
        try:
            with contextlib.closing(self._source.open(self._color)) as stream:
                self._deliver(stream)
        except RecordingEnded:
            self.ended = not self._source.repeats
            if self.ended:
                self._tell("the recording has been played")
        except _SilentError as error:
            # Depth may wait for colour of the same moment: it is tried without, and so in turn.
            self._color = self.frames > frames_before or not self._color
            self._tell(str(error))
        except (CameraError, LensError) as error:
            self._color = True
            self._tell(str(error))
            self._stop.wait(RETRY)

    def _deliver(self, stream: CameraStream) -> None:
        """Hands on what comes, until nothing does, or until the feed is stopped."""
        clock = DeviceClock()
        heard = looked = time.monotonic()
        while not self._stop.is_set():
            try:
                frames = stream.next(WAIT)
                handed_on = frames is not None and self._hand_on(stream, frames, clock)
            except FrameError as error:
                self._drop("wrong size", f"dropped {error}")
                handed_on = False
            now = time.monotonic()
            if handed_on:
                heard = now
            elif now - max(heard, looked) > UNPLUGGED_AFTER:
                looked = now
                if not self._source.is_there():
                    raise CameraError("it was unplugged: plug it in again")
                if now - heard > self._silence:
                    raise _SilentError(
                        f"no good image for {now - heard:.1f} s: it is started anew; if this goes"
                        " on, look at its cable, or plug it in again"
                    )

    def _hand_on(self, stream: CameraStream, frames: Frames, clock: DeviceClock) -> bool:
        """Whether there was depth that has gone on, and was not dropped."""
        if not frames.depth_is_new:
            if (ns := clock.stamp_of_last(frames.taken_ns)) is not None:
                self._pass(stream.lens, frames, ns)
            return False
        try:
            is_now = frames.host_clock and not self._source.is_recorded
            stamp = clock.stamp(frames.taken_ns, self._now_ns(), is_now)
        except OutOfOrderError as error:
            self._drop("out of order", f"dropped an image out of order, {error}")
            return False
        if stamp.jumped:
            self._warn("its clock, or that of ROS, has jumped: the stamps begin anew")
        if self._source.request.color and not stream.has_color:
            self._warn(
                "depth alone, it has no colour of this size and rate: set color to false if none"
                " is wanted"
                if self._color
                else "depth alone, its colour does not come: plug it in again to try once more"
            )
        self._pass(stream.lens, frames, stamp.ns)
        self.frames += 1
        self._handed_on.append(time.monotonic())
        if self.problem:
            self._tell("")
        return True

    def _pass(self, lens: Lens, frames: Frames, ns: int) -> None:
        if self._stop.is_set():
            return
        try:
            self._on_frames(lens, frames, ns)
        except FrameError as error:  # of the colour; depth was looked at before
            self._drop("wrong size", f"dropped {error}")

    def _drop(self, reason: str, message: str) -> None:
        self.dropped[reason] += 1
        self._warn(message)

    def _warn(self, message: str) -> None:
        known = self.warning == message
        self._warned = (message, time.monotonic())
        if not known:
            self._on_change()

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._on_change()


class _SilentError(CameraError):
    """A camera that is there and gives no images."""
