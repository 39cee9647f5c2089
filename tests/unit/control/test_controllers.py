"""Controllers by name: what they need, their settings, and one of a package of one's own."""

from __future__ import annotations

import numpy as np
import pytest
from own_package import code_of, look_again, write_package

from dexgrasp_models.control.approach_plan import ApproachPlan
from dexgrasp_models.control.config import ControlConfig, load_control_config
from dexgrasp_models.control.controllers import CONTROLLERS, Need, usable_controller
from dexgrasp_models.control.executor import ExecutorConfig, PlannedExecutor, Stage
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import Observation, OutcomeKind, Phase, RobotState
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.types import Grasp

PERIOD = 0.02


@pytest.fixture
def straight(tmp_path, monkeypatch) -> str:
    """The controller of CONTRIBUTING.md, installed."""
    offers = ["straight = own_controller:KIND"]
    write_package(tmp_path, "own_controller", code_of("A controller"), CONTROLLERS.group, offers)
    monkeypatch.syspath_prepend(tmp_path)
    look_again(CONTROLLERS, monkeypatch)
    return "straight"


def goal() -> Grasp:
    pose = np.eye(4)
    pose[:3, 3] = (0.1, 0.0, 0.3)
    joints = np.full(22, 0.2)
    return Grasp(pose, joints, joints, joints, score=0.0, figures={}, proposer="test")


def state(wrist: np.ndarray, time: float) -> RobotState:
    return RobotState(time, wrist, np.zeros(22), np.zeros(22))


def test_an_installed_package_brings_a_controller(straight):
    assert CONTROLLERS.names == ("planned", "graspgf", "policy", "straight")
    controller = ControlConfig().make_controller(straight, ControllerSetup(PERIOD))
    wrist, ticks = np.eye(4), 0
    wrist[:3, 3] = (-0.2, 0.0, 0.3)
    while controller.outcome is None and ticks < 200:
        command = controller.step(Observation(state(wrist, ticks * PERIOD), goal()), ticks * PERIOD)
        ticks += 1
        step = np.linalg.norm(command.wrist_target[:3, 3] - wrist[:3, 3])
        assert step <= 0.6 * PERIOD + 1e-9  # the safety limits', not its own
        wrist = command.wrist_target
    assert controller.outcome.kind is OutcomeKind.SUCCEEDED
    assert ticks == pytest.approx(0.29 / (0.6 * PERIOD), abs=2)


def test_its_settings_stand_in_the_controls_file(straight, tmp_path):
    file = tmp_path / "control.yaml"
    file.write_text("/**:\n  ros__parameters:\n    straight: {arrival: 0.05}\n")
    assert load_control_config(str(file)).others[straight].arrival == 0.05
    file.write_text("/**:\n  ros__parameters:\n    straight: {arrival: 5.0}\n")
    with pytest.raises(ValueError, match=r"arrival = 5\.0"):
        load_control_config(str(file))


def test_what_it_needs_must_be_offered(straight):
    assert usable_controller(straight, {Need.GOAL}).needs == {Need.GOAL}
    with pytest.raises(ValueError, match="controller straight needs a goal grasp, which is not"):
        usable_controller(straight, set(Need) - {Need.GOAL})
    with pytest.raises(
        ValueError, match="no controller 'curved'; there are: planned, graspgf, policy, straight"
    ):
        usable_controller("curved", set(Need))


def test_without_the_goal_that_it_needs_it_stops(straight):
    controller = ControlConfig().make_controller(straight, ControllerSetup(PERIOD))
    assert controller.step(Observation(state(np.eye(4), 0.0)), 0.0) is None
    assert controller.outcome.kind is OutcomeKind.STALE_INPUT
    assert controller.outcome.reason == "the controller lacks a goal grasp"


def test_the_planned_executor_asks_for_a_plan():
    with pytest.raises(ValueError, match="needs a plan"):
        PlannedExecutor(ExecutorConfig(), ControllerSetup(PERIOD))
    grasp = goal()
    plan = ApproachPlan(grasp, np.zeros(22), grasp.palm_pose, 0.3, clearance=0.01, cost=0.0)
    setup = ControllerSetup(PERIOD, plan, load_hand())
    controller = ControlConfig().make_controller("planned", setup)
    assert (controller.phase, controller.stage) == (Phase.REACH, Stage.PREGRASP)
