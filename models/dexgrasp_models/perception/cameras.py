"""Depth cameras: pinhole intrinsics, poses in the world, and the rig file that lists them.

A rig file is YAML (see ``config/cameras``)::

    intrinsics: {width: 640, height: 480, fx: 615.0, fy: 615.0, cx: 319.5, cy: 239.5}
    cameras:
      - name: camera_1
        position: [0.36, 0.36, 0.45]          # where the camera stands, m, world
        focus: [0.0, 0.0, 0.06]               # the point it looks at
        up: [0.0, 0.0, 1.0]                   # optional: what is up in the image
      - name: camera_2                        # or the measured pose, as calibration writes it
        position: [-0.36, 0.36, 0.45]
        quaternion_xyzw: [0.3, 0.8, -0.4, 0.2]
        intrinsics: {width: 640, ...}         # optional: this camera's own
        depth_unit: 0.0001                    # optional: m that a count of its 16 bit images is
        rectified: false                      # optional: its images still have its lens' distortion
        serial: "821212060746"                # optional: by which its driver finds the device

Optical frames follow REP-103: x right, y down and z forward in the image.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from dexgrasp_models.files import written_whole

_INTRINSIC_KEYS = ("width", "height", "fx", "fy", "cx", "cy")
_OPTIONAL_KEYS = ("depth_unit", "rectified", "serial")
_CAMERA_KEYS = {
    "name", "position", "focus", "up", "quaternion_xyzw", "intrinsics", *_OPTIONAL_KEYS
}  # fmt: skip
_ROS_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_IMAGE_SIDE_LIMIT = 8192

LINK_T_OPTICAL = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""Optical frame in the camera's body frame (x forward, y left, z up), REP-103."""


class RigError(ValueError):
    """A camera or a rig file that cannot be used; the message says what to correct."""


