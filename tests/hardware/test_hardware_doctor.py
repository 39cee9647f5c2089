"""What the devices' counterparts say when they are asked."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from ros2_hand import Ros2Hand
from typer.testing import CliRunner
from ur_ros_driver import UrRosDriver

from dexgrasp_bringup.processes import free_domain_id
from dexgrasp_bringup.robot_graph import HardwareOptions
from dexgrasp_cli.cli import app
from dexgrasp_cli.doctor import Finding
from dexgrasp_cli.hardware_doctor import device_findings, examine_hardware
from dexgrasp_counterparts.hand_counterpart import hand_counterpart
from dexgrasp_counterparts.leap_counterpart import leap_counterpart
from dexgrasp_counterparts.ur_controller import UrController
from dexgrasp_models.hand.spec import load_hand


def parameter_file(folder: Path, **of_nodes: dict) -> str:
    path = folder / "cell.yaml"
    path.write_text(yaml.safe_dump({n: {"ros__parameters": p} for n, p in of_nodes.items()}))
    return str(path)


def found(options: HardwareOptions) -> Finding:
    (finding,) = device_findings(options)
    return finding


def test_an_arm_is_ready_or_says_what_to_do(tmp_path):
    with UrController() as controller:
        own = parameter_file(tmp_path, arm_driver={"controller": {"host": controller.host}})
        arm = HardwareOptions(hand="none", cameras="none", params_file=own)
        assert found(arm).found
        assert "RUNNING" in found(arm).detail
        controller.tell("remote", False)
        assert "remote control" in found(arm).cost
        controller.tell("remote", True)
        controller.tell("safety", "protective stop")
        assert "PROTECTIVE_STOP" in found(arm).detail
        assert "end the stop" in found(arm).cost
        controller.tell("safety", "")
        controller.tell("mode", 3)
        assert "switch it on" in found(arm).cost
    assert not found(arm).found
    assert "controller.host" in found(arm).cost


def test_a_hand_is_ready_or_says_what_to_do(tmp_path):
    with hand_counterpart(tmp_path) as counterpart:
        own = parameter_file(tmp_path, hand_driver={"port": counterpart.port})
        hand = HardwareOptions(arm="none", cameras="none", params_file=own)
        assert found(hand).found
        assert "rh_trajectory_controller" in found(hand).detail
        counterpart.set(controllers="none")
        assert "start its controllers" in found(hand).cost
        counterpart.freeze()
        assert not found(hand).found
        counterpart.thaw()
    assert "rosbridge" in found(hand).cost


@pytest.fixture
def domain(monkeypatch) -> int:
    """Of ROS, free, in which the doctor listens."""
    found = free_domain_id()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(found))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return found


def test_an_arm_by_another_driver_is_there_or_it_is_told_what_is_missing(tmp_path, domain):
    own = parameter_file(tmp_path, arm_adapter={"driver_namespace": "/ur", "late_limit": 0.5})
    arm = HardwareOptions(arm="ur_robot_driver", hand="none", cameras="none", params_file=own)
    assert "nothing on /ur/joint_states" in found(arm).detail
    assert "start ur_robot_driver" in found(arm).cost
    with UrRosDriver(domain, "/ur") as driver:
        told = found(arm)
        assert told.found, told
        assert "/ur/forward_position_controller/commands" in told.detail
        driver.tell("states", False)
        assert "nothing on /ur/joint_states" in found(arm).detail


def test_a_hand_over_ros_2_is_there_or_it_is_told_what_is_missing(tmp_path, domain):
    own = {"state_age": 1.0}
    hand = HardwareOptions(
        arm="none",
        hand="shadow_ros2",
        cameras="none",
        params_file=parameter_file(tmp_path, hand_driver=own),
    )
    assert "nothing on /shadow/joint_states" in found(hand).detail
    with Ros2Hand(domain, load_hand().finger_joints):
        told = found(hand)
        assert told.found, told
        parameter_file(tmp_path, hand_driver={**own, "ros2": {"command": "/nobody"}})
        assert "nobody on /nobody" in found(hand).detail
        assert "start its controllers" in found(hand).cost


def test_cameras_without_a_serial_are_named():
    told = found(HardwareOptions(arm="none", hand="none"))
    assert not told.found
    assert "has no serial of camera_1" in told.cost


def test_a_leap_is_ready_or_says_what_to_do(tmp_path):
    with leap_counterpart() as counterpart:
        own = parameter_file(tmp_path, leap={"port": counterpart.port})
        leap = HardwareOptions(
            arm="none", hand="none", cameras="none", leap="leap", params_file=own
        )
        assert "frames a second" in found(leap).detail
        assert found(leap).found
        counterpart.set(attached=False)
        assert "plug the device in" in found(leap).cost
        counterpart.set(version=7)
        assert "version 7" in found(leap).detail
    assert "is the Leap's service running" in found(leap).cost


def test_the_table_tells_whether_all_are_ready(tmp_path):
    with UrController() as controller, hand_counterpart(tmp_path) as counterpart:
        own = parameter_file(
            tmp_path,
            arm_driver={"controller": {"host": controller.host}},
            hand_driver={"port": counterpart.port},
        )
        page = io.StringIO()
        options = HardwareOptions(params_file=own)
        ready = examine_hardware(options, Console(file=page, width=200))
    assert not ready  # there are no cameras
    assert page.getvalue().count("yes") == 2


def test_a_parameter_file_of_nobody_is_refused(tmp_path):
    own = parameter_file(tmp_path, arm={"controller": {"host": "10.0.0.1"}})
    result = CliRunner().invoke(app, ["doctor", "--hardware", "--params-file", own])
    assert result.exit_code == 2
    assert "for no node" in " ".join(result.output.split())


def test_an_arm_that_there_is_none_of_is_refused():
    result = CliRunner().invoke(app, ["doctor", "--hardware", "--arm", "ur5"])
    assert result.exit_code == 2
    assert "arm is 'ur5', not ur10e" in " ".join(result.output.split())


@pytest.mark.parametrize("rig", ["cameras/none.yaml", "scene.yaml"])
def test_a_rig_that_is_none_is_refused(rig):
    result = CliRunner().invoke(app, ["doctor", "--hardware", "--rig", rig])
    assert result.exit_code == 2, result.output
