"""How soon the arm follows a person's hand in the assisted cell, with all of its work beside it.

    python bench/hand_to_arm.py [--steps 100] [--object can] [--out FILE]

Starts the graph of `dexgrasp demo --assist --drivers` without its person. In their place a hand
over the Leap's counterpart rests, and now and then moves by some millimetres: from the time of the
first frame that shows it, by the stamp that the Leap's driver gives it, to the first set-point of
the arm that differs, as the arm's controller tells it 500 times a second. Beside that, how long
each part of the way took.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from reports import write_report
from rich.console import Console
from rich.table import Table
from rtde_receive import RTDEReceiveInterface
from running_graph import RunningGraph, parsed
from sensor_msgs.msg import Joy

from dexgrasp_arm_driver.servo_loop import Priority
from dexgrasp_counterparts.leap_counterpart import LeapCounterpart, told_hand
from dexgrasp_counterparts.own_computer import take_precedence
from dexgrasp_ros import contract, conversions

FRAMES = 50.0
"""Hz; a real device gives 100 without a processor of this machine."""
STEP = 0.004
"""m, that the hand moves at once."""
REST = 1.5
"""s after a step, in which the arm comes to stand."""
PATIENCE = 120.0
"""s until the arm follows at all."""
FOLLOWING = ("wrist", "follow")
WAY = (contract.TRACKED_HAND, contract.TELEOP_WRIST, contract.WRIST_TARGET)
PARTS = ("hand to wrist", "wrist to target", "target to set-point", "hand to set-point")
_MOVED = 1e-7
"""m or rad: what differs by less is the same."""


class Heard:
    """When the hand, the wrist's target of it, and the arm's, last came to another place: ns."""

    def __init__(self, graph: RunningGraph) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, np.ndarray] = {}
        self._times: dict[str, int] = {}
        self.state = ""
        node = graph.client.node
        for topic in WAY:
            hear = partial(self._hear, topic.name)
            node.create_subscription(topic.type, topic.name, hear, topic.qos)
        topic = contract.CONTROL_STATE
        node.create_subscription(topic.type, topic.name, self._on_state, topic.qos)

    def _on_state(self, message: Any) -> None:
        self.state = message.state

    def _hear(self, name: str, message: Any) -> None:
        place = (message.wrist if name == WAY[0].name else message.pose).position
        found = np.array([place.x, place.y, place.z])
        with self._lock:
            before = self._places.get(name)
            new = before is not None and name not in self._times
            if new and np.abs(found - before).max() > _MOVED:
                self._times[name] = conversions.stamp_to_ns(message.header.stamp)
            self._places[name] = found

    def forget(self) -> None:
        """What comes to another place from now on counts."""
        with self._lock:
            self._times = {}

    def times(self) -> dict[str, int]:
        """By the topic, of those that have moved since."""
        with self._lock:
            return dict(self._times)


class SetPoints:
    """Looks at the arm's set-points through the controller's own interface, in a thread.

    When the controller had one is known by its own clock: the difference of the two clocks is taken
    for the least that was seen.
    """

    def __init__(self, host: str) -> None:
        with Priority(0).lowered(slack=0.0005):  # looks less often, which takes less from the graph
            take_precedence()  # and at once: what it sees late is not the graph's
            self._receive = RTDEReceiveInterface(host, 500.0, ["timestamp", "target_q"])
        self._moved = threading.Event()
        self._from: np.ndarray | None = None
        self._difference = math.inf
        self.at = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """The next that differs from the present one counts."""
        self._moved.clear()
        self._from = np.array(self._receive.getTargetQ())

    def wait(self, timeout: float) -> bool:
        """Whether one came that differs; `at` is when, in ns of the system's clock."""
        return self._moved.wait(timeout)

    def close(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        take_precedence()
        while not self._ended.wait(0.002):
            start, told = self._from, self._receive.getTimestamp()
            self._difference = min(self._difference, time.time() - told)
            if start is None or self._moved.is_set():
                continue
            if np.abs(np.array(self._receive.getTargetQ()) - start).max() > _MOVED:
                told = self._receive.getTimestamp()  # not of the one before
                self.at = round(1e9 * (told + self._difference))
                self._moved.set()


class Person:
    """A hand over the Leap's counterpart, and a foot on the clutch, in a thread."""

    def __init__(self, graph: RunningGraph, leap: LeapCounterpart) -> None:
        topic = contract.CLUTCH
        self._clock = graph.client.node.get_clock()
        self._clutch = graph.client.node.create_publisher(topic.type, topic.name, topic.qos)
        self._leap, self._pressed = leap, False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tread, daemon=True)
        self._thread.start()

    def press(self, pressed: bool) -> None:
        """The clutch."""
        self._pressed = pressed

    def move(self, y: float) -> None:
        """The hand, to so many m aside."""
        hand = np.eye(4)
        hand[:3, 3] = 0.0, y, 0.5
        self._leap.set(hands=[told_hand(hand, 1)])

    def close(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._thread.join()

    def _tread(self) -> None:
        while not self._ended.wait(0.02):
            header = conversions.header(self._clock.now().nanoseconds, "")
            self._clutch.publish(Joy(header=header, buttons=[int(self._pressed), 0]))


def measured(graph: RunningGraph, steps: int) -> dict[str, list[float]]:
    """ms of each part of the way, and of all of it, for every step of the hand that was seen.

    Raises:
        RuntimeError: the arm doesn't follow.
    """
    parameters = {node.name: node.parameters for node in graph.nodes}
    leap = LeapCounterpart(parameters["leap"]["host"], 6437, hands=[], rate=FRAMES)
    leap.start()
    heard = Heard(graph)
    points = SetPoints(parameters["arm_driver"]["controller.host"])
    person = Person(graph, leap)
    found: dict[str, list[float]] = {name: [] for name in PARTS}
    try:
        graph.start_grasp()
        _until(lambda: heard.state in FOLLOWING, "/assist asks for no wrist")
        person.move(0.0)
        time.sleep(1.0)
        person.press(True)
        _until(lambda: heard.state == FOLLOWING[-1], "no wrist is followed")
        for step in range(steps):
            # As a person does; a hand that was lost meanwhile counts only from a new press on.
            person.press(False)
            time.sleep(0.3)
            person.press(True)
            time.sleep(REST)
            heard.forget()
            points.forget()
            person.move(0.0 if step % 2 else STEP)
            if points.wait(timeout=2.0):
                time.sleep(0.2)  # for what is heard later than it was said
                times = heard.times()
                way = [times.get(topic.name) for topic in WAY]
                if None not in way:
                    ns = np.array([*way, points.at], dtype=np.int64)
                    parts = [*np.diff(ns), ns[-1] - ns[0]]
                    for name, part in zip(found, parts, strict=True):
                        found[name].append(1e-6 * float(part))
            if heard.state != FOLLOWING[-1]:
                raise RuntimeError(f"after {step + 1} steps the wrist is not followed any more")
    finally:
        person.close()
        points.close()
        leap.kill()
    return found


def _until(condition: Any, complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(complaint)
        time.sleep(0.05)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100, help="of the hand")
    parser.set_defaults(assist=True, drivers=True)
    arguments, options = parsed(parser, scene="arm")
    with (
        tempfile.TemporaryDirectory() as logs,
        RunningGraph(options, Path(logs), without=("person",)) as graph,
    ):
        graph.wait_until_active()
        found = measured(graph, arguments.steps)
    write_report(arguments.out, {"ms": found})
    table = Table("ms", "p50", "p99", "greatest", "n")
    for name, values in found.items():
        figures = [*np.percentile(values, [50, 99]), max(values)] if values else []
        table.add_row(name, *(f"{figure:.1f}" for figure in figures), str(len(values)))
    Console().print(table)


if __name__ == "__main__":
    main()
