"""How what the graph keeps, and how late it is, changes over time: slopes by the hour.

    python bench/cell_soak.py --out FILE [--minutes 60] [--assist] [--drivers] [--object can]

Starts the graph of `dexgrasp demo`, and grasps again and again; with `--assist --drivers` it is the
assisted cell of hardware, its devices simulated. Once a minute it notes memory, threads and
descriptors of each node's process and of those that it has started, and how late messages came
since, by their stamps. The slopes
are least squares over all minutes but the first five of a run, in which everything is loaded; +-
is 95 %.

A run whose file is there is gone on with: the graph starts anew, and all runs share the slopes,
each from a level of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rclpy.node import Node
from rich.console import Console
from rich.table import Table
from running_graph import RunningGraph, parsed, wait_for_end
from soak import GOAL_TIMEOUT, kept, tracebacks, usage
from std_srvs.srv import Trigger

from dexgrasp_bringup.grasp_client import GoalRefused, ServerLost
from dexgrasp_models.files import written_whole
from dexgrasp_ros import contract, conversions

SAMPLE = 60.0
"""Seconds from one look at the processes to the next."""
WARM = 5.0
"""Minutes of a run that don't count."""
TOLD = 8
"""Messages of a node that are kept of each goal."""
TOPICS = (
    contract.JOINT_STATES,
    contract.WRIST_POSE,
    contract.TRACKED_HAND,
    contract.TELEOP_WRIST,
    contract.WRIST_TARGET,
)
"""Whose messages' age is told, where anybody publishes them."""


class Lateness:
    """How old messages are when they come, by their stamps, ms."""

    def __init__(self, node: Node) -> None:
        self._lock = threading.Lock()
        self._ages: dict[str, list[float]] = {}
        self._node = node
        for topic in TOPICS:
            node.create_subscription(
                topic.type, topic.name, partial(self._hear, topic.name), topic.qos
            )

    def _hear(self, name: str, message: Any) -> None:
        age = self._node.get_clock().now().nanoseconds - conversions.stamp_to_ns(
            message.header.stamp
        )
        with self._lock:
            self._ages.setdefault(name, []).append(1e-6 * age)

    def take(self) -> dict[str, dict[str, float]]:
        """Median and 99th percentile of each topic since the last time."""
        with self._lock:
            ages, self._ages = self._ages, {}
        return {
            name: dict(zip(("p50", "p99"), np.percentile(each, [50, 99]).round(2), strict=True))
            for name, each in sorted(ages.items())
        }


class Told:
    """What each node has said of itself on /diagnostics since the last time: the last few."""

    def __init__(self, node: Node) -> None:
        self._messages: dict[str, list[str]] = {}
        topic = contract.DIAGNOSTICS
        node.create_subscription(topic.type, topic.name, self._hear, topic.qos)

    def _hear(self, array: Any) -> None:
        for status in array.status:
            said = self._messages.setdefault(status.name, [])
            if status.message not in said:
                self._messages[status.name] = [*said, status.message][-TOLD:]

    def take(self) -> dict[str, list[str]]:
        """By the nodes' names."""
        messages, self._messages = self._messages, {}
        return dict(sorted(messages.items()))


