"""A user's ROS parameter file on top of the shipped ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexgrasp_bringup.graph import GraphError, GraphNode, SimulationOptions, simulation_graph
from dexgrasp_bringup.parameter_file import ParameterFile, ParameterFileError

TEXT = """
/**: {ros__parameters: {a: 1, group: {b: 2.0, deep: {c: [x, y]}}}}
perception: {ros__parameters: {a: 3}}
/cell1/control: {ros__parameters: {a: 4}}
cell2: {control: {ros__parameters: {a: 5}}}
/**/proposals: {ros__parameters: {a: 6}}
/cell1/*: {ros__parameters: {d: true}}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "namespace", "a", "d"),
    [
        ("perception", "", 3, False),
        ("perception", "cell1", 3, True),
        ("control", "", 1, False),
        ("control", "cell1", 4, True),
        ("proposals", "lab/cell1", 6, False),
    ],
)
def test_a_node_gets_its_own_sections(
    tmp_path: Path, name: str, namespace: str, a: int, d: bool
) -> None:
    values = ParameterFile.read(written(tmp_path, TEXT)).values_for(name, namespace)
    expected = {"a": a, "group.b": 2.0, "group.deep.c": ["x", "y"]}
    assert values == expected | ({"d": True} if d else {})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a node's name"),
        ("- 1", "expected a node's name"),
        ("perception: 1", "'perception' holds no mapping"),
        ("ros__parameters: {a: 1}", "stands under no node's name"),
        ("perception: {ros__parameters: [1]}", "must hold names and values"),
        ("perception: {ros__parameters: {a: }}", "parameter 'a' has no value"),
        ("perception: {ros__parameters: {a: [1}", "is not valid YAML"),
    ],
)
def test_what_is_no_parameter_file_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ParameterFileError, match=complaint) as refusal:
        ParameterFile.read(written(tmp_path, text))
    assert "mine.yaml" in str(refusal.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"nowhere.yaml can't be read"):
        simulation_graph(SimulationOptions(params_file=str(tmp_path / "nowhere.yaml")))


def graph_of(path: Path, **options: str) -> dict[str, GraphNode]:
    options = SimulationOptions(params_file=str(path), **options)
    return {node.name: node for node in simulation_graph(options)}


def test_the_users_values_replace_the_shipped_ones_and_the_modes(tmp_path: Path) -> None:
    text = """
perception: {ros__parameters: {frame_timeout: 33.0, fusion: {n_points: 512}}}
sim_bridge: {ros__parameters: {disabled_cameras: [camera_1]}}
"""
    graph = graph_of(written(tmp_path, text), namespace="/cell1")
    parameters = graph["perception"].parameters
    assert (parameters["frame_timeout"], parameters["fusion.n_points"]) == (33.0, 512)
    assert "fusion.n_points" not in graph["control"].parameters
    assert graph["sim_bridge"].parameters["disabled_cameras"] == ["camera_1"]
    assert {node.namespace for node in graph.values()} == {"cell1"}


def test_a_section_for_no_node_of_the_graph_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "percepton: {ros__parameters: {frame_timeout: 33.0}}")
    with pytest.raises(GraphError, match=r"'percepton' is for no node .*/cell1/perception"):
        graph_of(path, namespace="cell1")


def test_what_an_option_sets_is_left_to_the_option(tmp_path: Path) -> None:
    path = written(tmp_path, "perception: {ros__parameters: {rig: mine.yaml}}")
    with pytest.raises(GraphError, match="sets rig of perception, for which there are options"):
        graph_of(path)


@pytest.mark.parametrize("namespace", ["1cell", "cell 1", "cell1/", "a//b", "zelle-1"])
def test_a_namespace_that_ros_would_not_take_is_refused(namespace: str) -> None:
    with pytest.raises(GraphError, match="letters, digits and underscores"):
        SimulationOptions(namespace=namespace)
