"""`/grasp` by the controller `policy`: over DDS and in process alike, and its faults."""

from __future__ import annotations

import numpy as np
from lock_step_graph import PATIENCE, start_in_lock_step
from plain_student import PlainStudent
from ros_graph import graph

from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_models.tasks import goal_controller
from dexgrasp_ros import contract, conversions
from dexgrasp_sim.episodes.episode import EpisodeSettings, run_episode

SETTINGS = EpisodeSettings("can", seed=3, controller="policy")


def grasp_over_ros(**parameters):
    """The outcome, the object's last pose, and the stages that were told."""
    stages: list[str] = []
    with graph() as ros:
        start_in_lock_step(ros, SETTINGS, controller="policy", **parameters)
        poses = ros.collect(contract.OBJECT_POSE)
        goal = ExecuteGrasp.Goal(choose=True, place=False)
        _, result = ros.grasp(goal, lambda m: stages.append(m.feedback.stage))
        outcome = ros.wait(result, 4 * PATIENCE).result
        return outcome, conversions.pose_from_message(poses[-1].pose), list(dict.fromkeys(stages))


def test_the_can_is_lifted_over_ros_as_in_process(monkeypatch):
    monkeypatch.setattr(goal_controller, "make_student", PlainStudent)
    outcome, pose, stages = grasp_over_ros()
    assert outcome.outcome == "succeeded", outcome.reason
    assert outcome.lifted_by == "cameras"
    told = ["capture", "propose", "plan", "ready", "reach", "close", "lift", "hold"]
    assert stages == told
    episode = run_episode(SETTINGS)
    assert episode.success
    assert np.abs(pose - np.reshape(episode.object_pose, (4, 4))).max() < 1e-12


def test_weights_that_are_missing_are_told_before_the_robot_moves(tmp_path):
    parameters = {"policy__weights": str(tmp_path / "none.safetensors")}
    outcome, _, stages = grasp_over_ros(**parameters)
    assert outcome.outcome == "aborted"
    assert "no such file of weights" in outcome.reason
    assert "ready" not in stages


def test_a_student_that_does_not_lift_is_stopped(monkeypatch):
    class Still(PlainStudent):
        def actions(self, view):
            return 0.0 * view.actions

    monkeypatch.setattr(goal_controller, "make_student", Still)
    episode = run_episode(SETTINGS)
    assert not episode.success
    assert episode.lost_at == "reach"
    assert "was not up after 15 s" in episode.reason
