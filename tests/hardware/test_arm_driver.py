"""The arm's driver with its real client library, against a counterpart of the controller.

How long the arm goes on after a fault is measured at the counterpart: by the last set-point that
differs from the one before.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from arm_cell import HOME, KINEMATICS, ArmCell, goes_on_for, shifted
from ros_graph import Graph, eventually, graph

from dexgrasp_counterparts.ur_controller import PERIOD, Record, UrController
from dexgrasp_models.control.arm_following import FollowLimits
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.process_end import GRACE

pytest.importorskip("rtde_control")
from dexgrasp_arm_driver.arm_driver_node import ArmDriverNode

FOLLOWS = b"\x00"
ALLOWED = 0.1
"""s from a fault to the last set-point that moves the arm."""
ENDS = GRACE + 15.0
"""s: of the grace, and for a busy machine."""
LENIENT = {
    "controller__late_limit": 0.5,
    "controller__watchdog_rate": 2.0,
    "controller__realtime_priority": 0,
}
"""For a machine on which the counterpart may wait for a processor, where lateness is no matter."""


class Cell(ArmCell):
    """A driver, its controller, and a person or a node that moves the wrist."""

    def __init__(self, ros: Graph, controller: UrController, **parameters) -> None:
        self.controller = controller
        super().__init__(
            ros, controller.record, ArmDriverNode, controller__host=controller.host, **parameters
        )

    def fresh_states(self) -> None:
        """Waits for some."""
        heard = len(self.joint_states)
        assert eventually(lambda: len(self.joint_states) > heard + 20)

    def arrives(self, pose: np.ndarray, within: float = 0.001) -> bool:
        def there() -> bool:
            self.send(pose)
            return KINEMATICS.error(np.array(self.controller.joints), pose)[0] < within

        return eventually(there)

    @contextlib.contextmanager
    def moving(self) -> Iterator[None]:
        """The wrist's target goes to and fro, and the arm follows it."""
        assert eventually(lambda: bool(self.wrist_poses))
        with self.swaying():
            while not self.follows or len(self.controller.record().changes) < 200:
                self.go_on()
                self.controller.record(clear=True)
                time.sleep(1.0)
            yield


def assert_consistent(record: Record) -> None:
    """The set-points are finite, and none is farther from the last than the limits allow."""
    points = np.array([joints for _, joints in record.arrivals])
    assert np.isfinite(points).all()
    steps = np.abs(np.diff(points, axis=0))
    allowed = KINEMATICS.arm.max_speeds * FollowLimits().joint_speed_share * PERIOD
    assert (steps <= allowed * (1 + 1e-6)).all()
    changes = np.abs(np.diff(points, n=2, axis=0)) / PERIOD**2
    assert changes.max(initial=0.0) <= FollowLimits().joint_acceleration * (1 + 1e-3)


@pytest.fixture(scope="module")
def module_cell():
    with UrController() as controller, graph() as ros:
        yield Cell(ros, controller, commander_timeout=60.0, **LENIENT)


@pytest.fixture(scope="module")
def strict_cell():
    """With the limits as they are: a busy machine may stop it beside the test."""
    with UrController() as controller, graph() as ros:
        yield Cell(ros, controller, commander_timeout=60.0)


@pytest.fixture
def cell(module_cell):
    module_cell.go_on()
    assert module_cell.arrives(HOME)
    module_cell.stands()
    return module_cell


def test_targets_are_followed_at_the_controllers_rate_and_reached(cell):
    with cell.moving():
        pass
    target = shifted(cell.palm, x=0.05, y=0.1, z=-0.1)
    assert cell.arrives(target)
    record = cell.controller.record()
    assert_consistent(record)
    error, angle = KINEMATICS.error(np.array(record.joints), target)
    intervals = np.diff([at for at, _ in record.arrivals])
    median = np.median(intervals)
    print(f"{error * 1e3:.3f} mm, {angle * 1e3:.3f} mrad; set-points every {median * 1e3:.2f} ms")
    assert error < 0.001
    assert np.quantile(intervals, 0.1) < 0.003  # 2 ms, where the machine is free
    assert eventually(lambda: np.abs(cell.palm - target).max() < 0.001)


