"""The hand's driver over DDS, its real client library, and a hand behind rosbridge on this machine.

What came to the hand is asked of the hand. Times are told by the clock that both share.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from rclpy.node import Node
from ros_graph import Graph, eventually, graph
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_counterparts.hand_counterpart import HandCounterpart, Received, hand_counterpart
from dexgrasp_hand_driver.hand_driver_node import HandDriverNode
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.vendor_joints import VendorJoints
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.process_end import GRACE, PARENT_VARIABLE

HAND = load_hand()
VENDOR = VendorJoints(HAND)
JOINTS = HAND.finger_joints
START = VENDOR.driven(VENDOR.limits @ [0.8, 0.2])
"""Targets (22,) near where the simulated hand is, from which all joints can go on."""
PATIENT = {"state_age": 1.0, "fault_after": 10.0, "lead": 0.2}
"""For a busy machine, where it is not about time."""
STOPPED_WITHIN = 0.1
"""s from a fault to the last set-point that changes, by the hand's own record."""
NODE = "dexgrasp_hand_driver.hand_driver_node"
ENDS = GRACE + 15.0


class User:
    """Commands the hand, and hears what is said of it."""

    def __init__(self, ros: Graph, hand: HandCounterpart, node: Node | None = None) -> None:
        self.ros = ros
        self.hand = hand
        self.states = ros.collect(contract.JOINT_STATES)
        self.diagnostics = ros.collect(contract.DIAGNOSTICS)
        topic = contract.HAND_COMMAND
        self.commands = (node or ros.tester).create_publisher(topic.type, topic.name, topic.qos)
        self._answered = 0
        self._targets: list[np.ndarray] = []

    def start(self, **parameters: object) -> HandDriverNode:
        """Starts the driver, which is ready then."""
        driver = self.ros.start(HandDriverNode, port=self.hand.port, **PATIENT | parameters)
        self.wait_until_ready()
        return driver

    def wait_until_ready(self) -> None:
        assert eventually(lambda: self.says("takes commands")), self.last_words
        assert eventually(lambda: bool(self.commands.get_subscription_count()))

    @property
    def last_words(self) -> str:
        return self.diagnostics[-1].status[0].message if self.diagnostics else ""

    def says(self, text: str) -> bool:
        return text in self.last_words

    def said(self, text: str) -> bool:
        return any(text in status.message for m in self.diagnostics for status in m.status)

    def fingers(self) -> np.ndarray:
        return conversions.joints_from_message(self.states[-1], JOINTS)[0]

    @property
    def now_ns(self) -> int:
        """Stamp of the newest state."""
        return conversions.stamp_to_ns(self.states[-1].header.stamp)

    def send(self, targets: np.ndarray, ns: int | None = None) -> None:
        """Answers the newest state."""
        ns = self.now_ns if ns is None else ns
        self.commands.publish(conversions.joint_trajectory(JOINTS, targets, ns))

    def go(self, targets: np.ndarray) -> None:
        """Sends targets until the hand has got them."""

        def there() -> bool:
            self.send(targets)
            taken = self.hand.taken
            return bool(taken) and np.allclose(ours(taken[-1]), VENDOR.driven(targets))

        assert eventually(there), self.last_words
        count = -1
        while count < len(self.hand.received):  # the last of them may be on the way
            count = len(self.hand.received)
            time.sleep(0.5)

    def move(self, until: Callable[[], bool]) -> None:
        """Sends targets that go to and fro, whatever the states say, until a condition is true."""

        def moved() -> bool:
            self.send(START + 0.05 * np.sin(2.0 * time.monotonic()), 0)
            return until()

        assert eventually(moved), self.last_words

    def resume(self) -> Trigger.Response:
        return self.ros.call(Trigger, contract.HAND_RESUME_SERVICE, Trigger.Request())


@pytest.fixture
def hand(tmp_path: Path) -> Iterator[HandCounterpart]:
    with hand_counterpart(tmp_path) as counterpart:
        yield counterpart


