"""Message conversions, typed parameters and the lifecycle base."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_graph import eventually, graph
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from dexgrasp_models.geometry.poses import through_quaternion
from dexgrasp_models.parameters import Parameters, choice, flag, parameter, text
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros import contract, conversions, image_messages
from dexgrasp_ros.conversions import MessageError
from dexgrasp_ros.node import OK, WARN, ManagedNode, when_active
from dexgrasp_ros.parameters import (
    ParameterError,
    current_parameters,
    declare_parameters,
    settable_while_active,
)

NAMES = ("a", "b", "c")
RNG = np.random.default_rng(0)


def some_pose(seed: int = 0) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    pose[:3, 3] = np.random.default_rng(seed).normal(size=3)
    return pose


@given(st.integers(0, 2**31 * conversions.NANOSECONDS - 1))
def test_stamps_are_exact(ns):
    assert conversions.stamp_to_ns(conversions.ns_to_stamp(ns)) == ns


def test_ticks_have_the_stamps_of_the_simulator():
    ticks = np.arange(0, 100_000, 7)
    for tick in ticks:
        assert round(tick * 0.02, 9) == tick * 20_000_000 / conversions.NANOSECONDS


@pytest.mark.parametrize("seed", range(20))
def test_a_pose_arrives_as_the_runs_without_messages_round_it(seed):
    pose = some_pose(seed)
    received = conversions.pose_from_message(conversions.pose_to_message(pose))
    assert np.allclose(received, pose, atol=1e-12)
    assert np.array_equal(received, through_quaternion(pose))


def test_bad_poses_are_refused():
    message = conversions.pose_to_message(some_pose())
    message.orientation.w += 0.5
    with pytest.raises(MessageError, match="quaternion has length"):
        conversions.pose_from_message(message)
    message.position.x = float("nan")
    with pytest.raises(MessageError, match="not finite"):
        conversions.pose_from_message(message)


def test_joints_come_in_any_order_among_others():
    message = JointState(
        name=["x", "c", "a", "b"], position=[9.0, 3.0, 1.0, 2.0], velocity=[0.0, 6.0, 4.0, 5.0]
    )
    positions, velocities = conversions.joints_from_message(message, NAMES)
    assert positions.tolist() == [1.0, 2.0, 3.0]
    assert velocities.tolist() == [4.0, 5.0, 6.0]


@pytest.mark.parametrize(
    ("names", "positions", "complaint"),
    [(["a", "b"], [1.0, 2.0], "missing joints: c"), (list(NAMES), [1.0], "3 joint names but 1")],
)
def test_incomplete_joints_are_refused(names, positions, complaint):
    with pytest.raises(MessageError, match=complaint):
        conversions.joints_from_message(JointState(name=names, position=positions), NAMES)


def test_images_and_clouds_come_back_to_the_bit():
    depth = RNG.integers(0, 65535, (48, 64), dtype=np.uint16)
    message = image_messages.depth_to_message(depth, 5, "camera")
    assert np.array_equal(image_messages.depth_from_message(message), depth)
    points, normals = RNG.normal(size=(2, 100, 3)).astype(np.float32)
    message = conversions.cloud_to_message(points, 5, conversions.WORLD, normals)
    got_points, got_normals = conversions.cloud_from_message(message)
    assert np.array_equal(got_points, points)
    assert np.array_equal(got_normals, normals)
    bare = conversions.cloud_to_message(points, 5, conversions.WORLD)
    assert conversions.cloud_from_message(bare)[1] is None


def test_a_depth_image_of_unknown_encoding_or_wrong_size_is_refused():
    message = image_messages.depth_to_message(np.zeros((4, 4), np.uint16), 0, "camera")
    message.height = 5
    with pytest.raises(MessageError, match="4 x 5 with 32 bytes"):
        image_messages.depth_from_message(message)
    message.encoding = "bgr8"
    with pytest.raises(MessageError, match="expected 16UC1"):
        image_messages.depth_from_message(message)


def test_a_grasp_comes_back_in_any_joint_order():
    grasp = Grasp(
        through_quaternion(some_pose()),
        *RNG.normal(size=(3, 3)),
        score=0.5,
        figures={"gap": 0.001},
        proposer="test",
    )
    message = conversions.grasp_to_message(grasp, NAMES, 7)
    received = conversions.grasp_from_message(message, NAMES[::-1])
    assert np.array_equal(received.squeeze_joints, grasp.squeeze_joints[::-1])
    assert np.array_equal(received.joints, grasp.joints[::-1])
    assert received.figures == grasp.figures
    message.squeeze_joints[0] = float("inf")
    with pytest.raises(MessageError, match="squeeze_joints"):
        conversions.grasp_from_message(message, NAMES)


@dataclass(frozen=True)
class ToyParameters(Parameters):
    length: float = settable_while_active(parameter(0.5, 0.1, 1.0, "m", "how long it is"))
    kind: str = choice("plain", lambda: ("plain", "fancy"), "what it is")
    parts: tuple[str, ...] = text((), "what it has")
    fewest: int = parameter(0, 0, 9, "", "fewest parts")
    most: int = parameter(9, 0, 9, "", "most parts")
    corner: tuple[float, float] = parameter((0.0, 0.0), -1.0, 1.0, "m", "where it stands")
    hollow: bool = flag(False, "whether it is")

    def __post_init__(self):
        super().__post_init__()
        if self.fewest > self.most:
            raise ValueError("fewest must not be above most")


class ToyNode(ManagedNode):
    parameters_type = ToyParameters

    def __init__(self, **options):
        super().__init__("toy", **options)
        self.configured_with = []

    def configure(self):
        self.configured_with.append(self.parameters)
        if self.parameters.kind == "fancy":
            raise ValueError("nothing fancy is here; use plain")
        self.create_lifecycle_publisher(
            contract.WRIST_POSE.type, contract.WRIST_POSE.name, contract.WRIST_POSE.qos
        )
        self.create_service(Trigger, "/toy/work", self._work)

    @when_active
    def _work(self, request, response):
        response.success = True
        return response


def set_to(ros, **values):
    parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    request = SetParameters.Request(parameters=parameters)
    return ros.call(SetParameters, "/toy/set_parameters", request).results[0]


def test_parameters_before_it_is_configured():
    with graph() as ros:
        node = ros.create(ToyNode)
        assert node.parameters == ToyParameters()
        assert set_to(ros, length=0.7).successful
        assert not set_to(ros, length=7.0).successful
        refused = set_to(ros, kind="odd")
        assert not refused.successful
        assert "must be one of: plain, fancy" in refused.reason
        assert set_to(ros, parts=["lid"]).successful
        expected = ToyParameters(length=0.7, parts=("lid",))
        assert current_parameters(node, node.parameters) == expected
        assert set_to(ros, fewest=5).successful
        refused = set_to(ros, most=3)
        assert (refused.successful, refused.reason) == (
            False,
            "parameters of /toy: fewest must not be above most",
        )
        assert set_to(ros, fewest=0).successful
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.parameters == expected
        described = ros.call(
            DescribeParameters,
            "/toy/describe_parameters",
            DescribeParameters.Request(names=["length"]),
        ).descriptors[0]
        assert described.description == "how long it is [m]"
        assert described.floating_point_range[0].to_value == 1.0


def test_parameters_of_an_active_node_are_fixed_but_those_marked():
    with graph() as ros:
        node = ros.start(ToyNode)
        refused = set_to(ros, kind="fancy")
        assert not refused.successful
        assert "'kind' of /toy is fixed while the node is active: deactivate" in refused.reason
        assert set_to(ros, length=0.7).successful
        assert current_parameters(node, node.parameters).length == 0.7
        assert node.parameters.kind == "plain"
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert len(node.configured_with) == 1  # nothing that it is configured with has changed


def test_parameters_set_while_inactive_take_effect_when_it_is_activated():
    with graph() as ros:
        node = ros.start(ToyNode)
        node.trigger_deactivate()
        assert set_to(ros, parts=["lid"]).successful
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert node.configured_with == [ToyParameters(), ToyParameters(parts=("lid",))]
        assert ros.call(Trigger, "/toy/work", Trigger.Request()).success
        assert ros.tester.count_publishers(contract.WRIST_POSE.name) == 1
        node.trigger_deactivate()
        assert set_to(ros, kind="fancy").successful
        assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
        assert node.failure == "cannot configure: nothing fancy is here; use plain"
        assert set_to(ros, kind="plain").successful
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        node.trigger_deactivate()
        assert set_to(ros, kind="fancy").successful
        assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("length", 2.0, "'length' of /toy is 2 m, must be between 0.1 and 1 m"),
        ("length", float("nan"), "is nan m"),
        ("length", "long", "must be a number with a decimal point"),
        ("kind", "odd", "must be one of: plain, fancy"),
        ("corner", [0.0, 0.0, 0.0], r"is \[0.0, 0.0, 0.0\], must be 2 numbers"),
        ("corner", [0.0, 2.0], "must be -1 to 1 m"),
        ("hollow", "no", "must be true or false"),
    ],
)
def test_parameters_at_the_start(name, value, complaint):
    with graph() as ros, pytest.raises(ParameterError, match=complaint):
        ros.create(ToyNode, **{name: value})


def test_fields_that_are_no_parameters_keep_their_values():
    with graph() as ros:
        node = ros.create(ToyNode, length=0.7)
        other = declare_parameters(
            node, ToyParameters(most=5), prefix="other.", leave_out=("most",)
        )
        assert (other.length, other.most) == (0.5, 5)
        assert not node.has_parameter("other.most")
        assert current_parameters(node, other, prefix="other.") == other


def test_values_that_do_not_go_together_are_refused():
    @dataclass(frozen=True)
    class Box(Parameters):
        low: float = parameter(0.0, 0.0, 9.0, "", "lower end")
        high: float = parameter(1.0, 0.0, 9.0, "", "upper end")

        def __post_init__(self):
            super().__post_init__()
            if self.low >= self.high:
                raise ValueError("low must be below high")

    with graph() as ros:
        node = ros.create(ToyNode, low=2.0)
        with pytest.raises(ParameterError, match="low must be below high"):
            declare_parameters(node, Box)


def test_the_lifecycle():
    with graph() as ros:
        node = ros.create(ToyNode)
        diagnostics = ros.collect(contract.DIAGNOSTICS)
        for _ in range(2):  # a second time after cleaning up
            assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
            refusal = ros.call(Trigger, "/toy/work", Trigger.Request())
            assert not refusal.success
            assert "/toy is not active" in refusal.message
            assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
            assert ros.call(Trigger, "/toy/work", Trigger.Request()).success
            assert eventually(lambda: diagnostics and diagnostics[-1].status[0].level == OK)
            assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
            assert eventually(lambda: diagnostics[-1].status[0].level == WARN)
            assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
            assert eventually(
                lambda: not ros.tester.get_publishers_info_by_topic(contract.WRIST_POSE.name)
            )


def test_a_refused_transition_tells_why():
    with graph() as ros:
        node = ros.create(ToyNode, kind="fancy")
        diagnostics = ros.collect(contract.DIAGNOSTICS)
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert node.failure == "cannot configure: nothing fancy is here; use plain"
        assert eventually(lambda: any(node.failure in m.status[0].message for m in diagnostics))
