"""A ROS 2 node of one's own that has the running graph grasp, and prints what it hears.

    ros2 launch launch/sim.launch.py object:=can            # in one shell: the graph
    python examples/grasp_client_node.py                    # in another

The two find each other in one ROS domain (ROS_DOMAIN_ID). `dexgrasp demo` prints the domain that
its graph is in. The goal's fields are in dexgrasp_interfaces/action/ExecuteGrasp.action.
"""

import sys

import rclpy
from rclpy.action import ActionClient
from rclpy.node import Node

from dexgrasp_interfaces.action import ExecuteGrasp


class GraspCaller(Node):
    """Asks for one grasp."""

    def __init__(self) -> None:
        super().__init__("grasp_caller")
        self._client = ActionClient(self, ExecuteGrasp, "grasp")
        self._stage = ""

    def grasp(self) -> ExecuteGrasp.Result | None:
        """Captures, proposes, plans and carries out; None where the goal is refused."""
        self.get_logger().info("waiting for the graph")
        self._client.wait_for_server()
        goal = ExecuteGrasp.Goal(choose=True, place=False)
        sent = self._client.send_goal_async(goal, feedback_callback=self._on_feedback)
        rclpy.spin_until_future_complete(self, sent)
        if not sent.result().accepted:
            return None
        answer = sent.result().get_result_async()
        rclpy.spin_until_future_complete(self, answer)
        return answer.result().result

    def _on_feedback(self, message: ExecuteGrasp.Impl.FeedbackMessage) -> None:
        feedback = message.feedback
        if feedback.stage != self._stage:
            self._stage = feedback.stage
            self.get_logger().info(f"{feedback.stage}: {feedback.message}")


if __name__ == "__main__":
    rclpy.init()
    result = GraspCaller().grasp()
    print("refused: is another grasp running?" if result is None else result.reason)
    rclpy.shutdown()
    sys.exit(result is None or not result.success)