def ours(received: Received) -> np.ndarray:
    """(22,) targets of a trajectory, in our order and signs."""
    return VENDOR.fingers(list(received.angles), list(received.angles.values()))


def best_rate(user: User, count: int) -> float:
    """The greatest rate, Hz, of so many states in a row, by their stamps."""
    stamps = [conversions.stamp_to_ns(message.header.stamp) for message in user.states]
    return conversions.NANOSECONDS * count / np.min(np.array(stamps[count:]) - stamps[:-count])


# When all is well


def test_states_have_the_contracts_names_signs_and_rate(hand):
    with graph() as ros:
        user = User(ros, hand)
        user.start()
        assert eventually(lambda: len(user.states) > 150)
        for message in user.states:
            assert message.name == [*JOINTS, "rh_WRJ2", "rh_WRJ1"]
            assert len(message.position) == len(message.velocity) == len(message.effort) == 24
            assert message.header.frame_id == contract.JOINT_STATES.frame_id
        # 0.1 rad at every motor: shared by no tendon, as the middle joint moves first
        expected = 0.1 * HAND.hardware_sign
        expected[[HAND.joint_index(tendon.distal) for tendon in HAND.tendons]] = 0.0
        assert np.allclose(user.fingers(), expected)
        velocity = user.states[-1].velocity[JOINTS.index("rh_THJ2")]
        assert np.isclose(velocity, -0.01 * VENDOR.names.index("rh_THJ2"))
        stamps = [conversions.stamp_to_ns(m.header.stamp) * 1e-9 for m in user.states]
        assert np.all(np.diff(stamps) > 0.0)
        assert 1.0 / np.mean(np.diff(stamps)) < 1.05 * contract.CONTROL_RATE
        # A busy machine loses some; in half a second of rest all come.
        assert eventually(lambda: best_rate(user, 25) / contract.CONTROL_RATE > 0.9)
        (end,) = ros.tester.get_publishers_info_by_topic(contract.JOINT_STATES.name)
        assert end.qos_profile.reliability == contract.JOINT_STATES.qos.reliability
        assert end.qos_profile.durability == contract.JOINT_STATES.qos.durability


def test_each_command_arrives_once_coupled_and_in_the_vendors_signs(hand):
    with graph() as ros:
        user = User(ros, hand)
        user.start()
        user.go(START)
        sent = [START + 0.002 * count for count in range(1, 21)]
        start = len(hand.received)
        for count, targets in enumerate(sent):
            user.send(targets)
            assert eventually(lambda wanted=start + count: len(hand.received) > wanted)
        assert not eventually(lambda: len(hand.received) > start + len(sent), timeout=0.5)
        for targets, received in zip(sent, hand.received[start:], strict=True):
            assert received.topic == "/rh_trajectory_controller/command"
            assert set(received.angles) == set(JOINTS)  # the wrist has its own controller
            assert np.allclose(ours(received), VENDOR.driven(targets))
        motors = HAND.reduction @ VENDOR.driven(sent[-1])
        assert eventually(lambda: np.allclose(HAND.reduction @ user.fingers(), motors, atol=1e-6))


def test_a_far_target_is_approached_within_speed_and_rate(hand):
    with graph() as ros:
        user = User(ros, hand)
        user.start(limits__joint_speed=1.0)
        target = VENDOR.driven(HAND.limits.mean(1) + 0.3)
        user.send(target)

        def there() -> bool:
            return bool(hand.received) and np.allclose(ours(hand.received[-1]), target, atol=1e-6)

        assert eventually(there)
        way = np.array([ours(each) for each in hand.received])
        # 5 % above the speed, and what one period leaves may be used in the next
        assert np.abs(np.diff(way, axis=0)).max() < 1.05 * 2 / contract.CONTROL_RATE + 1e-6
        times = np.array([each.at for each in hand.received])
        assert (len(times) - 1) / (times[-1] - times[0]) < 1.1 * contract.CONTROL_RATE
        assert user.said("slowed down")


