"""`dexgrasp eval assist`: the same episodes for all rows, controls, kept jobs, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import assist_scenes as scenes
import numpy as np
import pytest
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_learning import assist_evaluation
from dexgrasp_learning.assist_evaluation import AssistEvaluation, draw_jobs, goals_of, run_job
from dexgrasp_learning.assist_rows import Control, controlled
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.tasks.assist_goals import TriedGoals, save_goals, shard_digest

OBJECTS = ("can/0", "apple/0")


@pytest.fixture(scope="module")
def grasps() -> Grasps:
    """Two goals of each of two objects; the flexors press from them by 0.15 rad."""
    known = scenes.goals()
    flexors = np.array(
        [name.endswith(("J3", "J0")) and "TH" not in name for name in scenes.HAND.actuators]
    )
    press = 0.15 * flexors @ scenes.HAND.expansion.T
    return replace(known, squeezes=known.joints + press.astype(known.joints.dtype))


@pytest.fixture(scope="module")
def files(tmp_path_factory, grasps) -> tuple[Path, Path]:
    """The set and its file of goals, all of which hold."""
    folder = tmp_path_factory.mktemp("goals")
    stored = GraspSet.open(folder / "set", create=True)
    stored.append(grasps, Provenance(), shard="all")
    (shard,) = stored.shards
    count = len(grasps)
    everything = np.ones(count, dtype=bool)
    tried = TriedGoals(
        {shard.path.stem: shard_digest(shard)},
        OBJECTS,
        np.zeros(count),
        np.arange(count),
        everything,
        np.ones(count),
        everything,
        everything,
    )
    save_goals(folder / "goals.safetensors", tried)
    return folder / "set", folder / "goals.safetensors"


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
    elsewhere = replace(settings, data="x", goals="y", weights="z")
    assert draw_jobs(goals, OBJECTS, 4, 3, elsewhere)[0].key == jobs[0].key
    assert draw_jobs(goals, OBJECTS, 4, 3, replace(settings, digest="1"))[0].key != jobs[0].key
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
        (("--rows", "learned", "--weights", "nowhere.safetensors"), "nowhere.safetensors"),
    ],
)
def test_what_can_not_be_run_is_told_before_anything_is(files, options, told):
    data, goals = map(str, files)
    ended = CliRunner().invoke(app, ["eval", "assist", data, "--goals", goals, *options])
    assert ended.exit_code == 2
    assert told in " ".join(ended.output.split())
