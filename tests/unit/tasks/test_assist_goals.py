"""Goals in a file: found again in their set, which may grow but not change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grasp_samples import sample_grasps

from dexgrasp_models.data.diversity import most_diverse
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError, Grasps
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_goals import TriedGoals, load_goals, save_goals, shard_digest

NOTES = {"seed": 3, "task": {"rate": 20.0}}


@pytest.fixture
def grasps(tmp_path) -> GraspSet:
    grasps = GraspSet.open(tmp_path / "set", create=True)
    grasps.append(sample_grasps(6, name="mug"), Provenance(), shard="m")
    grasps.append(sample_grasps(4, seed=1, name="can"), Provenance(), shard="k")
    return grasps


def tried_of(grasps: GraspSet, name: str, rows: list[int], held: list[bool]) -> TriedGoals:
    """Of one object in a shard of its own; of those that hold the first is chosen."""
    (shard,) = (one for one in grasps.shards if one.names == (name,))
    first = np.flatnonzero(held)[:1]
    return TriedGoals(
        {shard.path.stem: shard_digest(shard)},
        (name,),
        shards=np.zeros(len(rows)),
        rows=np.array(rows),
        held=np.array(held),
        rises=np.where(held, 1.0, 0.0),
        chosen=np.isin(np.arange(len(rows)), first),
        chosen_of_all=np.arange(len(rows)) == 0,
    )


@pytest.fixture
def tried(grasps) -> TriedGoals:
    """Of two objects, and a third without any usable grasp."""
    none = replace(TriedGoals.none({}), objects=("ball",))
    return (
        TriedGoals.none(NOTES)
        .with_object("mug", tried_of(grasps, "mug", [1, 4, 5], [False, True, True]))
        .with_object("ball", none)
        .with_object("can", tried_of(grasps, "can", [3, 0], [True, False]))
    )


def expected(grasps: GraspSet, *places: tuple[str, int]) -> np.ndarray:
    shards = {one.path.stem: one for one in grasps.shards}
    return np.array([shards[name].column("joints")[row] for name, row in places])


def test_they_are_found_in_their_set(tmp_path, grasps, tried):
    save_goals(tmp_path / "goals", tried)
    again = load_goals(tmp_path / "goals")
    assert (again.objects, again.notes) == (("mug", "ball", "can"), NOTES)
    assert list(again.digests) == ["m", "k"]
    everything = [("m", 1), ("m", 4), ("m", 5), ("k", 3), ("k", 0)]
    for choice, places in {
        "all": everything,
        "held": [everything[1], everything[2], everything[3]],
        "chosen": [everything[1], everything[3]],
        "chosen_of_all": [everything[0], everything[3]],
    }.items():
        found = again.goals(grasps, choice)
        assert np.array_equal(found.joints, expected(grasps, *places)), choice


def test_the_set_may_grow(grasps, tried):
    before = tried.goals(grasps, "all").joints
    grasps.append(sample_grasps(5, seed=2, name="pan"), Provenance(), shard="a")
    assert np.array_equal(tried.goals(GraspSet.open(grasps.path), "all").joints, before)


def test_a_shard_that_is_another_one_or_gone_is_told(grasps, tried):
    shard = next(one for one in grasps.shards if one.path.stem == "k")
    grasps.fill_in_squeezes(shard, shard.column("joints"))
    with pytest.raises(GraspDataError, match=r"k\.safetensors: is not what it was"):
        tried.goals(grasps)
    shard.path.unlink()
    with pytest.raises(GraspDataError, match="has no shard k"):
        tried.goals(GraspSet.open(grasps.path))


def test_files_that_are_none_are_refused(tmp_path, grasps, tried):
    path = tmp_path / "goals"
    save_goals(path, tried)
    content = path.read_bytes()
    for length in (0, 5, 200, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(GraspDataError, match="cut short"):
            load_goals(path)
    with pytest.raises(GraspDataError, match="holds no goals"):
        load_goals(grasps.shards[0].path)
    path.write_bytes(content.replace(b"shadow_hand_right", b"shadow_hand_lefty"))
    with pytest.raises(GraspDataError, match="hand shadow_hand_lefty"):
        load_goals(path)
    with pytest.raises(GraspDataError, match="don't fit"):
        replace(tried, held=tried.held[:2])


def test_the_most_diverse_are_the_farthest_apart():
    """Hands along a line: one in the middle, then both ends; and one that differs by its joints."""
    poses = np.tile(np.eye(4), (7, 1, 1))
    poses[:6, 0, 3] = [0.0, 0.02, 0.10, 0.11, 0.29, 0.30]
    poses[6, 0, 3] = 0.11
    joints = np.zeros((7, 22))
    joints[6] = load_hand().limits[:, 1]
    grasps = Grasps.of_object("can", 0.1, poses, joints)
    kinematics = HandKinematics(load_hand())
    rows = most_diverse(grasps[:6], 3, kinematics).tolist()
    assert rows[0] in (2, 3)
    assert rows[1:] == [5, 0]
    assert 6 in most_diverse(grasps, 4, kinematics)
    assert most_diverse(grasps[:2], 5, kinematics).tolist() == [0, 1]
