"""Grasps tried as goals: those that can't be held fall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from assist_scenes import SET
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_learning.goal_filter import GoalTrial, goal_jobs, holding, run, static_trials
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError, Grasps, concatenate
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_goals import load_goals
from dexgrasp_models.tasks.assist_oracle import OracleConfig
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.datasets.squeezes import squeezes_of
from dexgrasp_sim.datasets.validation_config import ValidationConfig

QUICK = GoalTrial(task=AssistConfig(close_steps=10, settle_steps=5), tries=2, per_object=1)


@pytest.fixture(scope="module")
def jar() -> Grasps:
    """Four grasps that resist all directions, of one size."""
    grasps = GraspSet.open(SET)
    rows = grasps.select({"stable": (1, 1), "held_shift": (0, 0.002)}, ["jar/0"])
    some = grasps[rows]
    some = some[some.scales == some.scales[0]][:4]
    return replace(some, squeezes=squeezes_of(some, library_object, ValidationConfig()))


@pytest.fixture
def grasp_set(tmp_path, jar) -> GraspSet:
    """Two good grasps and two in empty air; and an object that is nowhere."""
    grasps = GraspSet.open(tmp_path / "set", create=True)
    away = replace(jar[2:], translations=jar.translations[2:] + np.array([0.0, 0.0, 0.2]))
    grasps.append(concatenate([jar[:2], away]), Provenance(), shard="jar")
    gone = replace(jar[:1], names=("mug/none",))
    grasps.append(gone, Provenance(), shard="gone")
    return grasps


def test_what_presses_holds_and_what_does_not_falls(jar):
    held = static_trials(jar, library_object, QUICK)
    assert held.paper.sum() >= 3
    assert held.rises[held.paper] == pytest.approx(1.0, abs=0.05)
    idle = replace(
        QUICK, oracle=OracleConfig(squeeze=0.0), task=replace(QUICK.task, auto_close=0.0)
    )
    assert not static_trials(jar, library_object, idle).paper.any()


def test_a_grasp_has_to_hold_in_every_test(jar):
    once = static_trials(jar, library_object, QUICK)
    for trial in (replace(QUICK, tests=1), replace(QUICK, shift=0.0, turn=0.0)):
        held, rises = holding(jar, library_object, trial)
        assert np.array_equal(held, once.paper)
        assert np.array_equal(rises, once.rises)
    for beside in ({"shift": 0.2}, {"turn": 1.0, "shift": 0.05}):
        held, rises = holding(jar, library_object, replace(QUICK, **beside))
        assert not held.any()
        assert np.array_equal(rises, once.rises)


def test_goals_that_cannot_be_tried_are_refused(jar):
    unknown = replace(jar, squeezes=np.full((4, 22), np.nan))
    with pytest.raises(ValueError, match="squeeze of environment 0 is not finite"):
        static_trials(unknown, library_object, QUICK)
    with pytest.raises(GraspDataError, match="on no table"):
        static_trials(replace(jar, planes=np.full((4, 4), np.nan)), library_object, QUICK)


def test_verdicts_go_with_their_grasps(grasp_set):
    trial = replace(QUICK, tries=4, per_object=1)
    good, bad = sorted(
        run(goal_jobs(grasp_set, library_object, trial)), key=lambda one: one.job.name
    )
    assert "mug/none" in bad.problem
    tried = good.tried
    held = dict(zip(tried.rows.tolist(), tried.held.tolist(), strict=True))
    assert held[0] or held[1]
    assert not held[2]
    assert not held[3]
    assert tried.chosen.sum() == 1
    assert tried.held[tried.chosen].all()
    assert tried.chosen_of_all.sum() == 1


def test_a_set_without_squeezes_says_what_to_do(tmp_path, jar):
    grasps = GraspSet.open(tmp_path, create=True)
    grasps.append(replace(jar, squeezes=np.full((4, 22), np.nan)), Provenance())
    with pytest.raises(GraspDataError, match="dexgrasp data squeeze"):
        goal_jobs(grasps, library_object, QUICK)
    assert goal_jobs(grasps, library_object, QUICK, objects=["mug/0"]) == []


def command(*arguments: object, status: int = 0) -> str:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(
        app, ["assist", "goals", *map(str, arguments)]
    )
    assert result.exit_code == status, result.output
    return result.output


def test_the_command_goes_on_where_it_was(tmp_path, grasp_set):
    out = tmp_path / "goals.safetensors"
    goals = (grasp_set.path, "--out", out, "--count", 2, "--workers", 1)
    told = command(*goals, "--budget", "0s")
    assert "2 objects, 0 of them done" in told
    assert "2 objects are left: run the same command again" in told
    told = command(*goals, status=1)
    assert "mug/none" in told
    assert "of 2 grasps of 1 objects hold" in told
    before = out.read_bytes()
    assert "2 objects, 1 of them done" in command(*goals, status=1)
    assert out.read_bytes() == before
    assert load_goals(out).objects == ("jar/0",)
    assert "0 of them done" in command(*goals, "--split", "unseen_categories")
    for other in (("--seed", 1), ("--per-object", 2)):
        assert "were tried in another way" in command(*goals, *other, status=2)
    shard = next(one for one in grasp_set.shards if one.path.stem == "jar")
    grasp_set.fill_in_squeezes(shard, shard.column("joints"))
    assert "is not what it was" in command(*goals, status=2)
    assert "no grasps of cup" in command(*goals, "--object", "cup", status=2)
