"""The whole graph on the robot: ros2 launch launch/hardware.launch.py"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from dexgrasp_bringup.launching import declared_arguments, given_options, launch_nodes
from dexgrasp_bringup.robot_graph import HardwareOptions, hardware_graph


def generate_launch_description() -> LaunchDescription:
    def start(context):
        return launch_nodes(hardware_graph(given_options(context, HardwareOptions)))

    return LaunchDescription([*declared_arguments(HardwareOptions), OpaqueFunction(function=start)])
