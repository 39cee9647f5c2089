"""What Universal Robots' ROS 2 driver (ur_robot_driver 3, for Jazzy) says and listens to.

Names, types and quality of service as its ur_controllers.yaml and its controllers' sources have
them.
"""

from __future__ import annotations

from dataclasses import dataclass

from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory
from ur_dashboard_msgs.msg import RobotMode, SafetyMode

from dexgrasp_ros import qos
from dexgrasp_ros.contract import Topic


@dataclass(frozen=True)
class DriverTopics:
    """Its topics.

    Attributes:
        namespace: in which the driver runs; relative ones are in that of our graph.
    """

    namespace: str

    @property
    def joint_states(self) -> Topic:
        """Of `joint_state_broadcaster`, once in each period of the controller: 500 Hz."""
        return self._topic("joint_states", JointState, qos.NEWEST_REQUEST)

    @property
    def robot_mode(self) -> Topic:
        """At every change, as the two that follow."""
        return self._topic("io_and_status_controller/robot_mode", RobotMode, qos.LATCHED)

    @property
    def safety_mode(self) -> Topic:
        return self._topic("io_and_status_controller/safety_mode", SafetyMode, qos.LATCHED)

    @property
    def program_running(self) -> Topic:
        """Whether the program on the controller runs that takes set-points."""
        return self._topic("io_and_status_controller/robot_program_running", Bool, qos.LATCHED)

    @property
    def speed_scaling(self) -> Topic:
        """Per cent of the programmed speed: 0 while the program is paused."""
        name = "speed_scaling_state_broadcaster/speed_scaling"
        return self._topic(name, Float64, qos.NEWEST_REQUEST)

    @property
    def positions(self) -> Topic:
        """Joint positions to go to at once, in the order of `ArmSpec.joint_names`."""
        name = "forward_position_controller/commands"
        return self._topic(name, Float64MultiArray, qos.SET_POINT)

    @property
    def trajectory(self) -> Topic:
        name = "scaled_joint_trajectory_controller/joint_trajectory"
        return self._topic(name, JointTrajectory, qos.SET_POINT)

    def _topic(self, name: str, kind: type, profile: qos.QoSProfile) -> Topic:
        return Topic(f"{self.namespace.rstrip('/')}/{name}", kind, profile)
