"""What the ROS graph costs: processor time of each node by stage, real-time factor, latency.

    python bench/graph_cost.py [--object mug] [--scene arm] [--idle 20] [--captures 5] [--out FILE]

Starts the graph of `dexgrasp demo` as processes, lets it stand idle, captures a few times, asks
for proposals, and carries one grasp out. Processor time is what the kernel charged to each node's
process and those it started, as a fraction of one core over each stage. The latency is from a
measured state to the command that answers it, between their arrivals in this process. The
proposer's time is told in the graph and alone in this process, with as many threads.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rclpy.node import Node
from reports import write_report
from rich.console import Console
from rich.table import Table
from running_graph import RunningGraph, parsed
from sensor_msgs.msg import PointCloud2

from dexgrasp_bringup.demo import StageLog
from dexgrasp_bringup.graph import SimulationOptions
from dexgrasp_bringup.recording import Recording
from dexgrasp_bringup.summary import summarise
from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.proposals.proposer import make_proposer
from dexgrasp_proposals.proposal_node import ProposalParameters
from dexgrasp_ros import contract, conversions

PROPOSALS = 3
"""How often grasps are proposed; the first time with what is loaded for it."""
PICTURE = 3.0
"""Seconds between two proposals: the node draws a picture after each, which nobody waits for."""
COUNT = 8

_console = Console(stderr=True)  # progress; what is found goes to the standard output


@dataclass
class Stage:
    """What the nodes used between two moments."""

    name: str
    seconds: float
    used: dict[str, float]


@dataclass
class Meter:
    """Cuts time into stages."""

    graph: RunningGraph
    stages: list[Stage] = field(default_factory=list)

    def begin(self) -> None:
        """The next stage begins now."""
        self._wall, self._used = time.monotonic(), self._now()

    def end(self, name: str) -> None:
        """The stage that began last ends now."""
        wall, used = time.monotonic(), self._now()
        spent = {node: used[node] - self._used[node] for node in used}
        self.stages.append(Stage(name, wall - self._wall, spent))
        self._wall, self._used = wall, used

    def _now(self) -> dict[str, float]:
        graph = self.graph
        return {name: graph.processes.processor_seconds(name) for name in graph.names}


class Latency:
    """Milliseconds from the arrival of a state to that of the command with its stamp."""

    def __init__(self, node: Node) -> None:
        self._states: dict[int, float] = {}
        self.milliseconds: list[float] = []
        for topic, callback in (
            (contract.WRIST_POSE, self._on_state),
            (contract.HAND_COMMAND, self._on_command),
        ):
            node.create_subscription(topic.type, topic.name, callback, topic.qos)

    def _on_state(self, message: Any) -> None:
        self._states[conversions.stamp_to_ns(message.header.stamp)] = time.monotonic()

    def _on_command(self, message: Any) -> None:
        asked = self._states.pop(conversions.stamp_to_ns(message.header.stamp), None)
        if asked is not None and message.points:
            self.milliseconds.append(1e3 * (time.monotonic() - asked))


def main() -> None:
    """Print a table of stages and a few figures, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idle", type=float, default=20.0, help="seconds to stand idle")
    parser.add_argument("--captures", type=int, default=5)
    arguments, options = parsed(parser, object="mug", scene="arm")
    with tempfile.TemporaryDirectory() as logs:
        figures = measure(options, arguments.idle, arguments.captures, Path(logs))
    print_tables(figures)
    write_report(arguments.out, figures)


