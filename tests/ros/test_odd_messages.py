"""Messages as they must not be: every conversion refuses them with MessageError alone."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2, PointField
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_interfaces.msg import Grasp as GraspMessage
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros import conversions, image_messages
from dexgrasp_ros.camera_info import intrinsics_from_message
from dexgrasp_ros.conversions import MessageError

NAMES = ["FFJ1", "FFJ2", "FFJ3"]
DEPTH = np.arange(1, 13, dtype=np.uint16).reshape(3, 4)
POINTS = np.arange(24, dtype=np.float32).reshape(8, 3)
MATRIX = np.array([[600.0, 0.0, 319.5], [0.0, 610.0, 239.5], [0.0, 0.0, 1.0]])


def pose() -> PoseStamped:
    return conversions.pose_stamped(np.eye(4), 5, conversions.WORLD)


def grasp() -> GraspMessage:
    joints = np.zeros(3)
    made = Grasp(np.eye(4), joints, joints, joints, 1.0, {"q": 1.0, "p": 2.0}, "analytic")
    return conversions.grasp_to_message(made, NAMES, 5)


def image(array: np.ndarray, encoding: str) -> Image:
    message = Image(height=array.shape[0], width=array.shape[1], encoding=encoding)
    message.step = array.nbytes // array.shape[0]
    message.data.frombytes(array.tobytes())
    return message


CASES = {
    "pose": (pose, conversions.world_pose_from_message),
    "joints": (
        lambda: conversions.joint_state(NAMES, np.zeros(3), np.zeros(3), 5),
        lambda message: conversions.joints_from_message(message, NAMES),
    ),
    "targets": (
        lambda: conversions.joint_trajectory(NAMES, np.zeros(3), 5),
        lambda message: conversions.targets_from_message(message, NAMES),
    ),
    "depth": (
        lambda: image_messages.depth_to_message(DEPTH, 5, "a"),
        image_messages.depth_from_message,
    ),
    "metres": (lambda: image(DEPTH.astype("f4"), "32FC1"), image_messages.depth_from_message),
    "colour": (
        lambda: image_messages.color_to_message(np.zeros((3, 4, 3)), 5, "a"),
        image_messages.color_from_message,
    ),
    "cloud": (
        lambda: conversions.cloud_to_message(POINTS, 5, "world", POINTS),
        conversions.cloud_from_message,
    ),
    "grasp": (grasp, lambda message: conversions.grasp_from_message(message, NAMES)),
    "camera_info": (
        lambda: image_messages.camera_info(MATRIX, 640, 480, 5, "a"),
        intrinsics_from_message,
    ),
}


def odd(message: object, rng: np.random.Generator) -> None:
    """Change a field of a message, or of one in it, to a value that its type can hold."""
    name = rng.choice(list(message.get_fields_and_field_types()))
    value = getattr(message, name)
    if hasattr(value, "get_fields_and_field_types"):
        odd(value, rng)
    elif isinstance(value, bool):
        setattr(message, name, not value)
    elif isinstance(value, str):
        setattr(message, name, str(rng.choice(["", "rgb8", "32FC1", "杯🥤", "world", "FFJ9"])))
    elif isinstance(value, float):
        setattr(message, name, float(rng.choice([np.nan, np.inf, -1e300, 0.0, 2.0])))
    elif isinstance(value, int):
        with contextlib.suppress(AssertionError, OverflowError):  # of values beyond the type
            setattr(message, name, int(rng.choice([0, 1, 3, 7, 255, 65535, 2**31 - 1])))
    elif isinstance(value, np.ndarray):
        value[rng.integers(len(value))] = rng.choice([np.nan, np.inf, 0.0, -1.0, 1e300])
    elif len(value) and hasattr(value[0], "get_fields_and_field_types"):
        if rng.random() < 0.3:
            setattr(message, name, value[: rng.integers(len(value) + 1)])
        else:
            odd(value[rng.integers(len(value))], rng)
    elif len(value) and rng.random() < 0.7:
        setattr(message, name, value[: rng.integers(len(value))])
    elif len(value):
        setattr(message, name, value + value[: rng.integers(1, len(value) + 1)])


@pytest.mark.parametrize("case", CASES)
def test_whole_messages_are_taken(case) -> None:
    make, convert = CASES[case]
    convert(make())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(4))
def test_odd_messages_raise_nothing_else(case, seed) -> None:
    make, convert = CASES[case]
    rng = np.random.default_rng([seed, len(case)])
    refused = 0
    for _ in range(400):
        message = make()
        for _ in range(rng.integers(1, 4)):
            odd(message, rng)
        try:
            convert(message)
        except MessageError as error:
            assert str(error)  # noqa: PT017
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("short", [1, 2, 3, 7])
@pytest.mark.parametrize("case", ["depth", "metres", "colour", "cloud"])
def test_data_that_are_some_bytes_short(case, short) -> None:
    make, convert = CASES[case]
    message = make()
    message.data = message.data[:-short]
    with pytest.raises(MessageError, match="bytes"):
        convert(message)


def test_rows_may_be_padded_by_any_number_of_bytes() -> None:
    for encoding, kind, convert in (
        ("16UC1", "u2", image_messages.depth_from_message),
        ("32FC1", "f4", image_messages.depth_from_message),
        ("rgb8", "u1", image_messages.color_from_message),
    ):
        values = np.arange(1, 13).astype(kind).reshape(3, 4)
        values = np.repeat(values[:, :, None], 3, axis=2) if encoding == "rgb8" else values
        plain = values.reshape(3, -1).view(np.uint8)
        message = image(np.hstack([plain, np.full((3, 5), 77, np.uint8)]), encoding)
        message.width = 4
        assert np.array_equal(convert(message), values)


def test_clouds_of_other_layouts() -> None:
    """Double precision, further fields, and rows with padding, as drivers publish them."""
    kind = np.dtype([("x", "<f8"), ("rgb", "<u4"), ("y", "<f8"), ("z", "<f8")])
    records = np.zeros((2, 4), kind)
    for axis, name in enumerate("xyz"):
        records[name] = POINTS[:, axis].reshape(2, 4)
    rows = np.hstack([records.view(np.uint8).reshape(2, -1), np.full((2, 6), 9, np.uint8)])
    message = PointCloud2(height=2, width=4, point_step=kind.itemsize, row_step=rows.shape[1])
    message.fields = [
        PointField(name=name, offset=kind.fields[name][1], count=1,
                   datatype=PointField.FLOAT64 if name in "xyz" else PointField.UINT32)
        for name in kind.names
    ]  # fmt: skip
    message.data.frombytes(rows.tobytes())
    points, normals = conversions.cloud_from_message(message)
    assert np.array_equal(points, POINTS)
    assert normals is None
    empty = conversions.cloud_to_message(POINTS[:0], 5, "world", POINTS[:0])
    assert conversions.cloud_from_message(empty)[1].shape == (0, 3)


def test_figures_need_their_names() -> None:
    message = grasp()
    message.figure_names = message.figure_names[:1]
    with pytest.raises(MessageError, match="1 names of figures but 2 figures"):
        conversions.grasp_from_message(message, NAMES)


class TestCameraInfo:
    @staticmethod
    def info(**changes: object) -> CameraInfo:
        message = image_messages.camera_info(MATRIX, 640, 480, 5, "a")
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    @staticmethod
    def projection(**changes: float) -> list[float]:
        values = {"fx": 580.0, "fy": 581.0, "cx": 310.0, "cy": 231.0, "tx": 0.0} | changes
        return [values["fx"], 0.0, values["cx"], values["tx"], 0.0, values["fy"], values["cy"], 0.0,
                0.0, 0.0, 1.0, 0.0]  # fmt: skip

    def test_a_rectified_image_has_the_pinhole_of_p(self) -> None:
        found = intrinsics_from_message(self.info(p=self.projection()))
        assert found.pinhole == {
            "width": 640, "height": 480, "fx": 580.0, "fy": 581.0, "cx": 310.0, "cy": 231.0
        }  # fmt: skip
        raw = intrinsics_from_message(self.info(p=self.projection()), rectified=False)
        assert raw.pinhole["fx"] == 600.0
        without = intrinsics_from_message(self.info(p=[0.0] * 12))
        assert without.pinhole["fx"] == 600.0

    def test_distortion_is_applied_where_the_image_has_it(self) -> None:
        bent = {"d": [0.1, -0.2, 0.001, 0.002, 0.05]}
        with pytest.raises(MessageError, match="'rectified: true' or 'rectified: false'"):
            intrinsics_from_message(self.info(**bent))
        assert intrinsics_from_message(self.info(**bent), True).distortion is None
        found = intrinsics_from_message(self.info(**bent), False)
        assert found.distortion.coefficients == tuple(bent["d"])
        # P of its own says that images are rectified, and how.
        found = intrinsics_from_message(self.info(p=self.projection(), **bent))
        assert (found.distortion, found.fx) == (None, 580.0)

    @pytest.mark.parametrize(
        ("changes", "size", "pinhole"),
        [
            ({"binning_x": 2, "binning_y": 2}, (320, 240), (300.0, 305.0, 159.75, 119.75)),
            ({"roi": (100, 50, 400, 300)}, (400, 300), (600.0, 610.0, 219.5, 189.5)),
            (
                {"roi": (100, 50, 400, 300), "binning_x": 4, "binning_y": 2},
                (100, 150),
                (150.0, 305.0, 54.875, 94.75),
            ),
        ],
    )
    def test_the_window_that_is_left(self, changes, size, pinhole) -> None:
        message = self.info(**{name: v for name, v in changes.items() if name != "roi"})
        roi = changes.get("roi", (0, 0, 0, 0))
        for name, value in zip(("x_offset", "y_offset", "width", "height"), roi, strict=True):
            setattr(message.roi, name, value)
        found = intrinsics_from_message(message)
        assert (found.width, found.height) == size
        assert (found.fx, found.fy, found.cx, found.cy) == pinhole

    @pytest.mark.parametrize(
        ("changes", "rectified", "message"),
        [
            ({"p": projection(tx=-30.0)}, None, "baseline"),
            ({"k": [600.0, 3.0, 320.0, 0, 600.0, 240.0, 0, 0, 1], "p": [0.0] * 12}, None, "square"),
            ({"d": [np.nan] * 5}, None, "not finite"),
            ({"d": [0.1] * 3}, False, "3 coefficients of plumb_bob"),
            ({"d": [0.1] * 5, "distortion_model": "wide"}, False, "the model 'wide'"),
            ({"binning_x": 700}, None, ""),
        ],
    )
    def test_what_cannot_be_applied_is_refused(self, changes, rectified, message) -> None:
        if message:
            with pytest.raises(MessageError, match=message):
                intrinsics_from_message(self.info(**changes), rectified)
        else:  # the camera of no pixels is refused by the camera itself
            assert intrinsics_from_message(self.info(**changes), rectified).width == 0

    def test_an_uncalibrated_camera_says_nothing(self) -> None:
        assert intrinsics_from_message(CameraInfo(width=640, height=480)) is None

    def test_regions_lie_in_the_image(self) -> None:
        message = self.info()
        message.roi.x_offset, message.roi.width, message.roi.height = 600, 100, 480
        with pytest.raises(MessageError, match="region of interest"):
            intrinsics_from_message(message)


def test_joint_states_and_targets_without_values() -> None:
    for convert, message in (
        (conversions.joints_from_message, JointState(name=NAMES)),
        (conversions.targets_from_message, JointTrajectory(joint_names=NAMES)),
    ):
        with pytest.raises(MessageError):
            convert(message, NAMES)
