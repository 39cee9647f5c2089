"""What a user's shell may hold, and where results may be wanted: told first, in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dexgrasp_bringup.environment import environment_problems
from dexgrasp_bringup.graph import GraphNode
from dexgrasp_bringup.processes import graph_environment, node_command
from dexgrasp_cli import doctor
from dexgrasp_cli.cli import app
from dexgrasp_models.files import check_folder

VARIABLES = ("ROS_DOMAIN_ID", "RMW_IMPLEMENTATION", "ROS_LOG_DIR", "ROS_HOME")


@pytest.fixture(autouse=True)
def plain_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of the variables is set; logs can be written."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def broken_shells(tmp_path: Path) -> dict[str, tuple[str, str]]:
    """By name: variable and value."""
    (tmp_path / "file").touch()
    return {
        "word": ("ROS_DOMAIN_ID", "lab"),
        "negative": ("ROS_DOMAIN_ID", "-1"),
        "fraction": ("ROS_DOMAIN_ID", "1.5"),
        "too high": ("ROS_DOMAIN_ID", "233"),
        "digits of elsewhere": ("ROS_DOMAIN_ID", "\u0663"),
        "middleware": ("RMW_IMPLEMENTATION", "rmw_nobody_cpp"),
        "log in a file": ("ROS_LOG_DIR", str(tmp_path / "file" / "log")),
        "log nowhere": ("ROS_LOG_DIR", "/proc/nowhere"),
        "home": ("ROS_HOME", str(tmp_path / "file")),
        "user": ("HOME", "/proc/nowhere"),
    }


SHELLS = list(broken_shells(Path("/tmp")))


@pytest.mark.parametrize("shell", SHELLS)
def test_a_problem_names_its_variable(monkeypatch, tmp_path, shell) -> None:
    name, value = broken_shells(tmp_path)[shell]
    monkeypatch.setenv(name, value)
    problems = environment_problems()
    assert list(problems) == [name]
    assert problems[name].startswith(f"{name} is {value!r}")


@pytest.mark.parametrize("value", ["", "0", "42", "232"])
def test_domains_that_are_usual(monkeypatch, value) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", value)
    assert environment_problems() == {}
    assert graph_environment()["ROS_DOMAIN_ID"].isdigit()
    assert value in ("", graph_environment()["ROS_DOMAIN_ID"])


@pytest.mark.parametrize("shell", SHELLS)
def test_the_demo_ends_with_the_sentence(tmp_path, shell) -> None:
    name, value = broken_shells(tmp_path)[shell]
    command = [sys.executable, "-c", "from dexgrasp_cli.cli import main; main()", "demo"]
    run = subprocess.run(
        [*command, "--out", str(tmp_path / "out")],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 2
    assert run.stdout.startswith(f"{name} is ")
    assert "Traceback" not in run.stdout + run.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["record", "replay"])
@pytest.mark.parametrize("shell", ["word", "middleware", "log nowhere"])
def test_bags_end_with_the_sentence(monkeypatch, tmp_path, shell, command) -> None:
    name, value = broken_shells(tmp_path)[shell]
    monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, [command, str(tmp_path / "bag")])
    assert result.exit_code == 2
    assert result.output.startswith(f"{name} is ")


@pytest.mark.parametrize("shell", ["word", "middleware", "log nowhere"])
def test_the_doctor_says_it_and_goes_on(monkeypatch, tmp_path, shell) -> None:
    name, value = broken_shells(tmp_path)[shell]
    monkeypatch.setenv(name, value)
    found = list(doctor.findings())
    broken = [finding for finding in found if finding.needed and not finding.found]
    assert [finding.what for finding in broken] == ["environment of ROS 2"]
    assert broken[0].detail.startswith(f"{name} is ")
    assert any(finding.what.startswith("ROS 2 (") for finding in found)


def test_the_doctor_tries_what_else_ros_reads(monkeypatch) -> None:
    monkeypatch.setenv("ROS_LOG_DIR", "")
    finding = next(f for f in doctor.findings() if f.what == "environment of ROS 2")
    assert finding.found


@pytest.mark.parametrize("value", ["cup.obj", "杯子.stl", "🥤.obj", 'a "b" \\ c', "1", "", "~"])
def test_parameters_reach_a_node_as_they_are(monkeypatch, value) -> None:
    """As rcl reads them: YAML, whose escapes are not all JSON's."""
    import yaml

    monkeypatch.setattr("dexgrasp_bringup.processes.executable_path", lambda *_: "node")
    command = node_command(GraphNode("a", "b", "c", parameters={"object": value, "scale": 1.0}))
    given = dict(each.split(":=", 1) for each in command if ":=" in each)
    assert yaml.safe_load(given["object"]) == value
    assert yaml.safe_load(given["scale"]) == 1.0


