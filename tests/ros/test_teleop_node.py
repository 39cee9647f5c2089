"""A published hand moves /teleop/wrist while the clutch is held, and in no other way."""

from __future__ import annotations

import numpy as np
import pytest
from control_cell import PATIENT, Cell
from geometry_msgs.msg import PoseStamped
from parameter_files import own_parameters
from rclpy.lifecycle import TransitionCallbackReturn
from ros_graph import Graph, eventually, graph
from teleoperator import FollowingWrist, Teleoperator

from dexgrasp_control.control_node import ControlNode
from dexgrasp_interfaces.msg import ControlState
from dexgrasp_models.tasks.pattern_files import read_recording
from dexgrasp_ros import contract, conversions
from dexgrasp_teleop.teleop_node import TeleopNode, TeleopParameters
from dexgrasp_teleop.wrist_player_node import WristPlayerNode

START = np.array([-0.1, 0.0, 0.4])
BUSY = {"hand_timeout": 1.0, "clutch_timeout": 1.0, "state_timeout": 2.0}
"""All nodes of a test share one interpreter."""


class Teleoperated:
    """The node, a person, and a wrist that follows."""

    def __init__(self, ros: Graph, **parameters) -> None:
        self.ros = ros
        self.diagnostics = ros.collect(contract.DIAGNOSTICS)
        self.person = Teleoperator(ros.tester)
        start = np.eye(4)
        start[:3, 3] = START
        self.node = ros.start(TeleopNode, **BUSY, **parameters)
        self.wrist = FollowingWrist(ros.tester, self.person, start)
        assert eventually(lambda: self.person.connected and self.wrist.wanted)

    @property
    def place(self) -> np.ndarray:
        return self.wrist.measured[:3, 3]

    def ticks(self, count: int) -> None:
        """So many answers later."""
        seen = len(self.wrist.wanted)
        assert eventually(lambda: len(self.wrist.wanted) >= seen + count)

    def said(self, text: str) -> bool:
        """Whether the node's newest word on /diagnostics has a text."""
        own = [s.message for m in self.diagnostics for s in m.status if s.name == "teleop"]
        return bool(own) and text in own[-1]

    def press(self) -> None:
        self.person.pressed = False
        assert eventually(lambda: self.said("released"))
        self.person.pressed = True
        assert eventually(lambda: self.said("engaged"))

    def release(self) -> None:
        self.person.pressed = False
        assert eventually(lambda: self.said("released"))

    def move(self, *way: float) -> None:
        """The hand, by so many m in some frames."""
        for _ in range(10):
            self.person.hand = self.person.hand.copy()
            self.person.hand[:3, 3] += np.array(way) / 10.0
            self.ticks(1)


@pytest.fixture
def cell():
    with graph() as ros:
        yield Teleoperated(ros)


def test_a_hand_moves_the_wrist_only_while_the_clutch_is_held(cell):
    cell.move(0.1, 0.0, 0.0)
    cell.ticks(5)
    assert np.array(cell.wrist.wanted)[:, :3, 3] == pytest.approx(
        np.tile(START, (len(cell.wrist.wanted), 1)), abs=1e-12
    )
    cell.press()
    way = (0.05, -0.04, 0.03)
    cell.move(*way)
    assert eventually(lambda: np.allclose(cell.place, START + np.array(way), atol=1e-6))
    cell.release()
    rest = cell.place
    cell.move(0.1, 0.1, 0.1)
    assert cell.place == pytest.approx(rest, abs=1e-12)
    # Each measured wrist is answered with its own stamp, also a standing one.
    stamps = cell.wrist.stamps
    assert stamps == cell.wrist.sent[cell.wrist.sent.index(stamps[0]) :][: len(stamps)]


def test_a_silent_clutch_stops_the_wrist(cell):
    cell.press()
    cell.person.hears = False
    assert eventually(lambda: cell.said("lost: the clutch was silent for"))
    rest = cell.place
    cell.person.hears = True  # still pressed
    cell.move(0.1, 0.0, 0.0)
    assert cell.said("release the clutch, then press it again")
    assert cell.place == pytest.approx(rest, abs=1e-12)
    cell.press()
    cell.move(0.05, 0.0, 0.0)
    assert eventually(lambda: np.allclose(cell.place, rest + np.array([0.05, 0.0, 0.0]), atol=1e-6))


def test_a_hand_out_of_sight_stops_the_wrist_until_the_clutch_is_pressed_anew(cell):
    cell.press()
    cell.move(0.05, 0.0, 0.0)
    cell.person.tracked = False
    assert eventually(lambda: cell.said("lost: the hand is out of sight"))
    rest = cell.place
    cell.person.tracked = True
    cell.move(0.0, 0.1, 0.0)
    assert cell.place == pytest.approx(rest, abs=1e-12)
    cell.press()
    cell.move(0.0, 0.05, 0.0)
    assert eventually(lambda: np.allclose(cell.place, rest + np.array([0.0, 0.05, 0.0]), atol=1e-6))


def test_messages_that_make_no_sense_stop_the_wrist_and_are_told(cell):
    cell.press()
    good = cell.person.hand
    cell.person.hand = np.full((4, 4), np.nan)
    cell.person.hand[:3, :3] = np.eye(3)
    assert eventually(lambda: cell.said("refused a message on /leap/hand: the pose is not finite"))
    cell.person.hand = good
    cell.press()
    cell.person.buttons = 0
    assert eventually(lambda: cell.said("/teleop/clutch: it has 0 buttons, and no button 0"))
    cell.person.buttons = 1
    cell.press()


