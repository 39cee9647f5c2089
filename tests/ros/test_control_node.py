"""The /grasp action over DDS: stages, one goal at a time, cancelling, stopping, stale input."""

from __future__ import annotations

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from control_cell import can_cloud
from given_grasps import JOINTS, goal_of, grasp_from_above, start
from ros_graph import Graph, eventually, graph
from std_srvs.srv import Trigger

from dexgrasp_control.control_node import ControlNode
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_ros import contract, conversions
from dexgrasp_sim_bridge.bridge_node import BridgeNode


@pytest.fixture
def robot():
    """Bridge and control in real time, with a cloud of a can given by hand."""
    with graph() as ros:
        # All nodes share one interpreter: on a busy machine they are far slower than processes.
        ros.bridge = ros.start(
            BridgeNode, object="can", camera_rate=0.1, real_time_rate=0.5, patience=2.0
        )
        ros.control = ros.start(ControlNode, use_sim_time=True, state_timeout=3.0)
        ros.clouds = [
            ros.tester.create_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.OBJECT_CLOUD, contract.SCENE_CLOUD)
        ]
        for publisher in ros.clouds:
            publisher.publish(can_cloud())
        ros.wrist_poses = ros.collect(contract.WRIST_POSE)
        ros.targets = ros.collect(contract.WRIST_TARGET)
        ros.commands = ros.collect(contract.HAND_COMMAND)
        assert eventually(lambda: ros.control._preparation.clouds.stamp >= 0)
        yield ros


def stands_still(ros: Graph) -> bool:
    """Whether nothing commands and the wrist rests."""
    seen, sent = len(ros.wrist_poses), len(ros.targets)
    assert eventually(lambda: len(ros.wrist_poses) > seen + 10)
    first, last = (conversions.pose_from_message(ros.wrist_poses[i].pose) for i in (-8, -1))
    return len(ros.targets) == sent and np.abs(first - last).max() < 1e-3


def test_closing_on_nothing_is_told(robot):
    stages: list[str] = []
    _, result = robot.grasp(goal_of(grasp_from_above()), lambda m: stages.append(m.feedback.stage))
    outcome = robot.wait(result, 60.0).result
    assert not outcome.success
    assert outcome.outcome == "slipped"
    assert "closed on nothing" in outcome.reason
    assert list(dict.fromkeys(stages)) == ["plan", "pregrasp", "approach", "close", "squeeze"]
    assert stands_still(robot)
    # Every command answers a state: stamps are those of states, and rise.
    stamps = [conversions.stamp_to_ns(m.header.stamp) for m in robot.commands]
    assert stamps[:-1] == sorted(set(stamps[:-1]))
    assert not robot.commands[-1].points  # it let go


def test_a_text_is_the_proposers_to_understand(robot):
    requests: list[GenerateProposals.Request] = []

    def capture(_, response):
        for publisher in robot.clouds:
            publisher.publish(can_cloud())
        response.success = True
        return response

    def generate(request, response):
        requests.append(request)
        response.message = "no grasp fits"
        return response

    robot.tester.create_service(Trigger, contract.CAPTURE_SERVICE, capture)
    robot.tester.create_service(GenerateProposals, contract.GENERATE_SERVICE, generate)
    _, result = robot.grasp(ExecuteGrasp.Goal(choose=True, text="by the handle"))
    outcome = robot.wait(result, 30.0).result
    assert (outcome.outcome, outcome.reason) == ("no_proposal", "no grasp fits")
    assert [request.text for request in requests] == ["by the handle"]


def test_cancelling_stops_and_holds(robot):
    handle, result = start(robot, "pregrasp")
    # A second goal meanwhile is refused.
    other, _ = robot.grasp(goal_of(grasp_from_above()))
    assert not other.accepted
    robot.wait(handle.cancel_goal_async(), 10.0)
    answer = robot.wait(result, 20.0)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert (answer.result.outcome, answer.result.reason) == ("aborted", "cancelled")
    assert stands_still(robot)
    again, result = robot.grasp(goal_of(grasp_from_above()))
    assert again.accepted
    robot.wait(again.cancel_goal_async(), 10.0)
    robot.wait(result, 20.0)


