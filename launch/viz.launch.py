"""rviz beside a running graph, with the robot's description: ros2 launch launch/viz.launch.py"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from dexgrasp_bringup.description import robot_description
from dexgrasp_models.config import find_config


def generate_launch_description() -> LaunchDescription:
    def start(context):
        scene = LaunchConfiguration("scene").perform(context)
        clock = {"use_sim_time": LaunchConfiguration("use_sim_time").perform(context) == "true"}
        return [
            Node(
                package="robot_state_publisher",
                executable="robot_state_publisher",
                parameters=[{**clock, "robot_description": robot_description(scene)}],
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", str(find_config("dexgrasp.rviz"))],
                parameters=[clock],
            ),
        ]

    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "scene",
                default_value="arm",
                choices=("floating", "arm"),
                description="The hand alone, or mounted on the UR10e.",
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="true",
                choices=("true", "false"),
                description="Whether the graph runs against the simulator.",
            ),
            OpaqueFunction(function=start),
        ]
    )
