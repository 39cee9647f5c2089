"""Which commands an executor takes: from whom, stamped when, and within which bounds."""

from __future__ import annotations

import numpy as np
import pytest
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_models.control.execution import ExecutionLimiter
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.control.types import Command
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.command_intake import CommandIntake, Refusal
from dexgrasp_ros.conversions import NANOSECONDS
from dexgrasp_ros.sender import Sender

HAND = load_hand()
JOINTS = HAND.finger_joints
FINGERS = HAND.limits.mean(1)
POSE = np.eye(4)
POSE[2, 3] = 0.4
NOW = 10 * NANOSECONDS

COMMANDER = Sender(b"process-one-1---", "/control")
ITS_OTHER_PUBLISHER = Sender(b"process-one-2---", "/control")
INTRUDER = Sender(b"process-two-1---", "/intruder")
NAMESAKE = Sender(b"process-two-2---", "/control")
UNNAMED = Sender(b"process-two-3---", "")


class Intake(CommandIntake):
    """With the tester's choice of who is in the graph."""

    def __init__(self, lock_step: bool = False) -> None:
        limiter = ExecutionLimiter(SafetyLimits(), JOINTS, HAND.limits, 0.02)
        limiter.reset(Command(POSE, FINGERS))
        self.gone: set[Sender] = set()
        super().__init__(
            JOINTS,
            limiter,
            command_age=0.5,
            silence_limit=1.5,
            lock_step=lock_step,
            is_present=lambda sender: sender not in self.gone,
        )

    def fingers(self, sender=COMMANDER, ns=NOW, now_ns=NOW, targets=FINGERS, names=JOINTS):
        message = conversions.joint_trajectory(names, targets, ns)
        return self.finger_targets(message, sender, now_ns)

    def palm(self, sender=COMMANDER, ns=NOW, now_ns=NOW, pose=POSE):
        return self.wrist_target(
            conversions.pose_stamped(pose, ns, conversions.WORLD), sender, now_ns
        )


@pytest.fixture
def intake() -> Intake:
    return Intake()


@pytest.mark.parametrize("other", [INTRUDER, NAMESAKE, UNNAMED])
def test_another_node_is_refused_on_each_topic_that_is_commanded(intake, other):
    intake.fingers()
    with pytest.raises(Refusal, match="on hand/joint_trajectory: /control commands"):
        intake.fingers(other)
    intake.palm(other)  # teleoperation of the wrist beside it
    assert not intake.one_commander
    with pytest.raises(Refusal, match="commands"):
        intake.palm()
    with pytest.raises(Refusal, match="commands"):
        intake.let_go(other)


def test_two_publishers_of_a_node_are_one_commander(intake):
    intake.fingers()
    intake.fingers(ITS_OTHER_PUBLISHER)
    intake.palm(ITS_OTHER_PUBLISHER)
    assert intake.one_commander
    assert intake.let_go(COMMANDER) == [contract.HAND_COMMAND, contract.WRIST_TARGET]
    intake.fingers(INTRUDER)


def test_letting_go_where_nobody_commands_ends_nothing(intake):
    assert intake.let_go(INTRUDER) == []


def test_a_refused_command_does_not_make_a_commander(intake):
    with pytest.raises(Refusal):
        intake.fingers(INTRUDER, ns=NOW + 1)
    intake.fingers(COMMANDER)


def test_a_commander_that_left_the_graph_makes_room(intake):
    intake.fingers()
    intake.gone = {COMMANDER}
    intake.fingers(INTRUDER)


