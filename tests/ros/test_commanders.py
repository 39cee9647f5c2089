"""Other people's commands to a robot, over DDS: nothing moves that should not."""

from __future__ import annotations

import numpy as np
import pytest
from lifecycle_msgs.srv import GetState
from providers import each_provider
from robot_topics import JOINTS, Robot
from ros_graph import eventually, graph
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_ros import contract, conversions
from dexgrasp_sim_bridge.bridge_node import BridgeNode

TICK_NS = 20_000_000
SLOW = {"object": "ball", "camera_rate": 0.1, "real_time_rate": 0.5}


class Commander:
    """Answers every state with the same targets, until it lets go."""

    def __init__(self, robot: Robot, pose: np.ndarray, fingers: np.ndarray) -> None:
        self._robot, self._targets = robot, (pose, fingers)
        self.on = True
        topic = contract.JOINT_STATES
        robot.ros.tester.create_subscription(topic.type, topic.name, self._answer, topic.qos)

    def _answer(self, state: JointState) -> None:
        if self.on:
            self._robot.send(*self._targets, conversions.stamp_to_ns(state.header.stamp))

    def let_go(self) -> None:
        self.on = False
        self._robot.hand.publish(JointTrajectory())


def shifted(pose: np.ndarray, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    moved = pose.copy()
    moved[:3, 3] += (0.0, y, z)
    return moved


def path_length(robot: Robot, since: int) -> float:
    """Metres that the wrist went from the list's entry ``since`` on."""
    places = [
        conversions.world_pose_from_message(message)[:3, 3] for message in robot.wrist_poses[since:]
    ]
    return float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())


def ticks(robot: Robot, count: int) -> bool:
    """Waits for so many more states."""
    start = len(robot.wrist_poses)
    return eventually(lambda: len(robot.wrist_poses) >= start + count)


@each_provider
def test_a_second_commander_is_refused_and_named_until_the_first_lets_go(provider):
    with graph() as ros:
        provider.start(ros, camera_rate=0.1)
        robot, intruder = Robot(ros), Robot(ros, ros.node("intruder"))
        home, grip = robot.wrist_pose, np.zeros(22)
        grip[[2, 3]] = 0.4
        commander = Commander(robot, home, grip)
        assert eventually(lambda: np.abs(robot.fingers() - grip).max() < 0.05)
        start = len(robot.wrist_poses)
        intruder.send(shifted(home, y=0.1), np.zeros(22))
        intruder.hand.publish(JointTrajectory())
        assert eventually(
            lambda: robot.said("of /intruder on /arm/wrist_target: /tester commands"), timeout=30.0
        )
        assert eventually(
            lambda: robot.said("of /intruder on /hand/joint_trajectory: /tester commands")
        )
        assert ticks(robot, 20)
        assert path_length(robot, start) < 0.005
        assert np.abs(robot.fingers() - grip).max() < 0.05
        commander.let_go()

        def intruder_moves() -> bool:
            intruder.send(shifted(home, y=0.1), np.zeros(22))
            return robot.wrist_pose[1, 3] > home[1, 3] + 0.05

        assert eventually(intruder_moves)


@each_provider
def test_wrist_and_fingers_may_have_different_commanders(provider):
    with graph() as ros:
        provider.start(ros, camera_rate=0.1)
        robot, teleoperation = Robot(ros), Robot(ros, ros.node("teleoperation"))
        home, grip = robot.wrist_pose, np.zeros(22)
        grip[[2, 3]] = 0.4

        def both_are_followed() -> bool:
            pose = conversions.pose_stamped(shifted(home, y=0.05), 0, conversions.WORLD)
            teleoperation.wrist.publish(pose)
            robot.hand.publish(conversions.joint_trajectory(JOINTS, grip, 0))
            return (
                robot.wrist_pose[1, 3] > home[1, 3] + 0.04
                and np.abs(robot.fingers() - grip).max() < 0.05
            )

        assert eventually(both_are_followed)


@each_provider
def test_commands_that_nobody_should_obey_move_nothing(provider):
    with graph() as ros:
        provider.start(ros, camera_rate=0.1)
        robot = Robot(ros)
        assert eventually(lambda: robot.now_ns > 1_000_000_000)
        home, rest = robot.wrist_pose, robot.fingers()
        start = len(robot.wrist_poses)
        elsewhere, closed = shifted(home, y=0.1), np.full(22, 0.3)
        for pose, fingers, ns, complaint in (
            (elsewhere, closed, robot.now_ns + 5_000_000_000, "ahead of the clock"),
            (elsewhere, closed, TICK_NS, "too old"),
            (shifted(home, z=-1.0), np.full(22, 1e6), 0, "outside the workspace"),
            (shifted(home, z=1e300), np.full(22, 1e300), 0, "beyond the limits of"),
            (shifted(home, z=np.nan), closed * np.nan, 0, "not finite"),
        ):
            robot.send(pose, fingers, ns)
            assert eventually(lambda text=complaint: robot.said(text)), complaint
        twice = conversions.joint_trajectory((*JOINTS, JOINTS[0]), np.full(23, 0.3), 0)
        robot.hand.publish(twice)
        assert eventually(lambda: robot.said(f"more than once: {JOINTS[0]}"))
        assert ticks(robot, 10)
        assert path_length(robot, start) < 0.005
        assert np.abs(robot.fingers() - rest).max() < 0.05


