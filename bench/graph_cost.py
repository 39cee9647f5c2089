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
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from dexgrasp_bringup.demo import StageLog
from dexgrasp_bringup.graph import SimulationOptions, simulation_graph
from dexgrasp_bringup.grasp_client import GraspClient
from dexgrasp_bringup.processes import GraphProcesses, graph_environment
from dexgrasp_bringup.recording import Recording
from dexgrasp_bringup.summary import summarise
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.grasp.config import AnalyticConfig
from dexgrasp_models.grasp.learned import LearnedConfig
from dexgrasp_models.grasp.proposer import make_proposer
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_proposals.proposal_node import ProposalParameters
from dexgrasp_ros import contract, conversions

PROPOSALS = 3
"""How often grasps are proposed; the first time with what is loaded for it."""
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

    processes: GraphProcesses
    names: Sequence[str]
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
        return {name: self.processes.processor_seconds(name) for name in self.names}


class Latency:
    """Milliseconds from the arrival of a state to that of the command with its stamp."""

    def __init__(self, client: GraspClient) -> None:
        self._states: dict[int, float] = {}
        self.milliseconds: list[float] = []
        for topic, callback in (
            (contract.WRIST_POSE, self._on_state),
            (contract.HAND_COMMAND, self._on_command),
        ):
            client.node.create_subscription(topic.type, topic.name, callback, topic.qos)

    def _on_state(self, message: Any) -> None:
        self._states[conversions.stamp_to_ns(message.header.stamp)] = time.monotonic()

    def _on_command(self, message: Any) -> None:
        asked = self._states.pop(conversions.stamp_to_ns(message.header.stamp), None)
        if asked is not None and message.points:
            self.milliseconds.append(1e3 * (time.monotonic() - asked))


def main() -> None:
    """Print a table of stages and a few figures, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--object", default="mug")
    parser.add_argument("--scene", default="arm", choices=("arm", "floating"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds to stand idle")
    parser.add_argument("--captures", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    options = SimulationOptions(object=arguments.object, scene=arguments.scene, seed=arguments.seed)
    with tempfile.TemporaryDirectory() as logs:
        figures = measure(options, arguments.idle, arguments.captures, Path(logs))
    print_tables(figures)
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


def measure(options: SimulationOptions, idle: float, captures: int, logs: Path) -> dict[str, Any]:
    """All figures of one run."""
    environment = graph_environment()
    graph = simulation_graph(options)
    started = time.monotonic()
    with (
        GraphProcesses(graph, environment, logs) as processes,
        GraspClient(int(environment["ROS_DOMAIN_ID"])) as client,
    ):
        clouds: list[PointCloud2] = []
        topic = contract.OBJECT_CLOUD
        client.node.create_subscription(topic.type, topic.name, clouds.append, topic.qos)
        meter = Meter(processes, [node.name for node in graph])
        meter.begin()
        waiting = [node.name for node in graph]
        while waiting:
            waiting = client.inactive(waiting, timeout=0.2)
        meter.end("start")
        start = time.monotonic() - started
        times = [_call(client, contract.CAPTURE_SERVICE, Trigger, Trigger.Request())]
        first_capture = time.monotonic() - started
        meter.begin()
        _console.print(f"active after {start:.1f} s; idle for {idle:g} s")
        time.sleep(idle)
        meter.end("idle")
        for _ in range(captures):
            times.append(_call(client, contract.CAPTURE_SERVICE, Trigger, Trigger.Request()))
        meter.end("capture")
        request = GenerateProposals.Request(count=COUNT)
        proposing = [
            _call(client, contract.GENERATE_SERVICE, GenerateProposals, request)
            for _ in range(PROPOSALS)
        ]
        meter.end("propose")
        recording, latency = Recording(client.node), Latency(client)
        log = StageLog(_console)
        meter.begin()
        run = client.grasp(ExecuteGrasp.Goal(choose=True, place=True), log.on_feedback)
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


def _call(client: GraspClient, name: str, kind: Any, request: Any) -> float:
    """Seconds that a service took.

    Raises:
        RuntimeError: it did not answer, or refused; with its reason.
    """
    service = client.node.create_client(kind, name)
    if not service.wait_for_service(30.0):
        raise RuntimeError(f"{name} is not there")
    started, answered = time.monotonic(), threading.Event()
    future = service.call_async(request)
    future.add_done_callback(lambda _: answered.set())
    if not answered.wait(600.0):
        raise RuntimeError(f"{name} did not answer")
    if not future.result().success:
        raise RuntimeError(f"{name}: {future.result().message}")
    return time.monotonic() - started


def _propose_alone(cloud: PointCloud2, scene: str) -> list[float]:
    """Seconds of the same proposals in this process."""
    torch.set_num_threads(ProposalParameters().threads)
    points, normals = conversions.cloud_from_message(cloud)
    fused = FusedCloud(points, normals, points[:0], cameras_used=(), warnings=())
    proposer = make_proposer(
        ProposalParameters().proposer,
        analytic=AnalyticConfig(),
        learned=LearnedConfig(),
        arm=ArmKinematics() if scene == "arm" else None,
    )
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
