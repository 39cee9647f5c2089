"""The topic contract: what the simulator bridge offers, and drivers of a robot have to.

One table for the nodes (names, QoS) and for the contract test (types, rates, frames). The names
are relative: a graph in the namespace `cell1` has them under `/cell1/`, its transforms and its
time too. Only `/diagnostics` is one for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseArray, PoseStamped
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState, Joy, PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_interfaces.msg import AssistState, ControlState, GraspArray, TrackedHand
from dexgrasp_ros import qos
from dexgrasp_ros.conversions import WORLD

CONTROL_RATE = 50.0
"""Hz, of states and commands."""
CLOCK_RATE = 10.0
"""Hz, of simulated time: it wakes every node, and states and images have stamps of their own."""
LEAP = "leap"
"""The frame of the Leap Motion: its middle, x ahead of the person before it, y left, z up."""


@dataclass(frozen=True)
class Topic:
    """A row of the contract.

    Attributes:
        name: in the graph's namespace; `Node.resolve_topic_name` gives it in full.
        type: message class.
        qos: what the publisher offers (of a command: what the subscriber asks for).
        rate: Hz in simulated time; None where it is not periodic.
        frame_id: of the header; None where the message has none.
    """

    name: str
    type: Any
    qos: QoSProfile
    rate: float | None = None
    frame_id: str | None = None


CLOCK = Topic("clock", Clock, qos.STATE, CLOCK_RATE)
JOINT_STATES = Topic("joint_states", JointState, qos.STATE, CONTROL_RATE, "")
WRIST_POSE = Topic("wrist_pose", PoseStamped, qos.STATE, CONTROL_RATE, WORLD)
HAND_COMMAND = Topic("hand/joint_trajectory", JointTrajectory, qos.COMMAND)
WRIST_TARGET = Topic("arm/wrist_target", PoseStamped, qos.COMMAND, frame_id=WORLD)
ARM_STATE = Topic("arm/state", DiagnosticStatus, qos.LATCHED)
"""At every change: whether the arm follows targets, and if it is stopped, why and what to do."""
TELEOP_WRIST = Topic("teleop/wrist", PoseStamped, qos.STATE, frame_id=WORLD)
"""A person's wrist, as a pose of `rh_palm`, stamped when it was there; 20 Hz or more."""
TRACKED_HAND = Topic("leap/hand", TrackedHand, qos.STATE, frame_id=LEAP)
"""A person's hand as a tracker sees it, about 100 Hz."""
CLUTCH = Topic("teleop/clutch", Joy, qos.STATE)
"""A pedal or key that has to be held for the robot's wrist to follow; 10 Hz or more."""
ASSIST_STATE = Topic("assist/state", AssistState, qos.STATE, frame_id=WORLD)
OBJECT_CLOUD = Topic("perception/object_cloud", PointCloud2, qos.LATCHED, frame_id=WORLD)
SCENE_CLOUD = Topic("perception/scene_cloud", PointCloud2, qos.LATCHED, frame_id=WORLD)
CLOUD_STREAM = Topic("perception/cloud_stream", PointCloud2, qos.NEWEST, frame_id=WORLD)
"""What stands in the workspace, without table and robot; where perception streams, and while
somebody listens. Stamped with the newest image in it."""
GRASPS = Topic("proposals/grasps", GraspArray, qos.LATCHED, frame_id=WORLD)
GRASP_POSES = Topic("proposals/poses", PoseArray, qos.LATCHED, frame_id=WORLD)
GRASP_MARKERS = Topic("proposals/markers", MarkerArray, qos.LATCHED)
ROTATION_DENSITY = Topic("proposals/rotations", Image, qos.LATCHED, frame_id=WORLD)
OBJECT_POSE = Topic("sim/object_pose", PoseStamped, qos.STATE, CONTROL_RATE, WORLD)
SIM_JOINT_STATES = Topic("sim/joint_states", JointState, qos.STATE, CONTROL_RATE, "")
"""The true joints of a simulated robot whose drivers tell what they measure; stamped as the pose of
the object."""
TF = Topic("tf", TFMessage, qos.STATE, 10.0)
TF_STATIC = Topic("tf_static", TFMessage, qos.LATCHED)
ROBOT_DESCRIPTION = Topic("robot_description", String, qos.LATCHED)
CONTROL_STATE = Topic("control/state", ControlState, qos.LATCHED, frame_id="")
DIAGNOSTICS = Topic("/diagnostics", DiagnosticArray, qos.DIAGNOSTICS)

CAPTURE_SERVICE = "perception/capture"
CAPTURE_WITH_SERVICE = "perception/capture_with"
GENERATE_SERVICE = "proposals/generate"
STOP_SERVICE = "control/stop"
HOME_SERVICE = "control/home"
OPEN_HAND_SERVICE = "control/open_hand"
CLOSE_HAND_SERVICE = "control/close_hand"
GRASP_ACTION = "grasp"
ASSIST_ACTION = "assist"
ACTIONS: Mapping[Any, str] = {ExecuteGrasp: GRASP_ACTION, Assist: ASSIST_ACTION}
"""Of the control node, their names by their types; it carries one goal out at a time."""
RESET_SERVICE = "sim/reset"
HAND_RESUME_SERVICE = "hand/resume"
ARM_RESUME_SERVICE = "arm/resume"


def optical_frame(camera: str) -> str:
    """The frame of a camera's depth images: z forward, x right, y down."""
    return f"{camera}_depth_optical_frame"


def depth_image(camera: str) -> Topic:
    """16UC1, millimetres, 0 where nothing was read."""
    return Topic(f"{camera}/depth/image_rect_raw", Image, qos.IMAGE, frame_id=optical_frame(camera))


def depth_info(camera: str) -> Topic:
    """Intrinsics of the depth image, stamped as the image."""
    return Topic(
        f"{camera}/depth/camera_info", CameraInfo, qos.IMAGE, frame_id=optical_frame(camera)
    )


def color_image(camera: str) -> Topic:
    """rgb8, aligned with the depth image."""
    return Topic(f"{camera}/color/image_raw", Image, qos.IMAGE, frame_id=optical_frame(camera))


def color_info(camera: str) -> Topic:
    """Intrinsics of the color image, stamped as the image."""
    return Topic(
        f"{camera}/color/camera_info", CameraInfo, qos.IMAGE, frame_id=optical_frame(camera)
    )
