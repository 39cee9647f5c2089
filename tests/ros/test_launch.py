"""The launch files start the graph that the demo starts; needs ROS's own launch."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import psutil
import pytest
import yaml
from ros_graph import eventually

from dexgrasp_bringup.graph import GraphError, GraphNode, SimulationOptions, simulation_graph
from dexgrasp_bringup.grasp_client import GraspClient
from dexgrasp_bringup.processes import free_domain_id
from dexgrasp_bringup.robot_graph import HardwareOptions
from dexgrasp_interfaces.action import ExecuteGrasp

LAUNCH_FOLDER = Path(__file__).resolve().parents[2] / "launch"

pytest.importorskip("launch_ros", reason="ros2 launch is not installed (it is not on PyPI)")
launch = pytest.importorskip("launch")
from launch.substitutions import LocalSubstitution  # noqa: E402
from launch_ros.actions import Node  # noqa: E402

from dexgrasp_bringup.launching import launch_nodes  # noqa: E402


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
    with pytest.raises(GraphError, match=r"robot_state_publisher .*; realsense2_camera "):
        actions("hardware", cameras="realsense_ros")


def test_hardware_starts_the_drivers_that_are_asked_for() -> None:
    arguments = load("hardware").generate_launch_description().get_launch_arguments()
    assert {argument.name for argument in arguments} == set(HardwareOptions.__dataclass_fields__)
    found = actions("hardware", transforms="false", arm="none", leap="leap")
    packages = {action.node_package for action in found}
    assert packages >= {"dexgrasp_hand_driver", "dexgrasp_realsense", "dexgrasp_leap"}
    assert "dexgrasp_arm_driver" not in packages


def test_visualisation_starts_rviz() -> None:
    entities = load("viz").generate_launch_description().entities
    assert [entity.node_package for entity in entities if hasattr(entity, "node_package")] == [
        "rviz2"
    ]


def test_visualisation_of_a_cell_has_its_time_and_transforms() -> None:
    entities = load("viz").generate_launch_description().entities
    (rviz,) = (entity for entity in entities if isinstance(entity, Node))
    context = launch.LaunchContext()
    context.launch_configurations.update(namespace="cell1", use_sim_time="true")
    rviz._perform_substitutions(context)
    assert rviz.expanded_node_namespace == "/cell1"
    assert ("/tf", "tf") in rviz.expanded_remapping_rules


def parameters(node: Node) -> dict[str, object]:
    """What launch writes for a node."""
    node._perform_substitutions(launch.LaunchContext())
    values = {}
    for value, is_file in node._Node__expanded_parameter_arguments:
        if is_file:
            content = yaml.safe_load(Path(value).read_text())
            for section in content.values():
                values |= section["ros__parameters"]
    return values


def test_a_text_that_looks_like_a_number_stays_a_text() -> None:
    """A bare 7 would be refused as an integer."""
    values = parameters(actions("sim", object="7", seed="3")[0])
    assert values["object"] == "7"
    assert values["seed"] == 3


def test_a_namespace_takes_time_and_transforms_with_it() -> None:
    for node in actions("sim", namespace="cell1", log_level="debug"):
        node._perform_substitutions(launch.LaunchContext())
        assert node.expanded_node_namespace == "/cell1"
        assert dict(node.expanded_remapping_rules) == {
            "/clock": "clock", "/tf": "tf", "/tf_static": "tf_static",
        }  # fmt: skip
        command = [
            launch.utilities.perform_substitutions(launch.LaunchContext(), part)
            for part in node.cmd
            if not any(isinstance(each, LocalSubstitution) for each in part)
        ]
        assert command[1:4] == ["--ros-args", "--log-level", "debug"]


def test_the_users_parameter_file_wins_over_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "perception: {ros__parameters: {frame_timeout: 33.0}}\n"
        'sim_bridge: {ros__parameters: {disabled_cameras: [camera_1, "2"]}}\n'
    )
    nodes = {
        node.node_executable: parameters(node)
        for node in actions("sim", params_file=str(tmp_path / "mine.yaml"), namespace="cell1")
    }
    assert nodes["perception_node"]["frame_timeout"] == 33.0
    assert nodes["bridge_node"]["disabled_cameras"] == ["camera_1", "2"]


PROGRAM = """#!{python} -S
import pathlib, signal, sys, time
here = pathlib.Path(__file__).parent

def note(what):
    (here / ("{name}_" + what)).write_text(str(time.monotonic()))

def end(*_):
    note("asked")
    time.sleep({takes})
    note("ended")
    sys.exit(0)

signal.signal(signal.SIGINT, end)
note("up")
while not all((here / (name + "_up")).exists() for name in ("mover", "other", "fragile")):
    time.sleep(0.02)
if "{name}" == "fragile":
    sys.exit(1)
time.sleep(60)
"""


def test_when_a_node_ends_the_motion_is_stopped_before_the_others_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small programs in the place of nodes, run by launch."""
    (tmp_path / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (tmp_path / "share/ament_index/resource_index/packages/toys").touch()
    programs = tmp_path / "lib" / "toys"
    programs.mkdir(parents=True)
    for name, takes in (("mover", 0.5), ("other", 0.0), ("fragile", 0.0)):
        program = programs / name
        program.write_text(PROGRAM.format(python=sys.executable, name=name, takes=takes))
        program.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    graph = [
        GraphNode("toys", name, name, commands=name == "mover")
        for name in ("other", "fragile", "mover")
    ]
    service = launch.LaunchService(noninteractive=True)
    service.include_launch_description(launch.LaunchDescription(launch_nodes(graph)))
    assert service.run() == 0
    times = {path.name: float(path.read_text()) for path in programs.glob("*_*")}
    assert times["mover_ended"] < times["other_asked"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ros2") is None, reason="the command ros2 is not installed")
def test_the_command_starts_a_graph_that_grasps_and_ctrl_c_ends_it() -> None:
    domain = free_domain_id()
    command = f"ros2 launch {LAUNCH_FOLDER}/sim.launch.py object:=can scene:=floating"
    launched = subprocess.Popen(
        [*command.split(), "mode:=lock_step", "seed:=3"],
        env=os.environ | {"ROS_DOMAIN_ID": str(domain)},
        start_new_session=True,
        # Shells start background jobs, and so these tests, with Ctrl-C ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    names = ["sim_bridge", "perception", "proposals", "control"]
    try:
        with GraspClient(domain) as client:
            assert eventually(lambda: not client.inactive(names, timeout=1.0))
            run = client.grasp(ExecuteGrasp.Goal(choose=True), lambda feedback: None)
            assert run.wait(120.0)
            assert run.result.success, run.result.reason
        nodes = psutil.Process(launched.pid).children(recursive=True)
        assert len(nodes) >= len(names)
        os.killpg(launched.pid, signal.SIGINT)
        assert launched.wait(10.0) == 0
        assert not psutil.wait_procs(nodes, timeout=5.0)[1]
    finally:
        if launched.poll() is None:
            os.killpg(launched.pid, signal.SIGKILL)
