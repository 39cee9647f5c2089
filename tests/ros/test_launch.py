"""The launch files start the graph that the demo starts; needs ROS's own launch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from dexgrasp_bringup.graph import GraphError, SimulationOptions, simulation_graph

LAUNCH_FOLDER = Path(__file__).resolve().parents[2] / "launch"

pytest.importorskip("launch_ros", reason="ros2 launch is not installed (it is not on PyPI)")
launch = pytest.importorskip("launch")


def load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        name, LAUNCH_FOLDER / f"{name}.launch.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def actions(name: str, **arguments: str) -> list:
    """What the launch file starts with these arguments."""
    context = launch.LaunchContext()
    context.launch_configurations.update(arguments)
    started = []
    for entity in load(name).generate_launch_description().entities:
        started += entity.visit(context) or []
    return started


def test_simulation_starts_the_nodes_of_the_graph() -> None:
    started = actions("sim", object="mug", seed="3", viewer="true")
    expected = simulation_graph(SimulationOptions(object="mug", seed=3, viewer=True))
    assert [(node.node_package, node.node_executable) for node in started] == [
        (node.package, node.executable) for node in expected
    ]


def test_simulation_offers_every_option() -> None:
    arguments = load("sim").generate_launch_description().get_launch_arguments()
    assert {argument.name for argument in arguments} == set(SimulationOptions.__dataclass_fields__)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must be a number, not 'many'"):
        actions("sim", seed="many")


def test_hardware_names_the_missing_drivers() -> None:
    with pytest.raises(GraphError, match="dexgrasp_hand_driver"):
        actions("hardware")


def test_visualisation_starts_rviz() -> None:
    entities = load("viz").generate_launch_description().entities
    assert [entity.node_package for entity in entities if hasattr(entity, "node_package")] == [
        "rviz2"
    ]


def test_a_text_that_looks_like_a_number_stays_a_text(tmp_path: Path) -> None:
    """As launch writes the parameters for the node; a bare 7 would be refused as an integer."""
    bridge = actions("sim", object="7", seed="3")[0]
    context = launch.LaunchContext()
    bridge._perform_substitutions(context)
    values = {}
    for value, is_file in bridge._Node__expanded_parameter_arguments:
        if is_file:
            content = yaml.safe_load(Path(value).read_text())
            for node in content.values():
                values |= node["ros__parameters"]
    assert values["object"] == "7"
    assert values["seed"] == 3
