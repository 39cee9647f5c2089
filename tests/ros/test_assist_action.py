"""The action /assist on a robot that follows at once: a person's wrist, then over the box."""

from __future__ import annotations

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from control_cell import Cell, assisting_cell, for_one_test
from geometry_msgs.msg import Point, PointStamped
from person import Person
from ros_graph import eventually
from sensor_msgs.msg import Joy
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_interfaces.msg import ControlState
from dexgrasp_models.control.carry import CarryConfig
from dexgrasp_models.hand.extent import HAND_REACH
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_controller import GOES_BY_ITSELF
from dexgrasp_ros import contract, conversions

Result = Assist.Result
START = np.array([-0.3, 0.0, 0.4])
AT_CAN = np.array([-0.1, 0.0, 0.12])
LIFT = 0.1
STAGES = ("capture", "wrist", "follow", "assist", "close", "lift", "hold", "carry", "release")
BY_ITSELF = STAGES[5:]
BOX = CarryConfig().box_position
BRISK = {
    "wrist_timeout": 30.0,
    "graspgf__policy": "planned",
    "graspgf__rest_time": 0.2,
    "graspgf__most_rest": 0.3,
    "graspgf__hold_time": 0.2,
    "graspgf__lift_height": LIFT,
    "graspgf__lift_speed": 0.5,
    "graspgf__lift_acceleration": 3.0,
    "carry__speed": 0.6,
    "carry__acceleration": 4.0,
    "executor__release_time": 0.2,
}


def reach(time: float) -> np.ndarray:
    """(4, 4) to the can in 0.8 s, at rest for 1.6 s, then up by 0.2 m in 0.5 s, and to and fro."""
    there, up = np.clip((time - 0.2) / 0.8, 0.0, 1.0), np.clip(2.0 * (time - 2.6), 0.0, 1.0)
    pose = np.eye(4)
    pose[:3, 3] = START + there * (AT_CAN - START) + [0.0, 0.0, 0.2 * up]
    pose[1, 3] += 0.1 * np.sin(max(time - 3.1, 0.0))
    return pose


@pytest.fixture(scope="module")
def whole_cell():
    """A control node whose grasps are planned: that makes no difference here."""
    with assisting_cell(**BRISK) as cell:
        yield cell


@pytest.fixture
def cell(whole_cell):
    with for_one_test(whole_cell) as cell:
        cell.rise = LIFT
        yield cell


@pytest.fixture
def person(cell):
    person = Person(cell.ros.tester, reach)
    yield person
    person.leave()


def box_at(*position: float, frame: str = conversions.WORLD) -> PointStamped:
    x, y, z = position
    return PointStamped(header=Header(frame_id=frame), point=Point(x=x, y=y, z=z))


def ended(cell: Cell, **goal) -> Result:
    return cell.wait(cell.send(Assist.Goal(**goal))[1]).result


def test_the_object_is_carried_over_the_box_and_released(cell, person):
    commands = cell.ros.collect(contract.WRIST_TARGET)
    told = cell.ros.collect(contract.ASSIST_STATE)
    _, result, feedback = cell.send(Assist.Goal())
    answer = cell.wait(result).result
    assert (answer.success, answer.error_code, answer.lifted_by) == (True, Result.NONE, "cameras")
    assert answer.reason.startswith("the object was lifted, carried over the box and released")
    assert answer.reason.endswith("nobody looked whether it lies in there")
    assert eventually(lambda: cell.states[-1].state == ControlState.IDLE)
    names = [state.state for state in cell.states]
    assert [name for name in dict.fromkeys(names) if name in STAGES] == list(STAGES)
    assert {s.state for s in cell.states if s.moves_wrist} == set(BY_ITSELF)
    assert not cell.states[-1].holding
    assert {f.message for f in feedback if f.stage == "carry"} == {GOES_BY_ITSELF}
    assert {m.remark for m in told if m.stage in BY_ITSELF} == {GOES_BY_ITSELF}
    # The hand is open, and its thumb still across.
    across = load_hand().joint_index("rh_THJ4")
    assert cell.robot.joints[across] == pytest.approx(0.4, abs=1e-3)
    assert np.abs(np.delete(cell.robot.joints, across)).max() < 1e-3
    # The can's middle was 0.1 m ahead of the palm, and is over the box's now.
    assert cell.robot.wrist[:2, 3] == pytest.approx(np.subtract(BOX[:2], (0.1, 0.0)), abs=0.01)
    places = np.array([conversions.pose_from_message(each.pose)[:3, 3] for each in commands])
    on_the_way = places[(places[:, 1] > 0.01) & (places[:, 1] < BOX[1] - 0.01)]
    assert len(on_the_way)
    assert on_the_way[:, 2].min() >= BOX[2] + HAND_REACH + CarryConfig().margin - 1e-6


@pytest.mark.parametrize("stage", STAGES)
def test_it_can_be_cancelled_in_every_stage(cell, person, stage):
    cell.held = {"capture"} if stage == "capture" else set()
    cell.pause_at = stage
    person.change = (lambda message: None) if stage == "wrist" else person.change
    handle, result, _ = cell.send(Assist.Goal())
    assert cell.until(lambda: any(state.state == stage for state in cell.states)), cell.states
    cell.ros.wait(handle.cancel_goal_async())
    cell.go_on.set()
    answer = cell.wait(result)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.error_code == Result.ABORTED
    assert answer.result.reason.startswith("cancelled")
    before = cell.robot.received
    assert not eventually(lambda: cell.robot.received > before, timeout=0.2)
    assert eventually(lambda: cell.states[-1].state == ControlState.IDLE)
    assert cell.states[-1].holding == (stage in ("lift", "hold", "carry"))
    assert not cell.states[-1].moves_wrist


