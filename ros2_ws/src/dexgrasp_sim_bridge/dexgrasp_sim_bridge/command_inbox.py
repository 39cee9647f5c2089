"""Commands on their way from the ROS callbacks to the simulation loop."""

from __future__ import annotations

import threading

import numpy as np

from dexgrasp_models.control.types import Command


class CommandInbox:
    """The newest targets of hand and wrist, with the stamps of the states that they answer.

    A controller engages with its first finger command and lets go with :meth:`hold_fingers`.
    Between the two a lock-step loop may insist on a command for every tick. Both come on one topic,
    so their order is kept; the wrist's targets come on another and do not engage.

    Args:
        initial: held until a command comes.
    """

    def __init__(self, initial: Command) -> None:
        self._changed = threading.Condition()
        self._targets = initial
        self._fingers_ns = self._wrist_ns = -1
        self._engaged = False

    @property
    def engaged(self) -> bool:
        """Whether a controller is sending."""
        return self._engaged

    @property
    def newest(self) -> Command:
        """The newest targets, whatever state they answer."""
        return self._targets

    def put_fingers(self, ns: int, targets: np.ndarray) -> None:
        """Targets (22,) in rad that answer the state stamped ``ns``; engages."""
        with self._changed:
            self._targets = Command(self._targets.wrist_target, targets)
            self._fingers_ns, self._engaged = ns, True
            self._changed.notify_all()

    def put_wrist(self, ns: int, target: np.ndarray) -> None:
        """Pose (4, 4) of the palm in the world that answers the state stamped ``ns``."""
        with self._changed:
            self._targets = Command(target, self._targets.finger_targets)
            self._wrist_ns = ns
            self._changed.notify_all()

    def hold_fingers(self, targets: np.ndarray) -> None:
        """The controller lets go of the fingers; (22,) targets in rad are held."""
        with self._changed:
            self._targets = Command(self._targets.wrist_target, targets)
            self._engaged = False
            self._changed.notify_all()

    def hold_wrist(self, target: np.ndarray) -> None:
        """The controller lets go of the wrist; a (4, 4) pose of the palm is held."""
        with self._changed:
            self._targets = Command(target, self._targets.finger_targets)

    def interrupt(self) -> None:
        """Whoever waits for a command waits no longer, as if the controller had let go."""
        with self._changed:
            self._engaged = False
            self._changed.notify_all()

    def wait_for(self, ns: int, timeout: float) -> bool:
        """Waits for the whole command that answers ``ns``; True if it is there.

        Returns early when a controller engages or lets go meanwhile.

        Args:
            ns: stamp of the state to be answered.
            timeout: seconds of wall time.
        """
        with self._changed:
            engaged = self._engaged
            self._changed.wait_for(lambda: self._answers(ns) or self._engaged != engaged, timeout)
            return self._answers(ns)

    def wait_for_answer(self, ns: int, timeout: float, wrist: bool = True) -> bool:
        """Waits until the engaged controller has answered the state stamped ``ns`` or a later one.

        With ``wrist`` its wrist target counts too. False if it has not within ``timeout`` seconds
        of wall time. Without an engaged controller there is nothing to wait for; nor is there where
        commands are stamped zero, and so answer no state.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: (
                    not self._engaged
                    or self._fingers_ns == 0
                    or (self._fingers_ns >= ns and (not wrist or self._wrist_ns >= ns))
                ),
                timeout,
            )

    def _answers(self, ns: int) -> bool:
        return self._fingers_ns == ns and self._wrist_ns == ns