def test_states_are_those_of_the_contract(cell):
    start = len(cell.joint_states)
    assert eventually(lambda: len(cell.joint_states) > start + 100)
    assert eventually(lambda: len(cell.wrist_poses) >= len(cell.joint_states))
    joint_states = cell.joint_states[start:]
    stamps = [conversions.stamp_to_ns(message.header.stamp) for message in joint_states]
    # One state of each period, the first that is seen; on a busy machine some periods have none.
    periods = np.diff(stamps) * 1e-9 * contract.CONTROL_RATE
    assert len(periods) <= sum(periods) + 1.0 + 0.05 * len(periods)  # its clock may be set
    assert np.quantile(periods, 0.25) < 1.0 + 1e-4
    assert np.mean(periods > 0) > 0.95
    for message in joint_states:
        assert tuple(message.name) == KINEMATICS.arm.joint_names
        assert len(message.position) == len(message.velocity) == 6
    for topic in (contract.JOINT_STATES, contract.WRIST_POSE, contract.ARM_STATE):
        (publisher,) = cell.ros.tester.get_publishers_info_by_topic(topic.name)
        assert publisher.qos_profile.reliability == topic.qos.reliability
        assert publisher.qos_profile.durability == topic.qos.durability
    assert {m.header.frame_id for m in cell.wrist_poses} == {conversions.WORLD}
    assert np.allclose(KINEMATICS.fk(np.array(cell.controller.record().joints)), cell.palm)


def test_a_jump_is_approached_at_the_limits_and_told(cell):
    target = shifted(cell.palm, y=0.35)
    since = len(cell.diagnostics)
    cell.send(target)
    assert eventually(lambda: cell.said("slowed down", since))
    assert cell.arrives(target)
    record = cell.controller.record()
    assert_consistent(record)
    places = np.array([KINEMATICS.fk(np.array(q))[:3, 3] for _, q in record.arrivals[::10]])
    speeds = np.linalg.norm(np.diff(places, axis=0), axis=1) / (10 * PERIOD)
    assert speeds.max() < 1.1 * SafetyLimits().wrist_speed


def test_targets_that_nobody_should_follow_move_nothing(cell):
    palm = HOME
    elsewhere = shifted(palm, y=0.1)
    cell.send(palm, cell.now_ns)  # which later ones may not be older than
    for pose, stamp, frame, complaint in (
        (shifted(palm, y=math.nan), 0, "world", "not finite"),
        (shifted(palm, z=-1.0), 0, "world", "outside the workspace"),  # through the table
        (elsewhere, 0, "base_link", "in frame 'base_link'"),
        (elsewhere, cell.now_ns + 3600 * conversions.NANOSECONDS, "world", "ahead of the clock"),
        (elsewhere, cell.now_ns - 3600 * conversions.NANOSECONDS, "world", "too old"),
        (elsewhere, -100_000_000, "world", "answers an older state than the command before"),
    ):
        since = len(cell.diagnostics)
        if stamp < 0:  # while the last one is fresh
            newest = cell.now_ns
            cell.send(palm, newest)
            stamp += newest
        cell.send(pose, stamp, frame)
        assert eventually(lambda text=complaint, at=since: cell.said(text, at)), complaint
    assert cell.follows
    assert cell.controller.record().changes == []


def test_out_of_reach_it_stands_before_the_target_and_says_so(cell):
    """In the far upper corner of the workspace, turned backwards."""
    target = cell.palm
    target[:3, :3] = target[:3, :3] @ np.diag([1.0, -1.0, -1.0])
    target[:3, 3] = 0.5, 0.5, 0.9
    since = len(cell.diagnostics)
    cell.send(target)
    assert eventually(lambda: cell.said("the arm", since))

    cell.stands()
    assert_consistent(cell.controller.record())
    assert cell.follows