def test_the_older_controller_gets_the_wrist_where_it_is(tmp_path):
    with hand_counterpart(tmp_path, controllers="with wrist", wrist=0.1) as hand, graph() as ros:
        user = User(ros, hand)
        ros.start(HandDriverNode, port=hand.port, **PATIENT)
        assert eventually(lambda: user.said("the hand's wrist is bent"))
        user.move(lambda: bool(hand.received))
        assert hand.received[0].angles["rh_WRJ1"] == hand.received[0].angles["rh_WRJ2"] == 0.1
        assert set(hand.received[0].angles) == set(VENDOR.names)


def test_position_controllers_get_the_sum_of_coupled_joints(tmp_path):
    with hand_counterpart(tmp_path, controllers="position") as hand, graph() as ros:
        user = User(ros, hand)
        user.start()
        motors = HAND.reduction @ START

        def there() -> bool:
            user.send(START)
            return np.allclose(HAND.reduction @ user.fingers(), motors, atol=1e-6)

        assert eventually(there)
        last = {each.topic: next(iter(each.angles.values())) for each in hand.received[-18:]}
        assert len(last) == 18
        assert np.isclose(last["/sh_rh_ffj0_position_controller/command"], motors[3 - 1])


# What is refused


def test_commands_that_nobody_should_obey_never_reach_the_hand(hand):
    with graph() as ros:
        user = User(ros, hand)
        user.start()
        assert eventually(lambda: len(user.states) > 100)
        user.go(START)
        count = len(hand.received)
        second = conversions.NANOSECONDS
        moved = START + 0.05
        for targets, ns, complaint in (
            (moved * np.nan, 0, "not finite"),
            (moved + 3.0, 0, "beyond the limits of"),
            (moved, user.now_ns + 60 * second, "ahead of the clock"),
            (moved, user.now_ns - second, "too old"),
        ):
            user.send(targets, ns)
            assert eventually(lambda text=complaint: user.said(text)), complaint
        for names, complaint in (
            ((*JOINTS[1:], "rh_FFJ9"), "unknown joints: rh_FFJ9"),
            (JOINTS[1:], "missing joints: rh_FFJ4"),
            ((*JOINTS, JOINTS[0]), "more than once: rh_FFJ4"),
        ):
            values = np.full(len(names), 0.2)
            user.commands.publish(conversions.joint_trajectory(names, values, 0))
            assert eventually(lambda text=complaint: user.said(text)), complaint
        assert len(hand.received) == count


def test_an_answer_to_an_older_state_than_the_last_is_refused(hand):
    with graph() as ros:
        user = User(ros, hand)
        user.start(limits__command_age=5.0)
        assert eventually(lambda: len(user.states) > 100)
        stamps = [conversions.stamp_to_ns(m.header.stamp) for m in user.states[-2:]]
        user.send(START, stamps[1])
        user.send(START + 0.05, stamps[0])
        assert eventually(lambda: user.said("answers an older state than the command before"))
        assert all(ours(each).max() <= START.max() + 1e-9 for each in hand.received)


def test_a_second_commander_is_refused_and_named(hand):
    with graph() as ros:
        user = User(ros, hand)
        user.start(commander_timeout=60.0)
        intruder = User(ros, hand, ros.node("intruder"))
        assert eventually(lambda: bool(intruder.states))
        assert eventually(lambda: bool(intruder.commands.get_subscription_count()))
        user.go(START)
        count = len(hand.received)
        intruder.send(START + 0.05)
        intruder.commands.publish(JointTrajectory())
        assert eventually(
            lambda: user.said("of /intruder on /hand/joint_trajectory: /tester commands")
        )
        assert len(hand.received) == count
        user.commands.publish(JointTrajectory())  # lets go

        def intruder_is_followed() -> bool:
            intruder.send(START + 0.01)
            return len(hand.received) > count

        assert eventually(intruder_is_followed)


