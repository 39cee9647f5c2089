"""The arm by Universal Robots' ROS 2 driver, against a counterpart of that driver.

How long the arm goes on after a fault is measured at the counterpart: by the last set-point that
differs from the one before.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

import numpy as np
import pytest
from arm_cell import HOME, KINEMATICS, ArmCell, goes_on_for, shifted
from rclpy.parameter import Parameter
from ros_graph import Graph, eventually, graph
from std_msgs.msg import Float64MultiArray

from dexgrasp_models.control.arm_following import FollowLimits
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_ros import contract, conversions

pytest.importorskip("ur_dashboard_msgs")
from ur_ros_driver import Record, UrRosDriver

from dexgrasp_arm_driver.adapter_node import ArmAdapterNode
from dexgrasp_arm_driver.set_points import FOLLOW_RATE

ALLOWED = 0.1
"""s from a fault to the last set-point that moves the arm."""
LENIENT = {"late_limit": 0.5, "commander_timeout": 60.0}
"""For a machine on which the counterpart may wait for a processor, where lateness is no matter."""
NAMESPACE = "vendor"
"""Of the driver, whose states would else be on the topic of ours."""


class Cell(ArmCell):
    """An adapter, the driver, and a node that moves the wrist."""

    def __init__(self, ros: Graph, driver: UrRosDriver, **parameters) -> None:
        self.driver = driver
        super().__init__(
            ros, driver.record, ArmAdapterNode, **{"driver_namespace": NAMESPACE, **parameters}
        )

    def fresh_states(self) -> None:
        """Waits for some."""
        heard = len(self.joint_states)
        assert eventually(lambda: len(self.joint_states) > heard + 10)

    def arrives(self, pose: np.ndarray) -> bool:
        def there() -> bool:
            self.go_on()  # a busy machine may have stopped it
            self.send(pose)
            return KINEMATICS.error(np.array(self.driver.record().joints), pose)[0] < 0.001

        return eventually(there)

    @contextlib.contextmanager
    def moving(self) -> Iterator[None]:
        """The wrist's target goes to and fro, and the arm follows it."""
        with self.swaying():
            self.driver.record(clear=True)
            assert eventually(lambda: self.go_on() or len(self.driver.record().changes) > 50)
            yield


def assert_consistent(record: Record) -> None:
    """The set-points are finite, and none is farther from the last than the limits allow; one of
    them may have got lost."""
    points = np.array([joints for _, joints in record.arrivals])
    assert np.isfinite(points).all()
    allowed = KINEMATICS.arm.max_speeds * FollowLimits().joint_speed_share * 2 / FOLLOW_RATE
    assert (np.abs(np.diff(points, axis=0)) <= allowed * (1 + 1e-6)).all()


@pytest.fixture(scope="module")
def module_cell():
    with graph() as ros, UrRosDriver(ros.domain, NAMESPACE) as driver:
        yield Cell(ros, driver, **LENIENT)


@pytest.fixture(scope="module")
def strict_cell():
    """With the limits as they are: a busy machine may stop it beside the test."""
    with graph() as ros, UrRosDriver(ros.domain, NAMESPACE) as driver:
        yield Cell(ros, driver, commander_timeout=60.0)


@pytest.fixture
def cell(module_cell):
    module_cell.go_on()
    assert module_cell.arrives(HOME)
    module_cell.stands()
    return module_cell


def test_targets_are_reached_and_states_are_those_of_the_contract(cell):
    target = shifted(cell.palm, x=0.05, y=0.1, z=-0.1)
    assert cell.arrives(target)
    record = cell.driver.record()
    assert_consistent(record)
    intervals = np.diff([at for at, _ in record.arrivals])
    print(f"set-points every {np.median(intervals) * 1e3:.2f} ms")
    assert eventually(lambda: np.abs(cell.palm - target).max() < 0.001)
    message = cell.joint_states[-1]
    assert tuple(message.name) == KINEMATICS.arm.joint_names
    assert np.allclose(KINEMATICS.fk(np.array(message.position)), cell.palm, atol=0.01)
    stamps = [conversions.stamp_to_ns(each.header.stamp) for each in cell.joint_states[-50:]]
    assert np.median(np.diff(stamps)) * 1e-9 * contract.CONTROL_RATE > 0.9
    assert {m.header.frame_id for m in cell.wrist_poses} == {conversions.WORLD}


