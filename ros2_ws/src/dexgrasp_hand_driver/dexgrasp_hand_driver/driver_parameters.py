"""Parameters of the hand's driver."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_hand_driver.controllers import KINDS
from dexgrasp_models.parameters import Parameters, choice, flag, parameter, text
from dexgrasp_ros import contract


@dataclass(frozen=True)
class HandDriverParameters(Parameters):
    """Parameters of the driver beside those of the commands (`SafetyLimits`, `limits.*`)."""

    interface: str = choice(
        "rosbridge",
        ("rosbridge", "ros2"),
        "the vendor's software: of ROS 1 over rosbridge, or of ROS 2",
    )
    host: str = text("127.0.0.1", "address of the machine on which rosbridge runs")
    port: int = parameter(9090, 1, 65535, "", "of rosbridge")
    controllers: str = choice(
        "auto",
        KINDS,
        "which controllers to command; auto: the trajectory controller, or else the positions'",
    )
    rate: float = parameter(
        contract.CONTROL_RATE, 10.0, 125.0, "Hz", "of /joint_states and of the commands to the hand"
    )
    state_age: float = parameter(
        0.05, 0.02, 1.0, "s", "nothing is sent to the hand while its newest state is older"
    )
    fault_after: float = parameter(
        0.25, 0.05, 10.0, "s", "states that are late for so long are a fault: a person resumes"
    )
    lead: float = parameter(
        0.03,
        0.005,
        0.2,
        "s",
        "from a command to when the fingers are to be there; one that takes longer is dropped by"
        " the trajectory controller",
    )
    commander_timeout: float = parameter(
        1.5, 0.1, 60.0, "s", "a commander that has been silent for so long is let go"
    )


@dataclass(frozen=True)
class Ros2Parameters(Parameters):
    """Where the vendor's software for ROS 2 has its topics (`ros2.*`)."""

    joint_states: str = text("/shadow/joint_states", "topic of its sensor_msgs/JointState")
    command: str = text(
        "/shadow/rh_trajectory_controller/joint_trajectory",
        "topic on which its controller takes trajectory_msgs/JointTrajectory",
    )
    wrist: bool = flag(False, "whether that controller has the wrist's joints too, which are held")