@pytest.mark.parametrize(
    ("ns", "reason"),
    [
        (NOW + 1, "ahead of the clock"),
        (NOW + 5 * NANOSECONDS, "ahead of the clock"),
        (NOW - NANOSECONDS, "too old"),
        (NOW - NANOSECONDS // 4, None),
        (0, None),  # answers no state
    ],
)
def test_stamps_in_real_time(intake, ns, reason):
    for take in (intake.fingers, intake.palm):
        if reason is None:
            take(ns=ns)
            continue
        with pytest.raises(Refusal, match=reason):
            take(ns=ns)


def test_a_commander_does_not_go_back_in_time(intake):
    for take in (intake.fingers, intake.palm):
        take(ns=NOW - 1000)
        take(ns=NOW - 1000)
        with pytest.raises(Refusal, match="older state than the command before"):
            take(ns=NOW - 2000)
        take(ns=NOW)
    intake.let_go(COMMANDER)
    intake.fingers(INTRUDER, ns=NOW - 2000)
    intake.palm(INTRUDER, ns=NOW - 2000)


@pytest.mark.parametrize("ns", [NOW + 1, NOW - 1, 0])
def test_in_lock_step_only_answers_to_the_present_state_count(ns):
    intake = Intake(lock_step=True)
    intake.fingers()
    intake.palm()
    for take in (intake.fingers, intake.palm):
        with pytest.raises(Refusal, match="does not answer the present state"):
            take(ns=ns)


def test_a_command_from_before_the_clock_went_back_is_refused(intake):
    intake.fingers()
    intake.reset()
    with pytest.raises(Refusal, match="ahead of the clock"):
        intake.fingers(now_ns=NANOSECONDS)
    intake.fingers(INTRUDER, ns=NANOSECONDS, now_ns=NANOSECONDS)  # nobody commands


def with_joint(value: float) -> np.ndarray:
    targets = FINGERS.copy()
    targets[3] = value
    return targets


@pytest.mark.parametrize(
    ("targets", "names", "reason"),
    [
        (with_joint(1e6), JOINTS, f"beyond the limits of {JOINTS[3]}"),
        (with_joint(1e300), JOINTS, f"beyond the limits of {JOINTS[3]}"),
        (with_joint(np.nan), JOINTS, "not finite"),
        (with_joint(np.inf), JOINTS, "not finite"),
        (np.append(FINGERS, 0.0), (*JOINTS, JOINTS[0]), f"more than once: {JOINTS[0]}"),
    ],
)
def test_absurd_fingers(intake, targets, names, reason):
    with pytest.raises(Refusal, match=reason):
        intake.fingers(targets=targets, names=names)


@pytest.mark.parametrize("height", [-0.1, 1e300, np.nan])
def test_absurd_wrists(intake, height):
    pose = POSE.copy()
    pose[2, 3] = height
    with pytest.raises(Refusal, match=r"outside the workspace|not finite"):
        intake.palm(pose=pose)


def test_a_silent_commander_is_named_and_then_let_go(intake):
    intake.fingers()
    assert intake.silent(NOW + NANOSECONDS // 4) is None
    silence = intake.silent(NOW + NANOSECONDS)
    assert silence.commander == COMMANDER
    assert silence.seconds == 1.0
    assert intake.end_silence(NOW + NANOSECONDS) == []
    assert intake.end_silence(NOW + 2 * NANOSECONDS) == [contract.HAND_COMMAND]
    assert intake.silent(NOW + 2 * NANOSECONDS) is None


def test_the_reason_stays_the_same_where_only_numbers_differ(intake):
    messages, details = set(), set()
    for ahead in (1, 2):
        with pytest.raises(Refusal) as refusal:
            intake.fingers(ns=NOW + ahead * NANOSECONDS)
        messages.add(refusal.value.fault.kind)
        details.add(refusal.value.fault.detail)
    assert len(messages) == 1
    assert details == {"by 1.000 s", "by 2.000 s"}


def test_joints_named_twice_are_no_measurement_either():
    message = conversions.joint_state(["a", "b", "a"], np.zeros(3), np.zeros(3), 0)
    with pytest.raises(conversions.MessageError, match="more than once: a"):
        conversions.joints_from_message(message, ["a", "b"])


def test_an_empty_trajectory_is_no_command(intake):
    with pytest.raises(Refusal, match="no points"):
        intake.finger_targets(JointTrajectory(header=conversions.header(NOW, "")), COMMANDER, NOW)
