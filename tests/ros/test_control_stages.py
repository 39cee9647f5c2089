"""The control node on a robot that follows at once: stages, the lift's verdict, moves."""

from __future__ import annotations

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from arm_ride import ASTRAY
from control_cell import BRISK, HAND, LIFT, PATIENT, Cell, grasp
from geometry_msgs.msg import TransformStamped
from ros_graph import Graph, eventually, graph
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from dexgrasp_control.control_node import ControlNode
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_interfaces.msg import ControlState
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.moves import home_pose
from dexgrasp_ros import contract, conversions

Result = ExecuteGrasp.Result
STAGES = ("capture", "propose", "plan", "pregrasp", "approach", "close", "squeeze", "lift", "hold")
ALL_STAGES = (*STAGES, "place", "release")


@pytest.fixture(scope="module")
def whole_cell():
    with graph() as ros:
        cell = Cell(ros)
        cell.control = ros.start(ControlNode, **PATIENT, **BRISK)
        yield cell
        cell.go_on.set()


@pytest.fixture
def cell(whole_cell):
    whole_cell.reset()
    yield whole_cell
    whole_cell.go_on.set()
    assert whole_cell.until(lambda: not whole_cell.control._busy)


def holds_still(cell: Cell) -> bool:
    """Whether nothing commands any more."""
    before = cell.robot.received
    return not eventually(lambda: cell.robot.received > before, timeout=0.3)


def begun(cell: Cell, stage: str):
    """A grasp that has come to a stage, and stays in it."""
    cell.held = {stage}
    cell.pause_at = "" if stage in STAGES[:3] else stage
    cell.states.clear()
    planner = cell.control._grasp._planner
    plan = planner.plan
    if stage == "plan":

        def plan_when_told(*arguments):
            cell.go_on.wait(60.0)
            return plan(*arguments)

        planner.plan = plan_when_told
    try:
        handle, result, _ = cell.start(place=True)
        assert cell.until(lambda: any(state.state == stage for state in cell.states)), cell.states
    finally:
        planner.plan = plan
    return handle, result


@pytest.mark.parametrize("stage", ALL_STAGES)
def test_a_grasp_can_be_cancelled_in_every_stage(cell, stage):
    handle, result = begun(cell, stage)
    cancelled = handle.cancel_goal_async()
    cell.ros.wait(cancelled)
    cell.go_on.set()
    answer = cell.wait(result)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.error_code == Result.ABORTED
    assert answer.result.reason.startswith("cancelled")
    assert holds_still(cell)
    assert eventually(lambda: cell.states[-1].state == ControlState.IDLE)


@pytest.mark.parametrize("stage", ALL_STAGES)
def test_a_grasp_can_be_stopped_in_every_stage(cell, stage):
    _, result = begun(cell, stage)
    response = cell.ros.call(Trigger, contract.STOP_SERVICE, Trigger.Request())
    assert (response.success, response.message) == (True, "stopped")
    cell.go_on.set()
    answer = cell.wait(result)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == Result.ABORTED
    assert "stopped by" in answer.result.reason
    assert holds_still(cell)


def test_success_is_what_the_cameras_saw(cell):
    result = cell.result(place=True)
    assert (result.success, result.error_code, result.outcome) == (True, Result.NONE, "succeeded")
    assert result.lifted_by == "cameras"
    assert cell.looks == 1


def test_an_object_that_stays_on_the_table_is_no_success(cell):
    """The fingers press on something, and the object is where it was."""
    cell.rise = 0.0
    result = cell.result(place=False)
    assert (result.success, result.error_code) == (False, Result.SLIPPED)
    assert "the cameras see it" in result.reason
    assert result.lifted_by == ""


def test_where_the_cameras_see_nothing_the_grip_tells(cell):
    cell.rise = None
    result = cell.result(place=False)
    assert (result.success, result.lifted_by) == (True, "grip")
    assert eventually(lambda: cell.states[-1].holding)
    assert cell.looks == 1


