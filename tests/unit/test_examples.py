"""The examples do what they say; the one that needs a graph is in `tests/ros/test_examples.py`."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def run_example(monkeypatch, capsys):
    """Runs an example as the command line does, and gives what it printed."""

    def run(name: str, *arguments: str | Path) -> str:
        path = EXAMPLES / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as ended:
            status = ended.code
        output = capsys.readouterr().out
        assert not status, output
        return output

    return run


def test_propose_for_the_can_and_for_a_file(run_example, tmp_path):
    output = run_example("propose_for_a_cloud")
    scores = [float(score) for score in re.findall(r"score (\S+),", output)]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    points = np.random.default_rng(0).normal(size=(2000, 3))
    ball = 0.035 * points / np.linalg.norm(points, axis=1, keepdims=True) + (0.0, 0.0, 0.035)
    np.savetxt(tmp_path / "ball.xyz", ball)
    assert "1. score" in run_example("propose_for_a_cloud", tmp_path / "ball.xyz")


def test_grasp_in_one_process(run_example):
    output = run_example("grasp_in_one_process", "can", "3")
    assert [line.split(":")[0] for line in output.splitlines()] == [
        "capture", "propose", "plan", "carry out",
    ]  # fmt: skip
    assert "lifted" in output


@pytest.mark.slow
def test_train_a_network(run_example, tmp_path):
    output = run_example("train_a_network", tmp_path)
    first, last = (float(loss) for loss in re.findall(r"loss (\S+) nats", output))
    assert last < first
    assert load_file(tmp_path / "glow.safetensors")


@pytest.mark.slow
def test_evaluate_a_proposer(run_example):
    output = run_example("evaluate_a_proposer")
    figures = re.findall(r": (\S+) \((\S+) to (\S+)\)", output)
    assert len(figures) == 4
    assert all(float(low) <= float(mean) <= float(high) for mean, low, high in figures)
    assert any(low != high for _, low, high in figures)


def test_import_a_data_set(run_example):
    assert "3 grasps of mug" in run_example("import_a_data_set")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short_and_in_the_list(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert f"`{path.name}`" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
