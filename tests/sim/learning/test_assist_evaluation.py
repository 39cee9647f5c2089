"""`dexgrasp eval assist`: the same episodes for all rows, controls, kept jobs, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import assist_scenes as scenes
import numpy as np
import pytest
import torch
from assist_toys import TINY
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_learning import assist_evaluation
from dexgrasp_learning.assist_evaluation import AssistEvaluation, draw_jobs, goals_of, run_job
from dexgrasp_learning.assist_rows import Control, controlled
from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.nets.weights import save_weights

OBJECTS = ("can/0", "apple/0")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """The set and its file of goals, two of each of two objects."""
    return scenes.stored(tmp_path_factory.mktemp("goals"), scenes.pressing_goals())


@pytest.fixture
def settings(files) -> AssistEvaluation:
    data, goals = map(str, files)
    return AssistEvaluation(("oracle", "still"), data, goals, "0", clouds="full")


def test_jobs_have_each_object_before_any_comes_again(settings):
    goals = goals_of(settings)
    jobs = draw_jobs(goals, ("mug/0", *OBJECTS), 8, 3, settings)
    # Of two objects, so each job has all four goals; those of a third there are none.
    assert [len(job.goals) for job in jobs] == [4, 4]
    assert {job.seed for job in jobs} == {
        job.seed for job in draw_jobs(goals, OBJECTS, 8, 3, settings)
    }
    assert len({job.key for job in jobs}) == 2
    assert draw_jobs(goals, OBJECTS, 4, 3, settings) == jobs[:1]
    elsewhere = replace(settings, data="x", goals="y", weights={"learned": "z"})
    assert draw_jobs(goals, OBJECTS, 4, 3, elsewhere)[0].key == jobs[0].key
    assert (
        draw_jobs(goals, OBJECTS, 4, 3, replace(settings, digests={"learned": "1"}))[0].key
        != jobs[0].key
    )
    with pytest.raises(ValueError, match="goals of 1 of these 2 objects"):
        draw_jobs(goals, ("mug/0", "can/0"), 4, 3, settings)


def test_controls_take_what_is_anothers():
    episodes = scenes.episodes(scenes.goals())
    names = np.array(episodes.names)
    for control, changed, kept in (
        (Control.SHUFFLED_CLOUDS, "clouds", "paths"),
        (Control.OTHER_WRIST, "paths", "clouds"),
    ):
        run = controlled(episodes, control)
        assert np.array_equal(getattr(run, kept), getattr(episodes, kept))
        for given, own in zip(getattr(run, changed), names, strict=True):
            (owner,) = (k for k in range(4) if np.array_equal(given, getattr(episodes, changed)[k]))
            assert names[owner] != own
    assert controlled(episodes, Control.NONE) is episodes
    with pytest.raises(ValueError, match="can't be paired"):
        controlled(episodes[:2], Control.OTHER_WRIST)


def test_rows_run_in_the_same_episodes_and_controls_fail(settings):
    (job,) = draw_jobs(goals_of(settings), OBJECTS, 4, 0, settings)
    found = run_job(job)
    assert sum(one["paper"] for one in found["rows"]["oracle"]) >= 2
    assert not any(one["paper"] for one in found["rows"]["still"])
    assert found["faults"] == 0
    # By itself, and after another one, a row does the same.
    alone = run_job(replace(job, settings=replace(settings, rows=("still",))))
    assert alone["rows"]["still"] == found["rows"]["still"]
    other = replace(settings, rows=("oracle",), control=Control.OTHER_WRIST)
    astray = run_job(replace(job, settings=other))["rows"]["oracle"]
    assert sum(one["paper"] for one in astray) < sum(
        one["paper"] for one in found["rows"]["oracle"]
    )


def test_the_command_takes_rows_of_weights_by_name(files, tmp_path, monkeypatch):
    data, goals = map(str, files)
    monkeypatch.setattr("dexgrasp_models.objects.library.split_names", lambda title: OBJECTS)
    config = replace(TINY, outputs="direct")
    for name, bias in (("opens", -1.0), ("closes", 1.0)):
        network = AssistNetwork(config)
        with torch.no_grad():
            network.head[-1].bias.fill_(bias)
        save_weights(tmp_path / f"{name}.safetensors", network, config)
    out = tmp_path / "found.json"
    command = ["eval", "assist", data, "--goals", goals, "--rows", "none", "--split", "validation"]
    command += ["--episodes", "4", "--clouds", "full", "--workers", "1", "--out", str(out)]
    for name in ("opens", "closes"):
        command += ["--row", f"{name}={tmp_path / name}.safetensors"]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    rows = json.loads(out.read_text())["groups"]["validation"]["rows"]
    assert list(rows) == ["opens", "closes"]
    assert rows["opens"]["posture"]["mean"] != rows["closes"]["posture"]["mean"]
    assert "closes" in ended.output
    assert set(json.loads(out.read_text())["notes"]["digests"]) == {"opens", "closes"}


def test_the_command_tells_all_figures_and_goes_on(files, tmp_path, monkeypatch):
    data, goals = map(str, files)
    monkeypatch.setattr("dexgrasp_models.objects.library.split_names", lambda title: OBJECTS)
    out = tmp_path / "found.json"
    command = ["eval", "assist", data, "--goals", goals, "--rows", "oracle,still", "--split"]
    command += ["validation", "--episodes", "4", "--clouds", "full", "--workers", "1"]
    command += ["--out", str(out)]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    summary = json.loads(out.read_text())
    group = summary["groups"]["validation"]
    assert (group["episodes"], group["objects"]) == (4, 2)
    assert group["rows"]["oracle"]["paper"]["mean"] >= 0.5
    assert group["rows"]["still"]["behind_first"]["mean"] >= 0.5
    assert summary["notes"]["choice"] == "chosen"

    # Nothing is run again.
    monkeypatch.setattr(assist_evaluation, "run_job", None)
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert json.loads(out.read_text())["groups"] == summary["groups"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--rows", "nothing"), "no row nothing"),
        (("--clouds", "some"), "no clouds 'some'"),
        (("--control", "x"), "no control 'x'"),
        (("--sim", "bullet"), "expected one of: isaac_gym, mujoco"),
        (("--rows", "learned", "--weights", "nowhere.safetensors"), "nowhere.safetensors"),
        (("--row", "ppo=nowhere.safetensors"), "nowhere.safetensors"),
        (("--row", "ppo"), "expected NAME=FILE"),
        (("--row", "a=x", "--row", "a=y"), "there is a row a already"),
        (("--row", "oracle=x"), "there is a row oracle already"),
        (("--rows", "none"), "there is no row to run"),
    ],
)
def test_what_can_not_be_run_is_told_before_anything_is(files, options, told):
    data, goals = map(str, files)
    ended = CliRunner().invoke(app, ["eval", "assist", data, "--goals", goals, *options])
    assert ended.exit_code == 2
    assert told in " ".join(ended.output.split())