def test_the_state_is_told_at_every_change(cell):
    cell.states.clear()
    assert cell.result(place=True).success
    assert eventually(lambda: cell.states[-1].state == ControlState.IDLE)
    seen = [state.state for state in cell.states]
    assert [name for name in dict.fromkeys(seen) if name in ALL_STAGES] == list(ALL_STAGES)
    last = cell.states[-1]
    assert (last.state, last.outcome, last.error_code, last.holding) == (
        ControlState.IDLE,
        "succeeded",
        Result.NONE,
        False,
    )


def test_what_is_waited_for_is_told(cell):
    cell.held = {"propose"}
    _, result, feedback = cell.start()
    wanted = f"waiting for the answer of {contract.GENERATE_SERVICE.lstrip('/')}"
    assert eventually(
        lambda: any(wanted in f.message.replace("/proposals", "proposals") for f in feedback)
    ), feedback
    cell.go_on.set()
    assert cell.wait(result).result.success


def test_a_grasp_in_another_frame_is_looked_up(cell):
    assert cell.ros.call(Trigger, contract.CAPTURE_SERVICE, Trigger.Request()).success
    stamp = cell.control._preparation.clouds
    assert eventually(lambda: stamp.stamp != cell.control._preparation.spent_stamp)
    base = np.eye(4)
    base[:3, 3] = [-0.75, 0.1, 0.0]
    message = conversions.grasp_to_message(grasp(), HAND.finger_joints, 0)
    message.header.frame_id = "base_link"
    message.palm_pose = conversions.pose_to_message(np.linalg.inv(base) @ grasp().palm_pose)
    result = cell.result(choose=False, grasp=message)
    assert result.error_code == Result.NO_PROPOSAL
    assert "no transform leads from frame 'base_link' to 'world'" in result.reason
    topic = contract.TF_STATIC
    publisher = cell.ros.tester.create_publisher(topic.type, topic.name, topic.qos)
    transform: TransformStamped = conversions.transform_stamped(base, 0, "world", "base_link")
    publisher.publish(TFMessage(transforms=[transform]))
    result = cell.result(choose=False, grasp=message, place=False)
    assert result.success, result.reason
    expected = grasp().palm_pose[:3, 3] + [0.0, 0.0, LIFT]
    assert np.abs(cell.robot.wrist[:3, 3] - expected).max() < 1e-3


def test_a_cloud_of_the_object_held_up_is_none_to_plan_with(cell):
    assert cell.result(place=True).success
    message = conversions.grasp_to_message(grasp(), HAND.finger_joints, 0)
    result = cell.result(choose=False, grasp=message)
    assert result.error_code == Result.NO_CLOUD
    assert "held up" in result.reason


def test_the_hand_opens_and_goes_home(cell):
    assert cell.result(place=False).success
    assert eventually(lambda: cell.states[-1].holding)
    closed = cell.robot.joints.copy()
    opened = cell.ros.call(Trigger, contract.OPEN_HAND_SERVICE, Trigger.Request(), 60.0)
    assert opened.success, opened.message
    assert np.abs(cell.robot.joints).max() < 1e-3 < np.abs(closed).max()
    assert eventually(lambda: not cell.states[-1].holding)
    home = cell.ros.call(Trigger, contract.HOME_SERVICE, Trigger.Request(), 60.0)
    assert home.success, home.message
    assert np.abs(cell.robot.wrist - home_pose(None)).max() < 1e-3
    assert {"open_hand", "home"} <= {state.state for state in cell.states}
    assert holds_still(cell)


def test_what_is_held_is_gripped_on_the_way_home(cell):
    assert cell.result(place=False).success
    squeeze = cell.control._robot.finger_targets
    commands = cell.ros.collect(contract.HAND_COMMAND)
    home = cell.ros.call(Trigger, contract.HOME_SERVICE, Trigger.Request(), 60.0)
    assert home.success, home.message
    assert eventually(lambda: cell.states[-1].holding)
    targets = [
        conversions.targets_from_message(m, HAND.finger_joints) for m in commands if m.points
    ]
    assert all(np.abs(each - squeeze).max() < 1e-6 for each in targets)