def test_a_second_commander_is_refused_and_named(cell):
    cell.refuses_a_second_commander()


FAULTS = {
    "protective stop": ("safety", "protective stop", ""),
    "safeguard stop": ("safety", "safeguard stop", ""),
    "emergency stop": ("safety", "emergency stop", ""),
    "the program": ("stop program", None, None),
    "local control": ("remote", False, True),
    "switched off": ("mode", 3, 7),
}
"""What is said of a fault, the order that causes it, and the value that ends it."""


@pytest.mark.parametrize("text", FAULTS)
def test_after_a_fault_the_arm_stands_until_a_person_resumes(cell, text):
    order, bad, good = FAULTS[text]
    with cell.moving():
        fault = cell.controller.tell(order, bad)
        assert eventually(lambda: not cell.follows)
        record = cell.controller.record()
        print(f"{text}: {goes_on_for(record, fault) * 1e3:.0f} ms")
        assert goes_on_for(record, fault) < ALLOWED
        assert_consistent(record)
        assert text in cell.state
        assert contract.ARM_RESUME_SERVICE in cell.state
        assert eventually(lambda: cell.said(text))
        # The targets go on coming, a fresh process is there, and still nothing moves.
        cell.fresh_states()
        if good is not None:
            answer = cell.resume()
            assert not answer.success
            assert text in answer.message
            cell.controller.tell(order, good)
            cell.fresh_states()
        assert not cell.follows
        assert cell.controller.record().arrivals[-1] == record.arrivals[-1]
    stood = np.array(cell.controller.record(clear=True).joints)
    cell.go_on()
    assert eventually(lambda: len(cell.controller.record().arrivals) > 100)
    first = np.array(cell.controller.record().arrivals[1][1])
    assert np.allclose(first, stood, atol=1e-9)  # the target is where the arm is
    assert cell.controller.record().watchdog


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_without_its_servo_process_the_arm_stands(cell, number):
    with cell.moving():
        (servo,) = children(os.getpid(), "servo_process")
        os.kill(servo, number)
        fault = time.monotonic()
        assert eventually(lambda: not cell.follows)

        def stops() -> list[float]:
            return [at for at, what in cell.controller.record().events if what == "watchdog"]

        assert eventually(lambda: bool(stops()))
        record, (stopped,) = cell.controller.record(), stops()
        print(f"{number.name}: {goes_on_for(record, fault) * 1e3:.0f} ms,"
              f" program stopped after {(stopped - fault) * 1e3:.0f} ms")  # fmt: skip
        assert goes_on_for(record, fault) < ALLOWED
        assert eventually(lambda: not running(servo))
    cell.go_on()


def test_states_that_come_late_stop_the_arm(strict_cell):
    cell = strict_cell
    with cell.moving():
        fault = cell.controller.tell("delay", 0.2)
        assert eventually(lambda: not cell.follows)
        record = cell.controller.record()
        print(f"delayed: {goes_on_for(record, fault) * 1e3:.0f} ms")
        assert goes_on_for(record, fault) < ALLOWED
        assert_consistent(record)
        assert "late or not at all" in cell.state
        cell.fresh_states()
        assert cell.controller.record().arrivals[-1] == record.arrivals[-1]
    cell.controller.tell("delay", 0.0)


def test_a_frozen_controller_that_wakes_up_finds_no_more_to_do(strict_cell):
    cell = strict_cell
    with cell.moving():
        fault = cell.controller.freeze()
        assert eventually(lambda: not cell.follows)
        assert "frozen" in cell.state
        time.sleep(0.3)
        cell.controller.thaw()
        assert eventually(lambda: any(e[1] == "watchdog" for e in cell.controller.record().events))
        record = cell.controller.record()
        # It takes what had come meanwhile all at once: each is one period of motion.
        left = sum(at > fault for at, _ in record.changes) * PERIOD
        print(f"frozen: {left * 1e3:.0f} ms of set-points")
        assert left < ALLOWED
        assert_consistent(record)
        cell.fresh_states()
        assert cell.controller.record().arrivals[-1] == record.arrivals[-1]
    cell.go_on()