class TestOutputs:
    @pytest.fixture
    def places(self, tmp_path) -> dict[str, Path]:
        (tmp_path / "file").touch()
        (tmp_path / "folder.npz").mkdir()
        return {
            "under a file": tmp_path / "file" / "out.npz",
            "deep under a file": tmp_path / "file" / "a" / "b" / "out.npz",
            "nowhere": Path("/proc/nowhere/out.npz"),
            "too long": tmp_path / ("x" * 300) / "out.npz",
        }

    FILES = (
        ["propose", "cloud.npy", "--out"],
        ["propose", "cloud.npy", "--rotations"],
        ["bench", "grasp", "--out"],
        ["eval", "proposals", "--out"],
        ["calibrate", "images", "--out"],
        ["objects", "show", "--out"],
        ["data", "show", "set", "--out"],
    )
    FOLDERS = (
        ["demo", "--out"],
        ["train", "ipdf", "--data", "set", "--out"],
        ["data", "validate", "set", "--out"],
        ["data", "clouds", "set"],
        ["record"],
        ["data", "export", "set", "--format", "dexgraspnet"],
    )

    @pytest.mark.parametrize("command", [*FILES, *FOLDERS], ids=" ".join)
    def test_every_command_refuses_what_cannot_be_made(self, places, command) -> None:
        for place in places.values():
            result = CliRunner().invoke(app, [*command, str(place)])
            assert result.exit_code == 2, result.output
            assert f"{place}: nothing can be written there: " in result.output

    @pytest.mark.parametrize("command", FILES, ids=" ".join)
    def test_a_folder_is_no_file(self, tmp_path, command) -> None:
        result = CliRunner().invoke(app, [*command, str(tmp_path)])
        assert result.exit_code == 2
        assert "is a folder; name a file" in result.output

    @pytest.mark.parametrize("command", FOLDERS, ids=" ".join)
    def test_a_file_is_no_folder(self, tmp_path, command) -> None:
        (tmp_path / "file").touch()
        result = CliRunner().invoke(app, [*command, str(tmp_path / "file")])
        assert result.exit_code == 2
        assert "is a file, not a folder" in result.output

    def test_nothing_is_left_where_it_was_tried(self, tmp_path) -> None:
        check_folder(tmp_path / "a" / "b")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["word", "log nowhere"])
def test_a_node_ends_with_the_sentence(tmp_path, shell) -> None:
    name, value = broken_shells(tmp_path)[shell]
    run = subprocess.run(
        [sys.executable, "-m", "dexgrasp_perception.perception_node"],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 1
    assert "ROS 2 can't start: " in run.stderr
    assert "Traceback" not in run.stderr


def test_a_path_that_is_no_text_can_be_told(tmp_path) -> None:
    name = os.fsencode(tmp_path) + b"/cup\xff.ply"
    Path(os.fsdecode(name)).write_bytes(b"ply")
    run = subprocess.run(
        [sys.executable, "-c", "from dexgrasp_cli.cli import main; main()", "propose", name],
        capture_output=True,
        timeout=120,
    )
    assert run.returncode == 2
    assert b"has no whole header of a PLY file" in run.stdout
    assert b"Traceback" not in run.stdout + run.stderr
