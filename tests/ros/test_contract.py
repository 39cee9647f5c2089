"""The topic contract, against the running bridge: every topic's type, rate, frame and QoS.

Hardware drivers are held to the same table.
"""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.qos import QoSProfile
from ros_graph import eventually, graph

from dexgrasp_control.control_node import ControlNode
from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_proposals.proposal_node import ProposalNode
from dexgrasp_ros import contract, conversions
from dexgrasp_sim_bridge.bridge_node import BridgeNode

pytestmark = pytest.mark.timeout(400)  # sixteen topics of images in one interpreter

CAMERA_RATE = 5.0
RIG = load_rig(find_config("cameras/four_d415.yaml"))

STATES = (
    contract.CLOCK,
    contract.JOINT_STATES,
    contract.WRIST_POSE,
    contract.OBJECT_POSE,
    contract.TF,
)
IMAGES = tuple(
    topic(camera.name)
    for camera in RIG
    for topic in (
        contract.depth_image,
        contract.depth_info,
        contract.color_image,
        contract.color_info,
    )
)
ON_REQUEST = (
    contract.OBJECT_CLOUD,
    contract.SCENE_CLOUD,
    contract.GRASPS,
    contract.GRASP_POSES,
    contract.GRASP_MARKERS,
    contract.ROTATION_DENSITY,
    contract.TF_STATIC,
    contract.ROBOT_DESCRIPTION,
    contract.DIAGNOSTICS,
)
COMMANDS = (contract.HAND_COMMAND, contract.WRIST_TARGET)


@pytest.fixture(scope="module")
def running():
    """The graph, and what it published within a few simulated seconds, by topic."""
    with graph() as ros:
        ros.start(BridgeNode, object="box", camera_rate=CAMERA_RATE, real_time_rate=0.5)
        for node in (PerceptionNode, ProposalNode, ControlNode):
            ros.start(node, use_sim_time=True)
        received = {topic.name: ros.collect(topic) for topic in (*STATES, *IMAGES)}
        # The first image is made for whoever asks, and not only when one is due.
        assert eventually(lambda: all(received[topic.name] for topic in IMAGES), timeout=150.0)
        for topic in IMAGES:
            received[topic.name].clear()
        assert eventually(
            lambda: min(len(received[topic.name]) for topic in IMAGES) >= 5, timeout=150.0
        )
        yield ros, {name: list(messages) for name, messages in received.items()}


def stamps(messages) -> np.ndarray:
    """Seconds; of a TFMessage, the stamp of its first transform."""

    def stamp(message):
        if hasattr(message, "clock"):
            return message.clock
        if hasattr(message, "transforms"):
            message = message.transforms[0]
        return message.header.stamp

    return np.array([conversions.stamp_to_ns(stamp(message)) * 1e-9 for message in messages])


def offered(ros, topic: contract.Topic) -> list[QoSProfile]:
    """QoS of everything that publishes a topic (of a command: subscribes to it), ours excepted."""
    if topic in COMMANDS:
        found = ros.tester.get_subscriptions_info_by_topic(topic.name)
    else:
        found = ros.tester.get_publishers_info_by_topic(topic.name)
    return [end.qos_profile for end in found if end.node_name != "tester"]


@pytest.mark.parametrize("topic", [*STATES, *IMAGES, *ON_REQUEST, *COMMANDS], ids=lambda t: t.name)
def test_type_and_qos(running, topic):
    ros, _ = running
    types = dict(ros.tester.get_topic_names_and_types())
    module, name = topic.type.__module__.split(".")[0], topic.type.__name__
    assert types[ros.tester.resolve_topic_name(topic.name)] == [f"{module}/msg/{name}"]
    ends = offered(ros, topic)
    assert ends
    for end in ends:
        assert end.reliability == topic.qos.reliability
        assert end.durability == topic.qos.durability


@pytest.mark.parametrize("topic", STATES, ids=lambda t: t.name)
def test_rate(running, topic):
    _, received = running
    times = stamps(received[topic.name])
    assert np.allclose(np.diff(times), 1.0 / topic.rate, atol=1e-6)


@pytest.mark.parametrize("topic", IMAGES, ids=lambda t: t.name)
def test_image_rate(running, topic):
    _, received = running
    periods = stamps(received[topic.name]) * CAMERA_RATE
    # Late images are left out, never moved: all are taken at whole periods.
    assert np.allclose(periods, np.round(periods), atol=1e-5)
    assert np.all(np.diff(periods) > 0.5)


@pytest.mark.parametrize(
    "topic", [t for t in (*STATES, *IMAGES) if t.frame_id is not None], ids=lambda t: t.name
)
def test_frame(running, topic):
    _, received = running
    assert {message.header.frame_id for message in received[topic.name]} == {topic.frame_id}


def test_a_camera_looks_as_its_rig_says(running):
    _, received = running
    for camera in RIG:
        for info_of in (contract.color_info, contract.depth_info):
            info = received[info_of(camera.name).name][0]
            assert np.allclose(np.reshape(info.k, (3, 3)), camera.matrix)
        depth = received[contract.depth_image(camera.name).name][0]
        assert (depth.encoding, depth.width, depth.height) == ("16UC1", camera.width, camera.height)
        color = received[contract.color_image(camera.name).name][0]
        assert (color.encoding, color.width, color.height) == ("rgb8", camera.width, camera.height)
        infos = stamps(received[contract.depth_info(camera.name).name])
        # Where no image was ready in time, its intrinsics come alone.
        assert set(stamps(received[contract.depth_image(camera.name).name])[:5]) <= set(infos)


def test_every_transform_has_a_way_to_the_world(running):
    ros, received = running
    static = ros.collect(contract.TF_STATIC)
    assert eventually(lambda: bool(static))
    parents = {
        transform.child_frame_id: transform.header.frame_id
        for message in (*static, *received[contract.TF.name])
        for transform in message.transforms
    }
    for frame in [*parents, *(camera.optical_frame for camera in RIG), "rh_palm", "rh_ffdistal"]:
        seen = set()
        while frame != conversions.WORLD:
            assert frame not in seen, f"a loop at {frame}"
            assert frame in parents, f"{frame} has no parent"
            seen.add(frame)
            frame = parents[frame]


def test_services_and_action_are_there(running):
    ros, _ = running
    services = dict(ros.tester.get_service_names_and_types())
    for name, kind in (
        (contract.CAPTURE_SERVICE, "std_srvs/srv/Trigger"),
        (contract.GENERATE_SERVICE, "dexgrasp_interfaces/srv/GenerateProposals"),
        (contract.STOP_SERVICE, "std_srvs/srv/Trigger"),
        (contract.RESET_SERVICE, "std_srvs/srv/Trigger"),
        (f"{contract.GRASP_ACTION}/_action/send_goal", None),
    ):
        resolved = ros.tester.resolve_service_name(name)
        assert resolved in services
        assert kind is None or services[resolved] == [kind]
