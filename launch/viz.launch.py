"""rviz beside a running graph: ros2 launch launch/viz.launch.py

The robot's description and transforms come from the graph: from the simulator, or on the robot from
robot_state_publisher.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from dexgrasp_bringup.graph_node import REMAPPINGS
from dexgrasp_models.config import find_config


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="true",
                choices=("true", "false"),
                description="Whether the graph runs against the simulator.",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Of the graph: the cell to look at."
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=LaunchConfiguration("namespace"),
                remappings=list(REMAPPINGS.items()),
                arguments=["-d", str(find_config("dexgrasp.rviz"))],
                parameters=[{"use_sim_time": LaunchConfiguration("use_sim_time")}],
            ),
        ]
    )
