"""What isn't as it was told: where it is seen and where it isn't, late targets, and proposals."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import assist_scenes as scenes
import goal_scenes
import numpy as np
import pytest

from dexgrasp_learning import proposed_goals
from dexgrasp_learning.goal_disturbances import Disturbance, disturbed
from dexgrasp_learning.goal_rows import ROWS, CarryingOut, plans_of, run_told
from dexgrasp_learning.proposed_goals import Proposed, proposed
from dexgrasp_models.proposals.reachability import NoProposalError
from dexgrasp_models.tasks.goal_action import actions_to
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_plans import told_grasps
from dexgrasp_sim.scene import SceneConfig, load_scene

TASK = replace(goal_scenes.SHORT, horizon=12)


def episodes() -> ToldEpisodes:
    own = goal_scenes.episodes(scenes.pressing_goals(), TASK)
    return replace(own, looks=own.clouds[:, :32])


def test_by_default_nothing_is_disturbed():
    own = episodes()
    told, true = disturbed(own, Disturbance(), np.random.default_rng(0))
    assert told is own
    assert true is own
    assert Disturbance().scene(20.0) == load_scene(scene="floating", control_period=0.05)


def test_a_moved_object_is_where_nobody_was_told():
    own = episodes()
    told, true = disturbed(own, Disturbance(moved=0.03), np.random.default_rng(0))
    assert told is own
    ways = true.object_poses[:, :3, 3] - own.object_poses[:, :3, 3]
    assert np.linalg.norm(ways, axis=1) == pytest.approx(0.03)
    assert ways[:, 2] == pytest.approx(0.0)
    assert true.clouds - own.clouds == pytest.approx(np.repeat(ways[:, None], 64, axis=1))
    assert np.array_equal(true.looks, own.looks)
    environments = goal_scenes.environments(TASK)
    environments.begin(true)
    assert environments.state.objects[:, :2, 3] == pytest.approx(true.object_poses[:, :2, 3])


def test_a_biased_cloud_is_beside_the_object_and_the_goal_is_not():
    own = episodes()
    told, true = disturbed(own, Disturbance(cloud_bias=0.005), np.random.default_rng(0))
    off = told.looks - own.looks
    assert np.linalg.norm(off, axis=2) == pytest.approx(0.005)
    assert off == pytest.approx(np.repeat(off[:, :1], 32, axis=1))
    assert told.goals is own.goals
    assert np.array_equal(true.object_poses, own.object_poses)


def test_a_jittered_goal_is_told_and_is_what_counts():
    own = episodes()
    told, true = disturbed(own, Disturbance(jitter="large"), np.random.default_rng(0))
    assert true is told
    assert np.abs(told.goals.joints - own.goals.joints).max() > 0.01
    assert np.array_equal(told.goals.planes, own.goals.planes)


def test_mass_and_friction_are_the_scenes():
    scene = Disturbance(mass=0.3, friction=0.5).scene(20.0)
    assert (scene.object_mass, scene.friction, scene.control_period) == (0.3, 0.5, 0.05)


def test_late_targets_move_the_hand_late_and_not_otherwise():
    own = episodes()
    paths = {}
    for late in (0, 2, np.array([0, 1, 2, 2])):
        environments = goal_scenes.environments(TASK, late=late if np.isscalar(late) else 0)
        environments.begin(own, None if np.isscalar(late) else late)
        wanted = environments.wrist_targets
        wanted[:, 2, 3] += 0.03  # less than a target may be ahead
        path = []
        while environments.steps < TASK.horizon:
            environments.step(
                actions_to(
                    environments.wrist_targets,
                    wanted,
                    environments.targets + 0.02,
                    environments.frames,
                    scenes.HAND,
                    TASK,
                )
            )
            path.append(environments.state.wrists[:, 2, 3])
        paths[late if np.isscalar(late) else "each"] = np.array(path)
    assert np.ptp(paths[2][:2], axis=0).max() < 1e-3
    assert paths[2][2:] == pytest.approx(paths[0][:-2], abs=2e-3)
    assert np.abs(paths[2] - paths[0]).max() > 0.01
    # Each hand has its own.
    assert np.array_equal(paths["each"][:, 0], paths[0][:, 0])
    assert np.array_equal(paths["each"][:, 2:], paths[2][:, 2:])
    assert paths["each"][1:, 1] == pytest.approx(paths[0][:-1, 1], abs=2e-3)


def height_of_hands(late: float, scene: SceneConfig | None = None) -> np.ndarray:
    """(T, N) m, of hands that are sent up evenly."""
    disturbance = Disturbance(late=late)
    environments = goal_scenes.environments(
        TASK, scene=scene or disturbance.scene(TASK.rate), late=disturbance.late_ticks(TASK.rate)
    )
    environments.begin(episodes())
    path = []
    for _ in range(4):
        wanted = environments.wrist_targets
        wanted[:, 2, 3] += 0.01
        frames, joints = environments.frames, environments.targets + 0.02
        now = environments.wrist_targets
        environments.step(actions_to(now, wanted, joints, frames, scenes.HAND, TASK))
        path.append(environments.state.wrists[:, 2, 3])
    return np.array(path)


def test_targets_may_be_late_by_a_part_of_a_step():
    at_once, by_20_ms, by_a_step = map(height_of_hands, (0.0, 0.02, 0.05))
    between = at_once[1:] + 0.4 * (by_a_step[1:] - at_once[1:])
    assert by_20_ms[1:] == pytest.approx(between, abs=1e-3)
    assert (at_once - by_a_step)[1:].min() > 5e-3, "it would show"


def test_hands_move_alike_in_whatever_ticks_a_step_is_made():
    fine = height_of_hands(0.0, Disturbance(late=0.02).scene(TASK.rate))
    assert fine == pytest.approx(height_of_hands(0.0), abs=1e-6)


def test_who_goes_by_time_knows_how_long_a_step_takes():
    own = episodes()
    plans = plans_of(own, TASK, CarryingOut())
    ends = []
    for late in (0.0, 0.02):
        disturbance = Disturbance(late=late)
        environments = goal_scenes.environments(
            TASK, scene=disturbance.scene(TASK.rate), late=disturbance.late_ticks(TASK.rate)
        )
        policy = ROWS["planned"].make(environments, own, plans, CarryingOut())
        run_told(environments, own, policy, None)
        ends.append(environments.state.wrists[:, :3, 3])
    assert ends[1] == pytest.approx(ends[0], abs=0.02)
    assert np.abs(ends[0] - own.hands[:, :3, 3]).max() > 0.05, "it would show"


def test_a_delay_that_no_tick_fits_is_refused():
    with pytest.raises(ValueError, match=r"late=0.017: give a multiple of 0.005 s"):
        Disturbance(late=0.017).scene(20.0)


class Proposals:
    """Gives the grasps it is made with, or none."""

    def __init__(self, grasps) -> None:
        self.grasps = grasps

    def propose(self, cloud, n, seed):
        if not self.grasps:
            raise NoProposalError(Counter())
        return self.grasps


def test_the_first_proposal_to_which_there_is_a_way_is_told(monkeypatch):
    own = episodes()[:1]
    settings = CarryingOut()
    (good,) = told_grasps(own, scenes.HAND, settings.telling)
    below = good.palm_pose.copy()
    below[2, 3] -= 0.1
    bad = replace(good, palm_pose=below)
    proposer = Proposals([bad, good])
    monkeypatch.setattr(proposed_goals, "_proposer", lambda: proposer)

    def told(which: Proposed, seed: int = 0) -> ToldEpisodes:
        return proposed(own, which, TASK, settings, np.random.default_rng(seed))

    best = told(Proposed.BEST)
    (grasp,) = told_grasps(best, scenes.HAND, settings.telling)
    assert grasp.palm_pose == pytest.approx(good.palm_pose, abs=1e-6)
    assert grasp.joints == pytest.approx(good.joints, abs=1e-6)
    assert grasp.squeeze_joints == pytest.approx(good.squeeze_joints, abs=1e-5)
    assert plans_of(best, TASK, settings)[0] is not None
    # What is known of the object then is what the cameras saw.
    assert best.clouds.shape == own.clouds.shape
    assert best.looks.shape == own.looks.shape
    assert not np.array_equal(best.clouds, own.clouds)
    heights = {round(float(told(Proposed.SINGLE, k).goal_wrists[0, 2, 3]), 3) for k in range(8)}
    assert heights == {round(float(each.palm_pose[2, 3]), 3) for each in (good, bad)}
    for none in ([], [bad]):
        proposer.grasps = none
        stays = told(Proposed.BEST)
        assert stays.goal_wrists == pytest.approx(own.hands, abs=1e-6)
    without = replace(settings, telling=replace(settings.telling, squeeze=0.0))
    with pytest.raises(ValueError, match="say how to press"):
        proposed(own, Proposed.BEST, TASK, without, np.random.default_rng(0))


def test_the_learned_proposer_is_asked():
    own = episodes()[:1]
    found = proposed(own, Proposed.SINGLE, TASK, CarryingOut(), np.random.default_rng(0))
    way = found.goal_wrists[0, :3, 3] - own.object_poses[0, :3, 3]
    assert np.linalg.norm(way) < 0.3
    assert not np.array_equal(found.goals.joints, own.goals.joints)
