"""The topic contract, with each provider of a robot: every topic's type, rate, frame and QoS."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from contract_checks import COMMANDS, assert_as_in_contract, stamps
from providers import PROVIDERS, Provider
from robot_topics import JOINTS, Robot
from ros_graph import Graph, eventually, graph

from dexgrasp_control.control_node import ControlNode
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_proposals.proposal_node import ProposalNode
from dexgrasp_ros import contract, conversions

pytestmark = pytest.mark.timeout(400)  # sixteen topics of images in one interpreter

CAMERA_RATE = 5.0
ENOUGH = 5
"""Images of each topic, from when all are known to their publishers."""
ON_REQUEST = (
    contract.OBJECT_CLOUD,
    contract.SCENE_CLOUD,
    contract.CLOUD_STREAM,
    contract.GRASPS,
    contract.GRASP_POSES,
    contract.GRASP_MARKERS,
    contract.ROTATION_DENSITY,
    contract.TF_STATIC,
    contract.ROBOT_DESCRIPTION,
    contract.DIAGNOSTICS,
)


class Running(NamedTuple):
    """The graph on a robot, and what that published within a few seconds, by topic.

    For whoever begins to ask, images are made at once. So those count, and their intrinsics, that
    were taken when nobody was new any more.
    """

    ros: Graph
    provider: Provider
    received: dict[str, list]


def of_whom(message) -> str:
    """Which of several publishers of a topic a message is of, as far as it says."""
    return message.name[0] if hasattr(message, "name") else ""


@pytest.fixture(scope="module", params=PROVIDERS.values(), ids=PROVIDERS.keys())
def running(request):
    provider: Provider = request.param
    images = provider.images
    with graph() as ros:
        provider.start(ros, camera_rate=CAMERA_RATE)
        clock = {"use_sim_time": not provider.drivers}
        ros.start(PerceptionNode, stream_rate=5.0, **clock)  # else there is no stream
        for node in (ProposalNode, ControlNode):
            ros.start(node, **clock)
        received = {topic.name: ros.collect(topic) for topic in (*provider.states, *images)}
        assert eventually(lambda: all(received[topic.name] for topic in images), timeout=200.0)
        settled = max(stamps(received[topic.name][:1])[0] for topic in images)
        names = {topic.name for topic in images}

        def counted():
            return {
                name: [one for one in messages if name not in names or stamps([one])[0] > settled]
                for name, messages in ((name, list(found)) for name, found in received.items())
            }

        assert eventually(
            lambda: min(len(counted()[name]) for name in names) >= ENOUGH, timeout=200.0
        )
        yield Running(ros, provider, counted())


@pytest.mark.parametrize("topic", [*ON_REQUEST, *COMMANDS], ids=lambda t: t.name)
def test_type_and_qos_in_the_graph(running, topic):
    assert_as_in_contract(running.ros, topic)


def test_type_and_qos_of_states_and_images(running):
    for topic in (*running.provider.states, *running.provider.images):
        assert_as_in_contract(running.ros, topic)


def test_rate(running):
    for topic in running.provider.states:
        if running.provider.drivers:
            for who in {of_whom(message) for message in running.received[topic.name]}:
                assert_on_the_wall_clock(running.ros, topic, who)
            continue
        times = stamps(running.received[topic.name])
        assert np.allclose(np.diff(times), 1.0 / topic.rate, atol=1e-6), topic.name


def assert_on_the_wall_clock(ros, topic, who):
    """On a busy machine some come late or not at all: at the rate comes what comes undisturbed."""
    messages = ros.collect(topic)

    def ten_came_at_the_rate() -> bool:
        newest = stamps([message for message in list(messages) if of_whom(message) == who][-11:])
        assert np.all(np.diff(newest) > 0.0), topic.name
        return len(newest) == 11 and np.isclose(np.ptp(newest), 10.0 / topic.rate, rtol=0.1)

    assert eventually(ten_came_at_the_rate), topic.name


def test_image_rate(running):
    for topic in running.provider.images:
        periods = stamps(running.received[topic.name]) * CAMERA_RATE
        if running.provider.drivers:
            assert np.all(np.diff(periods) > 0.0), topic.name
            continue
        # Late images are left out, never moved: all are taken at whole periods.
        assert np.allclose(periods, np.round(periods), atol=1e-5), topic.name
        assert np.all(np.diff(periods) > 0.5), topic.name


def test_frame(running):
    for topic in (*running.provider.states, *running.provider.images):
        if topic.frame_id is not None:
            frames = {message.header.frame_id for message in running.received[topic.name]}
            assert frames == {topic.frame_id}, topic.name


def test_joint_states_have_every_joint(running):
    wanted = set(load_hand().finger_joints)
    if running.provider.arm:
        wanted |= set(ArmKinematics().arm.joint_names)
    found = running.received[contract.JOINT_STATES.name]
    if running.provider.drivers:
        assert wanted <= {name for message in found for name in message.name}
    for message in found:
        assert running.provider.drivers or wanted <= set(message.name)
        assert len(message.name) == len(message.position) == len(message.velocity)
        # A source measures them, or leaves them out.
        assert len(message.effort) in (0, len(message.name))


def test_a_camera_looks_as_its_rig_says(running):
    received = running.received
    for camera in running.provider.rig:
        for info_of in (contract.color_info, contract.depth_info):
            info = received[info_of(camera.name).name][0]
            assert np.allclose(np.reshape(info.k, (3, 3)), camera.matrix)
        depth = received[contract.depth_image(camera.name).name][0]
        assert (depth.encoding, depth.width, depth.height) == ("16UC1", camera.width, camera.height)
        color = received[contract.color_image(camera.name).name][0]
        assert (color.encoding, color.width, color.height) == ("rgb8", camera.width, camera.height)
        infos = stamps(received[contract.depth_info(camera.name).name])
        # Where no image was ready in time, its intrinsics come alone.
        images = stamps(received[contract.depth_image(camera.name).name])[:ENOUGH]
        assert set(images) <= set(infos)


def test_every_transform_has_a_way_to_the_world(running):
    static = running.ros.collect(contract.TF_STATIC)
    assert eventually(lambda: bool(static))
    parents = {
        transform.child_frame_id: transform.header.frame_id
        for message in (*static, *running.received[contract.TF.name])
        for transform in message.transforms
    }
    optical = [camera.optical_frame for camera in running.provider.rig]
    for frame in [*parents, *optical, "rh_palm", "rh_ffdistal"]:
        seen = set()
        while frame != conversions.WORLD:
            assert frame not in seen, f"a loop at {frame}"
            assert frame in parents, f"{frame} has no parent"
            seen.add(frame)
            frame = parents[frame]


def test_what_drivers_are_told_moves_the_simulated_robot(running):
    """By RTDE and by rosbridge there, and measured so on the way back."""
    if not running.provider.drivers:
        pytest.skip("a simulator does that itself")
    robot, truth = Robot(running.ros), running.ros.collect(contract.SIM_JOINT_STATES)
    palm, grip = robot.wrist_pose, np.zeros(22)
    palm[2, 3] -= 0.05
    grip[[2, 3]] = 0.4
    kinematics = ArmKinematics()
    names = kinematics.arm.joint_names

    def true(of) -> np.ndarray:
        return conversions.joints_from_message(truth[-1], of)[0]

    def moved() -> bool:
        robot.send(palm, grip)
        return (
            bool(truth)
            and np.abs(kinematics.fk(true(names)) - palm).max() < 0.005
            and np.abs(robot.wrist_pose - palm).max() < 0.005
            and np.abs(true(JOINTS) - grip).max() < 0.05
            and np.abs(robot.fingers() - grip).max() < 0.05
        )

    assert eventually(moved)


def test_services_and_action_are_there(running):
    ros = running.ros
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
