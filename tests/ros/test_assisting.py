"""The control node follows a person's wrist, on a robot that follows at once."""

from __future__ import annotations

import numpy as np
import pytest
from control_cell import HAND, PATIENT, Cell, assisting_cell, for_one_test, grasp
from person import Person
from rclpy.parameter import Parameter
from ros_graph import eventually, graph
from std_srvs.srv import Trigger

from dexgrasp_control.control_node import ControlNode
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.trajectory import interpolate_pose
from dexgrasp_models.tasks.assist_controller import Stage
from dexgrasp_models.tasks.pattern_files import save_recording
from dexgrasp_ros import contract, conversions
from dexgrasp_teleop.wrist_player_node import WristPlayerNode

Result = ExecuteGrasp.Result
START = np.array([-0.3, 0.0, 0.4])
AT_CAN = np.array([-0.1, 0.0, 0.12])
BRISK = {
    "controller": "graspgf",
    "wrist_timeout": 30.0,
    "graspgf__rest_time": 0.2,
    "graspgf__most_rest": 0.3,
    "graspgf__hold_time": 0.2,
    "graspgf__lift_height": 0.1,
}
WAIT = 0.2


def reach(time: float) -> np.ndarray:
    """(4, 4) to the can in 1 s, at rest for 3.2 s, then up by 0.2 m in 1 s."""
    there, up = np.clip(time - WAIT, 0.0, 1.0), np.clip(time - WAIT - 4.2, 0.0, 1.0)
    pose = np.eye(4)
    pose[:3, 3] = START + there * (AT_CAN - START) + [0.0, 0.0, 0.2 * up]
    return pose


@pytest.fixture(scope="module")
def whole_cell():
    with assisting_cell(**BRISK) as cell:
        yield cell


@pytest.fixture
def cell(whole_cell):
    with for_one_test(whole_cell) as cell:
        yield cell


@pytest.fixture
def person(cell):
    person = Person(cell.ros.tester, reach)
    yield person
    person.leave()


def waits(cell: Cell, patience: float) -> None:
    """From now on the control node waits so long for a person."""
    cell.control.parameters.__dict__["wrist_timeout"] = patience


def test_a_persons_wrist_is_followed_and_the_object_lifted(cell, person):
    told = cell.ros.collect(contract.ASSIST_STATE)
    cell.rise = 0.1
    result = cell.result()
    assert (result.outcome, result.lifted_by) == ("succeeded", "cameras"), result.reason
    names = [state.state for state in cell.states]
    stages = [name for name in dict.fromkeys(names) if name not in ("idle", "inactive")]
    assert stages == ["capture", "wrist", *Stage]  # neither proposals nor a plan
    assert cell.robot.wrist[2, 3] > AT_CAN[2] + 0.1
    assert eventually(lambda: cell.states[-1].holding)
    acted = [message for message in told if message.stage == "assist"]
    assert {len(message.action) for message in acted} == {len(HAND.actuators)}
    assert {len(message.gradient) for message in acted} == {len(HAND.actuators)}
    assert max(max(np.abs(message.action)) for message in acted) > 0.5
    stamps = [conversions.stamp_to_ns(message.header.stamp) for message in told]
    assert np.diff(stamps).min() >= 50_000_000
    assert told[0].header.frame_id == conversions.WORLD
    assert told[0].actuators == list(HAND.actuators)


def test_it_can_be_stopped_midway(cell, person):
    cell.pause_at = "assist"
    _, result, _ = cell.start()
    assert cell.until(lambda: any(state.state == "assist" for state in cell.states))
    response = cell.ros.call(Trigger, contract.STOP_SERVICE, Trigger.Request())
    assert (response.success, response.message) == (True, "stopped")
    answer = cell.wait(result).result
    assert answer.error_code == Result.ABORTED
    assert "stopped by" in answer.reason
    before = cell.robot.received
    assert not eventually(lambda: cell.robot.received > before, timeout=0.3)


def test_where_nobody_moves_a_wrist_that_is_told(cell):
    waits(cell, 0.5)
    received = cell.robot.received
    try:
        result = cell.result()
    finally:
        waits(cell, BRISK["wrist_timeout"])
    assert cell.robot.received == received
    assert result.error_code == Result.STALE_INPUT
    assert result.reason == (
        "no person's wrist on /teleop/wrist within 0.5 s: nobody publishes there"
    )


def test_a_wrist_in_another_frame_is_no_wrist(cell, person):
    def elsewhere(message):
        message.header.frame_id = "base_link"
        return message

    person.change = elsewhere
    waits(cell, 0.5)
    try:
        result = cell.result()
    finally:
        waits(cell, BRISK["wrist_timeout"])
    assert result.error_code == Result.STALE_INPUT
    assert "the last was refused, the pose is in frame 'base_link', not 'world'" in result.reason


@pytest.mark.parametrize(
    "goal",
    [
        {"choose": False, "grasp": conversions.grasp_to_message(grasp(), HAND.finger_joints, 0)},
        {"text": "the can"},
    ],
)
def test_a_goal_that_asks_for_a_grasp_is_refused(cell, goal):
    result = cell.result(**goal)
    assert result.error_code == Result.NO_PROPOSAL
    assert result.reason == (
        "controller graspgf takes neither a grasp nor a text: send choose alone"
    )


