"""The ROS graph on the robot: which drivers run beside the nodes that are the same everywhere."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from dexgrasp_bringup import driver_nodes
from dexgrasp_bringup.graph import (
    ASSISTING,
    GraphError,
    GraspingOptions,
    as_asked,
    executable_path,
    grasping_nodes,
    option,
)
from dexgrasp_bringup.graph_node import GraphNode
from dexgrasp_models.arm.mounting import load_mounting
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.arm.urdf import robot_urdf
from dexgrasp_models.config import find_config
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.cameras import load_rig

_DRIVERS = (
    "hand_driver",
    "arm_driver",
    "arm_adapter",
    "realsense",
    "leap",
    "teleop",
    "person",
    "sim_cell",
)
"""Names of our own nodes that a run on the robot may leave out."""
_HAND_INTERFACES = {"shadow": "rosbridge", "shadow_ros2": "ros2", "sim": "rosbridge"}
"""Of the hand's driver, for each choice of a hand."""
_HERE = "build the workspace, `make setup` or `colcon build`"
_WHERE_FROM = {
    "dexgrasp_hand_driver": f"Shadow Hand: {_HERE}",
    "dexgrasp_arm_driver": f"UR10e: {_HERE}",
    "dexgrasp_realsense": f"depth cameras: {_HERE}",
    "dexgrasp_leap": f"Leap Motion: {_HERE}",
    "dexgrasp_counterparts": f"the simulated devices: {_HERE}",
    "realsense2_camera": "depth cameras: apt install ros-jazzy-realsense2-camera",
    "robot_state_publisher": "transforms: apt install ros-jazzy-robot-state-publisher,"
    " or transforms:=false, and rviz doesn't show the robot",
}
"""What each driver package moves or reads, and where to get it."""


@dataclass(frozen=True)
class HardwareOptions(GraspingOptions):
    """What a run on the robot lets its user choose: the arguments of ``hardware.launch.py``."""

    cameras: str = option(
        "realsense",
        "The cameras' driver: ours, or realsense-ros with a node for each; or ours, simulated.",
        "realsense",
        "realsense_ros",
        "sim",
        "none",
    )
    arm: str = option(
        "ur10e",
        "The arm's driver: ours, or a node that uses Universal Robots', which runs already; or"
        " ours, at a simulated arm.",
        "ur10e",
        "ur_robot_driver",
        "sim",
        "none",
    )
    hand: str = option(
        "shadow",
        "The hand's driver, over its vendor's software of ROS 1 or of ROS 2, or at a simulated"
        " hand.",
        "shadow",
        "shadow_ros2",
        "sim",
        "none",
    )
    object: str = option("mug", "Where something is simulated: what lies on the table there.")
    leap: str = option(
        "none",
        "A Leap Motion, whose hand moves the wrist while a clutch is held; a policy closes the"
        " fingers. Or a simulated one, with a person who plays a reach.",
        "leap",
        "sim",
        "none",
    )
    transforms: bool = option(
        True,
        "robot_state_publisher tells where the robot's links are; where something is simulated, the"
        " simulator does.",
    )

    @property
    def simulated(self) -> tuple[str, ...]:
        """Which of the robot's devices are."""
        return tuple(name for name in ("cameras", "arm", "hand") if getattr(self, name) == "sim")


def hardware_graph(options: HardwareOptions) -> list[GraphNode]:
    """The nodes of a run on the robot: the drivers that are asked for, and ours.

    Raises:
        GraphError: a driver is not installed, the message names all that are missing; or as
            `graph.simulation_graph`.
        RigError: the camera rig can't be used.
    """
    nodes = hardware_nodes(options)
    missing = {}
    for node in nodes:
        try:
            executable_path(node.package, node.executable)
        except GraphError as error:
            missing[node.package] = _WHERE_FROM.get(node.package, str(error))
    if missing:
        listed = "; ".join(f"{package} ({what})" for package, what in missing.items())
        raise GraphError(
            f"the robot can't be started, packages are missing: {listed}."
            " launch/sim.launch.py runs the same graph against the simulator."
        )
    return nodes


def hardware_nodes(options: HardwareOptions) -> list[GraphNode]:
    """As `hardware_graph`, installed or not."""
    cell = driver_nodes.SimulatedCell(options.object, 1.0, 0, options.rig)
    drivers = [*_robot_drivers(options, cell), *_camera_drivers(options, cell)]
    controller = options.controller or ("" if options.leap == "none" else ASSISTING)
    nodes = grasping_nodes(
        dataclasses.replace(options, controller=controller), scene="arm", simulated=False
    )
    person = ("leap",) if options.leap == "sim" else ()
    patience = driver_nodes.patience_with((*options.simulated, *person))
    return as_asked([*drivers, *nodes], options, patience, absent=_DRIVERS)


def _robot_drivers(options: HardwareOptions, cell: driver_nodes.SimulatedCell) -> list[GraphNode]:
    drivers = []
    if options.simulated:
        drivers.append(cell.node(options.simulated))
    if options.hand != "none":
        address = cell.hand_address if options.hand == "sim" else {}
        interface = _HAND_INTERFACES[options.hand]
        drivers.append(driver_nodes.hand_driver({"interface": interface, **address}))
    if options.arm == "ur_robot_driver":
        drivers.append(driver_nodes.arm_adapter())
    elif options.arm != "none":
        drivers.append(driver_nodes.arm_driver(cell.arm_address if options.arm == "sim" else {}))
    if options.leap == "leap":
        drivers += driver_nodes.leap({})
    elif options.leap == "sim":
        drivers += [*driver_nodes.leap(cell.leap_address), cell.person()]
    if options.transforms and not options.simulated:
        urdf = robot_urdf(load_arm(), load_hand(), load_mounting())
        drivers.append(
            GraphNode(
                "robot_state_publisher",
                "robot_state_publisher",
                "robot_state_publisher",
                parameters={"robot_description": urdf},
            )
        )
    return drivers


def _camera_drivers(options: HardwareOptions, cell: driver_nodes.SimulatedCell) -> list[GraphNode]:
    rig = load_rig(find_config(options.rig))
    if options.cameras == "realsense":
        return [driver_nodes.realsense(options.rig)]
    if options.cameras == "sim":
        return [cell.cameras(color=options.viewer)]
    if options.cameras == "realsense_ros":
        # Named as the camera: the driver's topics are then those of the contract.
        return [
            GraphNode("realsense2_camera", "realsense2_camera_node", camera.name, "realsense.yaml")
            for camera in rig
        ]
    return []
