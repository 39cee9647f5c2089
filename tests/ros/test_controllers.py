"""Controllers that the control node is told to use: of one's own, broken, and unusable ones."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from control_cell import Cell, grasp
from own_package import code_of, write_package
from ros_graph import Graph, graph

from dexgrasp_models.control.controllers import CONTROLLERS

BROKEN = """
class Broken(Straight):
    ticks = 0

    def step(self, observation):
        self.ticks += 1
        if self.ticks > 3:
            raise ZeroDivisionError("of a policy")
        return super().step(observation)

BROKEN = ControllerKind(StraightConfig, Broken, needs=frozenset({Need.GOAL}))
STRAINING = ControllerKind(StraightConfig, Straight, needs=frozenset({Need.GOAL, Need.EFFORTS}))
FEELING = ControllerKind(StraightConfig, Straight, needs=frozenset({Need.GOAL, Need.TACTILE}))
"""


@pytest.fixture
def own_package(tmp_path) -> Path:
    """The controller of CONTRIBUTING.md, one that fails, and one that feels."""
    offers = [
        "straight = own_controllers:KIND",
        "broken = own_controllers:BROKEN",
        "straining = own_controllers:STRAINING",
        "feeling = own_controllers:FEELING",
        "absent = nowhere:KIND",
    ]
    code = code_of("A controller") + BROKEN
    write_package(tmp_path, "own_controllers", code, CONTROLLERS.group, offers)
    return tmp_path


@contextmanager
def control_node(ros: Graph, package: Path, controller: str, *parameters: str):
    """Its process, where the package is installed."""
    command = [sys.executable, "-m", "dexgrasp_control.control_node", "--ros-args"]
    own = ("use_sim_time:=true", "state_timeout:=30.0", f"controller:={controller}")
    for parameter in (*own, *parameters):
        command += ["-p", parameter]
    path = os.pathsep.join([str(package), *sys.path])
    process = subprocess.Popen(
        command, env=ros.environment | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def cell():
    with graph() as ros:
        cell = Cell(ros)
        cell.reset()
        yield cell
        cell.go_on.set()


def outcome(cell: Cell) -> tuple[str, str]:
    result = cell.result()
    return result.outcome, result.reason


def test_a_controller_of_ones_own_carries_the_grasp_out(cell, own_package):
    with control_node(cell.ros, own_package, "straight", "straight.arrival:=0.02"):
        assert outcome(cell) == ("succeeded", "the hand is at the goal")
        assert np.linalg.norm(cell.robot.wrist[:3, 3] - grasp().palm_pose[:3, 3]) < 0.03
        assert "plan" not in {state.state for state in cell.states}  # it needs none


def test_a_controller_that_fails_lets_the_robot_go(cell, own_package):
    failed = ("aborted", "the controller failed: ZeroDivisionError('of a policy')")
    with control_node(cell.ros, own_package, "broken"):
        assert outcome(cell) == failed
        assert cell.robot.commands == 3
        cell.reset()
        assert outcome(cell) == failed  # the node goes on


def test_efforts_that_are_needed_must_be_measured(cell, own_package):
    with control_node(cell.ros, own_package, "straining"):
        assert outcome(cell) == ("stale_input", "the controller lacks joint efforts")
        assert cell.robot.commands == 0
        cell.reset()
        cell.robot.efforts = np.full(22, 0.1)
        assert outcome(cell) == ("succeeded", "the hand is at the goal")
        cell.reset()
        cell.robot.efforts = np.full(22, np.nan)  # as drivers tell what they don't measure
        assert outcome(cell)[0] == "stale_input"


@pytest.mark.parametrize(
    ("controller", "reason"),
    [
        ("feeling", "controller feeling needs contact forces, which is not offered here"),
        ("absent", "controller absent (nowhere:KIND) can't be loaded"),
        (
            "unknown",
            "must be one of: planned, absent, broken, feeling, graspgf, policy, straight,",
        ),
    ],
)
def test_a_controller_that_cant_be_used_is_refused_at_once(own_package, controller, reason):
    with graph() as ros, control_node(ros, own_package, controller) as process:
        _, log = process.communicate(timeout=120)
    assert process.returncode != 0
    assert reason in log
    assert "Traceback" not in log