def test_a_controller_that_is_gone_and_comes_back_waits_for_a_person(cell):
    with cell.moving():
        cell.controller.kill()
        assert eventually(lambda: not cell.follows)
        assert eventually(lambda: "no controller answers" in cell.state)
        assert cell.controller.host in cell.state
        answer = cell.resume()
        assert not answer.success
        assert "no controller answers" in answer.message
        cell.controller.start()
        cell.fresh_states()
        assert eventually(lambda: "stands ready" in cell.state)
        assert cell.controller.record().arrivals == []
    cell.go_on()
    assert cell.arrives(shifted(cell.palm, y=0.05))


def test_a_silent_commander_is_let_go_where_the_arm_is():
    with UrController() as controller, graph() as ros:
        cell = Cell(ros, controller, commander_timeout=0.3, limits__wrist_speed=0.05, **LENIENT)
        assert eventually(lambda: cell.follows)
        target = shifted(cell.palm, y=0.3)
        cell.send(target)
        assert eventually(lambda: cell.said("commander silent: /tester on /arm/wrist_target"))
        cell.stands()
        way = KINEMATICS.fk(np.array(controller.record().joints))[1, 3] - target[1, 3]
        assert way < -0.1


def children(parent: int, name: str) -> list[int]:
    """Processes of a parent with a word in their command."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            its_parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if its_parent == parent and name in (entry / "cmdline").read_text():
                found.append(int(entry.name))
    return found


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def node_process(host: str, domain: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The driver as a process, and its servo process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dexgrasp_arm_driver.arm_driver_node", "--ros-args",
         "-p", f"controller.host:={host}"],
        env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        found: list[int] = []  # one that finds no controller is soon gone
        assert eventually(lambda: found.extend(children(process.pid, "servo_process")) or found)
        yield process, found[0]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("number", "last_event"),
    [
        (signal.SIGINT, "script stopped by the client"),
        (signal.SIGTERM, "script stopped by the client"),
        (signal.SIGKILL, "watchdog"),
    ],
)
def test_no_process_outlives_a_node_that_servos(number, last_event):
    with UrController() as controller, graph() as ros:
        with node_process(controller.host, ros.domain) as (process, servo):
            assert eventually(lambda: len(controller.record().arrivals) > 50)
            assert_ends(process, servo, number)
        assert eventually(lambda: controller.record().events[-1][1] == last_event)


def test_no_process_outlives_a_node_that_looks_for_its_controller():
    with graph() as ros, node_process("127.0.0.99", ros.domain) as (process, servo):
        assert_ends(process, servo, signal.SIGTERM)


def assert_ends(process: subprocess.Popen[str], servo: int, number: signal.Signals) -> None:
    asked = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=ENDS)
    print(f"{number.name}: {time.monotonic() - asked:.2f} s")
    assert "Traceback" not in errors
    assert eventually(lambda: not running(servo), ENDS)


def test_a_node_that_hangs_leaves_the_arm_standing():
    with (
        UrController() as controller,
        graph() as ros,
        node_process(controller.host, ros.domain) as (process, _),
    ):
        topic = contract.WRIST_TARGET
        wrist = ros.tester.create_publisher(topic.type, topic.name, topic.qos)
        poses = ros.collect(contract.WRIST_POSE)
        assert eventually(lambda: len(controller.record().arrivals) > 50)
        assert eventually(lambda: poses and wrist.get_subscription_count() > 0)
        far = shifted(conversions.world_pose_from_message(poses[-1]), y=0.4)

        def goes() -> bool:
            wrist.publish(conversions.pose_stamped(far, 0, conversions.WORLD))
            return bool(controller.record().changes)

        assert eventually(goes)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        controller.record(clear=True)
        time.sleep(0.5)
        assert controller.record().changes == []


def test_without_the_client_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with graph() as ros:
        node = ros.create(ArmDriverNode)
        node.trigger_configure()
        assert "pip install ur-rtde" in node.failure
