"""Two cells in one ROS domain, each in a namespace of its own, run side by side."""

from __future__ import annotations

import numpy as np
import pytest
from given_grasps import goal_of, grasp_from_above, start
from ros_graph import Graph, eventually, graph
from std_srvs.srv import Trigger

from dexgrasp_control.control_node import ControlNode
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_ros import contract, conversions
from dexgrasp_sim_bridge.bridge_node import BridgeNode

PATIENCE = 60.0
SHARED = {"/diagnostics", "/parameter_events", "/rosout"}


@pytest.fixture(scope="module")
def cells():
    with graph("cell1") as first, graph("cell2", first.domain) as second:
        for cell, thing in ((first, "can"), (second, "hammer")):
            # Time stands still where nothing moves: two robots are not too much for one machine.
            cell.start(BridgeNode, object=thing, mode="lock_step", deadline=PATIENCE)
            cell.start(PerceptionNode, use_sim_time=True, frame_timeout=PATIENCE)
            cell.start(ControlNode, use_sim_time=True, state_timeout=PATIENCE)
            cell.clouds = cell.collect(contract.OBJECT_CLOUD)
            cell.targets = cell.collect(contract.WRIST_TARGET)
            cell.wrist_poses = cell.collect(contract.WRIST_POSE)
        yield first, second


def test_every_name_is_in_a_cell(cells):
    first, _ = cells
    assert eventually(
        lambda: (
            {"/cell1/clock", "/cell2/clock"}
            <= {name for name, _ in first.tester.get_topic_names_and_types()}
        )
    )
    names = {name for name, _ in first.tester.get_topic_names_and_types()}
    names |= {name for name, _ in first.tester.get_service_names_and_types()}
    assert {name for name in names if not name.startswith(("/cell1/", "/cell2/"))} <= SHARED


def test_a_capture_sees_the_cells_own_table(cells):
    for number, cell in enumerate(cells):
        response = cell.call(
            Trigger, contract.CAPTURE_SERVICE, Trigger.Request(), timeout=2 * PATIENCE
        )
        assert response.success, response.message
        assert eventually(lambda cell=cell: len(cell.clouds) == 1)
        assert [len(each.clouds) for each in cells] == [1] * (number + 1) + [0] * (1 - number)
    (can, _), (hammer, _) = (conversions.cloud_from_message(cell.clouds[0]) for cell in cells)
    assert np.ptp(can[:, 2]) > 1.5 * np.ptp(hammer[:, 2])


def height(cell: Graph) -> float:
    return conversions.pose_from_message(cell.wrist_poses[-1].pose)[2, 3]


def test_each_moves_and_stops_by_its_own_control_alone(cells):
    first, second = cells
    rest = height(second)
    _, first_result = start(first, "pregrasp")
    assert eventually(lambda: len(first.targets) > 10, timeout=PATIENCE)
    assert not second.targets
    assert height(second) == pytest.approx(rest, abs=1e-3)
    second_goal, second_result = start(second, "pregrasp")
    response = first.call(Trigger, contract.STOP_SERVICE, Trigger.Request(), timeout=PATIENCE)
    assert response.message == "stopped"
    outcome = first.wait(first_result, PATIENCE).result
    assert (outcome.outcome, outcome.reason) == ("aborted", "stopped by /cell1/control/stop")
    sent = len(second.targets)
    assert eventually(lambda: len(second.targets) > sent + 10, timeout=PATIENCE)
    assert not second_result.done()
    second.wait(second_goal.cancel_goal_async(), PATIENCE)
    assert second.wait(second_result, PATIENCE).result.outcome == "aborted"


def test_a_grasp_in_one_cell_is_refused_for_its_own_reasons(cells):
    """Errors name what they are about in full."""
    _, second = cells
    _, result = second.grasp(goal_of(grasp_from_above(height=-0.3)))
    assert second.wait(result, PATIENCE).result.outcome == "no_approach"
    diagnostics = second.collect(contract.DIAGNOSTICS)
    expected = {f"cell{n}/{node}" for n in (1, 2) for node in ("sim_bridge", "control")}
    assert eventually(lambda: expected <= {m.status[0].name for m in diagnostics})
