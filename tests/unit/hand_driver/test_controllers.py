"""Which controllers are commanded, and with what."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_hand_driver.controllers import (
    FINGERS,
    WRIST,
    ControllersError,
    PositionControllers,
    TrajectoryController,
    choose,
)
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.vendor_joints import VendorJoints

VENDOR = VendorJoints(load_hand())
FINGER_JOINTS = VENDOR.hand.finger_joints
POSITIONS = [f"sh_{motor.lower()}_position_controller" for motor in VENDOR.hand.actuators]
ANGLES = dict(zip(VENDOR.names, np.arange(24) / 100.0, strict=True))


def listed(*running: str, stopped: tuple[str, ...] = (), joints: tuple[str, ...] = ()) -> list:
    resources = [{"hardware_interface": "", "resources": list(joints)}] if joints else []
    return [
        {"name": name, "state": state, "claimed_resources": resources}
        for names, state in ((running, "running"), (stopped, "stopped"))
        for name in names
    ]


@pytest.mark.parametrize(
    ("controllers", "joints"),
    [
        (listed(FINGERS, WRIST), FINGER_JOINTS),
        (listed(FINGERS), (*FINGER_JOINTS, *VENDOR.wrist)),
        (listed(FINGERS, stopped=(WRIST,)), (*FINGER_JOINTS, *VENDOR.wrist)),
        (listed(FINGERS, joints=FINGER_JOINTS), FINGER_JOINTS),
        (listed(FINGERS, joints=VENDOR.names), (*FINGER_JOINTS, *VENDOR.wrist)),
        (listed(FINGERS, WRIST, *POSITIONS), FINGER_JOINTS),
    ],
)
def test_the_trajectory_controller_is_taken_where_it_runs(controllers, joints):
    assert choose(controllers, "auto", VENDOR) == TrajectoryController(joints)


@pytest.mark.parametrize("kind", ["auto", "position"])
def test_else_the_position_controllers(kind):
    controllers = listed(*POSITIONS, stopped=(FINGERS,))
    assert choose(controllers, kind, VENDOR) == PositionControllers(VENDOR)


@pytest.mark.parametrize(
    ("controllers", "kind", "complaint"),
    [
        ([], "auto", f"neither {FINGERS} nor all position controllers run: start"),
        (listed(*POSITIONS), "trajectory", f"{FINGERS} not running: start"),
        (listed(FINGERS, *POSITIONS[1:]), "position", f"^{POSITIONS[0]} not running: start"),
    ],
)
def test_those_that_do_not_run_are_named(controllers, kind, complaint):
    with pytest.raises(ControllersError, match=complaint):
        choose(controllers, kind, VENDOR)


def test_a_trajectory_is_stamped_and_of_one_point():
    controller = TrajectoryController(FINGER_JOINTS)
    (message,) = controller.messages(ANGLES, time=12.75, lead=0.03)
    assert message.topic == "/rh_trajectory_controller/command"
    assert controller.topics == {message.topic: message.type}
    assert message.content["header"]["stamp"] == {"secs": 12, "nsecs": 750_000_000}
    assert message.content["joint_names"] == list(FINGER_JOINTS)
    (point,) = message.content["points"]
    assert point["positions"] == [ANGLES[name] for name in FINGER_JOINTS]
    assert point["time_from_start"] == {"secs": 0, "nsecs": 30_000_000}


def test_a_motor_gets_the_sum_of_its_joints():
    controllers = PositionControllers(VENDOR)
    messages = controllers.messages(ANGLES, time=12.75, lead=0.03)
    assert controllers.topics == {message.topic: message.type for message in messages}
    values = {message.topic: message.content["data"] for message in messages}
    both = ANGLES["rh_FFJ1"] + ANGLES["rh_FFJ2"]
    assert values["/sh_rh_ffj0_position_controller/command"] == pytest.approx(both)
    assert values["/sh_rh_thj5_position_controller/command"] == ANGLES["rh_THJ5"]
    assert len(values) == 18
