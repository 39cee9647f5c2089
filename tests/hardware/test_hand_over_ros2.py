"""The hand's driver with the vendor's software for ROS 2, against a counterpart of that.

What commands have to pass is the same as over rosbridge (`test_hand_driver.py`); here it is what
becomes of them, and when they stop.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from ros2_hand import COMMAND, START, Received, Ros2Hand
from ros_graph import Graph, eventually, graph
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_hand_driver.hand_driver_node import HandDriverNode
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.vendor_joints import VendorJoints
from dexgrasp_ros import contract, conversions

HAND = load_hand()
VENDOR = VendorJoints(HAND)
JOINTS = HAND.finger_joints
MIDDLE = VENDOR.driven(VENDOR.limits @ [0.8, 0.2])
PATIENT = {"state_age": 1.0, "fault_after": 10.0, "lead": 0.2}
"""For a busy machine, where it is not about time."""
STOPPED_WITHIN = 0.1
"""s from a fault to the last set-point that changes, by the hand's own record."""


class Cell:
    """A driver, a hand, and a node that commands it."""

    def __init__(self, ros: Graph, hand: Ros2Hand, **parameters: object) -> None:
        self.ros, self.hand = ros, hand
        self.states = ros.collect(contract.JOINT_STATES)
        self.diagnostics = ros.collect(contract.DIAGNOSTICS)
        topic = contract.HAND_COMMAND
        self.commands = ros.tester.create_publisher(topic.type, topic.name, topic.qos)
        ros.start(HandDriverNode, interface="ros2", commander_timeout=60.0, **parameters)
        self.go_on()
        assert eventually(lambda: bool(self.commands.get_subscription_count()))

    @property
    def last_words(self) -> str:
        return self.diagnostics[-1].status[0].message if self.diagnostics else ""

    def go_on(self) -> None:
        """As a person does, until it takes commands."""

        def goes_on() -> bool:
            return "takes commands" in self.last_words or (
                "until a person" in self.last_words and self.resume().success
            )

        assert eventually(goes_on), self.last_words

    def resume(self) -> Trigger.Response:
        return self.ros.call(Trigger, contract.HAND_RESUME_SERVICE, Trigger.Request())

    def stops(self, since: int) -> bool:
        """Whether it is told, after so many words, that a person has to resume."""
        return eventually(
            lambda: any(
                "until a person" in each.status[0].message for each in self.diagnostics[since:]
            )
        )

    def settled(self) -> int:
        """How many commands have come, once no more do."""

        def no_more() -> bool:
            count = len(self.hand.received)
            time.sleep(0.3)
            return len(self.hand.received) == count

        assert eventually(no_more)
        return len(self.hand.received)

    def fingers(self) -> np.ndarray:
        return conversions.joints_from_message(self.states[-1], JOINTS)[0]

    def send(self, targets: np.ndarray) -> None:
        self.commands.publish(conversions.joint_trajectory(JOINTS, targets, 0))

    @contextlib.contextmanager
    def moving(self) -> Iterator[None]:
        """Targets go to and fro, 50 times a second, whatever the states say."""
        stop = threading.Event()

        def move() -> None:
            while not stop.wait(0.02):
                self.send(MIDDLE + 0.05 * np.sin(2.0 * time.monotonic()))

        thread = threading.Thread(target=move)
        thread.start()
        try:
            count = len(self.hand.taken)

            def moves() -> bool:
                self.go_on()  # a busy machine may have stopped it
                return len(self.hand.taken) > count + 5

            assert eventually(moves)
            yield
        finally:
            stop.set()
            thread.join()


def ours(received: Received) -> np.ndarray:
    """(22,) targets, in our order and signs."""
    return VENDOR.fingers(list(received.angles), list(received.angles.values()))


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    with graph() as ros, Ros2Hand(ros.domain, VENDOR.names) as hand:
        yield Cell(ros, hand, **PATIENT)


@pytest.fixture(scope="module")
def strict_cell() -> Iterator[Cell]:
    """With the limits as they are: a busy machine may stop it beside the test."""
    with graph() as ros, Ros2Hand(ros.domain, VENDOR.names) as hand:
        yield Cell(ros, hand)


def test_commands_arrive_coupled_in_the_vendors_signs_and_are_reached(cell):
    assert cell.states[-1].name == [*JOINTS, "rh_WRJ2", "rh_WRJ1"]
    if not cell.hand.received:
        assert np.allclose(cell.fingers(), START * HAND.hardware_sign)
    targets = MIDDLE + 0.02 * np.arange(22) / 22

    def there() -> bool:
        cell.send(targets)
        return np.allclose(cell.fingers(), VENDOR.driven(targets), atol=1e-6)

    assert eventually(there)
    last = cell.hand.taken[-1]
    assert set(last.angles) == set(JOINTS)  # the wrist isn't this controller's
    assert np.allclose(ours(last), VENDOR.driven(targets))
    for tendon in HAND.tendons:
        assert last.angles[tendon.distal] == last.angles[tendon.middle]


