"""What is kept as squeezes is what trials press with."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import trimesh

from dexgrasp_models.data.dexgraspbench import find_object
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps, concatenate
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.datasets.squeezes import open_jobs, run
from dexgrasp_sim.datasets.validation import GraspValidator
from dexgrasp_sim.datasets.validation_config import PUBLISHED, ValidationConfig


@pytest.fixture(scope="module")
def meshes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meshes")
    trimesh.creation.cylinder(radius=0.5, height=4.0, sections=32).export(folder / "rod.stl")
    return folder


def around(name: str, scale: float) -> Grasps:
    """A hand with flexed fingers before a rod across its palm, in two places."""
    hand = load_hand()
    joints = np.zeros((2, 22))
    for finger in ("FF", "MF", "RF", "LF"):
        for joint, angle in (("J3", 0.9), ("J2", 0.8), ("J1", 0.8)):
            joints[:, hand.joint_index(f"rh_{finger}{joint}")] = angle
    palm_T_rod = np.eye(4)
    palm_T_rod[:3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    palm_T_rod[:3, 3] = 0.0, -0.044, 0.085
    poses = np.tile(np.linalg.inv(palm_T_rod), (2, 1, 1))
    poses[1, 2, 3] += 0.02
    return Grasps.of_object(name, scale, poses, joints)


@pytest.mark.parametrize("config", [ValidationConfig(), PUBLISHED])
def test_they_are_the_targets_of_the_trial(meshes, config, monkeypatch):
    grasps, hand = around("rod", 0.06), load_hand()
    validator = GraspValidator([load_object(meshes / "rod.stl", 0.06)], config)
    found = validator.squeezes(grasps)
    pressing = np.abs(found - grasps.joints).max(axis=1)
    assert (pressing > 0.02).all()
    commanded: list[np.ndarray] = []

    def spied(model, data, count=1):
        names = hand.actuators if config.drive == "coupled" else hand.finger_joints
        commanded.append(data.ctrl[[model.actuator(name).id for name in names]].copy())

    monkeypatch.setattr(physics, "step", spied)
    for row, squeeze in enumerate(found):
        commanded.clear()
        validator.run(grasps.palm_poses[row], grasps.joints[row])
        targets = hand.reduction @ squeeze if config.drive == "coupled" else squeeze
        assert commanded[0] == pytest.approx(targets, abs=1e-12)


class TestRun:
    @pytest.fixture
    def grasps(self, tmp_path) -> GraspSet:
        """Of two objects in two shards; one of them is nowhere, one was tried with gain 2."""
        grasps = GraspSet.open(tmp_path, create=True)
        both = concatenate([around("rod", 0.06), around("gone", 0.06), around("rod", 0.05)])
        grasps.append(both, Provenance(), shard="a")
        notes = {"validation": {"gain": 2.0}}
        grasps.append(around("rod", 0.06), Provenance(notes=notes), shard="b")
        return grasps

    def test_all_that_can_be_is_filled_in(self, grasps, meshes):
        jobs = open_jobs(grasps, partial(find_object, meshes))
        assert len(jobs) == 3
        problems = [one.problem for one in run(jobs, grasps) if one.problem]
        assert len(problems) == 1
        assert "gone" in problems[0]
        again = GraspSet.open(grasps.path)
        assert again[:].has_squeeze.tolist() == [True, True, False, False, True, True, True, True]
        expected = GraspValidator([load_object(meshes / "rod.stl", 0.05)]).squeezes(
            around("rod", 0.05)
        )
        assert np.array_equal(again[4:6].squeezes, expected)
        (left,) = open_jobs(again, partial(find_object, meshes))
        assert (left.name, left.rows.tolist()) == ("gone", [2, 3])

    def test_grasps_press_as_their_provenance_says_they_were_tried(self, grasps, meshes):
        jobs = open_jobs(grasps, partial(find_object, meshes), objects=["rod"])
        assert len(list(run(jobs, grasps))) == len(jobs) == 2
        once, twice = grasps[:2], grasps[6:8]
        assert twice.squeezes - twice.joints == pytest.approx(2 * (once.squeezes - once.joints))

    def test_an_unfinished_shard_stays_as_it_was(self, grasps, meshes):
        jobs = [one for one in open_jobs(grasps, partial(find_object, meshes)) if one.shard == 0]
        before = grasps.shards[0].path.read_bytes()
        running = run(jobs, grasps)
        next(running)
        running.close()
        assert grasps.shards[0].path.read_bytes() == before
