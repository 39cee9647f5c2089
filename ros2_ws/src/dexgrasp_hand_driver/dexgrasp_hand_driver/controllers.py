"""The vendor's controllers: which of them run, and the ROS 1 messages that command them.

A hand of any year has `rh_trajectory_controller`. It moved the wrist too, until that got a
controller of its own, `rh_wr_trajectory_controller`. Beneath, each motor has a position controller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from dexgrasp_models.hand.vendor_joints import VendorJoints

FINGERS = "rh_trajectory_controller"
WRIST = "rh_wr_trajectory_controller"
TRAJECTORY = "trajectory_msgs/JointTrajectory"
NUMBER = "std_msgs/Float64"
KINDS = ("auto", "trajectory", "position")
_NANOSECONDS = 1_000_000_000

Angles = Mapping[str, float]
"""The vendor's angle of each joint, rad."""


class ControllersError(ValueError):
    """The controllers that are needed don't run; the message says which."""


class VendorMessage(NamedTuple):
    """What is published on a topic of the vendor's.

    Attributes:
        topic: its name.
        type: of ROS 1.
        content: as JSON has it.
    """

    topic: str
    type: str
    content: dict[str, Any]


class Controllers(Protocol):
    """Controllers that command the fingers."""

    @property
    def topics(self) -> dict[str, str]:
        """The type of each topic that they listen to."""

    @property
    def description(self) -> str:
        """For people."""

    def messages(
        self, angles: Mapping[str, float], time: float, lead: float
    ) -> list[VendorMessage]:
        """What commands them.

        Args:
            angles: of all joints.
            time: the vendor's present time, s.
            lead: s until the fingers are to be there.
        """


@dataclass(frozen=True)
class TrajectoryController:
    """The controller of all fingers.

    A message is stamped: one that comes later than its point is due is dropped by the controller,
    so that nothing old is carried out, wherever it was kept back.

    Attributes:
        joints: that a message must have, the wrist's among them where it is the controller's too.
        topic: on which it listens.
    """

    joints: tuple[str, ...]
    topic: str = f"/{FINGERS}/command"

    @property
    def topics(self) -> dict[str, str]:
        return {self.topic: TRAJECTORY}

    @property
    def description(self) -> str:
        return FINGERS

    def messages(
        self, angles: Mapping[str, float], time: float, lead: float
    ) -> list[VendorMessage]:
        point = {
            "positions": [angles[name] for name in self.joints],
            "velocities": [],
            "accelerations": [],
            "effort": [],
            "time_from_start": _time(lead),
        }
        content = {
            "header": {"stamp": _time(time), "frame_id": ""},
            "joint_names": list(self.joints),
            "points": [point],
        }
        return [VendorMessage(self.topic, TRAJECTORY, content)]


@dataclass(frozen=True)
class PositionControllers:
    """One for each motor. Their messages have no stamp: what is kept back on the way is late."""

    vendor: VendorJoints

    @property
    def topics(self) -> dict[str, str]:
        return {_command(_position(motor)): NUMBER for motor in self.vendor.hand.actuators}

    @property
    def description(self) -> str:
        return f"{len(self.topics)} position controllers"

    def messages(
        self, angles: Mapping[str, float], time: float, lead: float
    ) -> list[VendorMessage]:
        motors = self.vendor.motors(angles)
        return [
            VendorMessage(_command(_position(motor)), NUMBER, {"data": motors[motor]})
            for motor in self.vendor.hand.actuators
        ]


def choose(
    listed: Sequence[Mapping[str, Any]], kind: str, vendor: VendorJoints
) -> TrajectoryController | PositionControllers:
    """The controllers to command.

    Args:
        listed: the field `controller` of the answer of `controller_manager_msgs/ListControllers`.
        kind: one of `KINDS`; auto takes the trajectory controller where it runs.
        vendor: whose joints they are.

    Raises:
        ControllersError: those that are asked for don't run.
    """
    running = {each["name"]: each for each in listed if each.get("state") == "running"}
    if kind in ("auto", "trajectory") and FINGERS in running:
        joints = vendor.hand.finger_joints
        claimed = _claimed(running[FINGERS])
        # The older one does not say what it has, and has the wrist unless another has it.
        if WRIST not in running and (not claimed or set(vendor.wrist) <= claimed):
            joints = (*joints, *vendor.wrist)
        return TrajectoryController(joints)
    positions = PositionControllers(vendor)
    missing = [motor for motor in vendor.hand.actuators if _position(motor) not in running]
    if kind in ("auto", "position") and not missing:
        return positions
    wanted = {
        "trajectory": FINGERS,
        "position": ", ".join(_position(motor) for motor in missing),
        "auto": f"neither {FINGERS} nor all position controllers",
    }[kind]
    raise ControllersError(
        f"{wanted} {'run' if kind == 'auto' else 'not running'}: start the hand's controllers"
    )


def _claimed(controller: Mapping[str, Any]) -> set[str]:
    """Names of the joints that a controller says it has."""
    return {
        name
        for claimed in controller.get("claimed_resources") or ()
        for name in claimed.get("resources") or ()
    }


def _position(motor: str) -> str:
    return f"sh_{motor.lower()}_position_controller"


def _command(controller: str) -> str:
    return f"/{controller}/command"


def _time(seconds: float) -> dict[str, int]:
    secs, nsecs = divmod(round(seconds * _NANOSECONDS), _NANOSECONDS)
    return {"secs": secs, "nsecs": nsecs}
