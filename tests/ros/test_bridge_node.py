"""The simulator bridge over DDS: states, commands, images, reset, lock-step."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy
from robot_topics import JOINTS, Robot
from ros_graph import eventually, graph
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_models.geometry import poses
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_ros import contract, conversions
from dexgrasp_sim_bridge.bridge_node import BridgeNode

TICK_NS = 20_000_000


@pytest.fixture(scope="module")
def real_time():
    with graph() as ros:
        ros.start(BridgeNode, object="box", real_time_rate=2.0, camera_rate=5.0)
        yield Robot(ros)


def test_states_have_all_joints_and_equal_stamps(real_time):
    start = len(real_time.wrist_poses)
    assert eventually(lambda: len(real_time.wrist_poses) > start + 20)
    assert set(JOINTS) <= set(real_time.joint_states[-1].name)
    wrist, joints = (
        [conversions.stamp_to_ns(message.header.stamp) for message in messages[start : start + 20]]
        for messages in (real_time.wrist_poses, real_time.joint_states)
    )
    assert np.array_equal(np.diff(wrist), np.full(19, TICK_NS))
    assert set(wrist) & set(joints)


def test_a_command_moves_wrist_and_fingers(real_time):
    target = real_time.wrist_pose.copy()
    target[2, 3] += 0.05
    fingers = np.zeros(22)
    fingers[[2, 3]] = 0.4
    real_time.send(target, fingers)
    assert eventually(lambda: abs(real_time.wrist_pose[2, 3] - target[2, 3]) < 0.005)
    assert eventually(lambda: np.abs(real_time.fingers() - fingers).max() < 0.05)


@pytest.mark.parametrize(
    ("names", "positions", "complaint"),
    [
        (JOINTS, [float("nan")] * 22, "not finite"),
        (JOINTS[:-1], [0.0] * 21, f"missing joints: {JOINTS[-1]}"),
        ((*JOINTS, "rh_tail"), [0.0] * 23, "unknown joints: rh_tail"),
        (JOINTS, [0.0] * 3, "22 joint names but 3 positions"),
    ],
)
def test_a_bad_command_is_refused_and_the_last_one_held(real_time, names, positions, complaint):
    before = real_time.fingers()
    real_time.diagnostics.clear()
    bad = conversions.joint_trajectory(names, np.array(positions), 0)
    real_time.hand.publish(bad)
    assert eventually(lambda: real_time.said(complaint))
    assert np.abs(real_time.fingers() - before).max() < 0.1


def test_a_wrist_target_in_another_frame_is_refused(real_time):
    real_time.diagnostics.clear()
    real_time.wrist.publish(conversions.pose_stamped(np.eye(4), 0, "base_link"))
    assert eventually(lambda: real_time.said("in frame 'base_link', not 'world'"))


def test_an_unplugged_camera_falls_silent_and_comes_back(real_time):
    ros = real_time.ros
    first, second = (ros.collect(contract.depth_image(name)) for name in ("camera_1", "camera_2"))
    assert eventually(lambda: first and second)

    def disable(*cameras: str) -> None:
        value = Parameter("disabled_cameras", Parameter.Type.STRING_ARRAY, list(cameras))
        request = SetParameters.Request(parameters=[value.to_parameter_msg()])
        response = ros.call(SetParameters, "/sim_bridge/set_parameters", request)
        assert response.results[0].successful, response.results[0].reason

    disable("camera_1")
    # One image may still be on its way.
    seen = len(second)
    assert eventually(lambda: len(second) >= seen + 2)
    first.clear()
    seen = len(second)
    assert eventually(lambda: len(second) >= seen + 3)
    assert not first
    disable()
    assert eventually(lambda: bool(first))


def test_a_parameter_is_refused_at_runtime(real_time):
    request = SetParameters.Request(
        parameters=[Parameter("friction", value=0.5).to_parameter_msg()]
    )
    response = real_time.ros.call(SetParameters, "/sim_bridge/set_parameters", request)
    assert not response.results[0].successful
    assert "fixed while the node is active" in response.results[0].reason


def test_reset_puts_everything_back(real_time):
    ros = real_time.ros
    response = ros.call(Trigger, contract.RESET_SERVICE, Trigger.Request())
    assert response.success
    assert eventually(lambda: real_time.now_ns < 1_000_000_000)


def test_real_time_makes_up_for_a_late_controller():
    """At a tenth of real time, which the busiest machine has time for."""
    rate, stalls = 0.1, []
    with graph() as ros:
        ros.start(BridgeNode, object="ball", patience=10.0, real_time_rate=rate)
        robot = Robot(ros)
        pose, fingers = robot.wrist_pose, robot.fingers()

        def answer(state: JointState) -> None:
            if stalls:
                time.sleep(stalls.pop())
            robot.send(pose, fingers, conversions.stamp_to_ns(state.header.stamp))

        topic = contract.JOINT_STATES
        ros.tester.create_subscription(topic.type, topic.name, answer, topic.qos)
        assert eventually(lambda: robot.now_ns >= 5 * TICK_NS)
        began, simulated = time.monotonic(), robot.now_ns
        stalls.append(3.0)
        assert eventually(lambda: not stalls)

        def behind() -> float:
            """Seconds of wall time."""
            return time.monotonic() - began - 1e-9 * (robot.now_ns - simulated) / rate

        assert eventually(lambda: behind() > 2.0)
        assert eventually(lambda: behind() < 0.5)


def test_lock_step_advances_one_tick_for_a_whole_command():
    with graph() as ros:
        ros.start(BridgeNode, object="ball", mode="lock_step", deadline=1.0)
        robot = Robot(ros)
        pose, fingers = robot.wrist_pose, robot.fingers()
        assert eventually(lambda: len(robot.joint_states) > 3)
        assert robot.now_ns == 0  # nothing moves before a controller engages
        robot.wrist.publish(conversions.pose_stamped(pose, 0, conversions.WORLD))
        assert not eventually(lambda: robot.now_ns > 0, timeout=0.3)
        robot.send(pose, fingers, 0)
        assert eventually(lambda: robot.now_ns == TICK_NS)
        robot.send(pose, fingers, 0)  # an answer to an old state does not count
        assert not eventually(lambda: robot.now_ns > TICK_NS, timeout=0.3)
        for tick in range(1, 4):
            robot.send(pose, fingers, tick * TICK_NS)
            assert eventually(lambda tick=tick: robot.now_ns == (tick + 1) * TICK_NS)
        # Letting go: no deadline any more.
        robot.hand.publish(JointTrajectory(header=conversions.header(4 * TICK_NS, "")))
        assert not eventually(lambda: robot.said("no command for"), timeout=1.5)
        # Engaging again and falling silent is a fault.
        robot.send(pose, fingers, 4 * TICK_NS)
        assert eventually(lambda: robot.said("no command for the state at 0.100 s"))
        robot.send(pose, fingers, 5 * TICK_NS)
        assert not eventually(lambda: robot.now_ns > 5 * TICK_NS, timeout=0.3)
        assert ros.call(Trigger, contract.RESET_SERVICE, Trigger.Request()).success
        assert eventually(lambda: robot.now_ns == 0)


@pytest.mark.parametrize("scene", ["floating", "arm"])
def test_the_transforms_lead_to_the_measured_palm(scene):
    with graph() as ros:
        ros.start(BridgeNode, object="ball", mode="lock_step", scene=scene)
        transforms = ros.collect(contract.TF)
        descriptions = ros.collect(contract.ROBOT_DESCRIPTION)
        robot = Robot(ros)
        pose = robot.wrist_pose
        ns = 0
        while not transforms:  # they come every fifth tick
            robot.send(pose, robot.fingers(), ns)
            ns += TICK_NS
            assert eventually(lambda ns=ns: robot.now_ns == ns)
        published = {t.child_frame_id: t for t in transforms[-1].transforms}
        assert eventually(lambda: bool(descriptions))
        assert "rh_ffdistal" in descriptions[-1].data
        assert "rh_ffdistal" in published
        stamp = conversions.stamp_to_ns(published["rh_palm"].header.stamp)
        measured = next(
            conversions.world_pose_from_message(message)
            for message in robot.wrist_poses
            if conversions.stamp_to_ns(message.header.stamp) == stamp
        )
        assert np.allclose(world_pose(published, "rh_palm"), measured, atol=1e-6)


def world_pose(transforms, frame: str) -> np.ndarray:
    """(4, 4) pose of a frame, chained up to the world."""
    pose = np.eye(4)
    while frame != conversions.WORLD:
        edge = transforms[frame]
        t, r = edge.transform.translation, edge.transform.rotation
        pose = poses.from_quaternion([t.x, t.y, t.z], [r.x, r.y, r.z, r.w]) @ pose
        frame = edge.header.frame_id
    return pose


def test_shutting_down_ends_the_rendering_process() -> None:
    before = set(multiprocessing.active_children())
    with graph() as ros:
        ros.start(BridgeNode, object="box")
        assert eventually(lambda: set(multiprocessing.active_children()) - before)
    assert eventually(lambda: not set(multiprocessing.active_children()) - before)


def test_images_that_take_long_do_not_look_like_lost_ones() -> None:
    """Many intrinsics without an image would; none at all would look like a silent camera."""
    before = set(multiprocessing.active_children())
    with graph() as ros:
        ros.start(BridgeNode, object="box", camera_rate=25.0)
        assert eventually(lambda: set(multiprocessing.active_children()) - before)
        (renderer,) = set(multiprocessing.active_children()) - before
        images = ros.collect(contract.depth_image("camera_1"))
        infos = ros.collect(contract.depth_info("camera_1"))
        assert eventually(lambda: len(images) > 2)
        os.kill(renderer.pid, signal.SIGSTOP)
        try:
            time.sleep(1.0)
            infos.clear()
            images.clear()
            time.sleep(5.0)
            assert not images
            assert 2 <= len(infos) <= 6
        finally:
            os.kill(renderer.pid, signal.SIGCONT)
        assert eventually(lambda: len(images) > 2)


def test_cameras_offer_images_with_best_effort_where_asked_to() -> None:
    """As some drivers do; perception takes them all the same."""
    with graph() as ros:
        ros.start(BridgeNode, object="box", camera_reliability="best_effort")
        ros.start(PerceptionNode, use_sim_time=True)
        response = ros.call(Trigger, contract.CAPTURE_SERVICE, Trigger.Request())
        assert response.success, response.message
        assert "from camera_1, camera_2, camera_3, camera_4 in" in response.message
        (end,) = ros.tester.get_publishers_info_by_topic(contract.depth_image("camera_1").name)
        assert end.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