def test_the_stop_service_stops(robot):
    _, result = start(robot, "pregrasp")
    response = robot.call(Trigger, contract.STOP_SERVICE, Trigger.Request())
    assert (response.success, response.message) == (True, "stopped")
    outcome = robot.wait(result, 20.0).result
    assert outcome.outcome == "aborted"
    assert contract.STOP_SERVICE in outcome.reason
    assert stands_still(robot)


def test_the_stop_service_ends_a_grasp_that_does_not_move_yet(robot):
    _, result = start(robot, "capture", ExecuteGrasp.Goal(choose=True))
    assert robot.call(Trigger, contract.STOP_SERVICE, Trigger.Request()).message == "stopped"
    outcome = robot.wait(result, 5.0).result
    assert outcome.outcome == "aborted"
    assert contract.STOP_SERVICE in outcome.reason
    assert not robot.targets
    response = robot.call(Trigger, contract.STOP_SERVICE, Trigger.Request())
    assert response.message == "no grasp was running"


def test_when_the_robot_falls_silent_the_motion_ends(robot):
    _, result = start(robot, "pregrasp")
    robot.bridge.trigger_deactivate()
    outcome = robot.wait(result, 20.0).result
    assert outcome.outcome == "stale_input"
    assert "no measured state for" in outcome.reason
    sent = len(robot.targets)
    assert not eventually(lambda: len(robot.targets) > sent, timeout=0.5)


@pytest.mark.parametrize("topic", [contract.JOINT_STATES, contract.WRIST_POSE])
def test_a_state_that_is_not_finite_ends_the_motion(robot, topic):
    _, result = start(robot, "pregrasp")
    publisher = robot.tester.create_publisher(topic.type, topic.name, topic.qos)
    assert eventually(lambda: publisher.get_subscription_count() > 0)
    ns = conversions.stamp_to_ns(robot.wrist_poses[-1].header.stamp) + 40_000_000
    broken = np.full(22, np.nan)
    if topic is contract.JOINT_STATES:
        message = conversions.joint_state(JOINTS, broken, broken, ns)
    else:
        message = conversions.pose_stamped(np.eye(4), ns, conversions.WORLD)
        message.pose.position.x = float("nan")
    for _ in range(3):
        publisher.publish(message)
    outcome = robot.wait(result, 20.0).result
    assert outcome.outcome == "stale_input"
    assert "not finite" in outcome.reason
    assert stands_still(robot)


def test_when_time_goes_back_the_motion_ends(robot):
    _, result = start(robot, "pregrasp")
    assert robot.call(Trigger, contract.RESET_SERVICE, Trigger.Request()).success
    outcome = robot.wait(result, 20.0).result
    assert outcome.outcome == "stale_input"
    assert "time went back" in outcome.reason
    assert stands_still(robot)


def test_deactivating_the_node_ends_the_motion(robot):
    _, result = start(robot, "pregrasp")
    robot.control.trigger_deactivate()
    assert robot.wait(result, 20.0).result.outcome == "aborted"
    assert stands_still(robot)
    handle, _ = robot.grasp(goal_of(grasp_from_above()))
    assert not handle.accepted


def test_a_grasp_through_the_table_has_no_approach(robot):
    _, result = robot.grasp(goal_of(grasp_from_above(height=-0.3)))
    outcome = robot.wait(result, 30.0).result
    assert outcome.outcome == "no_approach"
    assert stands_still(robot)


def test_a_broken_grasp_is_refused(robot):
    goal = goal_of(grasp_from_above())
    goal.grasp.joint_names[0] = "rh_tail"
    _, result = robot.grasp(goal)
    outcome = robot.wait(result, 30.0).result
    assert outcome.outcome == "no_proposal"
    assert f"missing joints: {JOINTS[0]}" in outcome.reason


def test_without_perception_there_is_no_cloud():
    with graph() as ros:
        ros.start(BridgeNode, object="can", camera_rate=0.1)
        ros.start(ControlNode, use_sim_time=True, capture_timeout=0.5)
        _, result = ros.grasp(ExecuteGrasp.Goal(choose=True))
        outcome = ros.wait(result).result
        assert outcome.outcome == "no_cloud"
        assert "/perception/capture is not there" in outcome.reason
