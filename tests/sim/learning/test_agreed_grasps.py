"""Grasps that agree: moved to what is predicted as far as they hold, and no farther."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from assist_scenes import HAND, SET, goals, pressing_goals, stored
from typer.testing import CliRunner

from dexgrasp_cli.assist_agree_command import VERDICTS
from dexgrasp_cli.cli import app
from dexgrasp_learning import agreed_grasps
from dexgrasp_learning.agreed_grasps import (
    SHARE,
    UNKNOWN,
    AgreeConfig,
    Verdicts,
    agreed,
    drawn_grasps,
    lifting,
    seen_nearness,
    untried,
)
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import GraspDataError, Grasps, concatenate
from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.nets.posture_net import PostureNetConfig
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_sim.datasets.grasp_trials import library_object

NET = PostureNetConfig(basis_points=BasisPointsConfig(points=4), width=8, steps=20, batch=8)
PATTERNS = generate(np.random.default_rng(0)).training
QUICK = replace(NET, basis_points=BasisPointsConfig())
CONFIG = AgreeConfig(rounds=2, folds=2, views=1, shares=(0.0, 0.5, 1.0), net=NET)


@pytest.fixture(scope="module")
def twelve() -> Grasps:
    """Of two objects, of random postures; nothing is to be lifted."""
    four = pressing_goals()
    many = concatenate([four, four, four])
    angles = np.random.default_rng(0).uniform(*HAND.actuator_limits.T, (12, 18))
    return replace(many, joints=(angles @ HAND.expansion.T).astype(np.float32))


NEARNESS = torch.rand(1, 12, 4, generator=torch.Generator().manual_seed(0))


class Recorded:
    """Lets those hold that a rule says, and remembers what was tried."""

    def __init__(self, rule) -> None:
        self._rule, self.tried = rule, []

    def __call__(self, grasps: Grasps, rng: np.random.Generator) -> np.ndarray:
        self.tried.append(grasps)
        return self._rule(grasps, rng)


def test_what_holds_as_predicted_depends_on_its_cloud_alone(twelve):
    found = agreed(twelve, NEARNESS[:, [0] * 12], untried, CONFIG)
    assert (found.figures[SHARE] == 0).all()
    for one in np.unique(found.objects):  # each object is predicted for by another network
        mine = found.joints[found.objects == one]
        assert np.ptp(mine, axis=0).max() < 1e-6
    assert np.ptp(twelve.joints, axis=0).max() > 0.1
    for name in ("translations", "rotations", "scales", "numbers", "planes"):
        assert np.array_equal(getattr(found, name), getattr(twelve, name))


def test_what_holds_only_as_it_was_stays_and_what_never_holds_is_left_out(twelve):
    def rule(grasps: Grasps, rng: np.random.Generator) -> np.ndarray:
        near = np.abs(grasps.joints[:, None] - twelve.joints[None]).max(axis=2).min(axis=1) < 1e-5
        return near & (grasps.joints[:, 0] > np.median(twelve.joints[:, 0]))

    found = agreed(twelve, NEARNESS, rule, CONFIG)
    kept = twelve.joints[:, 0] > np.median(twelve.joints[:, 0])
    assert (found.figures[SHARE] == 1).all()
    assert found.joints == pytest.approx(twelve.joints[kept], abs=1e-5)
    with pytest.raises(GraspDataError, match="none of 12 grasps holds"):
        agreed(twelve, NEARNESS, lambda grasps, rng: np.zeros(len(grasps), bool), CONFIG)


def test_an_object_has_no_part_in_its_own_prediction(twelve):
    first = twelve.objects == twelve.objects[0]
    changed = replace(twelve, joints=np.where(first[:, None], 0.9, twelve.joints))
    once = replace(CONFIG, rounds=1)
    before, after = (agreed(g, NEARNESS, untried, once) for g in (twelve, changed))
    assert np.array_equal(before.joints[first], after.joints[first])
    assert not np.array_equal(before.joints[~first], after.joints[~first])


def test_a_run_goes_on_with_its_verdicts_and_ends_alike(twelve):
    def rule(grasps: Grasps, rng: np.random.Generator) -> np.ndarray:
        return (grasps.joints[:, 0] > 0.0) & (rng.random(len(grasps)) > 0.3)

    whole = Recorded(rule)
    kept: list[np.ndarray] = []
    shape = (2, 3, 12)
    found = agreed(
        twelve,
        NEARNESS,
        whole,
        CONFIG,
        verdicts=Verdicts(shape, keep=lambda v: kept.append(v.copy())),
    )
    for halfway in kept:
        rest = Recorded(rule)
        again = agreed(twelve, NEARNESS, rest, CONFIG, verdicts=Verdicts(shape, halfway))
        assert np.array_equal(again.joints, found.joints)
        assert np.array_equal(again.figures[SHARE], found.figures[SHARE])
        known = (halfway != UNKNOWN).sum()
        assert sum(map(len, rest.tried)) == sum(map(len, whole.tried)) - known
    with pytest.raises(GraspDataError, match="aren't of these grasps"):
        Verdicts((1, 3, 12), kept[0])


def test_grasps_of_one_object_are_refused(twelve):
    one = twelve[twelve.objects == twelve.objects[0]]
    with pytest.raises(GraspDataError, match="give some of others"):
        agreed(one, NEARNESS[:, : len(one)], untried, CONFIG)
    nowhere = replace(one, planes=np.full_like(one.planes, np.nan))
    with pytest.raises(GraspDataError, match="on no table"):
        seen_nearness(nowhere, FullClouds(kept=1), CONFIG)


def test_at_most_so_many_of_each_object_are_drawn(twelve):
    drawn = drawn_grasps(twelve, 4, seed=0)
    assert np.bincount(drawn.objects)[np.unique(drawn.objects)].tolist() == [4, 4]
    assert np.array_equal(drawn_grasps(twelve, 4, seed=0).joints, drawn.joints)
    assert len(drawn_grasps(twelve, 100, seed=0)) == 12


def test_real_hands_lift_what_they_say_and_not_from_beside():
    four = pressing_goals()
    lifts = lifting(library_object, PATTERNS)
    away = replace(four, translations=four.translations + np.array([0.0, 0.0, 0.3], np.float32))
    assert not lifts(away, np.random.default_rng(0)).any()
    lifted = lifts(four, np.random.default_rng(0))
    assert lifted.any()
    assert np.array_equal(lifts(four, np.random.default_rng(0)), lifted)


def test_clouds_are_seen_from_the_palm():
    four, clouds = goals(), FullClouds(kept=1)
    near = seen_nearness(four, clouds, AgreeConfig(views=2))
    assert near.shape == (2, 4, 256)
    turned = replace(four, rotations=four.rotations + np.array([0.0, 0.0, 1.0], np.float32))
    other = seen_nearness(turned, clouds, AgreeConfig(views=2))
    assert (near - other).abs().max() > 0.05
    assert torch.equal(near, seen_nearness(four, clouds, AgreeConfig(views=2)))


def command(*arguments: object, status: int = 0) -> str:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(
        app, ["assist", "agree", *map(str, arguments)]
    )
    assert result.exit_code == status, result.output
    return result.output


def test_the_command_refuses_what_it_can_not_go_on_with(tmp_path):
    folder, _ = stored(tmp_path, pressing_goals())
    out = tmp_path / "agreed"
    out.mkdir()
    np.savez(out / VERDICTS, settings=np.array("others"), verdicts=np.zeros((1, 4, 4), np.uint8))
    assert "begun with other settings" in command(folder, "--out", out, status=2)
    (out / VERDICTS).unlink()
    GraspSet.open(out, create=True).append(
        pressing_goals(), GraspSet.open(SET).shards[0].provenance
    )
    assert "there is a set already" in command(folder, "--out", out, status=2)
    unknown = tmp_path / "unknown"
    GraspSet.open(unknown, create=True).append(goals(), GraspSet.open(SET).shards[0].provenance)
    assert "dexgrasp data squeeze" in command(unknown, "--out", tmp_path / "new", status=2)


def test_the_command_writes_a_set_to_train_on(tmp_path, monkeypatch):
    source = GraspSet.open(SET)
    stable = source[source.select({"stable": (1, 1)}, ["ball/0", "box/0"])]
    rows = [np.flatnonzero(stable.objects == one)[:2] for one in np.unique(stable.objects)]
    GraspSet.open(tmp_path / "set", create=True).append(
        stable[np.concatenate(rows)], source.shards[0].provenance, shard="four"
    )
    monkeypatch.setattr(
        agreed_grasps, "AgreeConfig", partial(AgreeConfig, folds=2, shares=(0.5, 1.0), net=QUICK)
    )
    out = tmp_path / "agreed"
    told = command(tmp_path / "set", "--out", out, "--rounds", 1)
    assert "4 grasps of 2 training objects, seed 0" in told
    assert "50% of their own posture" in told
    new = GraspSet.open(out)
    shard = next(one for one in new.shards if one.path.stem == "training")
    assert shard.provenance.notes["settings"]["rounds"] == 1
    found = new[:]
    assert 1 <= len(found) <= 4
    assert set(found.figures[SHARE]) <= {0.5, 1.0}
    assert lifting(library_object, PATTERNS)(found, np.random.default_rng(0)).any()

    out = tmp_path / "untried"
    monkeypatch.setattr(agreed_grasps, "lifting", None)
    assert "4 of 4 taken untried" in command(tmp_path / "set", "--out", out, "--untried")
    assert set(GraspSet.open(out)[:].figures[SHARE]) == {0.5}