def measure(options: SimulationOptions, idle: float, captures: int, logs: Path) -> dict[str, Any]:
    """All figures of one run."""
    started = time.monotonic()
    with RunningGraph(options, logs) as graph:
        clouds: list[PointCloud2] = []
        topic, node = contract.OBJECT_CLOUD, graph.client.node
        node.create_subscription(topic.type, topic.name, clouds.append, topic.qos)
        meter = Meter(graph)
        meter.begin()
        graph.wait_until_active()
        meter.end("start")
        start = time.monotonic() - started
        times = [_seconds(graph.capture)]
        first_capture = time.monotonic() - started
        _console.print(f"active after {start:.1f} s; idle for {idle:g} s")
        meter.begin()
        time.sleep(idle)
        meter.end("idle")
        times += [_seconds(graph.capture) for _ in range(captures)]
        meter.end("capture")
        proposing = []
        for _ in range(PROPOSALS):
            proposing.append(_seconds(partial(_propose, graph)))
            time.sleep(PICTURE)
        meter.end("propose")
        recording, latency = Recording(node), Latency(node)
        log = StageLog(_console)
        meter.begin()
        run = graph.start_grasp(log.on_feedback)
        while not run.wait(1.0):
            pass
        log.end()
        meter.end("grasp")
        result = run.result
        summary = summarise(
            options, log.intervals(), recording.moments(), result.outcome, result.reason
        )
    return {
        "start_s": round(start, 2),
        "first_capture_s": round(first_capture, 2),
        "capture_s": [round(value, 3) for value in times],
        "propose_s": [round(value, 2) for value in proposing],
        "propose_alone_s": [round(value, 2) for value in _propose_alone(clouds[-1], options.scene)],
        "latency_ms": _percentiles(latency.milliseconds),
        "real_time_factor": summary["real_time_factor"],
        "success": summary["success"],
        "outcome": f"{result.outcome}: {result.reason}",
        "grasp_stages": summary["stages"],
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "stages": [
            {"stage": s.name, "seconds": round(s.seconds, 2), "cores": _fractions(s)}
            for s in meter.stages
        ],
    }


def _seconds(call: Callable[[], Any]) -> float:
    """Seconds that a service took.

    Raises:
        RuntimeError: it refused, with its reason.
    """
    started = time.monotonic()
    response = call()
    if not response.success:
        raise RuntimeError(response.message)
    return time.monotonic() - started


def _propose(graph: RunningGraph) -> GenerateProposals.Response:
    request = GenerateProposals.Request(count=COUNT)
    return graph.call(GenerateProposals, contract.GENERATE_SERVICE, request)


def _propose_alone(cloud: PointCloud2, scene: str) -> list[float]:
    """Seconds of the same proposals in this process."""
    torch.set_num_threads(ProposalParameters().threads)
    points, normals = conversions.cloud_from_message(cloud)
    fused = FusedCloud(points, normals)
    arm = ArmKinematics() if scene == "arm" else None
    proposer = make_proposer(ProposalParameters().proposer, arm=arm)
    times = []
    for _ in range(PROPOSALS):
        started = time.monotonic()
        proposer.propose(fused, COUNT, seed=0)
        times.append(time.monotonic() - started)
    return times


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        "p50": round(float(np.percentile(values, 50)), 1),
        "p99": round(float(np.percentile(values, 99)), 1),
        "max": round(max(values), 1),
        "n": len(values),
    }


def _fractions(stage: Stage) -> dict[str, float]:
    return {node: round(used / stage.seconds, 3) for node, used in stage.used.items()}


def print_tables(figures: dict[str, Any]) -> None:
    """Figures of :func:`measure`, for people."""
    nodes = list(figures["stages"][0]["cores"])
    table = Table("stage", "s", *nodes, "all", title="cores used")
    for stage in figures["stages"]:
        cores = stage["cores"]
        table.add_row(
            stage["stage"],
            f"{stage['seconds']:.1f}",
            *(f"{cores[node]:.2f}" for node in nodes),
            f"{sum(cores.values()):.2f}",
        )
    console = Console()
    console.print(table)
    for name in ("start_s", "first_capture_s", "propose_s", "propose_alone_s", "latency_ms"):
        console.print(f"{name}: {figures[name]}")
    console.print(
        f"capture_s: median {statistics.median(figures['capture_s'][1:]):.2f}, all "
        f"{figures['capture_s']}"
    )
    console.print(f"real-time factor {figures['real_time_factor']}, {figures['outcome']}")
    console.print(
        "stages: " + ", ".join(f"{s['stage']} {s['seconds']:.1f}" for s in figures["grasp_stages"])
    )


if __name__ == "__main__":
    main()
