"""Messages to arrays and back. Poses are 4x4 homogeneous matrices, quaternions (x, y, z, w).

Times are whole nanoseconds: lock-step compares them exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tf_transformations
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseStamped,
    Quaternion,
    Transform,
    TransformStamped,
    Vector3,
)
from numpy.typing import ArrayLike
from sensor_msgs.msg import JointState, PointCloud2, PointField
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dexgrasp_interfaces.msg import Grasp as GraspMessage
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros.message_data import MessageError, float_fields

WORLD = "world"
"""The frame of all poses and clouds: the centre of the table's top, z up."""

NANOSECONDS = 1_000_000_000


# Time


def seconds_to_ns(seconds: float) -> int:
    """Nearest whole nanosecond."""
    return round(seconds * NANOSECONDS)


def ns_to_stamp(ns: int) -> Time:
    """Nanoseconds to a message stamp."""
    return Time(sec=ns // NANOSECONDS, nanosec=ns % NANOSECONDS)


def stamp_to_ns(stamp: Time) -> int:
    """Message stamp to nanoseconds, exactly."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def header(ns: int, frame_id: str) -> Header:
    """A header stamped with nanoseconds."""
    return Header(stamp=ns_to_stamp(ns), frame_id=frame_id)


# Poses


def pose_to_message(pose: np.ndarray) -> Pose:
    """(4, 4) homogeneous to Pose."""
    (x, y, z), orientation = _parts(pose)
    return Pose(position=Point(x=x, y=y, z=z), orientation=orientation)


def pose_from_message(message: Pose) -> np.ndarray:
    """Pose to (4, 4) homogeneous.

    Raises:
        MessageError: if it is not finite, or the quaternion is not of unit length (within 1 %).
    """
    return _pose(message.position, message.orientation)


def pose_from_transform(message: Transform) -> np.ndarray:
    """(4, 4) pose of the child in its parent, from a transform.

    Raises:
        MessageError: as `pose_from_message`.
    """
    return _pose(message.translation, message.rotation)


def _pose(position: Point | Vector3, orientation: Quaternion) -> np.ndarray:
    quaternion = np.array([orientation.x, orientation.y, orientation.z, orientation.w])
    translation = np.array([position.x, position.y, position.z])
    if not (np.isfinite(quaternion).all() and np.isfinite(translation).all()):
        raise MessageError("the pose is not finite")
    length = math.hypot(*quaternion.tolist())  # where squares would overflow, too
    if abs(length - 1.0) > 0.01:
        raise MessageError(f"the quaternion has length {length:.3f}, not 1")
    pose = tf_transformations.quaternion_matrix(quaternion)
    pose[:3, 3] = translation
    return pose


def pose_stamped(pose: np.ndarray, ns: int, frame_id: str) -> PoseStamped:
    """(4, 4) homogeneous to a stamped pose."""
    return PoseStamped(header=header(ns, frame_id), pose=pose_to_message(pose))


def world_pose_from_message(message: PoseStamped) -> np.ndarray:
    """Stamped pose in the world to (4, 4) homogeneous.

    Raises:
        MessageError: if it is given in another frame, or is no pose.
    """
    if message.header.frame_id != WORLD:
        raise MessageError(f"the pose is in frame '{message.header.frame_id}', not '{WORLD}'")
    return pose_from_message(message.pose)


def transform_stamped(
    pose: np.ndarray, ns: int, frame_id: str, child_frame_id: str
) -> TransformStamped:
    """(4, 4) pose of the child in the frame, as a transform."""
    (x, y, z), rotation = _parts(pose)
    transform = Transform(translation=Vector3(x=x, y=y, z=z), rotation=rotation)
    return TransformStamped(
        header=header(ns, frame_id), child_frame_id=child_frame_id, transform=transform
    )


def _parts(pose: np.ndarray) -> tuple[list[float], Quaternion]:
    x, y, z, w = map(float, tf_transformations.quaternion_from_matrix(pose))
    return pose[:3, 3].tolist(), Quaternion(x=x, y=y, z=z, w=w)


# Joints


def joint_state(
    names: Sequence[str],
    positions: ArrayLike,
    velocities: ArrayLike,
    ns: int,
    efforts: ArrayLike = (),
) -> JointState:
    """Positions (J,), velocities (J,) and, where measured, efforts (J,) to a JointState."""
    return JointState(
        header=header(ns, ""),
        name=list(names),
        position=np.asarray(positions, float).tolist(),
        velocity=np.asarray(velocities, float).tolist(),
        effort=np.asarray(efforts, float).tolist(),
    )


def joints_from_message(message: JointState, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Positions (J,) and velocities (J,) in the order of ``names``; zeros without velocities.

    Raises:
        MessageError: if a joint is missing or named twice, or the numbers of names and values
            differ.
    """
    indices = _indices(message.name, names)
    positions = _values(message.position, message.name, indices, "positions")
    if not message.velocity:
        return positions, np.zeros(len(names))
    return positions, _values(message.velocity, message.name, indices, "velocities")


def efforts_from_message(message: JointState, names: Sequence[str]) -> np.ndarray | None:
    """Torques (J,) in the order of ``names``, N m; None where they are not measured.

    Drivers leave what they don't measure empty, or fill it with NaN.

    Raises:
        MessageError: as `joints_from_message`.
    """
    if not message.effort:
        return None
    efforts = _values(message.effort, message.name, _indices(message.name, names), "efforts")
    return efforts if np.isfinite(efforts).all() else None


def joint_trajectory(names: Sequence[str], positions: np.ndarray, ns: int) -> JointTrajectory:
    """Position targets (J,) to a trajectory of one point, due at once."""
    point = JointTrajectoryPoint(positions=np.asarray(positions, float).tolist())
    return JointTrajectory(header=header(ns, ""), joint_names=list(names), points=[point])


def targets_from_message(message: JointTrajectory, names: Sequence[str]) -> np.ndarray:
    """Position targets (J,) in the order of ``names``: those of the last point.

    Raises:
        MessageError: on a joint that is missing, unknown or named twice, or a target that is not
            finite.
    """
    if not message.points:
        raise MessageError("the trajectory has no points")
    unknown = sorted(set(message.joint_names) - set(names))
    if unknown:
        raise MessageError(f"unknown joints: {', '.join(unknown)}")
    indices = _indices(message.joint_names, names)
    targets = _values(message.points[-1].positions, message.joint_names, indices, "positions")
    if not np.isfinite(targets).all():
        broken = [
            name for name, value in zip(names, targets, strict=True) if not np.isfinite(value)
        ]
        raise MessageError(f"targets that are not finite: {', '.join(broken)}")
    return targets


def _indices(available: Sequence[str], wanted: Sequence[str]) -> list[int]:
    position = {name: index for index, name in enumerate(available)}
    if len(position) < len(available):
        twice = sorted({name for name in available if available.count(name) > 1})
        raise MessageError(f"joints named more than once: {', '.join(twice)}")
    missing = [name for name in wanted if name not in position]
    if missing:
        raise MessageError(f"missing joints: {', '.join(missing)}")
    return [position[name] for name in wanted]


def _values(
    values: Sequence[float], names: Sequence[str], indices: list[int], what: str
) -> np.ndarray:
    if len(values) != len(names):
        raise MessageError(f"{len(names)} joint names but {len(values)} {what}")
    return np.asarray(values, float)[indices]


# Clouds


def cloud_to_message(
    points: np.ndarray, ns: int, frame_id: str, normals: np.ndarray | None = None
) -> PointCloud2:
    """Points (N, 3), and normals (N, 3) where given, to a PointCloud2 of float32 fields."""
    names = ["x", "y", "z"] + (["normal_x", "normal_y", "normal_z"] if normals is not None else [])
    columns = np.asarray(points, np.float32)
    if normals is not None:
        columns = np.hstack([columns, np.asarray(normals, np.float32)])
    message = PointCloud2(
        header=header(ns, frame_id),
        height=1,
        width=len(columns),
        fields=[
            PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
            for i, name in enumerate(names)
        ],
        is_bigendian=False,
        point_step=4 * len(names),
        row_step=4 * len(names) * len(columns),
        is_dense=bool(np.isfinite(columns).all()),
    )
    message.data.frombytes(np.ascontiguousarray(columns).tobytes())
    return message


def cloud_from_message(message: PointCloud2) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (N, 3) float32, and normals (N, 3) float32 or None.

    Raises:
        MessageError: if x, y, z are missing or no floating-point numbers, or the sizes that it
            names don't fit its data.
    """
    points = float_fields(message, ("x", "y", "z"))
    if points is None:
        raise MessageError("the cloud has no float32 fields x, y, z")
    return points, float_fields(message, ("normal_x", "normal_y", "normal_z"))


# Grasps


def grasp_to_message(grasp: Grasp, joint_names: Sequence[str], ns: int) -> GraspMessage:
    """A grasp in the world, proposed from the cloud stamped ``ns``."""
    return GraspMessage(
        header=header(ns, WORLD),
        palm_pose=pose_to_message(grasp.palm_pose),
        joint_names=list(joint_names),
        pregrasp_joints=np.asarray(grasp.pregrasp_joints, float).tolist(),
        grasp_joints=np.asarray(grasp.joints, float).tolist(),
        squeeze_joints=np.asarray(grasp.squeeze_joints, float).tolist(),
        score=float(grasp.score),
        proposer=grasp.proposer,
        figure_names=list(grasp.figures),
        figures=[float(value) for value in grasp.figures.values()],
    )


def grasp_from_message(message: GraspMessage, joint_names: Sequence[str]) -> Grasp:
    """A grasp with its joints in the order of ``joint_names``.

    Raises:
        MessageError: it is not in the world's frame, joints are missing, named twice or not finite,
            or the numbers of names and values differ.
    """
    if message.header.frame_id != WORLD:
        raise MessageError(f"the grasp is in frame '{message.header.frame_id}', not '{WORLD}'")
    indices = _indices(message.joint_names, joint_names)
    shapes = {
        what: _values(values, message.joint_names, indices, what)
        for what, values in (
            ("pregrasp_joints", message.pregrasp_joints),
            ("grasp_joints", message.grasp_joints),
            ("squeeze_joints", message.squeeze_joints),
        )
    }
    for what, values in shapes.items():
        if not np.isfinite(values).all():
            raise MessageError(f"{what} of the grasp are not finite")
    if len(message.figure_names) != len(message.figures):
        raise MessageError(
            f"{len(message.figure_names)} names of figures but {len(message.figures)} figures"
        )
    return Grasp(
        palm_pose=pose_from_message(message.palm_pose),
        joints=shapes["grasp_joints"],
        pregrasp_joints=shapes["pregrasp_joints"],
        squeeze_joints=shapes["squeeze_joints"],
        score=message.score,
        figures=dict(zip(message.figure_names, message.figures, strict=True)),
        proposer=message.proposer,
    )
