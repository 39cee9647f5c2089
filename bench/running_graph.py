"""The simulated graph of `dexgrasp demo`, running, for the measurements beside this file."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from std_srvs.srv import Trigger

from dexgrasp_bringup.device_start import resume_drivers, wait_for_images
from dexgrasp_bringup.graph import SimulationOptions, simulation_graph
from dexgrasp_bringup.grasp_client import GraspClient, GraspRun
from dexgrasp_bringup.processes import GraphProcesses, graph_environment
from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_ros import contract

Feedback = Callable[[ExecuteGrasp.Feedback], None]


class RunningGraph:
    """Starts the graph as processes on entering, and ends it on leaving.

    Args:
        options: of the graph.
        logs: folder that gets what each node says.
        without: names of nodes in whose place the measurement is.

    Attributes:
        nodes: that are started, the bridge first.
        names: of the nodes.
        processes: the processes.
        client: a client of the graph.
    """

    def __init__(
        self, options: SimulationOptions, logs: Path, without: Collection[str] = ()
    ) -> None:
        self.nodes = [node for node in simulation_graph(options) if node.name not in without]
        self._options = options
        self._logs = logs
        self._stack = ExitStack()
        self.names = [node.name for node in self.nodes]

    def __enter__(self) -> Self:
        environment = graph_environment()
        self.processes = self._stack.enter_context(
            GraphProcesses(self.nodes, environment, self._logs)
        )
        self.client = self._stack.enter_context(GraspClient(int(environment["ROS_DOMAIN_ID"])))
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def wait_until_active(self) -> None:
        """Returns when all nodes are active, and drivers follow commands.

        Raises:
            RuntimeError: one has ended, or has no device.
        """
        waiting = self.names
        while waiting:
            self._check()
            waiting = self.client.inactive(waiting, timeout=0.2)
        if self.is_driven:
            wait_for_images(self._options.rig, self.client, self._check)
            self.resume()

    @property
    def is_driven(self) -> bool:
        """Whether drivers move the robot."""
        return self._options.drivers

    def resume(self) -> None:
        """As a person does after a stop of a driver."""
        resume_drivers(self.client, self._check)

    def _check(self) -> None:
        if ended := self.processes.ended():
            raise RuntimeError(f"ended: {', '.join(ended)}")

    def call(self, kind: Any, name: str, request: Any, timeout: float = 600.0) -> Any:
        """The response of a service.

        Raises:
            RuntimeError: it is not there, or does not answer.
        """
        node = self.client.node
        service = node.create_client(kind, name)
        try:
            if not service.wait_for_service(timeout):
                raise RuntimeError(f"{name} is not there")
            answered = threading.Event()
            future = service.call_async(request)
            future.add_done_callback(lambda _: answered.set())
            if not answered.wait(timeout):
                raise RuntimeError(f"{name} did not answer in {timeout:g} s")
            return future.result()
        finally:
            node.destroy_client(service)

    def capture(self) -> Trigger.Response:
        """Of /perception/capture."""
        return self.call(Trigger, contract.CAPTURE_SERVICE, Trigger.Request())

    def reset(self) -> None:
        """The object back at its place, time at zero."""
        response = self.call(Trigger, contract.RESET_SERVICE, Trigger.Request())
        if not response.success:
            raise RuntimeError(f"no reset: {response.message}")

    def start_grasp(self, on_feedback: Feedback = lambda _: None, place: bool = True) -> GraspRun:
        """A grasp that is chosen by the graph; or an assisted one, where a wrist is played."""
        goal = Assist.Goal() if self._options.assist else None
        return self.client.grasp(goal or ExecuteGrasp.Goal(choose=True, place=place), on_feedback)


def parsed(
    parser: argparse.ArgumentParser, object: str = "can", scene: str = "floating"
) -> tuple[argparse.Namespace, SimulationOptions]:
    """The arguments of a command that starts the graph, and what they say of the graph.

    Args:
        parser: with the command's own options.
        object, scene: where none are given.
    """
    parser.add_argument("--object", default=object)
    parser.add_argument("--scene", default=scene, choices=("arm", "floating"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--assist", action="store_true", help="a person's wrist is played")
    parser.add_argument("--drivers", action="store_true", help="at simulated devices, on the arm")
    parser.add_argument("--params-file", default="", help="ROS parameters in place of config/'s")
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    return arguments, SimulationOptions(
        object=arguments.object,
        scene="arm" if arguments.drivers else arguments.scene,
        assist=arguments.assist,
        drivers=arguments.drivers,
        seed=arguments.seed,
        params_file=arguments.params_file,
    )


def wait_for_end(run: GraspRun, timeout: float) -> ExecuteGrasp.Result | None:
    """The result of a grasp; None if there is none within `timeout` s."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if run.wait(0.2):
            return run.result
    return None
