"""What the servo process does, 500 times a second: look, listen, move on by one set-point, tell."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from dexgrasp_arm_driver.controller_health import (
    Sample,
    StateTimes,
    program_trouble,
    trouble_of,
)
from dexgrasp_arm_driver.controller_link import ControllerLink
from dexgrasp_arm_driver.servo_messages import (
    Alive,
    End,
    Hold,
    Order,
    State,
    TakeControl,
    Target,
)
from dexgrasp_arm_driver.servo_settings import PERIOD, RATE, ServoSettings
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.arm_following import ArmFollower, ArmMotion, Held

STATE_RATE = 50.0
"""Hz, of the states that are passed on: the contract's."""
NODE_SILENCE = 1.0
"""s without a word of the node, after which the arm comes to a standstill."""
_STANDING = 0.02
"""rad/s, that no joint may exceed when control is taken."""
_STARTING = 0.5
"""s for the controller's first states to tell that its program runs."""
_TARGET_PERIODS = (0.008, 0.05)
"""s, between which the time from one target to the next is believed."""


_PR_SET_TIMERSLACK = 29


class Fault(Exception):
    """Ends the servo and its process; the message is the reason."""


class Priority:
    """The process's real-time priority, where the system grants it; else there is more jitter under
    load. Threads that the client starts meanwhile have it too."""

    def __init__(self, priority: int) -> None:
        self._priority = priority
        self._set(priority)

    @contextlib.contextmanager
    def lowered(self, slack: float = 0.0) -> Iterator[None]:
        """While the client waits for the controller, which it does without sleeping: one that is
        emulated on the same core could not answer.

        Args:
            slack: s by which threads that it starts meanwhile may wake late, for as long as they
                run; 0: the system's own.
        """
        self._set(0)
        _set_timer_slack(slack)
        try:
            yield
        finally:
            _set_timer_slack(0.0)
            self._set(self._priority)

    @staticmethod
    def _set(priority: int) -> None:
        policy = os.SCHED_FIFO if priority else os.SCHED_OTHER
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, policy, os.sched_param(priority))


def _set_timer_slack(seconds: float) -> None:
    """Of this thread and of those that it starts; 0: the one that it began with."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(round(1e9 * seconds)))


class Servo:
    """Follows the node's orders on the arm.

    Args:
        node: orders come from it, and states go to it.
        settings: of everything.
        priority: of this process.
    """

    def __init__(self, node: Connection, settings: ServoSettings, priority: Priority) -> None:
        self._node = node
        self._orders = select.poll()  # the connection's own `poll` makes one anew each time
        self._orders.register(node.fileno(), select.POLLIN)
        self._slack = settings.controller.reading_slack
        self._priority = priority
        self._settings = settings
        self._follower = ArmFollower(ArmKinematics(), settings.safety, settings.follow, PERIOD)
        self._motion: ArmMotion | None = None
        self._times = StateTimes(settings.controller.late_limit)
        self._ending = False
        self._program_until = self._node_heard = self._aimed = 0.0
        self._slot = -1

    def run(self) -> None:
        """Until the node asks for the end.

        Raises:
            Fault, ConnectionError: something is wrong with the controller.
            EOFError, OSError: the node is gone.
        """
        with self._priority.lowered(self._slack) if self._slack else contextlib.nullcontext():
            self._link = ControllerLink(self._settings.controller)
        gc.collect()
        gc.freeze()
        due = self._node_heard = time.monotonic()
        while True:
            now = time.monotonic()
            sample = self._link.read(now)
            trouble = self._check(sample, now)
            while self._orders.poll(0):
                self._obey(self._node.recv(), sample, trouble)
            self._servo(now)
            self._pass_on(sample, trouble, now - self._times.age)
            if self._ending and (self._motion is None or self._motion.standing):
                if self._motion is not None:
                    with self._priority.lowered():
                        self._link.give_back()
                return
            # Time that was lost is not made up for: the controller would see several steps as one.
            due = max(due + PERIOD, now)
            time.sleep(max(0.0, due - time.monotonic()))

    def _check(self, sample: Sample, now: float) -> str:
        """What keeps the arm from being moved. Where it is being moved, that is a fault."""
        if not sample.connected:
            raise Fault("the connection to the controller is lost: see to its power and cable")
        if self._times.late(sample.timestamp, now):
            raise Fault(
                f"the controller's states come {self._times.age:.3f} s late or not at all: it"
                " is frozen, or the network is busy"
            )
        trouble = trouble_of(sample)
        if self._motion is not None:
            program = program_trouble(sample)
            if not program:
                self._program_until = 0.0
            elif now > self._program_until:
                trouble = trouble or program
            if trouble:
                raise Fault(trouble)
        return trouble

    def _obey(self, order: Order, sample: Sample, trouble: str) -> None:
        self._node_heard = time.monotonic()
        motion = self._motion
        match order:
            case TakeControl() if motion is None and not trouble:
                self._take_control(sample)
            case Target(pose) if motion is not None and not self._ending:
                now = time.monotonic()
                shortest, longest = _TARGET_PERIODS
                within = min(max(now - self._aimed, shortest), longest)
                self._aimed = now
                self._motion = self._follower.aim(motion, pose, within)
            case Hold() if motion is not None:
                self._motion = self._follower.halt(motion)
            case End():
                self._ending = True
                if motion is not None:
                    self._motion = self._follower.halt(motion)
            case _:  # Alive, or meant for an arm that is no longer, or not yet, servoed
                assert isinstance(order, Alive | TakeControl | Target | Hold)

    def _take_control(self, sample: Sample) -> None:
        if abs(sample.speeds).max() > _STANDING:
            raise Fault("the arm moves: control is taken only while it stands")
        with self._priority.lowered(self._slack):
            self._link.take_control()
            now = time.monotonic()
            # The client's start has kept this process from looking at the states.
            self._motion = self._follower.at_rest(self._link.read(now).joints)
            self._link.servo(self._motion.joints)  # the first one waits for the watchdog's answer
        self._program_until = now + _STARTING

    def _servo(self, now: float) -> None:
        if self._motion is None:
            return
        if now - self._node_heard > NODE_SILENCE and not self._motion.standing:
            self._motion = self._follower.halt(self._motion)
        self._motion = self._follower.step(self._motion)
        self._link.servo(self._motion.joints)

    def _pass_on(self, sample: Sample, trouble: str, measured: float) -> None:
        """The first state of each period of `STATE_RATE` on the controller's clock."""
        slot = int(sample.timestamp * STATE_RATE + 0.5 * STATE_RATE / RATE)
        if slot == self._slot:
            return
        self._slot = slot
        motion = self._motion
        self._node.send(
            State(
                sample.timestamp,
                measured,
                self._times.age,
                sample.joints,
                sample.speeds,
                motion is not None,
                trouble,
                str(motion.held if motion is not None else Held.NOTHING),
            )
        )