def test_a_silent_commander_is_named_and_let_go(hand):
    with graph() as ros:
        user = User(ros, hand)
        user.start(commander_timeout=1.0)
        user.send(START)
        assert eventually(lambda: user.said("commander silent: /tester on /hand/joint_trajectory"))
        count = len(hand.received)
        user.send(START + 0.1)  # it may command again
        assert eventually(lambda: len(hand.received) > count)


# Faults. In each the commander goes on, as one that knows nothing would.


def assert_holds(user: User, hand: HandCounterpart, since: float) -> None:
    """The commander is refused and nothing is carried out, until a person resumes; then the fingers
    go on from where they are.

    Args:
        since: s, monotonic: from when the fingers hold.
    """
    states = len(user.states)
    user.move(lambda: len(user.states) > states + 20)  # they come again
    assert [each for each in hand.taken if each.at > since] == []
    assert user.says("until a person calls /hand/resume")
    count, fingers = len(hand.taken), user.fingers()
    assert eventually(lambda: user.resume().success)
    user.move(lambda: len(hand.taken) > count + 10)
    first = ours(hand.taken[count])
    step = 1.05 * 2 * 2.5 / contract.CONTROL_RATE
    assert np.abs(HAND.reduction @ (first - fingers)).max() < 2 * step + 1e-6
    assert eventually(lambda: user.says("takes commands"))


def kill(hand: HandCounterpart) -> float:
    return hand.kill()


def freeze(hand: HandCounterpart) -> float:
    return hand.freeze()


def stop_states(hand: HandCounterpart) -> float:
    return hand.set(states=False)


def break_states(hand: HandCounterpart) -> float:
    return hand.set(broken="rh_THJ3")


each_fault = pytest.mark.parametrize(
    ("cause", "complaint"),
    [
        (kill, "no connection to rosbridge"),
        (freeze, "s old"),
        (stop_states, "s old"),
        (break_states, "not finite: rh_THJ3"),
    ],
)


@each_fault
def test_no_set_point_changes_long_after_a_fault(hand, request, cause, complaint):
    """With what the driver has by itself for `state_age` and `lead`, whose sum it is."""
    with graph() as ros:
        user = User(ros, hand)
        ros.start(HandDriverNode, port=hand.port, fault_after=10.0)
        user.move(lambda: len(hand.taken) > 5)
        fault = cause(hand)
        user.diagnostics.clear()
        user.move(lambda: user.said(complaint))
        done = time.monotonic() + 1.0
        user.move(lambda: time.monotonic() > done)
        if cause is freeze:
            hand.thaw()
        seconds = max(each.until for each in hand.taken) - fault
        print(f"\n{request.node.name}: {1e3 * seconds:.0f} ms")
        assert seconds < STOPPED_WITHIN


@each_fault
def test_nothing_old_is_carried_out_after_a_fault(hand, request, cause, complaint):
    with graph() as ros:
        user = User(ros, hand)
        user.start(fault_after=4.0)
        user.move(lambda: len(hand.taken) > 5)
        fault = cause(hand)
        user.move(lambda: user.says("until a person calls"))
        assert complaint in user.last_words
        refused = user.resume()
        assert not refused.success
        assert "not yet" in refused.message
        if cause is kill:
            hand.start()
        elif cause is freeze:
            # What was under way comes to the controller now, which drops it as too old.
            hand.thaw()
        else:
            hand.set(states=True, broken="")
        assert_holds(user, hand, fault + PATIENT["state_age"] + PATIENT["lead"])
        assert all(np.isfinite(message.position).all() for message in user.states)
        late = sum(not each.taken for each in hand.received)
        print(f"\n{request.node.name}: {late} dropped by the controller as too old")