def test_a_command_from_before_a_reset_does_not_engage():
    with graph() as ros:
        ros.start(BridgeNode, **SLOW)
        robot = Robot(ros)
        home = robot.wrist_pose
        assert eventually(lambda: robot.now_ns > 2_000_000_000)
        before = robot.now_ns
        assert ros.call(Trigger, contract.RESET_SERVICE, Trigger.Request()).success
        assert eventually(lambda: robot.now_ns < before)
        start = len(robot.wrist_poses)
        robot.send(shifted(home, y=0.3), robot.fingers(), before)
        assert eventually(lambda: robot.said("ahead of the clock"))
        assert ticks(robot, 10)
        assert path_length(robot, start) < 0.005


@each_provider
def test_a_silent_commander_is_named_and_let_go_where_the_wrist_is(provider):
    with graph() as ros:
        provider.start(ros, camera_rate=0.1, commander_timeout=0.2, limits__wrist_speed=0.1)
        robot, other = Robot(ros), Robot(ros, ros.node("other"))
        home = robot.wrist_pose
        target = shifted(home, y=0.2)
        robot.wrist.publish(conversions.pose_stamped(target, 0, conversions.WORLD))
        assert eventually(
            lambda: robot.said("commander silent: /tester on /arm/wrist_target"), timeout=30.0
        )
        assert ticks(robot, 30)
        start = len(robot.wrist_poses)
        assert ticks(robot, 20)
        assert path_length(robot, start) < 0.002
        assert 0.005 < robot.wrist_pose[1, 3] - home[1, 3] < 0.1

        def other_moves() -> bool:
            other.wrist.publish(conversions.pose_stamped(home, 0, conversions.WORLD))
            return abs(robot.wrist_pose[1, 3] - home[1, 3]) < 0.004

        assert eventually(other_moves)


@each_provider
def test_a_far_target_is_approached_no_faster_than_the_limits_and_told(provider):
    with graph() as ros:
        provider.start(ros, camera_rate=0.1)
        robot = Robot(ros)
        target = shifted(robot.wrist_pose, y=0.3)
        start = len(robot.wrist_poses)
        robot.wrist.publish(conversions.pose_stamped(target, 0, conversions.WORLD))
        assert eventually(lambda: robot.said("slowed down"))
        assert eventually(lambda: abs(robot.wrist_pose[1, 3] - target[1, 3]) < 0.01)
        stamps, heights = zip(
            *(
                (conversions.stamp_to_ns(m.header.stamp), m.pose.position.y)
                for m in robot.wrist_poses[start:]
            ),
            strict=True,
        )
        speeds = np.diff(heights) / (np.diff(stamps) * 1e-9)
        assert speeds[10:].max() < 0.7  # m/s, where 0.6 are allowed


def test_in_lock_step_an_intruder_does_not_answer_for_the_commander():
    with graph() as ros:
        ros.start(BridgeNode, object="ball", mode="lock_step", deadline=60.0)
        robot, intruder = Robot(ros), Robot(ros, ros.node("intruder"))
        pose, fingers = robot.wrist_pose, robot.fingers()
        robot.send(pose, fingers, 0)
        assert eventually(lambda: robot.now_ns == TICK_NS)
        intruder.send(shifted(pose, y=0.01), fingers, TICK_NS)
        assert eventually(lambda: robot.said("of /intruder on /hand/joint_trajectory: /tester"))
        assert robot.now_ns == TICK_NS
        robot.send(pose, fingers, TICK_NS)
        assert eventually(lambda: robot.now_ns == 2 * TICK_NS)
        assert abs(robot.wrist_pose[1, 3] - pose[1, 3]) < 0.001


@pytest.mark.parametrize("mode", ["real_time", "lock_step"])
def test_unstable_physics_stands_still_with_an_error_until_the_reset(mode):
    with graph() as ros:
        bridge = ros.start(BridgeNode, **SLOW, mode=mode)
        robot = Robot(ros)
        bridge._simulator.physics.batch.data[0].qvel[0] = 1e300
        robot.send(robot.wrist_pose, robot.fingers(), robot.now_ns if mode == "lock_step" else 0)
        assert eventually(
            lambda: robot.said("unstable: ") and robot.said("stands still until"), timeout=30.0
        )
        assert all(
            np.isfinite(conversions.world_pose_from_message(message)).all()
            for message in robot.wrist_poses
        )
        robot.send(robot.wrist_pose, np.full(22, 1e6))  # refused, which does not hide the error
        assert not eventually(lambda: robot.said("refused"), timeout=2.5)
        assert ros.call(Trigger, contract.RESET_SERVICE, Trigger.Request()).success
        start = len(robot.wrist_poses)
        assert eventually(lambda: len(robot.wrist_poses) > start)
        assert np.isfinite(robot.fingers()).all()


def test_a_command_to_an_inactive_bridge_is_not_obeyed_later():
    with graph() as ros:
        bridge = ros.start(BridgeNode, **SLOW)
        robot = Robot(ros)
        home = robot.wrist_pose
        target = conversions.pose_stamped(shifted(home, y=0.3), 0, conversions.WORLD)
        robot.wrist.publish(target)
        assert eventually(lambda: robot.wrist_pose[1, 3] > home[1, 3] + 0.01)
        bridge.trigger_deactivate()
        robot.wrist.publish(target)
        for _ in range(5):  # by then it has come
            ros.call(GetState, "sim_bridge/get_state", GetState.Request())
        bridge.trigger_activate()
        start = len(robot.wrist_poses)
        assert ticks(robot, 20)
        assert path_length(robot, start) < 0.02
        assert robot.wrist_pose[1, 3] < home[1, 3] + 0.25