class Soak:
    """Goals one after the other, and samples beside them, kept in a file."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path = path
        self.figures: dict[str, Any] = {
            "settings": settings,
            "goals": [],
            "tracebacks": 0,
            "samples": [],
        }
        if path.exists():
            self.figures = json.loads(path.read_text())
            if self.figures["settings"] != settings:
                raise SystemExit(f"{path} is of other settings: {self.figures['settings']}")
        samples = self.figures["samples"]
        self._run = samples[-1]["run"] + 1 if samples else 0
        self._tracebacks = self.figures["tracebacks"]

    def go_on(self, graph: RunningGraph, minutes: float, logs: Path) -> None:
        """For so many minutes of this run."""
        ended = threading.Event()
        begun = time.monotonic()
        sampling = threading.Thread(target=self._sample, args=(graph, begun, logs, ended))
        sampling.start()
        told = Told(graph.client.node)
        try:
            while time.monotonic() < begun + 60.0 * minutes:
                outcome, reason, said = _goal(graph, told)
                self.figures["goals"].append(
                    {
                        "run": self._run,
                        "minute": _minutes_since(begun),
                        "outcome": outcome,
                        "reason": reason,
                        "told": said,
                    }
                )
        finally:
            ended.set()
            sampling.join()
            self._write()

    def _write(self) -> None:
        with written_whole(self._path) as temporary:
            temporary.write_text(json.dumps(self.figures, indent=1) + "\n")

    def _sample(
        self, graph: RunningGraph, begun: float, logs: Path, ended: threading.Event
    ) -> None:
        # Without drivers the stamps are of simulated time, and say nothing of lateness.
        lateness = Lateness(graph.client.node) if graph.is_driven else None
        while not ended.wait(SAMPLE):
            minute = _minutes_since(begun)
            self.figures["samples"].append(
                {
                    "run": self._run,
                    "minute": minute,
                    "nodes": usage(graph) | started(graph),
                    "late": lateness.take() if lateness else {},
                }
            )
            self.figures["tracebacks"] = self._tracebacks + tracebacks(logs)
            self._write()
            print(f"minute {minute:.0f}: {outcomes(self.figures)}", flush=True)


def outcomes(figures: dict[str, Any]) -> dict[str, int]:
    """How many goals ended so."""
    return dict(Counter(goal["outcome"] for goal in figures["goals"]))


def _minutes_since(begun: float) -> float:
    return round((time.monotonic() - begun) / 60.0, 2)


def started(graph: RunningGraph) -> dict[str, dict[str, float]]:
    """As `usage`, of the processes that the nodes have started, by the nodes and what they run."""
    found: dict[str, dict[str, float]] = {}
    for name in graph.names:
        for child in graph.processes.process(name).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # one that has just ended
                found[f"{name}, {_what_runs(child.cmdline())}"] = kept(child)
    return found


def _what_runs(command: list[str]) -> str:
    """The module of a Python process, also of those of multiprocessing."""
    if "-m" in command:
        return command[command.index("-m") + 1].rpartition(".")[2]
    return next((each.split()[1] for each in command if each.startswith("from ")), command[0])


def _goal(graph: RunningGraph, told: Told) -> tuple[str, str, dict[str, list[str]]]:
    """What came of one goal, why, and what nodes told meanwhile; the object is back, and the arm
    at home, after it."""
    try:
        run = graph.start_grasp(place=False)
        result = wait_for_end(run, GOAL_TIMEOUT)
        if result is None:
            run.cancel()
        ended = (result.outcome, result.reason) if result else ("no answer", "")
    except (GoalRefused, ServerLost) as error:
        ended = (type(error).__name__, str(error))
    said = told.take()
    if graph.is_driven:
        graph.resume()
    for service in (contract.OPEN_HAND_SERVICE, contract.HOME_SERVICE):
        answer = graph.call(Trigger, service, Trigger.Request())
        if not answer.success:
            ended = (ended[0], f"{ended[1]}; then {service}: {answer.message}")
    graph.reset()
    return *ended, said


def slopes(samples: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[float, float, float]]:
    """For each source and figure: its mean, its slope by the hour, and 95 % of that."""
    rows: dict[tuple[str, str], list[tuple[int, float, float]]] = {}
    for sample in samples:
        if sample["minute"] < WARM:
            continue
        for source, figures in (sample["nodes"] | sample["late"]).items():
            for name, value in figures.items():
                row = (sample["run"], sample["minute"] / 60.0, value)
                rows.setdefault((source, name), []).append(row)
    return {key: _slope(np.array(row)) for key, row in rows.items() if len(row) >= 5}


def _slope(rows: np.ndarray) -> tuple[float, float, float]:
    run, hours, values = rows.T
    own = np.unique(run, return_inverse=True)[1]
    count = np.bincount(own)
    x, y = (each - (np.bincount(own, each) / count)[own] for each in (hours, values))
    spread = float(x @ x)
    if spread == 0.0:
        return float(values.mean()), float("nan"), float("nan")
    slope = float(x @ y) / spread
    freedom = max(len(x) - len(count) - 1, 1)
    error = float(np.sqrt(((y - slope * x) ** 2).sum() / freedom / spread))
    return float(values.mean()), slope, 1.96 * error


def print_slopes(figures: dict[str, Any]) -> None:
    """For people."""
    samples = figures["samples"]
    console = Console()
    console.print(
        f"{len(samples)} minutes in {len({each['run'] for each in samples})} runs; goals:"
        f" {outcomes(figures)}; tracebacks: {figures['tracebacks']}"
    )
    for goal in figures["goals"]:
        if goal["outcome"] != "succeeded":
            console.print(
                f"run {goal['run']}, minute {goal['minute']:.0f}, {goal['outcome']}:"
                f" {goal['reason']}"
            )
    found = slopes(samples)
    for names, title in (
        (("MB", "threads", "descriptors"), "node"),
        (("p50", "p99"), "age by stamp, ms"),
    ):
        sources = list(dict.fromkeys(source for source, name in found if name in names))
        table = Table(title, *(word for name in names for word in (name, "an hour")))
        for source in sources:
            cells = []
            for name in names:
                mean, slope, error = found[source, name]
                cells += [f"{mean:.1f}", f"{slope:+.1f} ± {error:.1f}"]
            table.add_row(source, *cells)
        if sources:
            console.print(table)


def main() -> None:
    """Goes on with a soak, and prints its slopes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of this run; 0: print only")
    arguments, options = parsed(parser)
    if arguments.out is None:
        parser.error("--out is needed: the file with which it is gone on")
    settings = {
        name: value for name, value in vars(arguments).items() if name not in ("out", "minutes")
    }
    soak = Soak(arguments.out, settings)
    if arguments.minutes > 0.0:
        with tempfile.TemporaryDirectory() as logs, RunningGraph(options, Path(logs)) as graph:
            graph.wait_until_active()
            soak.go_on(graph, arguments.minutes, Path(logs))
    print_slopes(soak.figures)


if __name__ == "__main__":
    main()