def test_controllers_stopped(hand):
    with graph() as ros:
        user = User(ros, hand)
        user.start(fault_after=4.0)
        user.move(lambda: len(hand.taken) > 5)
        fault = hand.set(controllers="none")
        user.move(lambda: user.said("start the hand's controllers"))
        user.move(lambda: user.says("until a person calls"))
        hand.set(controllers="trajectory")
        assert_holds(user, hand, fault)


def test_a_short_delay_holds_commands_back_without_a_fault(hand):
    with graph() as ros:
        user = User(ros, hand)
        user.start()
        user.move(lambda: len(hand.taken) > 5)
        hand.set(states=False)
        assert eventually(lambda: user.said("s old"))
        count = len(hand.taken)
        user.send(START + 0.05, 0)
        assert eventually(lambda: user.said("refused a command of /tester"))
        assert len(hand.taken) == count
        hand.set(states=True)
        user.move(lambda: len(hand.taken) > count + 5)
        assert not user.said("until a person calls")


# From start to end


def test_it_waits_for_a_hand_that_is_not_there_yet(tmp_path):
    hand = HandCounterpart(tmp_path, states=False)
    with graph() as ros:
        user = User(ros, hand)
        ros.start(HandDriverNode, port=hand.port, **PATIENT)
        assert eventually(lambda: user.says("Connection refused"))
        assert user.says(f"no connection to rosbridge at 127.0.0.1:{hand.port}")
        hand.start()
        try:
            assert eventually(lambda: user.says("nothing comes on /joint_states"))
            user.commands.publish(conversions.joint_trajectory(JOINTS, START, 0))
            hand.set(states=True)
            user.wait_until_ready()
            assert hand.received == []
        finally:
            hand.kill()


def test_it_can_be_deactivated_and_starts_from_nothing(hand):
    with graph() as ros:
        user = User(ros, hand)
        driver = user.start()
        user.move(lambda: len(hand.taken) > 20)
        driver.trigger_deactivate()
        assert links(os.getpid()) == []
        count, states = len(hand.received), len(user.states)
        user.send(START + 0.05, 0)
        driver.trigger_activate()
        assert eventually(lambda: len(user.states) > states)
        user.wait_until_ready()
        assert not eventually(lambda: len(hand.received) > count, timeout=0.5)
        user.move(lambda: len(hand.received) > count + 20)


def test_without_the_client_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with graph() as ros:
        driver = ros.create(HandDriverNode)
        driver.trigger_configure()
        assert "pip install roslibpy==" in driver.failure


def links(parent: int) -> list[psutil.Process]:
    """The processes of connections that belong to a node."""
    try:
        children = psutil.Process(parent).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [each for each in children if is_link(each)]


def is_link(process: psutil.Process) -> bool:
    try:
        return any("rosbridge_process" in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("state", "number"),
    [
        ("connected", signal.SIGINT),
        ("connected", signal.SIGKILL),
        ("frozen", signal.SIGTERM),
        ("alone", signal.SIGINT),
    ],
)
def test_its_processes_end_with_it(hand, state, number):
    if state == "alone":
        hand.kill()
    with graph() as ros:
        user = User(ros, hand)
        parameters = PATIENT | {"fault_after": 4.0, "port": hand.port}
        values = [f"{name}:={value}" for name, value in parameters.items()]
        driver = subprocess.Popen(
            [sys.executable, "-m", NODE, "--ros-args", *(w for v in values for w in ("-p", v))],
            env=ros.environment | {PARENT_VARIABLE: str(os.getpid())},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            words = "no connection" if state == "alone" else "takes commands"
            assert eventually(lambda: user.said(words)), user.last_words
            if state == "frozen":
                hand.freeze()
                assert eventually(lambda: user.said("until a person calls"))
            assert eventually(lambda: bool(links(driver.pid)))
            children = links(driver.pid)
            driver.send_signal(number)
            _, errors = driver.communicate(timeout=ENDS)
            assert "Traceback" not in errors
            assert eventually(lambda: not any(each.is_running() for each in children), ENDS)
        finally:
            driver.kill()
            if state == "frozen":
                hand.thaw()