@dataclass(frozen=True, eq=False)
class CameraModel:
    """A rectified pinhole depth camera fixed in the world.

    Attributes:
        name: also the topic prefix and the frame prefix, such as ``camera_1``.
        width, height: image size in pixels.
        fx, fy, cx, cy: focal lengths and principal point in pixels; the centre of the top left
            pixel is (0, 0), so a centred camera has ``cx = (width - 1) / 2``.
        world_T_optical: (4, 4) pose of the optical frame in ``world``, metres.
        depth_unit: metres that one count of a depth image of whole numbers is.
        rectified: whether the camera's driver rectifies its images, where that is known.
        serial: number of the device, None where the rig doesn't say.

    Raises:
        RigError: for a value out of range or a matrix that is no rigid transform.
    """

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    world_T_optical: np.ndarray
    depth_unit: float = 0.001
    rectified: bool | None = None
    serial: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _ROS_NAME.match(self.name):
            raise RigError(f"camera name {self.name!r}: use letters, digits and '_' (a ROS name)")
        for key in ("width", "height"):
            side = getattr(self, key)
            whole = isinstance(side, int | np.integer) and not isinstance(side, bool)
            if not whole or not 1 <= side <= _IMAGE_SIDE_LIMIT:
                raise RigError(
                    f"{self.name}: {key} is {side!r}; expected whole pixels, "
                    f"1 to {_IMAGE_SIDE_LIMIT}"
                )
        for key in ("fx", "fy", "cx", "cy"):
            object.__setattr__(self, key, _number(getattr(self, key), f"{self.name}: {key}"))
        if self.fx <= 0 or self.fy <= 0:
            raise RigError(f"{self.name}: fx and fy must be positive, got {self.fx}, {self.fy}")
        if not (0 <= self.cx < self.width and 0 <= self.cy < self.height):
            raise RigError(
                f"{self.name}: principal point ({self.cx}, {self.cy}) lies outside the "
                f"{self.width}x{self.height} image"
            )
        unit = _number(self.depth_unit, f"{self.name}: depth_unit")
        if not 1e-6 <= unit <= 0.1:
            raise RigError(
                f"{self.name}: depth_unit is {unit:g}; expected metres a count, as 0.001 for "
                "millimetres"
            )
        object.__setattr__(self, "depth_unit", unit)
        if not isinstance(self.rectified, bool | None):
            raise RigError(f"{self.name}: rectified is {self.rectified!r}, not true or false")
        if self.serial is not None and not (isinstance(self.serial, str) and self.serial.strip()):
            # YAML takes digits for a number, and leading zeros get lost.
            raise RigError(
                f"{self.name}: serial is {self.serial!r}; write it in quotes, as in "
                'serial: "821212060746"'
            )
        pose = np.array(self.world_T_optical, dtype=np.float64)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise RigError(f"{self.name}: world_T_optical must be a finite 4x4 matrix")
        rotation = pose[:3, :3]
        if (
            not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
            or np.linalg.det(rotation) < 0
            or not np.allclose(pose[3], (0, 0, 0, 1), atol=1e-9)
        ):
            raise RigError(f"{self.name}: world_T_optical is not a rigid transform")
        pose.setflags(write=False)
        object.__setattr__(self, "world_T_optical", pose)

    @property
    def optical_frame(self) -> str:
        """Name of the frame the depth image is expressed in, as realsense-ros names it."""
        return f"{self.name}_depth_optical_frame"

    @property
    def link_frame(self) -> str:
        """Name of the camera's body frame."""
        return f"{self.name}_link"

    @property
    def world_T_link(self) -> np.ndarray:
        """(4, 4) pose of the camera's body frame in ``world``."""
        return self.world_T_optical @ np.linalg.inv(LINK_T_OPTICAL)

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) intrinsic matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def horizontal_fov(self) -> float:
        """Horizontal field of view in radians."""
        return 2.0 * math.atan(0.5 * self.width / self.fx)

    def optical_rays(self) -> np.ndarray:
        """(H, W, 3) rays through the pixels' centres in the optical frame, of length 1 along z."""
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        return np.stack(
            [(u - self.cx) / self.fx, (v - self.cy) / self.fy, np.ones(u.shape)], axis=-1
        )

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of world points (N, 3); NaN for points not in front of the camera."""
        rotation, translation = self.world_T_optical[:3, :3], self.world_T_optical[:3, 3]
        x, y, z = ((np.asarray(points, dtype=np.float64) - translation) @ rotation).T
        z = np.where(z > 1e-9, z, np.nan)
        return np.stack([self.fx * x / z + self.cx, self.fy * y / z + self.cy], axis=-1)


@dataclass(frozen=True, eq=False)
class DepthFrame:
    """One depth image and the camera that took it.

    Attributes:
        camera: the camera, with the pose it had when the image was taken.
        depth: (height, width) distances along the optical axis: uint16 counts of the camera's
            ``depth_unit`` with 0 for no reading, or a float array in metres, where NaN, infinity
            and values <= 0 are none.
        stamp: time of the image in seconds.
    """

    camera: CameraModel
    depth: np.ndarray
    stamp: float


def look_at(position: ArrayLike, focus: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> np.ndarray:
    """Pose ``world_T_optical`` (4, 4) of a camera at ``position`` that looks at ``focus``.

    Args:
        position: (3,) m, world.
        focus: (3,) m, world; appears at the principal point.
        up: (3,) world direction that points up in the image.

    Raises:
        RigError: when the view direction is undefined, or parallel to ``up``.
    """
    position, focus, up = (np.asarray(value, dtype=np.float64) for value in (position, focus, up))
    forward = focus - position
    if np.linalg.norm(forward) < 1e-6:
        raise RigError("a camera's position and focus coincide")
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-6 * max(1.0, float(np.linalg.norm(up))):
        raise RigError("a camera looks along its 'up' direction; give another 'up'")
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = position
    return pose


def load_rig(path: str | os.PathLike[str]) -> tuple[CameraModel, ...]:
    """Read and check a rig file.

    Raises:
        RigError: when the file is missing, not YAML, or describes no usable cameras.
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RigError(f"cannot read the camera rig {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RigError(f"the camera rig {path} is not YAML: {error}") from error
    try:
        return _parse_rig(data)
    except RigError as error:
        raise RigError(f"camera rig {path}: {error}") from error


def save_rig(
    cameras: Sequence[CameraModel], path: str | os.PathLike[str], comment: str = ""
) -> None:
    """Write a rig file with measured poses; the old file stays until the new one is complete."""
    path = Path(path)
    data = {
        "cameras": [
            {
                "name": camera.name,
                "position": _floats(camera.world_T_optical[:3, 3]),
                "quaternion_xyzw": _floats(
                    Rotation.from_matrix(camera.world_T_optical[:3, :3]).as_quat(canonical=True)
                ),
                "intrinsics": {
                    "width": int(camera.width),
                    "height": int(camera.height),
                    **{key: float(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy")},
                },
                **({} if camera.depth_unit == 0.001 else {"depth_unit": camera.depth_unit}),
                **({} if camera.rectified is None else {"rectified": camera.rectified}),
                **({} if camera.serial is None else {"serial": camera.serial}),
            }
            for camera in cameras
        ]
    }
    _parse_rig(data)
    text = "".join(f"# {line}\n" for line in comment.splitlines())
    text += yaml.safe_dump(data, sort_keys=False, default_flow_style=None)
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _parse_rig(data: Any) -> tuple[CameraModel, ...]:
    rig = _mapping(data, "the file", {"intrinsics", "cameras"})
    entries = rig.get("cameras")
    if not isinstance(entries, list) or not entries:
        raise RigError("'cameras' must be a list of at least one camera")
    cameras = tuple(
        _parse_camera(entry, index, rig.get("intrinsics")) for index, entry in enumerate(entries)
    )
    names = [camera.name for camera in cameras]
    serials = [camera.serial for camera in cameras if camera.serial is not None]
    for what, values in (("names", names), ("serials", serials)):
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise RigError(f"camera {what} occur more than once: {', '.join(repeated)}")
    return cameras


def _parse_camera(entry: Any, index: int, shared_intrinsics: Any) -> CameraModel:
    entry = _mapping(entry, f"cameras[{index}]", _CAMERA_KEYS)
    name = entry.get("name")
    if name is None:
        raise RigError(f"cameras[{index}] has no 'name'")
    intrinsics = entry.get("intrinsics", shared_intrinsics)
    if intrinsics is None:
        raise RigError(f"{name}: no 'intrinsics', neither its own nor the rig's")
    intrinsics = _mapping(intrinsics, f"{name}: intrinsics", set(_INTRINSIC_KEYS))
    missing = [key for key in _INTRINSIC_KEYS if key not in intrinsics]
    if missing:
        raise RigError(f"{name}: intrinsics lack {', '.join(missing)}")
    optional = {key: entry[key] for key in _OPTIONAL_KEYS if key in entry}
    return CameraModel(
        name=name, world_T_optical=_parse_pose(entry, name), **intrinsics, **optional
    )


def _parse_pose(entry: Mapping[str, Any], name: str) -> np.ndarray:
    position = _vector(entry.get("position"), 3, f"{name}: position")
    if ("focus" in entry) == ("quaternion_xyzw" in entry):
        raise RigError(f"{name}: give either 'focus' or 'quaternion_xyzw' beside 'position'")
    if "focus" in entry:
        focus = _vector(entry["focus"], 3, f"{name}: focus")
        up = _vector(entry.get("up", (0.0, 0.0, 1.0)), 3, f"{name}: up")
        try:
            return look_at(position, focus, up)
        except RigError as error:
            raise RigError(f"{name}: {error}") from error
    if "up" in entry:
        raise RigError(f"{name}: 'up' only goes with 'focus'")
    quaternion = _vector(entry["quaternion_xyzw"], 4, f"{name}: quaternion_xyzw")
    norm = np.linalg.norm(quaternion)
    if abs(norm - 1.0) > 1e-3:
        raise RigError(f"{name}: quaternion_xyzw has length {norm:.4f}, expected 1")
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    pose[:3, 3] = position
    return pose


def _mapping(value: Any, what: str, allowed: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RigError(f"{what} must be a mapping with the keys {', '.join(sorted(allowed))}")
    unknown = sorted(str(key) for key in value if key not in allowed)
    if unknown:
        raise RigError(
            f"{what} has unknown keys {', '.join(unknown)}; allowed: {', '.join(sorted(allowed))}"
        )
    return value


def _vector(value: Any, length: int, what: str) -> np.ndarray:
    if not isinstance(value, list | tuple) or len(value) != length:
        raise RigError(f"{what} must be a list of {length} numbers, got {value!r}")
    return np.array([_number(item, what) for item in value])


def _number(value: Any, what: str) -> float:
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number or isinstance(value, bool) or not math.isfinite(value):
        raise RigError(f"{what} must be a finite number, got {value!r}")
    return float(value)


def _floats(values: np.ndarray) -> list[float]:
    return [float(value) for value in values]