def test_a_jump_is_approached_at_the_limits_and_told(cell):
    target = shifted(cell.palm, y=0.35)
    cell.send(target)
    assert eventually(lambda: cell.said("slowed down"))
    assert cell.arrives(target)
    record = cell.driver.record()
    assert_consistent(record)
    places = np.array([KINEMATICS.fk(np.array(q))[:3, 3] for _, q in record.arrivals[::10]])
    speeds = np.linalg.norm(np.diff(places, axis=0), axis=1) * FOLLOW_RATE / 11  # one may be lost
    assert speeds.max() < 1.1 * SafetyLimits().wrist_speed


def test_targets_that_nobody_should_follow_move_nothing(cell):
    elsewhere = shifted(HOME, y=0.1)
    cell.send(HOME, cell.now_ns)
    for pose, stamp, frame, complaint in (
        (shifted(HOME, y=math.nan), 0, "world", "not finite"),
        (shifted(HOME, z=-1.0), 0, "world", "outside the workspace"),  # through the table
        (elsewhere, 0, "base_link", "in frame 'base_link'"),
        (elsewhere, cell.now_ns + 3600 * conversions.NANOSECONDS, "world", "ahead of the clock"),
        (elsewhere, cell.now_ns - 3600 * conversions.NANOSECONDS, "world", "too old"),
    ):
        since = len(cell.diagnostics)
        cell.send(pose, stamp, frame)
        assert eventually(lambda text=complaint, at=since: cell.said(text, at)), complaint
    assert cell.follows
    assert cell.driver.record().changes == []


def test_a_second_commander_is_refused_and_named(cell):
    cell.refuses_a_second_commander()


FAULTS = {
    "protective stop": ("safety_mode", 3, 1),
    "emergency stop": ("safety_mode", 7, 1),
    "switched off": ("robot_mode", 3, 7),
    "program on the controller is stopped": ("program_running", False, True),
    "program is paused": ("speed_scaling", 0.0, 100.0),
}
"""What is said of a fault, the order that causes it, and the value that ends it."""


@pytest.mark.parametrize("text", FAULTS)
def test_after_a_fault_the_arm_stands_until_a_person_resumes(cell, text):
    order, bad, good = FAULTS[text]
    with cell.moving():
        fault = cell.driver.tell(order, bad)
        assert eventually(lambda: not cell.follows)
        record = cell.driver.record()
        print(f"{text}: {goes_on_for(record, fault) * 1e3:.0f} ms")
        assert goes_on_for(record, fault) < ALLOWED
        assert_consistent(record)
        assert text in cell.state
        assert contract.ARM_RESUME_SERVICE in cell.state
        assert eventually(lambda: cell.said(text))
        answer = cell.resume()
        assert not answer.success
        assert text in answer.message
        cell.driver.tell(order, good)
        # The targets go on coming, all is well again, and still nothing moves.
        assert eventually(lambda: "stands ready" in cell.state)
        cell.fresh_states()
        assert not cell.follows
        assert cell.driver.record().arrivals[-1] == record.arrivals[-1]
    stood = np.array(cell.driver.record(clear=True).joints)
    cell.go_on()
    assert eventually(lambda: len(cell.driver.record().arrivals) > 50)
    first = np.array(cell.driver.record().arrivals[1][1])
    assert np.allclose(first, stood, atol=1e-3)  # it begins where the arm is


