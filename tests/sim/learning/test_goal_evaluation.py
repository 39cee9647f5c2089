"""`dexgrasp eval policy`: the same episodes for all rows, a control that fails, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import assist_scenes as scenes
import goal_scenes
import numpy as np
import pytest
import torch
from goal_scenes import episodes
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_learning import goal_evaluation, goal_rows
from dexgrasp_learning.cross_entropy import CrossEntropyConfig
from dexgrasp_learning.goal_disturbances import Disturbance
from dexgrasp_learning.goal_evaluation import (
    GoalEvaluation,
    TellingControl,
    controlled,
    draw_goal_jobs,
    run_goal_job,
    told_goals,
)
from dexgrasp_learning.goal_rows import ROWS, CarryingOut, plans_of
from dexgrasp_learning.model_predictive import ModelPredictiveConfig
from dexgrasp_models.nets.goal_network import GoalNetworkConfig
from dexgrasp_models.nets.teacher_network import TeacherNetworkConfig
from dexgrasp_models.nets.weights import save_weights
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_teacher import new_teacher
from dexgrasp_models.tasks.learned_goal import new_network

OBJECTS = ("can/0", "apple/0")
TASK = GoalConfig(points=256, hold_time=1.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """The set and its file of goals, two of each of two objects."""
    return scenes.stored(tmp_path_factory.mktemp("goals"), scenes.pressing_goals())


@pytest.fixture
def settings(files) -> GoalEvaluation:
    data, goals = map(str, files)
    return GoalEvaluation(("planned", "expert", "still"), data, goals, "0", strict=True, task=TASK)


def test_equal_jobs_have_equal_keys_wherever_their_files_lie(settings):
    goals = told_goals(settings)
    jobs = draw_goal_jobs(goals, OBJECTS, 8, 3, settings)
    assert [len(job.goals) for job in jobs] == [4, 4]
    assert jobs[0].seed != jobs[1].seed
    elsewhere = replace(settings, data="x", goals="y")
    assert draw_goal_jobs(goals, OBJECTS, 4, 3, elsewhere)[0].key == jobs[0].key
    pressing = replace(
        settings,
        carrying=replace(
            settings.carrying, expert=replace(settings.carrying.expert, lift_speed=0.1)
        ),
    )
    assert draw_goal_jobs(goals, OBJECTS, 4, 3, pressing)[0].key != jobs[0].key


def test_another_objects_grasp_is_told():
    own = episodes(scenes.pressing_goals())
    told = controlled(own, TellingControl.OTHER_GOAL)
    assert told.names == own.names
    assert np.array_equal(told.goals.joints, own.goals.joints[[2, 3, 0, 1]])
    assert np.array_equal(told.object_poses, own.object_poses)
    assert controlled(own, TellingControl.NONE) is own
    with pytest.raises(ValueError, match="can't be paired"):
        controlled(own[:2], TellingControl.OTHER_GOAL)


def test_executor_and_expert_lift_and_the_still_hand_does_not(settings):
    (job,) = draw_goal_jobs(told_goals(settings), OBJECTS, 4, 0, settings)
    found = run_goal_job(job)
    assert found["planned"] == [True] * 4
    assert found["faults"] == 0
    for name in ("planned", "expert"):
        row = found["rows"][name]
        assert sum(one["paper"] for one in row) >= 3
        for one in row:
            assert (one["lost"] == "nowhere") == one["paper"]
            assert (one["mpe"] is not None) == one["paper"]
            assert not one["paper"] or (one["mpe"] < 0.02 and one["rises"] > 0.25)
    assert not any(one["latched"] for one in found["rows"]["still"])
    # By itself, and after another one, a row does the same.
    alone = run_goal_job(replace(job, settings=replace(settings, rows=("expert",))))
    assert alone["rows"]["expert"] == found["rows"]["expert"]
    astray = replace(settings, rows=("expert",), control=TellingControl.OTHER_GOAL)
    other = run_goal_job(replace(job, settings=astray))["rows"]["expert"]
    assert sum(one["paper"] for one in other) < sum(one["paper"] for one in found["rows"]["expert"])


def test_who_was_told_where_the_object_was_loses_it(settings):
    aside = replace(settings, rows=("planned",), strict=False, disturbance=Disturbance(moved=0.08))
    (job,) = draw_goal_jobs(told_goals(aside), OBJECTS, 4, 0, aside)
    lost = run_goal_job(job)["rows"]["planned"]
    assert sum(one["paper"] for one in lost) <= 1


def test_clouds_of_other_objects_are_looked_at():
    own = episodes(scenes.pressing_goals())
    assert controlled(own, TellingControl.SHUFFLED_CLOUDS) is own  # nobody looks
    own = replace(own, looks=own.clouds)
    shown = controlled(own, TellingControl.SHUFFLED_CLOUDS)
    assert np.array_equal(shown.looks, own.clouds[[2, 3, 0, 1]])
    assert np.array_equal(shown.clouds, own.clouds)
    assert shown.goals is own.goals


def test_a_student_is_a_row_with_weights(files, settings, tmp_path):
    torch.manual_seed(0)
    network = new_network(replace(GoalNetworkConfig.small(), widths=(16,)))
    save_weights(tmp_path / "policy.safetensors", network, network.config)
    carrying = CarryingOut(weights=str(tmp_path / "policy.safetensors"), weights_digest="1")
    task = GoalConfig(points=256, horizon=6)
    student = replace(
        settings, rows=("student", "following"), strict=False, task=task, carrying=carrying
    )
    (job,) = draw_goal_jobs(told_goals(student), OBJECTS, 4, 0, student)
    found = run_goal_job(job)
    for name in student.rows:
        assert [one["lost"] for one in found["rows"][name]] == ["reach"] * 4
    moved = replace(job, settings=replace(student, carrying=replace(carrying, weights="x")))
    assert moved.key == job.key
    other = replace(job, settings=replace(student, carrying=replace(carrying, weights_digest="2")))
    assert other.key != job.key
    assert '"backend"' not in job.key, "kept results of before there was a choice are found"
    elsewhere = replace(job, settings=replace(student, backend="mujoco_warp"))
    assert elsewhere.key != job.key


def test_a_teacher_is_a_row_with_weights_of_its_own(settings, tmp_path):
    torch.manual_seed(0)
    network = new_teacher(replace(TeacherNetworkConfig.small(), widths=(16,)))
    save_weights(tmp_path / "teacher.safetensors", network, network.config)
    carrying = CarryingOut(teacher=str(tmp_path / "teacher.safetensors"), teacher_digest="1")
    task = GoalConfig(points=256, horizon=6)
    told = replace(settings, rows=("teacher",), strict=False, task=task, carrying=carrying)
    (job,) = draw_goal_jobs(told_goals(told), OBJECTS, 4, 0, told)
    assert [one["lost"] for one in run_goal_job(job)["rows"]["teacher"]] == ["reach"] * 4
    moved = replace(job, settings=replace(told, carrying=replace(carrying, teacher="x")))
    assert moved.key == job.key
    other = replace(job, settings=replace(told, carrying=replace(carrying, teacher_digest="2")))
    assert other.key != job.key
    without = replace(job, settings=replace(told, carrying=CarryingOut()))
    assert "teacher_digest" not in without.key, "kept results of before there was one are found"


def test_edits_are_weights_of_a_row_of_its_own(settings):
    told = replace(settings, rows=("planned_edited",), carrying=CarryingOut(edits="x"))
    (job,) = draw_goal_jobs(told_goals(told), OBJECTS, 4, 0, told)
    assert "edits" not in json.loads(job.key)["settings"]["carrying"]
    assert "edits_digest" not in job.key, "kept results of before there was one are found"
    other = replace(job, settings=replace(told, carrying=CarryingOut(edits="x", edits_digest="1")))
    assert other.key != job.key


def test_planning_in_the_simulator_is_a_row_with_settings(settings):
    few = ModelPredictiveConfig(pieces=1, hold=3, search=CrossEntropyConfig(2, 1, 1))
    task = GoalConfig(points=256, horizon=6)
    told = replace(settings, rows=("mpc",), strict=False, task=task, carrying=CarryingOut(mpc=few))
    (job,) = draw_goal_jobs(told_goals(told), OBJECTS, 4, 0, told)
    assert [one["lost"] for one in run_goal_job(job)["rows"]["mpc"]] == ["reach"] * 4
    usual = replace(job, settings=replace(told, carrying=CarryingOut()))
    assert usual.key != job.key
    without = replace(job, settings=replace(told, rows=("still",)))
    assert '"mpc"' not in without.key, "kept results of before there was one are found"


def test_jobs_run_in_the_simulator_that_is_asked_for(settings):
    pytest.importorskip("dexgrasp_sim.backends.mujoco_warp.batch", exc_type=ImportError)
    told = replace(settings, rows=("expert",), strict=False, backend="mujoco_warp")
    (job,) = draw_goal_jobs(told_goals(told), OBJECTS, 4, 0, told)
    there = run_goal_job(job)["rows"]["expert"]
    assert sum(one["paper"] for one in there) >= 3
    here = run_goal_job(replace(job, settings=replace(told, backend="mujoco")))["rows"]["expert"]
    assert there != here, "single precision shows"


def test_the_command_tells_all_and_goes_on(files, tmp_path, monkeypatch):
    data, goals = files
    monkeypatch.setattr("dexgrasp_models.objects.library.split_names", lambda title: OBJECTS)
    out = tmp_path / "policy.json"
    command = ["eval", "policy", str(data), "--goals", str(goals), "--split", "training"]
    command += ["--episodes", "2", "--rows", "still", "--workers", "1", "--out", str(out)]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    summary = json.loads(out.read_text())
    group = summary["groups"]["training"]
    assert group["episodes"] == 4
    assert group["planned"] == 4
    assert group["rows"]["still"]["paper"]["mean"] == 0.0
    assert group["rows"]["still"]["lost"] == {"reach": 4}
    assert "no policy" in first.output

    def refused(job):
        raise AssertionError("it is kept already")

    monkeypatch.setattr(goal_evaluation, "run_goal_job", refused)
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert json.loads(out.read_text())["groups"] == summary["groups"]


def test_the_command_hands_jobs_to_ray(files, monkeypatch):
    data, goals = map(str, files)
    monkeypatch.setattr("dexgrasp_models.objects.library.split_names", lambda title: OBJECTS)
    command = ["eval", "policy", data, "--goals", goals, "--split", "training", "--rows", "still"]
    command += ["--episodes", "2", "--ray"]
    handed = []

    def ray_outcomes(work, jobs, workers):
        handed.extend(jobs)
        yield from ((job, work(job)) for job in jobs)

    monkeypatch.setattr("dexgrasp_models.jobs.kept_results.ray_outcomes", ray_outcomes)
    monkeypatch.setattr("dexgrasp_models.jobs.ray_cluster.find_spec", lambda name: name)
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    assert len(handed) == 1

    monkeypatch.setattr("dexgrasp_models.jobs.ray_cluster.find_spec", lambda name: None)
    assert "requirements-ray.txt" in CliRunner().invoke(app, command).output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--rows", "nobody"), "no row nobody"),
        (("--rows", "teacher"), "the row teacher needs weights"),
        (("--rows", "planned_edited"), "the row planned_edited needs weights"),
        (("--rows", "planned_edited", "--edits", "none"), "no such file of weights"),
        (("--control", "luck"), "no control 'luck'"),
        (("--out", "x.txt"), "written as .json"),
        (("--proposals", "worst"), "there are best, single"),
        (("--disturb", "moved"), "give a name and a value"),
        (("--disturb", "wind=1"), "no parameter wind"),
        (("--disturb", "jitter=deep"), "none, small, large, apart"),
        (("--sim", "bullet"), "expected one of: isaac_gym, mujoco"),
        (("--rows", "student", "--weights", "none.safetensors"), "no such file of weights"),
    ],
)
def test_what_cannot_be_done_is_refused(files, options, told):
    data, goals = files
    found = CliRunner().invoke(app, ["eval", "policy", str(data), "--goals", str(goals), *options])
    assert found.exit_code != 0
    assert told in " ".join(found.output.split())


def test_rows_go_deeper_where_there_is_a_way(monkeypatch):
    environments = goal_scenes.environments()
    told = episodes(scenes.pressing_goals())
    plans = plans_of(told, environments.config, CarryingOut())
    policy = ROWS["planned_deeper"].make(environments, told, plans, CarryingOut())
    depths = []
    for old, new in zip(plans, policy._plans, strict=True):
        assert old is not None
        assert new is not None
        way = new.grasp.palm_pose[:3, 3] - old.grasp.palm_pose[:3, 3]
        depths.append(float(-way @ old.grasp.palm_pose[:3, 1]))
        assert np.linalg.norm(way) == pytest.approx(depths[-1], abs=1e-9)
    assert set(np.round(depths, 4).tolist()) <= {0.0, 0.0025, 0.005, 0.0075, 0.01}
    assert max(depths) > 0.0
    monkeypatch.setattr(goal_rows, "_student", lambda now, told, plans, how: told)
    aimed = ROWS["student_deeper"].make(environments, told, plans, CarryingOut()).goal_wrists
    expected = [plan.grasp.palm_pose for plan in policy._plans]
    assert aimed == pytest.approx(np.array(expected), abs=1e-6)
