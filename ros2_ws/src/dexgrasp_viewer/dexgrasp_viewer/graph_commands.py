"""What the buttons ask of the graph, through its own services and action."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.client import Client
from rclpy.node import Node
from std_srvs.srv import Trigger

from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_interfaces.msg import Grasp
from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_ros import contract
from dexgrasp_ros.action_client import ActionClient


class GraphCommands:
    """Requests that don't wait: each answer is told as a line of text when it comes.

    All methods must be called in the node's executor.
    """

    def __init__(self, node: Node, tell: Callable[[str], None]) -> None:
        self._node = node
        self._tell = tell
        self._capture = node.create_client(Trigger, contract.CAPTURE_SERVICE)
        self._generate = node.create_client(GenerateProposals, contract.GENERATE_SERVICE)
        self._stop = node.create_client(Trigger, contract.STOP_SERVICE)
        self._close_hand = node.create_client(Trigger, contract.CLOSE_HAND_SERVICE)
        self._grasp, self._assist = (
            ActionClient(node, kind, contract.ACTIONS[kind]) for kind in (ExecuteGrasp, Assist)
        )

    def capture(self) -> None:
        """Has the cameras' images fused."""
        self._call("capture", self._capture, Trigger.Request())

    def propose(self, count: int) -> None:
        """Asks for `count` proposals; 0 for as many as the proposer is configured for."""
        self._call("propose", self._generate, GenerateProposals.Request(count=count))

    def stop(self) -> None:
        """Stops the motion."""
        self._call("stop", self._stop, Trigger.Request())

    def close_hand(self) -> None:
        """Has the hand close, while a person's wrist is followed."""
        self._call("close hand", self._close_hand, Trigger.Request())

    def grasp(self, proposal: Grasp | None) -> None:
        """Has a proposal carried out; None: capture, propose, and take the best one."""
        goal = ExecuteGrasp.Goal(choose=proposal is None)
        if proposal is not None:
            goal.grasp = proposal
        self._send("grasp", self._grasp, contract.GRASP_ACTION, goal)

    def assist(self) -> None:
        """Has a person's wrist followed, and the object released over the box of the parameters."""
        self._send("assist", self._assist, contract.ASSIST_ACTION, Assist.Goal())

    def _send(self, name: str, client: ActionClient, action: str, goal: object) -> None:
        if not client.server_is_ready():
            self._tell(f"{name}: no node offers {self._node.resolve_topic_name(action)}")
            return
        self._tell(f"{name}: asked")

        def tell_whether_accepted(future) -> None:
            self._tell(f"{name}: " + ("accepted" if future.result().accepted else "refused"))

        client.send_goal_async(goal).add_done_callback(tell_whether_accepted)

    def _call(self, name: str, client: Client, request: object) -> None:
        if not client.service_is_ready():
            self._tell(f"{name}: no node offers {client.service_name}")
            return
        self._tell(f"{name}: asked")

        def tell_answer(future) -> None:
            response = future.result()
            verdict = "done" if response.success else "failed"
            self._tell(f"{name}: {verdict}. {response.message}")

        client.call_async(request).add_done_callback(tell_answer)
