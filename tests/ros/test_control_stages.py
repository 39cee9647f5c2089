"""The control node on a robot that follows at once: stages, the lift's verdict, moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import TransformStamped
from model_robot import ModelRobot
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_graph import Graph, eventually, graph
from std_srvs.srv import Trigger
from test_proposal_node import can_cloud
from tf2_msgs.msg import TFMessage

from dexgrasp_control.control_node import ControlNode
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_interfaces.msg import ControlState, GraspArray
from dexgrasp_interfaces.srv import Capture, GenerateProposals
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.moves import home_pose
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.deferred_service import answer_later

HAND = load_hand()
Result = ExecuteGrasp.Result
LIFT = 0.2
STAGES = ("capture", "propose", "plan", "pregrasp", "approach", "close", "squeeze", "lift", "hold")
ALL_STAGES = (*STAGES, "place", "release")
PATIENT = {"use_sim_time": True, "state_timeout": 60.0, "sight_timeout": 60.0}
BRISK = {
    **{f"executor__{stage}_time": 0.2 for stage in ("close", "squeeze", "hold", "release")},
    "executor__transit_speed": 0.6,
    "executor__approach_speed": 0.5,
    "executor__lift_speed": 0.5,
    "executor__transit_acceleration": 4.0,
    "executor__approach_acceleration": 3.0,
    "executor__lift_acceleration": 3.0,
}
"""What takes few ticks: each of them passes through two nodes in one interpreter."""


def grasp() -> Grasp:
    """The hand, fingers down, high above the can, closes half: there is nothing to collide with."""
    pose = np.eye(4)
    pose[:3, :3] = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
    pose[:3, 3] = [0.0, 0.0, 0.34]
    flexed = HAND.couple(np.clip(np.full(22, 0.5), *HAND.limits.T))
    return Grasp(pose, flexed, 0.5 * flexed, 1.4 * flexed, score=0.0, figures={}, proposer="test")


class Cell:
    """The robot, and the services of perception and proposals, which wait where they are told to.

    Attributes:
        held: stages whose service gives no answer.
        pause_at: the stage in which the robot stops to follow.
        rise: how far the object is seen raised by a capture after the first, m; None: not at all.
    """

    def __init__(self, ros: Graph) -> None:
        self.ros = ros
        self.robot = ModelRobot(ros.tester)
        self.go_on = threading.Event()
        self.held: set[str] = set()
        self.rise: float | None = LIFT
        self.looks = 0
        every_change = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.states: list[ControlState] = []
        self.pause_at = ""
        topic = contract.CONTROL_STATE
        ros.tester.create_subscription(topic.type, topic.name, self._note_state, every_change)
        self._clouds = [
            ros.tester.create_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.OBJECT_CLOUD, contract.SCENE_CLOUD)
        ]
        for kind, name, answer in (
            (Trigger, contract.CAPTURE_SERVICE, self._capture),
            (Capture, contract.CAPTURE_WITH_SERVICE, self._look),
            (GenerateProposals, contract.GENERATE_SERVICE, self._generate),
        ):
            # The tester's thread has to go on while an answer is held back.
            answer_later(ros.tester.create_service(kind, name, lambda *a, f=answer: partial(f, *a)))

    def _note_state(self, state: ControlState) -> None:
        self.states.append(state)
        if state.state == self.pause_at:
            self.robot.paused = True

    def reset(self) -> None:
        self.go_on.set()
        self.pause_at = ""
        self.robot.place()
        self.robot.stop_joints = grasp().joints
        self.go_on = threading.Event()
        self.held, self.rise, self.looks = set(), LIFT, 0

    def start(self, **goal):
        """A goal's handle, the future of its result, and the feedback so far."""
        feedback: list[ExecuteGrasp.Feedback] = []
        handle, result = self.ros.grasp(
            ExecuteGrasp.Goal(**{"choose": True, **goal}), lambda m: feedback.append(m.feedback)
        )
        assert handle.accepted
        return handle, result, feedback

    def until(self, condition: Callable[[], bool]) -> bool:
        """Whether a condition comes true, as long as the robot goes on meanwhile."""
        commands, since = -1, time.monotonic()
        while not condition():
            if self.robot.commands != commands:
                commands, since = self.robot.commands, time.monotonic()
            if time.monotonic() - since > 60.0:
                return False
            time.sleep(0.02)
        return True

    def wait(self, future):
        """The result of a future."""
        assert self.until(future.done)
        return future.result()

    def result(self, **goal) -> Result:
        return self.wait(self.start(**goal)[1]).result

    def _hold_back(self, stage: str) -> None:
        if stage in self.held:
            self.go_on.wait(60.0)

    def _publish(self, raised: float) -> None:
        cloud = can_cloud()
        points, normals = conversions.cloud_from_message(cloud)
        stamp = self.ros.tester.get_clock().now().nanoseconds
        points = points + np.float32([0.0, 0.0, raised])
        for publisher in self._clouds:
            publisher.publish(
                conversions.cloud_to_message(points, stamp, conversions.WORLD, normals)
            )

    def _capture(self, _, response):
        self._hold_back("capture")
        self._publish(0.0)
        response.success = True
        return response

    def _look(self, request, response):
        self.looks += 1
        self._hold_back("look")
        if self.rise is None:
            response.message = "no images"
            return response
        self._publish(self.rise)
        response.success = True
        return response

    def _generate(self, request, response):
        self._hold_back("propose")
        message = conversions.grasp_to_message(grasp(), HAND.finger_joints, 0)
        response.success, response.proposals = True, GraspArray(grasps=[message])
        return response


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
    assert cell.states[-1].state == ControlState.IDLE


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
    assert cell.states[-1].holding
    assert cell.looks == 1


def test_the_state_is_told_at_every_change(cell):
    cell.states.clear()
    assert cell.result(place=True).success
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
    assert cell.states[-1].holding
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
    assert cell.states[-1].holding
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


def test_an_arm_joint_that_is_not_finite_ends_the_motion():
    with graph() as ros:
        cell = Cell(ros)
        cell.reset()
        arm = ArmKinematics()
        cell.robot.wrist = home_pose(arm)
        cell.robot.wrist[2, 3] -= 0.1
        cell.robot.extra = dict(zip(arm.arm.joint_names, arm.home, strict=True))
        cell.control = ros.start(ControlNode, **PATIENT, **BRISK, scene="arm")
        cell.pause_at = "home"
        client = ros.tester.create_client(Trigger, contract.HOME_SERVICE)
        assert client.wait_for_service(20.0)
        answer = client.call_async(Trigger.Request())
        assert cell.until(lambda: answer.done() or cell.robot.paused)
        cell.robot.extra[arm.arm.joint_names[2]] = float("nan")
        response = cell.wait(answer)
        assert not response.success
        assert "arm joint angles or velocities are not finite" in response.message