def test_commands_that_nobody_should_obey_never_reach_the_hand(cell):
    count = cell.settled()
    node = cell.ros.node("intruder")
    intruder = node.create_publisher(
        contract.HAND_COMMAND.type, contract.HAND_COMMAND.name, contract.HAND_COMMAND.qos
    )
    assert eventually(lambda: bool(intruder.get_subscription_count()))
    since = len(cell.diagnostics)

    def said(text: str) -> bool:
        return any(text in s.message for m in cell.diagnostics[since:] for s in m.status)

    for publisher, targets, complaint in (
        (cell.commands, MIDDLE * math.nan, "not finite"),
        (cell.commands, MIDDLE + 3.0, "beyond the limits"),
        (intruder, MIDDLE + 0.05, "/intruder on /hand/joint_trajectory: /tester commands"),
    ):
        publisher.publish(conversions.joint_trajectory(JOINTS, targets, 0))
        assert eventually(lambda text=complaint: said(text)), complaint
    assert len(cell.hand.received) == count
    node.destroy_publisher(intruder)


FAULTS = {"nothing comes": ("states", False, True), "not finite": ("bent", math.nan, 0.0)}
"""What is said, the order that causes it, and the value that ends it."""


@pytest.mark.parametrize("text", FAULTS)
def test_without_states_the_fingers_hold_until_a_person_resumes(strict_cell, text):
    cell, (order, bad, good) = strict_cell, FAULTS[text]
    with cell.moving():
        since, fault = len(cell.diagnostics), cell.hand.tell(order, bad)
        assert cell.stops(since)

        def refused() -> bool:
            answer = cell.resume()
            return not answer.success and text in answer.message

        assert eventually(refused)  # on a busy machine states may be late for a moment besides
        taken = cell.hand.taken
        print(f"{text}: {(taken[-1].at - fault) * 1e3:.0f} ms")
        assert taken[-1].at - fault < STOPPED_WITHIN
        cell.hand.tell(order, good)
        states = len(cell.states)
        assert eventually(lambda: len(cell.states) > states + 20)
        assert len(cell.hand.taken) == len(taken)
        fingers = cell.fingers()
        assert eventually(lambda: cell.resume().success)
        assert eventually(lambda: len(cell.hand.taken) > len(taken))
        first = ours(cell.hand.taken[len(taken)])
        assert np.abs(first - fingers).max() < 0.2  # two periods at the greatest speed


def test_what_came_while_the_software_hung_is_not_carried_out(strict_cell):
    cell = strict_cell
    with cell.moving():
        since, frozen = len(cell.diagnostics), cell.hand.freeze()
        assert cell.stops(since)
        time.sleep(0.2)
        thawed = cell.hand.thaw()
        states = len(cell.states)
        assert eventually(lambda: len(cell.states) > states + 20)
        late = [each for each in cell.hand.received if each.at > frozen]
        print(f"{len(late)} came, {sum(each.taken for each in late)} were taken")
        assert not any(each.taken for each in late if each.at > thawed)
    cell.go_on()


def test_another_commander_of_the_vendors_controller_is_a_fault(strict_cell):
    cell = strict_cell
    node = cell.ros.node("other_commander")
    cell.go_on()
    publisher = node.create_publisher(JointTrajectory, COMMAND, 1)
    assert eventually(lambda: "/other_commander" in cell.last_words)
    assert not cell.resume().success
    node.destroy_publisher(publisher)
    cell.go_on()


def test_the_wrist_is_held_where_it_is_its_controllers_too():
    with graph() as ros, Ros2Hand(ros.domain, VENDOR.names) as hand:
        cell = Cell(ros, hand, ros2__wrist=True, **PATIENT)
        cell.send(MIDDLE)
        assert eventually(lambda: bool(hand.received))
        first = hand.received[0]
        assert set(first.angles) == set(VENDOR.names)
        assert first.angles["rh_WRJ1"] == first.angles["rh_WRJ2"] == START


def test_states_on_the_topic_of_ours_are_refused():
    with graph() as ros:
        node = ros.create(HandDriverNode, interface="ros2", ros2__joint_states="/joint_states")
        node.trigger_configure()
        assert "namespace" in node.failure
