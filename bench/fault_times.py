"""How long after a fault it is known: the times in docs/reliability.md.

    python bench/fault_times.py [--repeats 5] [--object can] [--scene floating] [--out FILE]

Starts the graph of `dexgrasp demo`, causes one fault after the other in a stage of a grasp, and
takes the time until the grasp's client has the outcome, until /diagnostics has the news, or until
the process has ended. After each fault the graph is put in order again.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from reports import write_report
from rich.console import Console
from rich.table import Table
from running_graph import RunningGraph, parsed, wait_for_end

from dexgrasp_bringup.grasp_client import ServerLost
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_ros import contract, conversions

LIMIT = 120.0
"""Seconds in which a fault has to be known."""
STAGES = (
    "capture", "propose", "pregrasp", "approach", "close", "lift", "hold", "place", "release",
)  # fmt: skip
_console = Console(stderr=True)


@dataclass(frozen=True)
class Fault:
    """What is caused in which stage, and what is waited for.

    Attributes:
        name: for the table.
        stage: of the grasp.
        cause: does it.
        news: a part of what /diagnostics says then; "": the outcome is waited for.
    """

    name: str
    stage: str
    cause: Callable[[], None]
    news: str = ""


class Bench:
    """The running graph, what its diagnostics say, and one grasp at a time."""

    def __init__(self, graph: RunningGraph) -> None:
        self.graph = graph
        self._news: list[tuple[float, str]] = []
        node = graph.client.node
        topic = contract.DIAGNOSTICS
        node.create_subscription(topic.type, topic.name, self._on_diagnostics, topic.qos)
        topic = contract.WRIST_TARGET
        self._intruder = node.create_publisher(topic.type, topic.name, topic.qos)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        self._news += [(now, status.message) for status in message.status]

    def seconds_until_known(self, fault: Fault) -> tuple[str, float]:
        """What became of a grasp with a fault in it, and how long after the fault that was known.

        Raises:
            TimeoutError: nobody ever said anything.
        """
        graph = self.graph
        reached = threading.Event()

        def note(feedback: ExecuteGrasp.Feedback) -> None:
            if feedback.stage == fault.stage:
                reached.set()

        self.run = graph.start_grasp(note)
        if not reached.wait(LIMIT):
            raise TimeoutError(f"{fault.name}: the grasp never came to {fault.stage}")
        caused = time.monotonic()
        fault.cause()
        if fault.news:
            while not (told := [at for at, text in self._news if fault.news in text]):
                if time.monotonic() - caused > LIMIT:
                    raise TimeoutError(f"{fault.name}: /diagnostics never had '{fault.news}'")
                time.sleep(0.005)
            outcome, known = f"/diagnostics: {fault.news}", told[0]
            self.run.cancel()
            self._outcome()
        else:
            outcome, known = self._outcome(), time.monotonic()
        self._put_in_order()
        return outcome, known - caused

    def _outcome(self) -> str:
        try:
            result = wait_for_end(self.run, LIMIT)
        except ServerLost:
            return "server lost"
        if result is None:
            raise TimeoutError("the grasp has no outcome")
        return result.outcome

    def _put_in_order(self) -> None:
        graph = self.graph
        for name in graph.processes.ended():
            graph.processes.restart(name)
        graph.wait_until_active()
        self._set_cameras([])
        graph.reset()
        self._news.clear()

    # Faults

    def kill(self, node: str) -> None:
        self.graph.processes.send_signal(node, signal.SIGKILL)

    def intrude(self) -> None:
        self._intruder.publish(conversions.pose_stamped(np.eye(4), 0, conversions.WORLD))

    def unplug(self) -> None:
        self._set_cameras(["camera_2"])

    def _set_cameras(self, disabled: list[str]) -> None:
        value = ParameterValue(
            type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=disabled
        )
        request = SetParameters.Request(
            parameters=[Parameter(name="disabled_cameras", value=value)]
        )
        self.graph.call(SetParameters, f"{self.graph.names[0]}/set_parameters", request)

    def faults(self) -> list[Fault]:
        """All that are measured in a grasp."""
        bridge = self.graph.names[0]
        return [
            *(Fault("cancelled", stage, lambda: self.run.cancel()) for stage in STAGES),
            Fault("perception killed", "capture", lambda: self.kill("perception")),
            Fault("proposals killed", "propose", lambda: self.kill("proposals")),
            Fault("simulator killed", "approach", lambda: self.kill(bridge)),
            Fault("reset", "approach", self.graph.reset),
            Fault("control killed", "lift", lambda: self.kill("control")),
            Fault("control killed", "lift", lambda: self.kill("control"), "commander silent"),
            Fault("second commander", "hold", self.intrude, "of /grasp_client on"),
            Fault("camera silent", "capture", self.unplug, "silent: camera_2"),
        ]

    def seconds_to_end(self, node: str, number: signal.Signals) -> float:
        """From a signal to the end of an idle node's process."""
        processes = self.graph.processes
        sent = time.monotonic()
        processes.send_signal(node, number)
        while node not in processes.ended():
            if time.monotonic() - sent > LIMIT:
                raise TimeoutError(f"{node} does not end")
            time.sleep(0.005)
        took = time.monotonic() - sent
        processes.restart(node)
        self.graph.wait_until_active()
        return took


def main() -> None:
    """Print a table, and write all times as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    arguments, options = parsed(parser)
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as logs, RunningGraph(options, Path(logs)) as graph:
        graph.wait_until_active()
        bench = Bench(graph)
        for index in range(arguments.repeats):
            for fault in bench.faults():
                outcome, seconds = bench.seconds_until_known(fault)
                stage = "in any stage" if fault.name == "cancelled" else f"in {fault.stage}"
                times.setdefault(f"{fault.name} {stage}: {outcome}", []).append(seconds)
                _console.print(f"{index + 1}: {fault.name} in {fault.stage}: {seconds:.2f} s")
            for number in (signal.SIGINT, signal.SIGTERM):
                for node in graph.names:
                    seconds = bench.seconds_to_end(node, number)
                    times.setdefault(f"{number.name}: the process has ended", []).append(seconds)
    table = Table("fault", "times", "median s", "longest s")
    for name, seconds in times.items():
        table.add_row(name, str(len(seconds)), f"{np.median(seconds):.2f}", f"{max(seconds):.2f}")
    Console().print(table)
    write_report(arguments.out, {"options": vars(arguments) | {"out": None}, "seconds": times})


if __name__ == "__main__":
    main()
