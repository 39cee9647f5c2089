"""Graphs in which the real drivers are at simulated devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexgrasp_bringup.graph import GraphError, SimulationOptions, simulation_graph
from dexgrasp_bringup.graph_node import GraphNode
from dexgrasp_bringup.robot_graph import HardwareOptions, hardware_nodes


def by_name(nodes: list[GraphNode]) -> dict[str, GraphNode]:
    return {node.name: node for node in nodes}


def test_drivers_take_the_simulators_place_at_the_cells_devices() -> None:
    nodes = by_name(simulation_graph(SimulationOptions(object="can", seed=3, drivers=True)))
    assert "sim_bridge" not in nodes
    cell, hand, arm = (nodes[name].parameters for name in ("sim_cell", "hand_driver", "arm_driver"))
    assert cell["address"] == hand["host"] == arm["controller.host"]
    assert str(cell["address"]).startswith("127.")
    assert (cell["simulated_arm"], cell["simulated_hand"]) == (True, True)
    cameras = nodes["realsense"]
    assert cameras.executable == "camera_node"
    for parameters in (cell, cameras.parameters):
        assert (parameters["object"], parameters["seed"]) == ("can", 3)
    for name in ("perception", "proposals", "control"):
        assert nodes[name].parameters["use_sim_time"] is False


def test_with_assist_a_persons_hand_moves_the_wrist_through_the_leaps_driver_and_teleop() -> None:
    options = SimulationOptions(object="can", seed=3, drivers=True, assist=True)
    nodes = by_name(simulation_graph(options))
    assert "wrist_player" not in nodes
    person, leap, cell = (nodes[name].parameters for name in ("person", "leap", "sim_cell"))
    assert person["address"] == leap["host"] == cell["address"]
    assert (person["scene"], person["seed"]) == ("arm", 3)
    assert nodes["teleop"].executable == "teleop_node"
    assert {"graspgf.lost_after", "stamp_tolerance"} <= set(nodes["control"].parameters)
    for name in ("sim_cell", "realsense"):
        assert nodes[name].parameters["box"] is True
    assert "person" not in by_name(simulation_graph(SimulationOptions(drivers=True)))


def test_the_users_parameters_reach_a_driver_of_a_simulated_device(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("hand_driver: {ros__parameters: {lead: 0.03}}\n")
    options = SimulationOptions(drivers=True, params_file=str(mine))
    assert by_name(simulation_graph(options))["hand_driver"].parameters["lead"] == 0.03


@pytest.mark.parametrize("other", [{"mode": "lock_step"}, {"scene": "floating"}])
def test_what_drivers_cannot_do_is_refused(other: dict[str, str]) -> None:
    with pytest.raises(GraphError, match=r"drivers .* leave out one"):
        SimulationOptions(drivers=True, **other)


def test_on_the_robot_some_devices_may_be_simulated() -> None:
    nodes = by_name(hardware_nodes(HardwareOptions(arm="ur10e", hand="sim", cameras="sim")))
    assert "controller.host" not in nodes["arm_driver"].parameters  # that of the parameter file
    assert "controller.late_limit" not in nodes["arm_driver"].parameters
    assert "executor.tracking_distance" not in nodes["control"].parameters
    assert nodes["hand_driver"].parameters["host"] == nodes["sim_cell"].parameters["address"]
    assert nodes["sim_cell"].parameters["simulated_arm"] is False
    assert nodes["realsense"].executable == "camera_node"
    assert "robot_state_publisher" not in nodes


def test_on_the_robot_a_person_may_be_simulated_too() -> None:
    nodes = by_name(hardware_nodes(HardwareOptions(leap="sim")))
    assert nodes["leap"].parameters["host"] == nodes["person"].parameters["address"]
    assert "sim_cell" not in nodes
    assert nodes["control"].parameters["controller"] == "graspgf"
    assert (
        "hand_timeout"
        not in by_name(hardware_nodes(HardwareOptions(leap="leap")))["teleop"].parameters
    )


def test_on_the_robot_nothing_is_simulated_unasked() -> None:
    nodes = by_name(hardware_nodes(HardwareOptions()))
    assert "sim_cell" not in nodes
    assert nodes["realsense"].executable == "realsense_node"
    assert "robot_state_publisher" in nodes
