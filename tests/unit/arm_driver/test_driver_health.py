"""What Universal Robots' ROS 2 driver says, and whether the arm may be moved then."""

from __future__ import annotations

import dataclasses

import pytest

from dexgrasp_arm_driver.driver_health import DriverStatus

WELL = DriverStatus(robot_mode=7, safety_mode=1, program_running=True, speed_scaling=100.0)


def test_nothing_is_known_at_first():
    assert DriverStatus().untold == [
        "robot_mode",
        "safety_mode",
        "program_running",
        "speed_scaling",
    ]
    assert WELL.untold == []


def test_all_that_stops_the_arm_is_named():
    assert WELL.trouble == WELL.warning == ""
    assert dataclasses.replace(WELL, safety_mode=2).trouble == ""  # reduced
    for changed, text in (
        ({"safety_mode": 3}, "protective stop"),
        ({"safety_mode": 5}, "safeguard"),
        ({"safety_mode": 11}, "safety mode 11"),
        ({"safety_mode": 200}, "safety mode 200"),
        ({"robot_mode": 5}, "brakes"),
        ({"robot_mode": 99}, "mode 99"),
        ({"program_running": False}, "External Control"),
        ({"speed_scaling": 0.0}, "paused"),
        ({"speed_scaling": float("nan")}, "paused"),
    ):
        assert text in dataclasses.replace(WELL, **changed).trouble


@pytest.mark.parametrize(("scaling", "told"), [(100.0, False), (99.9, False), (30.0, True)])
def test_a_slow_arm_is_told(scaling, told):
    status = dataclasses.replace(WELL, speed_scaling=scaling)
    assert not status.trouble
    assert bool(status.warning) is told
