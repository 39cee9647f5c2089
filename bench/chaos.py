"""Faults at random moments of a grasp: does everybody get an answer, and the robot stand still?

    python bench/chaos.py [--grasps 100] [--seed 0] [--object can] [--scene floating] [--out FILE]

Starts the graph of `dexgrasp demo`. Every grasp meets one fault, drawn with its node and its moment
from the seed: a node is killed or interrupted and started again, stops for up to 5 s, is
deactivated and activated, or the simulation is reset. Then the graph has to recover by itself, and
a grasp without a fault follows; as many without any fault before are the comparison. Told are goals
without an answer, tracebacks, motions of the wrist that nobody commanded, and how many grasps
succeeded.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from reports import write_report
from rich.console import Console
from running_graph import RunningGraph, parsed, wait_for_end
from soak import GOAL_TIMEOUT, tracebacks

from dexgrasp_bringup.grasp_client import GoalRefused, GraspRun, ServerLost
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_ros import contract

FAULTS = ("kill", "interrupt", "stall", "deactivate", "reset")
STALL = 5.0
"""Longest stall, s."""
LATEST = 12.0
"""Seconds after the goal by which a fault has come; a grasp takes about as long."""
UNATTENDED = 1.0
"""Seconds after the last command from which on nobody commands."""
STILL = 0.01
"""Metres that an arm may settle by while nobody commands."""
_console = Console(stderr=True)


@dataclass(frozen=True)
class Fault:
    """What happens to which node, how many seconds after the goal, and for how long it stalls."""

    kind: str
    node: str
    after: float
    stall: float


class MotionWatch:
    """Notes motions of the wrist that no command can have asked for."""

    def __init__(self, graph: RunningGraph) -> None:
        self.found: list[str] = []
        self._commanded = -np.inf
        self._resting: np.ndarray | None = None
        self._lock = threading.Lock()
        node = graph.client.node
        for topic, callback in (
            (contract.WRIST_POSE, self._on_pose),
            (contract.WRIST_TARGET, self._on_command),
        ):
            node.create_subscription(topic.type, topic.name, callback, topic.qos)

    def excuse(self) -> None:
        """What moves now does so by right, as in a reset."""
        with self._lock:
            self._commanded, self._resting = time.monotonic(), None

    def _on_command(self, _: PoseStamped) -> None:
        self.excuse()

    def _on_pose(self, message: PoseStamped) -> None:
        position = message.pose.position
        here = np.array([position.x, position.y, position.z])
        with self._lock:
            if time.monotonic() - self._commanded < UNATTENDED:
                self._resting = None
                return
            if self._resting is None:
                self._resting = here
            moved = float(np.linalg.norm(here - self._resting))
            if moved > STILL:
                self.found.append(f"the wrist moved {moved:.3f} m without a commander")
                self._resting = here


def main() -> None:
    """Print what was found, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grasps", type=int, default=100)
    arguments, options = parsed(parser)
    generator = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as logs, RunningGraph(options, Path(logs)) as graph:
        graph.wait_until_active()
        watch = MotionWatch(graph)
        tally = {name: Counter() for name in ("without faults", "with a fault", "after a fault")}
        unanswered: list[str] = []
        lost: list[str] = []
        for index in range(arguments.grasps):
            _reset(graph, watch)
            tally["without faults"][_grasp(graph, None, watch, unanswered, lost)] += 1
            _reset(graph, watch)
            fault = _drawn(generator, graph.names)
            tally["with a fault"][_grasp(graph, fault, watch, unanswered, [])] += 1
            _recover(graph, watch)
            tally["after a fault"][_grasp(graph, None, watch, unanswered, lost)] += 1
            _console.print(
                f"{index + 1}: {fault}; {watch.found[-1:]} {unanswered[-1:]} {lost[-1:]}"
            )
            figures = {
                "options": vars(arguments) | {"grasps": index + 1, "out": None},
                "outcomes": {name: dict(counter) for name, counter in tally.items()},
                "unanswered": unanswered,
                "lost_without_a_fault": lost,
                "unattended_motions": watch.found,
                "tracebacks": tracebacks(Path(logs)),
            }
            write_report(arguments.out, figures)  # after each, as a run takes an hour and more
    Console().print_json(data=figures)


def _drawn(generator: np.random.Generator, names: list[str]) -> Fault:
    return Fault(
        kind=str(generator.choice(FAULTS)),
        node=str(generator.choice(names)),
        after=float(generator.uniform(0.0, LATEST)),
        stall=float(generator.uniform(0.0, STALL)),
    )


def _grasp(
    graph: RunningGraph,
    fault: Fault | None,
    watch: MotionWatch,
    unanswered: list[str],
    lost: list[str],
) -> str:
    """The outcome of a grasp in words; a lost server is an answer too.

    Appends to `unanswered` and `lost` what has no answer, and why an object was not lifted.
    """
    try:
        run = graph.start_grasp(place=False)
    except GoalRefused as error:
        return f"refused: {error}"
    cause = threading.Timer(fault.after, _cause, (graph, fault, watch)) if fault else None
    if cause:
        cause.start()
    outcome = _outcome(run)
    if cause:
        cause.cancel()  # the grasp was over before it
        cause.join()
    if outcome is None:
        unanswered.append(str(fault))
        return "no answer"
    if outcome[0] != "succeeded":
        lost.append(": ".join(outcome))
    return outcome[0]


def _outcome(run: GraspRun) -> tuple[str, str] | None:
    """What became of a grasp, and why."""
    try:
        result: ExecuteGrasp.Result | None = wait_for_end(run, GOAL_TIMEOUT)
    except ServerLost as error:
        return "server lost", str(error)
    return (result.outcome, result.reason) if result else None


def _cause(graph: RunningGraph, fault: Fault, watch: MotionWatch) -> None:
    processes, node = graph.processes, fault.node
    match fault.kind:
        case "kill":
            processes.send_signal(node, signal.SIGKILL)
            processes.restart(node)
        case "interrupt":
            processes.send_signal(node, signal.SIGINT)
            processes.restart(node)
        case "stall":
            processes.send_signal(node, signal.SIGSTOP)
            time.sleep(fault.stall)
            processes.send_signal(node, signal.SIGCONT)
        case "deactivate":
            for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
                request = ChangeState.Request(transition=Transition(id=transition))
                graph.call(ChangeState, f"{node}/change_state", request)
        case "reset":
            watch.excuse()
            graph.reset()
            watch.excuse()
    if node == graph.names[0]:
        watch.excuse()  # a bridge that starts begins anew, with the hand at its home


def _reset(graph: RunningGraph, watch: MotionWatch) -> None:
    watch.excuse()
    graph.reset()
    watch.excuse()


def _recover(graph: RunningGraph, watch: MotionWatch) -> None:
    graph.wait_until_active()
    _reset(graph, watch)


if __name__ == "__main__":
    main()