def test_beside_another_publisher_it_does_not_start():
    with graph() as ros:
        topic = contract.TELEOP_WRIST
        ros.node("somebody").create_publisher(topic.type, topic.name, topic.qos)
        assert eventually(lambda: ros.tester.count_publishers(topic.name))
        for kind in (TeleopNode, WristPlayerNode):
            node = ros.create(kind)
            assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
            assert "/teleop/wrist is published by /somebody already" in node.failure


def test_it_is_silent_while_somebody_else_who_came_later_publishes(cell):
    cell.press()
    topic = contract.TELEOP_WRIST
    rival = cell.ros.tester.create_publisher(topic.type, topic.name, topic.qos)
    assert eventually(lambda: cell.said("/teleop/wrist is published by /tester already"))
    answered = len(cell.wrist.wanted)
    assert not eventually(lambda: len(cell.wrist.wanted) > answered, timeout=0.3)
    cell.ros.tester.destroy_publisher(rival)
    cell.ticks(5)
    assert cell.said("release the clutch, then press it again")


def test_a_wrist_faster_than_the_limits_does_not_start():
    with graph() as ros:
        node = ros.create(TeleopNode, limits__wrist_speed=0.2)
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert node.failure == "cannot configure: speed 0.5 is above the limit of 0.2"


def test_a_missing_robot_is_told():
    with graph() as ros:
        ros.start(TeleopNode)
        diagnostics = ros.collect(contract.DIAGNOSTICS)
        assert eventually(
            lambda: any(
                "no measured wrist on /wrist_pose" in status.message
                for message in diagnostics
                for status in message.status
            )
        )


def test_the_parameter_file_has_the_defaults():
    values = own_parameters("teleop.yaml", "teleop")
    assert TeleopParameters.from_mapping(values) == TeleopParameters()


def test_reaches_are_recorded(tmp_path):
    with graph() as ros:
        cell = Teleoperated(ros, recordings=str(tmp_path), record="measured")
        cell.press()
        cell.move(0.05, 0.0, 0.0)
        cell.release()
        assert eventually(lambda: (tmp_path / "reach_0001.csv").exists())
        reach = read_recording(tmp_path / "reach_0001.csv")
        assert reach.positions[0] == pytest.approx(START, abs=1e-6)
        assert reach.positions[-1, 0] > START[0] + 0.01
        cell.press()
        cell.move(0.02, 0.0, 0.0)
        cell.person.tracked = False
        assert eventually(lambda: cell.said("lost"))
        cell.person.tracked = True
        cell.press()
        cell.move(0.02, 0.0, 0.0)
        cell.node.trigger_deactivate()
        cell.person.pressed = False
        cell.node.trigger_activate()
        cell.ticks(5)
        assert [path.name for path in tmp_path.iterdir()] == ["reach_0001.csv"]


AT_CAN = np.array([-0.1, 0.0, 0.12])


def reach(time: float) -> np.ndarray:
    """(3,) m: to the can in 1.5 s, at rest for 4 s, then up."""
    there, up = np.clip((time - 0.3) / 1.5, 0.0, 1.0), np.clip(time - 6.0, 0.0, 1.0)
    return there * (AT_CAN - [-0.3, 0.0, 0.4]) + [0.0, 0.0, 0.25 * up]


def test_the_assisting_controller_follows_a_teleoperated_wrist():
    """The grasp of test_assisting, with hand, clutch and node in the place of the wrist."""
    with graph() as ros:
        cell = Cell(ros)
        cell.robot.stop_joints = np.full(22, 0.4)
        cell.rise = 0.1
        person = Teleoperator(ros.tester)
        began: list[int] = []

        def speak(measured: PoseStamped) -> None:
            ns = conversions.stamp_to_ns(measured.header.stamp)
            began.append(ns)
            person.pressed = ns > began[0]  # from the first state that is new on
            person.hand[:3, 3] = reach((ns - began[0]) / conversions.NANOSECONDS)
            person.speak()

        topic = contract.WRIST_POSE
        ros.tester.create_subscription(topic.type, topic.name, speak, topic.qos)
        ros.start(TeleopNode, hand_speed=20.0, **BUSY)
        ros.start(
            ControlNode,
            lock_step=True,
            controller="graspgf",
            wrist_timeout=30.0,
            graspgf__rest_time=0.2,
            graspgf__most_rest=0.3,
            graspgf__hold_time=0.2,
            graspgf__lift_height=0.1,
            **PATIENT,
        )
        assert eventually(lambda: person.connected)
        result = cell.result()
        assert (result.outcome, result.lifted_by) == ("succeeded", "cameras"), result.reason
        assert cell.robot.wrist[:2, 3] == pytest.approx(AT_CAN[:2], abs=1e-3)
        assert cell.robot.wrist[2, 3] > AT_CAN[2] + 0.1


def test_it_lets_go_while_the_control_node_moves_the_wrist_by_itself(cell):
    topic = contract.CONTROL_STATE
    states = cell.ros.tester.create_publisher(topic.type, topic.name, topic.qos)
    cell.press()
    cell.move(0.05, 0.0, 0.0)
    states.publish(ControlState(state="carry", moves_wrist=True))
    assert eventually(lambda: cell.said("lost: the control node moves the wrist itself: carry"))
    rest = cell.place
    cell.person.pressed = False
    assert eventually(lambda: cell.said("released"))
    cell.person.pressed = True  # it is too early
    cell.move(0.05, 0.0, 0.0)
    assert eventually(lambda: cell.said("lost: the control node moves the wrist itself: carry"))
    assert np.linalg.norm(cell.place - rest) < 0.005
    states.publish(ControlState(state=ControlState.IDLE))
    cell.ticks(2)
    cell.press()
    rest = cell.place
    cell.move(0.05, 0.0, 0.0)
    assert eventually(lambda: np.allclose(cell.place, rest + np.array([0.05, 0.0, 0.0]), atol=1e-6))