def test_another_commander_of_the_drivers_controller_stops_the_arm(cell):
    node = cell.ros.node("other_commander")
    topic = f"/{NAMESPACE}/forward_position_controller/commands"
    with cell.moving():
        publisher = node.create_publisher(Float64MultiArray, topic, 1)
        assert eventually(lambda: not cell.follows)
        assert "other_commander" in cell.state
        assert not cell.resume().success
    node.destroy_publisher(publisher)
    assert eventually(lambda: "stands ready" in cell.state)


def test_an_arm_that_does_not_follow_is_told_and_led_no_farther(cell):
    """As where the controller is loaded, and not active."""
    cell.driver.tell("active", False)
    cell.send(shifted(HOME, y=0.4))
    assert eventually(lambda: not cell.follows)
    assert "forward_position_controller" in cell.state
    record = cell.driver.record()
    lag = np.abs(np.array(record.arrivals[-1][1]) - record.joints).max()
    assert lag < 0.35
    cell.driver.tell("active", True)


STATE_FAULTS = {
    "late or not at all": ("states", False, True),
    "not finite": ("bent", math.nan, 0.0),
}


@pytest.mark.parametrize("text", STATE_FAULTS)
def test_without_joint_states_the_arm_stands(strict_cell, text):
    cell, (order, bad, good) = strict_cell, STATE_FAULTS[text]
    cell.go_on()
    with cell.moving():
        fault = cell.driver.tell(order, bad)
        assert eventually(lambda: text in cell.state)
        record = cell.driver.record()
        print(f"{text}: {goes_on_for(record, fault) * 1e3:.0f} ms")
        assert goes_on_for(record, fault) < ALLOWED
        assert_consistent(record)
        assert not cell.resume().success
        assert cell.driver.record().arrivals[-1] == record.arrivals[-1]
    cell.driver.tell(order, good)
    cell.go_on()


def test_a_driver_that_is_not_there_is_waited_for_and_begun_with_where_the_arm_is():
    with graph() as ros, UrRosDriver(ros.domain, NAMESPACE) as driver:
        driver.tell("states", False)
        driver.tell("safety_mode", 3)
        cell = Cell(ros, driver, interface="trajectory", **LENIENT)
        assert eventually(lambda: bool(cell.states) and "joint_states" in cell.state)
        assert not cell.resume().success
        driver.tell("states", True)
        assert eventually(lambda: "protective stop" in cell.state)
        assert driver.record().arrivals == []
        driver.tell("safety_mode", 1)
        cell.go_on()
        assert cell.arrives(shifted(HOME, y=0.05))
        arrivals = driver.record().arrivals
        # Only the newest is kept on the way, so the very first ones may not arrive; the way is 0.1.
        assert np.allclose(arrivals[0][1], KINEMATICS.home, atol=0.01)
        # Deactivated on its way it brakes within its limits.
        cell.send(shifted(HOME, y=0.2))
        assert eventually(lambda: len(driver.record().changes) > 5)
        cell.node.trigger_deactivate()
        points = np.array([joints for _, joints in driver.record().arrivals])
        assert np.abs(np.diff(points, axis=0)).max() < 0.05
        ends = driver.record().arrivals[-1]
        time.sleep(0.2)
        assert driver.record().arrivals[-1] == ends


def test_where_the_driver_has_the_graphs_topic_its_states_are_not_repeated():
    with graph() as ros, UrRosDriver(ros.domain):
        node = ros.create(ArmAdapterNode, joint_prefix="left_")
        node.trigger_configure()
        assert "have a prefix" in node.failure
        node.set_parameters([Parameter("joint_prefix", value="")])
        wrist_poses = ros.collect(contract.WRIST_POSE)
        node.trigger_configure()
        node.trigger_activate()
        assert eventually(lambda: bool(wrist_poses))

        def publishers() -> list[str]:
            found = ros.tester.get_publishers_info_by_topic("/joint_states")
            return [publisher.node_name for publisher in found]

        # Who it is becomes known a little after that it is there.
        assert eventually(lambda: publishers() == ["ur_robot_driver"]), publishers()
