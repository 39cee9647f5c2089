"""The devices' ends of a simulated robot: what they ask for moves, and is measured there."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_counterparts.joint_link import JointLink
from dexgrasp_counterparts.rosbridge_server import JOINTS, MOTORS, JoinedHand
from dexgrasp_counterparts.simulated_robot import SimulatedRobot
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import make_physics
from dexgrasp_sim.scene import load_scene


@pytest.fixture
def physics():
    found = make_physics(load_scene(scene="arm", control_period=0.005), load_object("ball"))
    found.reset(0)
    return found


def run(robot: SimulatedRobot, physics, steps: int) -> None:
    for _ in range(steps):
        robot.obey()
        physics.step()
        robot.measure()


def test_nothing_moves_before_a_device_says_so(physics):
    before = physics.joint_positions()
    run(SimulatedRobot(physics, load_hand()), physics, 50)
    assert physics.joint_positions() == pytest.approx(before, abs=0.01)


def test_an_arms_controller_moves_its_joints_and_measures_them(physics):
    robot = SimulatedRobot(physics, load_hand())
    home = np.array(robot.arm.newest()[:6])
    target = home + np.array([0.1, 0.1, -0.1, 0.05, -0.1, 0.1])
    robot.arm.send(target)
    run(robot, physics, 20)
    assert np.abs(robot.arm.newest()[6:]).max() > 0.1  # on its way, rad/s
    run(robot, physics, 200)
    measured = robot.arm.newest()
    assert np.allclose(measured[:6], target, atol=0.003)
    assert np.allclose(measured[6:], 0.0, atol=0.02)


def test_the_hands_motors_move_its_joints_in_the_vendors_signs(physics):
    robot = SimulatedRobot(physics, load_hand())
    hand = JoinedHand(robot.fingers)
    wanted = dict.fromkeys(MOTORS, 0.0)
    wanted |= {"rh_FFJ3": 0.4, "rh_FFJ4": -0.1, "rh_RFJ0": 0.8, "rh_THJ2": 0.2, "rh_THJ4": 0.5}
    hand.go(wanted, now=0.0, seconds=0.5)
    for step in range(300):
        hand.measured(0.005 * step)
        run(robot, physics, 1)
    measured = hand.measured(1.5)
    angles = dict(zip(JOINTS, measured.positions, strict=True))
    for joint in ("rh_FFJ3", "rh_FFJ4", "rh_THJ2", "rh_THJ4"):
        assert angles[joint] == pytest.approx(wanted[joint], abs=0.05), joint
    assert angles["rh_RFJ1"] + angles["rh_RFJ2"] == pytest.approx(0.8, abs=0.05)
    assert (angles["rh_WRJ1"], angles["rh_WRJ2"]) == (0.0, 0.0)
    ours = physics.joint_positions()
    assert ours["rh_THJ2"] == pytest.approx(-0.2, abs=0.05)  # turns the other way round
    assert any(measured.efforts)


def test_the_newest_counts_and_a_full_link_holds_nobody_up():
    robot, device = JointLink.pair(sends=1, receives=2)
    assert device.newest() is None
    for number in range(10_000):
        robot.send([number])
    first = device.newest()
    robot.send([10_000])
    assert first < device.newest() == (10_000,)
    device.send([1.0, 2.0])
    assert robot.newest() == (1.0, 2.0)
    device.close()
    robot.send([0.0])  # to nobody
    assert robot.newest() == (1.0, 2.0)
