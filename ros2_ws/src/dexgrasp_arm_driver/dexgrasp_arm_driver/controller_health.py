"""Whether the controller's states can be trusted, and whether the arm may be moved.

By what the controller says of itself and when that comes; what its client's calls return says
nothing: they succeed under a protective stop, and after the controller is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SAFETY = (
    (7, "emergency stop", "release the button, switch the arm on again"),
    (6, "emergency stop of the robot", "release the button, switch the arm on again"),
    (5, "emergency stop of the system", "release the button, switch the arm on again"),
    (9, "fault of the safety system", "see the pendant"),
    (8, "violation of the safety limits", "see the pendant"),
    (2, "protective stop", "find its cause, unlock it on the pendant"),
    (4, "safeguard stop", "close the safeguard, reset it"),
    (3, "recovery mode", "move the joints back into their limits on the pendant"),
    (10, "stop by the safety system", "see the pendant"),
)
"""Bit of the safety status, what it means, and what to do."""
_MODES = {
    -1: "has no controller",
    0: "is disconnected",
    1: "waits for a confirmation of its safety settings",
    2: "starts up",
    3: "is switched off",
    4: "is switched on with the brakes closed",
    5: "has its brakes closed",
    6: "is in backdrive",
    8: "updates its firmware",
}
"""All modes of the robot but running."""
_RUNNING = 7
_PROGRAM_BIT = 1
_PLAYING = 2
_DRIFT = 1e-3
"""s per s by which two clocks may drift apart; a controller's keeps within a tenth of it."""
_SET_BACK_NS = 1_000_000_000
"""What is more than a correction of the clock."""
_LATE_LOOKS = 4
"""Looks in a row that have to find a state late: one may be due to this process's own sleep."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One reading of the controller.

    Attributes:
        connected: whether the client says so.
        timestamp: s, on the controller's clock.
        joints, speeds: (6,) rad and rad/s.
        robot_mode, safety_bits, status_bits, runtime_state: as RTDE defines them.
        remote: whether it is in remote control; None where it does not tell.
    """

    connected: bool
    timestamp: float
    joints: np.ndarray
    speeds: np.ndarray
    robot_mode: int
    safety_bits: int
    status_bits: int
    runtime_state: int
    remote: bool | None = None


def trouble_of(sample: Sample) -> str:
    """Why the arm can't be moved, and what to do; empty where it can."""
    for bit, name, cure in _SAFETY:
        if sample.safety_bits & 1 << bit:
            return f"{name}: {cure}"
    if trouble := mode_trouble(sample.robot_mode):
        return trouble
    if sample.remote is False:
        return "the arm is in local control: switch the pendant to remote control"
    return ""


def mode_trouble(robot_mode: int) -> str:
    """What is wrong about the robot's mode, and what to do; empty where it runs."""
    if robot_mode == _RUNNING:
        return ""
    mode = _MODES.get(robot_mode, f"is in mode {robot_mode}")
    return f"the arm {mode}: switch it on and release its brakes on the pendant"


def program_trouble(sample: Sample) -> str:
    """Why the program that follows the set-points does not; empty where it runs."""
    if sample.status_bits & 1 << _PROGRAM_BIT and sample.runtime_state == _PLAYING:
        return ""
    return "the program on the controller was stopped, at the pendant or by its watchdog"


class StateTimes:
    """How late the controller's states come, by its clock and this machine's.

    The two clocks have a difference that is not known. It is taken for the least that was seen, as
    if the fastest state had taken no time, and may grow by their drift. So a state that does not
    change any more is late after a while, and so is one of a stream that is delayed.

    Args:
        limit: s.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._difference: float | None = None
        self._looked = 0.0
        self._late = 0
        self.age = 0.0
        """s since the newest state, beyond the least."""

    def late(self, timestamp: float, now: float) -> bool:
        """Notes a state, and tells whether it is too late.

        Args:
            timestamp: of the newest state, s, on the controller's clock.
            now: s, on this machine's.
        """
        difference = now - timestamp
        if self._difference is None:
            self._difference = difference
        else:
            drifted = self._difference + _DRIFT * (now - self._looked)
            self._difference = min(difference, drifted)
        self._looked = now
        self.age = difference - self._difference
        self._late = self._late + 1 if self.age > self._limit else 0
        return self._late >= _LATE_LOOKS


class StampClock:
    """Stamps of the controller's states on another clock, evenly spaced as they were measured.

    The difference of the two clocks is kept until it is wrong by more than `tolerance_ns`.
    """

    def __init__(self, tolerance_ns: int = 5_000_000) -> None:
        self._tolerance = tolerance_ns
        self._difference: int | None = None
        self._last = 0

    def stamp(self, timestamp: float, measured_ns: int) -> int:
        """The stamp of a state, ns; never one before the last, unless the clock was set back.

        Args:
            timestamp: s, on the controller's clock.
            measured_ns: when it was measured, ns on the other clock, as well as is known.
        """
        ns = round(timestamp * 1e6) * 1000
        if self._difference is None or abs(measured_ns - ns - self._difference) > self._tolerance:
            self._difference = measured_ns - ns
        stamp = ns + self._difference
        if 0 <= self._last - stamp < _SET_BACK_NS:
            stamp = self._last + 1
        self._last = stamp
        return self._last
