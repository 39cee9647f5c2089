"""The command line: fast to start, clear about bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest
from seen_board import seen_board
from typer.testing import CliRunner

from dexgrasp_bringup.graph import (
    GraphError,
    GraphNode,
    SimulationOptions,
    simulation_graph,
)
from dexgrasp_bringup.robot_graph import HardwareOptions, hardware_graph
from dexgrasp_cli import doctor
from dexgrasp_cli.cli import app
from dexgrasp_models.config import find_config
from dexgrasp_models.perception.calibration import CharucoBoard
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_models.tasks import learned_goal

HEAVY = ("torch", "rclpy", "mujoco", "open3d", "scipy", "numpy", "cv2")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import json, sys, dexgrasp_cli.cli;"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []


@pytest.mark.parametrize("command", [["demo"], ["bench", "grasp"], ["calibrate"], ["doctor"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_unknown_scene_is_refused_with_the_choices() -> None:
    result = CliRunner().invoke(app, ["demo", "--scene", "moon"])
    assert result.exit_code == 2
    assert "scene is 'moon', not floating or arm" in result.output


def test_a_text_and_a_person_are_not_asked_for_together() -> None:
    result = CliRunner().invoke(app, ["demo", "--assist", "--text", "the mug by the handle"])
    assert result.exit_code == 2
    assert "leave out one of the two" in result.output


def test_a_parameter_file_that_is_missing_is_told_before_anything_starts(tmp_path: Path) -> None:
    command = ["demo", "--params-file", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "mine.yaml can't be read" in result.output.replace("\n", "")


def test_options_refuse_what_is_not_a_choice() -> None:
    with pytest.raises(GraphError, match="mode is 'fast', not real_time or lock_step"):
        SimulationOptions(mode="fast")


def test_the_configuration_chooses_the_proposer_unless_the_user_does() -> None:
    def parameters(**options: str) -> dict[str, object]:
        graph = {node.name: node for node in simulation_graph(SimulationOptions(**options))}
        chosen = graph["proposals"].parameters
        return {key: chosen[key] for key in ("proposer", "learned.weights") if key in chosen}

    assert parameters() == {}
    asked = {"proposer": "learned", "weights": "nets"}
    assert parameters(**asked) == {"proposer": "learned", "learned.weights": "nets"}
    with pytest.raises(GraphError, match="proposer is 'best', not learned or analytic"):
        SimulationOptions(proposer="best")


def test_with_assist_a_wrist_is_played_and_followed() -> None:
    def nodes(**options: Any) -> dict[str, GraphNode]:
        return {node.name: node for node in simulation_graph(SimulationOptions(**options))}

    assert "wrist_player" not in nodes()
    assert "controller" not in nodes()["control"].parameters
    assisted = nodes(assist=True, scene="floating", seed=3)
    assert assisted["control"].parameters["controller"] == "graspgf"
    assert dict(assisted["wrist_player"].parameters) == {
        "use_sim_time": True,
        "scene": "floating",
        "seed": 3,
    }
    assert assisted["wrist_player"].parameter_file.name == "wrist_player.yaml"
    assert not assisted["wrist_player"].commands


def test_the_scene_chooses_the_simulator_unless_the_user_does() -> None:
    def bridge(**options: str) -> dict[str, object]:
        return dict(simulation_graph(SimulationOptions(**options))[0].parameters)

    assert "backend" not in bridge()
    assert bridge(backend="mujoco")["backend"] == "mujoco"
    with pytest.raises(
        GraphError, match="backend is 'gazebo', not isaac_gym or mujoco or mujoco_warp"
    ):
        SimulationOptions(backend="gazebo")
    result = CliRunner().invoke(app, ["bench", "grasp", "--objects", "can", "--backend", "gazebo"])
    assert result.exit_code == 2
    assert (
        "backend = 'gazebo': expected one of: isaac_gym, mujoco, mujoco_warp"
        in result.output.replace("\n", "")
    )


def test_the_doctor_says_how_to_get_a_simulator_that_is_not_there(monkeypatch) -> None:
    monkeypatch.delenv("DEXGRASP_ISAACGYM_PYTHON", raising=False)
    found = doctor._simulator("isaac_gym")
    assert not found.found
    assert "$DEXGRASP_ISAACGYM_PYTHON is not set" in found.detail
    assert "pip install -e isaacgym/python" in found.detail


def test_a_bench_of_a_policy_needs_its_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(learned_goal, "POLICY_WEIGHTS", tmp_path / "policy.safetensors")
    command = ["bench", "grasp", "--objects", "can", "--controller", "policy"]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, command)
    assert result.exit_code == 2
    assert "no trained student comes with this package" in " ".join(result.output.split())


def test_benchmarks_refuse_weights_that_are_not_there(tmp_path: Path) -> None:
    command = ["bench", "grasp", "--proposer", "learned", "--weights", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "ipdf.safetensors" in result.output.replace("\n", "")


def test_hardware_names_the_missing_drivers() -> None:
    with pytest.raises(GraphError, match=r"robot_state_publisher .*; realsense2_camera "):
        hardware_graph(HardwareOptions(cameras="realsense_ros"))


def test_hardware_starts_the_drivers_that_are_asked_for() -> None:
    grasping = {"perception", "proposals", "control"}

    def drivers(**options: Any) -> set[str]:
        graph = hardware_graph(HardwareOptions(transforms=False, **options))
        assert not any(node.parameters.get("use_sim_time") for node in graph)
        return {node.name for node in graph} - grasping

    assert drivers() == {"hand_driver", "arm_driver", "realsense"}
    assert drivers(arm="none") == {"hand_driver", "realsense"}
    assert drivers(hand="none", cameras="none") == {"arm_driver"}
    assert drivers(arm="none", hand="shadow_ros2", cameras="none") == {"hand_driver"}
    assert drivers(arm="ur_robot_driver", cameras="none") == {"hand_driver", "arm_adapter"}
    assert drivers(leap="leap", cameras="none") == {"hand_driver", "arm_driver", "leap", "teleop"}
    choices = "ur10e or ur_robot_driver or sim or none"
    with pytest.raises(GraphError, match=f"arm is 'ur5', not {choices}"):
        HardwareOptions(arm="ur5")


def test_doctor_finds_what_the_demo_needs() -> None:
    found = {finding.what: finding for finding in doctor.findings()}
    lacking = [finding for finding in found.values() if finding.needed and not finding.found]
    assert not lacking
    assert all(finding.cost for finding in found.values() if not finding.found)


def test_doctor_says_what_a_broken_package_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    finding = next(found for found in doctor.findings() if found.what == "mujoco")
    assert not finding.found
    assert finding.needed
    assert "make setup" in finding.cost


class TestCalibrate:
    def test_recovers_the_poses_of_the_rig(self, tmp_path: Path) -> None:
        rig = find_config("cameras/four_d415.yaml")
        for camera in load_rig(rig):
            imageio.imwrite(tmp_path / f"{camera.name}.png", seen_board(camera, CharucoBoard()))
        out = tmp_path / "rig.yaml"
        result = CliRunner().invoke(app, ["calibrate", str(tmp_path), "--out", str(out)])
        assert result.exit_code == 0, result.output
        for camera, found in zip(load_rig(rig), load_rig(out), strict=True):
            offset = found.world_T_optical[:3, 3] - camera.world_T_optical[:3, 3]
            assert np.linalg.norm(offset) < 0.005

    def test_a_folder_without_images_is_refused(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(
            app, ["calibrate", str(tmp_path), "--out", str(tmp_path / "rig.yaml")]
        )
        assert result.exit_code == 2
        assert "has no image of camera_1" in result.output
        assert not (tmp_path / "rig.yaml").exists()