def test_moves_are_refused_while_a_grasp_runs_and_goals_while_a_move_runs(cell):
    _, result = begun(cell, "propose")
    for name in (contract.HOME_SERVICE, contract.OPEN_HAND_SERVICE):
        refused = cell.ros.call(Trigger, name, Trigger.Request())
        assert (refused.success, refused.message) == (False, "refused: a grasp is running")
    cell.go_on.set()
    assert cell.wait(result).result.success


def test_a_move_can_be_stopped(cell):
    client = cell.ros.tester.create_client(Trigger, contract.HOME_SERVICE)
    assert client.wait_for_service(60.0)
    answer = client.call_async(Trigger.Request())
    assert eventually(lambda: cell.states[-1].state == "home")
    cell.robot.silent = True  # so that it can't end before it is stopped
    assert cell.ros.call(Trigger, contract.STOP_SERVICE, Trigger.Request()).message == "stopped"
    cell.robot.silent = False
    response = cell.wait(answer)
    assert not response.success
    assert "stopped by" in response.message
    assert holds_still(cell)


def test_a_bad_state_is_told_and_so_is_that_they_are_good_again(cell):
    diagnostics = cell.ros.collect(contract.DIAGNOSTICS)

    def says(text: str) -> bool:
        told = [s.message for m in diagnostics for s in m.status if s.name == "control"]
        return bool(told) and text in told[-1]

    cell.robot.joints = np.full(22, np.nan)
    _, result, _ = cell.start()
    assert eventually(lambda: says("not finite"))
    cell.robot.place()
    assert eventually(lambda: not says("not finite"))
    assert cell.wait(result).result.outcome != "stale_input"


def test_in_lock_step_time_stands_still_until_the_cameras_have_spoken():
    with graph() as ros:
        cell = Cell(ros)
        cell.reset()
        cell.held = {"look"}
        cell.control = ros.start(ControlNode, **PATIENT, **BRISK, lock_step=True)
        _, result, _ = cell.start(place=False)
        assert cell.until(lambda: cell.looks == 1)
        assert holds_still(cell)
        cell.go_on.set()
        assert cell.wait(result).result.lifted_by == "cameras"


def on_arm(ros: Graph, joints: np.ndarray) -> tuple[Cell, ArmKinematics]:
    """A cell whose wrist an arm carries; its joints are told as they were."""
    cell, arm = Cell(ros), ArmKinematics()
    cell.reset()
    cell.robot.wrist = arm.fk(joints)
    cell.robot.extra = dict(zip(arm.arm.joint_names, joints, strict=True))
    cell.control = ros.start(ControlNode, **PATIENT, **BRISK, scene="arm")
    return cell, arm


def test_an_arm_that_was_led_astray_comes_home_or_says_what_to_do():
    """The straight way home of the palm would turn the last joint beyond its limit."""
    with graph() as ros:
        cell, arm = on_arm(ros, ASTRAY)
        home = ros.call(Trigger, contract.HOME_SERVICE, Trigger.Request(), 60.0)
        assert home.success, home.message
        assert np.abs(cell.robot.wrist - home_pose(arm)).max() < 1e-3
        under = arm.home.copy()
        under[1] = 0.2  # stretched out, under the table
        cell.robot.wrist = arm.fk(under)
        cell.robot.extra = dict(zip(arm.arm.joint_names, under, strict=True))
        refused = ros.call(Trigger, contract.HOME_SERVICE, Trigger.Request(), 60.0)
        assert not refused.success
        assert "by its pendant" in refused.message


def test_an_arm_joint_that_is_not_finite_ends_the_motion():
    with graph() as ros:
        low = ArmKinematics().home + np.array([0.0, -0.1, 0.2, -0.1, 0.0, 0.0])
        cell, arm = on_arm(ros, low)
        cell.pause_at = "home"
        client = ros.tester.create_client(Trigger, contract.HOME_SERVICE)
        assert client.wait_for_service(20.0)
        answer = client.call_async(Trigger.Request())
        assert cell.until(lambda: answer.done() or cell.robot.paused)
        cell.robot.extra[arm.arm.joint_names[2]] = float("nan")
        response = cell.wait(answer)
        assert not response.success
        assert "arm joint angles or velocities are not finite" in response.message
