"""`dexgrasp demo` as a user runs it: the whole graph in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import psutil
import pytest

from dexgrasp_models.metrics.grasp_execution import LIFTED_HEIGHT

STARTED = "start "
TIMEOUT = 200.0
RUN = "from dexgrasp_cli.cli import main; main()"


class Demo:
    """A running demo, its output so far, and what it leaves in `out`."""

    def __init__(self, out: Path, *arguments: str) -> None:
        self.out = out
        environment = {k: v for k, v in os.environ.items() if k != "ROS_DOMAIN_ID"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUN, "demo", *arguments, "--out", str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment | {"PYTHONUNBUFFERED": "1"},
            # Shells start background jobs, and so these tests, with Ctrl-C ignored.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        self.output = ""
        self.nodes: dict[str, psutil.Process] = {}

    def read_until(self, text: str) -> None:
        """Reads on until a line contains this text; also looks which processes there are."""
        for line in self._process.stdout:
            self.output += line
            if text in line:
                break
        else:
            pytest.fail(f"the demo never said {text!r}:\n{self.output}")
        for child in psutil.Process(self._process.pid).children():
            with suppress(psutil.Error, IndexError):  # it ended meanwhile
                self.nodes[Path(child.cmdline()[1]).name] = child

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def finish(self) -> int:
        """Waits for the end; returns the exit status."""
        rest, _ = self._process.communicate(timeout=TIMEOUT)
        self.output += rest
        return self._process.returncode

    def result(self) -> dict:
        return json.loads((self.out / "result.json").read_text())

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            for node in self.nodes.values():
                node.kill()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator:
    started: list[Demo] = []

    def start(*arguments: str) -> Demo:
        started.append(Demo(tmp_path / "out", *arguments))
        return started[-1]

    yield start
    for each in started:
        each.close()


def assert_all_ended(demo: Demo) -> None:
    deadline = time.monotonic() + 5.0
    while running := [name for name, node in demo.nodes.items() if node.is_running()]:
        assert time.monotonic() < deadline, f"still running: {running}"
        time.sleep(0.1)


@pytest.mark.timeout(TIMEOUT)
def test_lifts_the_can_and_leaves_result_pictures_and_video(demo) -> None:
    run = demo("--object", "can", "--scene", "floating", "--lockstep")
    run.read_until(STARTED)
    assert sorted(run.nodes) == ["bridge_node", "control_node", "perception_node", "proposal_node"]
    assert run.finish() == 0, run.output
    result = run.result()
    assert result["success"] is True
    assert (result["object"], result["seed"]) == ("can", 0)
    assert result["lift_height_m"] >= LIFTED_HEIGHT
    assert result["real_time_factor"] > 0.0
    stages = [stage["stage"] for stage in result["stages"]]
    assert stages[:3] == ["capture", "propose", "plan"]
    assert stages[-3:] == ["hold", "place", "release"]
    pictures = sorted(path.name for path in run.out.glob("*.png"))
    assert pictures == [f"{i:02}_{stage}.png" for i, stage in enumerate(stages, start=1)]
    # Nothing moves in these two: they differ by what is drawn into them.
    proposed, planned = (imageio.imread(run.out / name) for name in pictures[1:3])
    assert (np.abs(proposed.astype(int) - planned).max(axis=2) > 30).mean() > 0.01
    assert (run.out / "grasp.mp4").stat().st_size > 10_000
    assert_all_ended(run)


def test_a_missing_mesh_is_told(demo) -> None:
    run = demo("--object", "/nowhere/thing.obj")
    assert run.finish() == 1
    assert "sim_bridge ended with status 1" in run.output
    assert "/nowhere/thing.obj" in run.output
    assert run.result()["success"] is False


def test_a_node_killed_during_the_grasp_is_told_and_all_stop(demo) -> None:
    run = demo("--scene", "floating", "--lockstep")
    run.read_until("capture ")
    run.nodes["proposal_node"].kill()
    assert run.finish() == 1
    assert "/proposals/generate" in run.output or "proposals was killed by signal 9" in run.output
    result = run.result()
    assert not result["success"]
    assert result["outcome"] in ("no_proposal", "failed")
    assert_all_ended(run)


def test_interrupted_while_it_moves_it_stops_everything(demo) -> None:
    run = demo("--scene", "floating")
    run.read_until("plan ")
    run.interrupt()
    assert run.finish() == 130
    assert "everything was stopped" in run.output
    assert_all_ended(run)