@pytest.fixture(scope="module")
def player(whole_cell):
    """A wrist player, not active."""
    player = whole_cell.ros.create(
        WristPlayerNode, use_sim_time=True, wait=0.0, rest=0.4, travel_speed=0.6, rise_speed=0.5
    )
    player.trigger_configure()
    return player


def test_the_player_plays_a_reach_to_the_proposed_grasp(cell, player):
    wrists = cell.ros.collect(contract.TELEOP_WRIST)
    player.trigger_activate()
    try:
        _, result, _ = cell.start()
        goal = grasp().palm_pose[:3, 3]
        assert cell.until(lambda: np.linalg.norm(cell.robot.wrist[:3, 3] - goal) < 1e-6)
        assert cell.until(lambda: cell.robot.wrist[2, 3] > goal[2] + 0.2)
        cell.ros.call(Trigger, contract.STOP_SERVICE, Trigger.Request())
        cell.wait(result)
        assert eventually(lambda: player.played is None)
    finally:
        player.trigger_deactivate()
    first = conversions.pose_from_message(wrists[0].pose)
    assert first[:3, 3] == pytest.approx(START)
    assert {message.header.frame_id for message in wrists} == {conversions.WORLD}


def test_the_player_plays_a_recorded_reach(cell, player, tmp_path):
    start, goal = np.eye(4), np.eye(4)
    start[:3, 3], goal[:3, 3] = [-0.2, 0.1, 0.3], AT_CAN
    poses = [interpolate_pose(start, goal, share) for share in np.linspace(0.0, 1.0, 50)]
    save_recording(tmp_path / "reach.csv", 0.02 * np.arange(50), poses)
    cell.held = {"propose"}  # nothing is asked for
    player.set_parameters([Parameter("recording", value=str(tmp_path / "reach.csv"))])
    wrists = cell.ros.collect(contract.TELEOP_WRIST)
    player.trigger_activate()
    try:
        assert cell.result().outcome == "succeeded"
    finally:
        player.trigger_deactivate()
    places = np.array([conversions.pose_from_message(each.pose)[:3, 3] for each in wrists])
    for expected in (START, start[:3, 3], AT_CAN):
        assert np.linalg.norm(places - expected, axis=1).min() < 0.01
    assert places[-1] == pytest.approx([*AT_CAN[:2], places[-1, 2]])
    assert places[-1, 2] > AT_CAN[2] + 0.1


@pytest.mark.parametrize("wound", [False, True], ids=["at home", "wound"])
def test_the_player_looks_how_the_arm_stands(cell, player, tmp_path, wound):
    """A turn that the last joint has room for from home, and not one turn farther."""
    arm = ArmKinematics()
    joints = np.tile(arm.home, (25, 1))
    joints[:, 5] += np.linspace(0.0, 2.4, 25)
    save_recording(tmp_path / "turn.csv", 0.1 * np.arange(25), [arm.fk(each) for each in joints])
    cell.robot.wrist = arm.fk(arm.home)
    now = arm.home + 2 * np.pi * np.eye(6)[5] * wound
    cell.robot.extra = dict(zip(arm.arm.joint_names, now, strict=True))
    player.set_parameters(
        [
            Parameter("recording", value=str(tmp_path / "turn.csv")),
            Parameter("scene", value="arm"),
        ]
    )
    told = cell.ros.collect(contract.DIAGNOSTICS)
    player.trigger_activate()
    try:
        _, result, _ = cell.start()

        def said(text: str) -> bool:
            statuses = [status for message in tuple(told) for status in message.status]
            return any(text in status.message for status in statuses)

        expected = "plays no reach: the recorded reach is not" if wound else "plays a reach of"
        assert cell.until(lambda: said(expected))
        cell.ros.call(Trigger, contract.STOP_SERVICE, Trigger.Request())
        cell.wait(result)
    finally:
        player.trigger_deactivate()
        player.set_parameters([Parameter("scene", value="floating")])
        cell.robot.extra = {}


@pytest.mark.parametrize("late", [0, 1])
def test_beside_lock_step_a_wrist_that_keeps_up_is_followed_in_the_same_state(late):
    """One that is a state late is not waited for: the newest counts that has come by then."""
    with graph() as ros:
        cell = Cell(ros)
        cell.robot.stop_joints = np.full(22, 0.4)
        ros.start(ControlNode, **PATIENT, **BRISK)
        person, told = Person(ros.tester, reach), []

        def held_back(message):
            told.append(message)
            return told[-1 - late] if len(told) > late else None

        person.change = held_back
        commands = ros.collect(contract.WRIST_TARGET)
        _, result, _ = cell.start()
        assert cell.wait(result).result.outcome == "succeeded"
        began = conversions.stamp_to_ns(told[0].header.stamp)
        behind = []
        for command in commands:
            time = (conversions.stamp_to_ns(command.header.stamp) - began) / 1e9
            if WAIT + 0.1 < time < WAIT + 0.9:
                x = command.pose.position.x
                behind.append(round(50.0 * (time - WAIT - (x - START[0]) / (AT_CAN - START)[0])))
        assert len(behind) > 20
        usual = np.bincount(behind).argmax()
        assert usual == 0 if not late else usual >= late
