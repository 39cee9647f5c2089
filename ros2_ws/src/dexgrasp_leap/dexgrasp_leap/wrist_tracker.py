"""From the device's frames to one wrist: locked, filtered, and stamped in ROS time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from dexgrasp_leap.frames import LeapFrame
from dexgrasp_leap.hand_lock import SIDES, HandLock
from dexgrasp_models.geometry.one_euro import OneEuroPoseFilter
from dexgrasp_models.parameters import Parameters, choice, parameter
from dexgrasp_ros.device_clock import DeviceClock, OutOfOrderError


class LateFrameError(ValueError):
    """A frame that was kept back on its way; more such are likely to follow."""


@dataclass(frozen=True)
class TrackingConfig(Parameters):
    """Which hand is followed, and how it is smoothed."""

    hand: str = choice("right", SIDES, "which hand is followed")
    most_jump: float = parameter(
        0.1, 0.01, 1.0, "m", "a wrist that moves farther in a frame is lost: it is another hand"
    )
    most_turn: float = parameter(1.0, 0.1, 3.2, "rad", "the same of what it turns in a frame")
    min_cutoff: float = parameter(
        2.0, 0.05, 50.0, "Hz", "One Euro filter: cutoff at rest; lower takes more jitter away"
    )
    position_beta: float = parameter(
        20.0, 0.0, 1000.0, "Hz/(m/s)", "One Euro filter: higher lags less where the wrist moves"
    )
    rotation_beta: float = parameter(
        3.0, 0.0, 1000.0, "Hz/(rad/s)", "One Euro filter: higher lags less where the wrist turns"
    )
    stale_after: float = parameter(
        0.25,
        0.05,
        0.45,
        "s",
        "without a frame for so long the hand is lost; a frame that was on its way for longer than"
        " others by so much is dropped",
    )


@dataclass(frozen=True)
class TrackedWrist:
    """What is known of the wrist at a moment.

    Attributes:
        ns: when, in ROS time.
        tracked: whether it is seen then.
        id: of the lock; 0 before the first.
        left: whether it is a left hand's.
        confidence: 0 to 1.
        pose: (4, 4) in the frame `leap`, m, filtered; the last one where it is not tracked.
    """

    ns: int
    tracked: bool = False
    id: int = 0
    left: bool = False
    confidence: float = 0.0
    pose: np.ndarray = field(default_factory=lambda: np.eye(4))


class WristTracker:
    """Follows one wrist through the frames of one connection after another.

    Args:
        config: which hand, and how it is smoothed.
        locks: how many hands were followed before, so that no id comes again.

    Attributes:
        lock: the hand that is followed.
        wrist: what was told last; None before anything was.
    """

    def __init__(self, config: TrackingConfig, locks: int = 0) -> None:
        self._late_ns = round(1e9 * config.stale_after)
        self._filter = OneEuroPoseFilter(
            config.min_cutoff, config.position_beta, config.rotation_beta
        )
        self._clock = DeviceClock()
        self._taken_us = 0
        self.lock = HandLock(config.hand, config.most_jump, config.most_turn, locks)
        self.wrist: TrackedWrist | None = None

    def begin(self) -> None:
        """A connection begins: ids and times from before mean nothing in it."""
        self.lock.release("the connection to the service ended")
        self._clock = DeviceClock()

    def see(self, frame: LeapFrame, arrived_ns: int) -> TrackedWrist:
        """The wrist in a new frame.

        Args:
            frame: newer than the one before.
            arrived_ns: ROS time at which it came.

        Raises:
            OutOfOrderError: it is no newer than the one before, or than what was told since.
            LateFrameError: it was on its way for longer than others, by `stale_after`.
        """
        stamp = self._clock.stamp(1000 * frame.taken_us, arrived_ns)
        if stamp.jumped:
            self.lock.release("a clock has jumped")
        elif (late := arrived_ns - stamp.ns) > self._late_ns:
            raise LateFrameError(f"a frame came {1e-9 * late:.2f} s late")
        elif self.wrist is not None and stamp.ns <= self.wrist.ns:
            raise OutOfOrderError("taken before what was told last")
        seconds = 1e-6 * (frame.taken_us - self._taken_us)
        self._taken_us = frame.taken_us
        number = self.lock.number
        hand = self.lock.follow(frame.hands)
        if hand is None:
            return self._tell_lost(stamp.ns)
        if self.lock.number != number:
            self._filter.reset()
        self.wrist = TrackedWrist(
            stamp.ns,
            True,
            self.lock.number,
            hand.left,
            hand.confidence,
            self._filter.filter(hand.wrist, seconds),
        )
        return self.wrist

    def lose(self, reason: str, ns: int) -> TrackedWrist:
        """The wrist where nothing more comes of it, in ROS time."""
        self.lock.release(reason)
        return self._tell_lost(ns)

    def _tell_lost(self, ns: int) -> TrackedWrist:
        last = self.wrist or TrackedWrist(ns)
        self.wrist = replace(last, ns=ns, tracked=False, confidence=0.0)
        return self.wrist
