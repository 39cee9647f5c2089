"""The whole graph against the simulator: ros2 launch launch/sim.launch.py object:=mug"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from dexgrasp_bringup.graph import SimulationOptions, simulation_graph
from dexgrasp_bringup.launching import declared_arguments, given_options, launch_nodes


def generate_launch_description() -> LaunchDescription:
    def start(context):
        return launch_nodes(simulation_graph(given_options(context, SimulationOptions)))

    return LaunchDescription(
        [*declared_arguments(SimulationOptions), OpaqueFunction(function=start)]
    )