def test_it_can_be_stopped_on_its_way_and_a_grasp_waits_for_its_turn(cell, person):
    cell.pause_at = "carry"
    _, result, _ = cell.send(Assist.Goal())
    assert cell.until(lambda: any(state.state == "carry" for state in cell.states))
    handle, _ = cell.ros.grasp(ExecuteGrasp.Goal(choose=True))
    assert not handle.accepted
    assert cell.ros.call(Trigger, contract.STOP_SERVICE, Trigger.Request()).message == "stopped"
    answer = cell.wait(result).result
    assert answer.error_code == Result.ABORTED
    assert "stopped by" in answer.reason


def test_a_person_who_falls_silent_after_the_lift_began_is_not_missed(cell, person):
    def until_the_lift(message):
        return None if any(state.moves_wrist for state in cell.states) else message

    person.change = until_the_lift
    assert ended(cell).success


def test_an_object_that_falls_on_the_way_is_told(cell, person):
    _, result, _ = cell.send(Assist.Goal())
    assert cell.until(lambda: any(state.state == "carry" for state in cell.states))
    cell.robot.stop_joints = None
    answer = cell.wait(result).result
    assert (answer.outcome, answer.error_code) == ("dropped", Result.DROPPED)
    assert "the grip was lost during carry" in answer.reason
    assert eventually(lambda: cell.states[-1].state == ControlState.IDLE)
    assert not cell.states[-1].holding


def test_an_object_that_stays_on_the_table_is_told(cell, person):
    cell.rise = 0.0
    answer = ended(cell)
    assert (answer.outcome, answer.error_code) == ("slipped", Result.SLIPPED)
    assert "carry" not in {state.state for state in cell.states}


def test_the_box_may_be_in_any_frame(cell, person):
    base = np.eye(4)
    base[:3, 3] = [-0.75, 0.1, 0.0]
    topic = contract.TF_STATIC
    publisher = cell.ros.tester.create_publisher(topic.type, topic.name, topic.qos)
    transform = conversions.transform_stamped(base, 0, "world", "base_link")
    publisher.publish(TFMessage(transforms=[transform]))
    answer = ended(cell, box=box_at(0.75, -0.45, 0.1, frame="base_link"))
    assert answer.success, answer.reason
    assert cell.robot.wrist[:2, 3] == pytest.approx([-0.1, -0.35], abs=0.01)


@pytest.mark.parametrize(
    ("goal", "code", "reason"),
    [
        ({"policy": "clever"}, Result.BAD_GOAL, "policy = 'clever': expected one of: gated"),
        ({"box": box_at(np.nan, 0.0, 0.0)}, Result.BAD_GOAL, "is not finite"),
        (
            {"box": box_at(0.0, 0.0, 0.0, frame="nowhere")},
            Result.BAD_GOAL,
            "no transform leads from frame 'nowhere' to 'world'",
        ),
        (
            {"box": box_at(3.0, 0.0, 0.0)},
            Result.NO_APPROACH,
            "the box at (3.00, 0.00, 0.00) m is not within the workspace",
        ),
        ({"box": box_at(0.0, 0.3, 0.8)}, Result.NO_APPROACH, "would have to pass at 1.10 m"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_moves(cell, person, goal, code, reason):
    received = cell.robot.received
    answer = ended(cell, **goal)
    assert (answer.success, answer.error_code) == (False, code)
    assert reason in answer.reason
    assert cell.robot.received == received


def restless(time: float) -> np.ndarray:
    """At the can, and never at rest there."""
    pose = reach(min(time, 2.5))
    pose[1, 3] += 0.02 * np.sin(6.0 * time)
    return pose


def test_a_request_closes_the_hand_that_does_not_rest(cell, person):
    def asked() -> Trigger.Response:
        return cell.ros.call(Trigger, contract.CLOSE_HAND_SERVICE, Trigger.Request())

    assert asked().message == "no person's wrist is followed now"
    person._wrist = restless
    cell.pause_at = "close"
    _, result, _ = cell.send(Assist.Goal())
    assert cell.until(lambda: any(state.state == "assist" for state in cell.states))
    assert not any(state.state == "close" for state in cell.states)
    assert cell.until(
        lambda: asked().success and any(state.state == "close" for state in cell.states)
    )
    cell.ros.call(Trigger, contract.STOP_SERVICE, Trigger.Request())
    assert cell.wait(result).result.error_code == Result.ABORTED
    assert not asked().success


def test_a_button_closes_the_hand_that_does_not_rest(cell, person):
    person._wrist = restless
    cell.pause_at = "close"
    topic = contract.CLUTCH
    publisher = cell.ros.tester.create_publisher(topic.type, topic.name, topic.qos)
    _, result, _ = cell.send(Assist.Goal())
    assert cell.until(lambda: any(state.state == "assist" for state in cell.states))
    publisher.publish(Joy(buttons=[0, 0]))

    def closes() -> bool:
        publisher.publish(Joy(buttons=[0, 1]))
        return any(state.state == "close" for state in cell.states)

    assert cell.until(closes)
    cell.ros.call(Trigger, contract.STOP_SERVICE, Trigger.Request())
    assert cell.wait(result).result.error_code == Result.ABORTED


def test_its_codes_are_those_of_a_grasp_and_one_more():
    def codes(result) -> dict[str, int]:
        return {name: getattr(result, name) for name in dir(result) if name.isupper()}

    assert codes(Assist.Result) == {**codes(ExecuteGrasp.Result), "BAD_GOAL": 8}
