"""Published grasps hold, and what is no grasp doesn't."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_sim.replay import (
    Control,
    GraspReplay,
    PublishedGrasp,
    load_dexgraspnet,
    perturbed,
    replay,
)

_REPOSITORY = Path(__file__).parents[2]
DATA = Path(os.environ.get("DEXGRASP_DATA") or _REPOSITORY.parent / "shared" / "data")
PUBLISHED = DATA / "dexgraspnet"


@pytest.fixture
def rod(tmp_path):
    """A rod of 3 cm radius, and a power grasp around it: palm on one side, fingers around."""
    path = tmp_path / "rod.obj"
    trimesh.creation.cylinder(radius=0.03, height=0.2, sections=48).export(path)
    hand = load_hand()
    joints = np.zeros(len(hand.joints))
    for finger in ("FF", "MF", "RF", "LF"):
        for joint, angle in (("J3", 0.9), ("J2", 0.9), ("J1", 0.7)):
            joints[hand.joint_index(f"rh_{finger}{joint}")] = angle
    joints[hand.joint_index("rh_THJ4")] = 1.1
    joints[hand.joint_index("rh_THJ1")] = -0.6
    # The rod's axis lies along the palm's x, in front of it (-y).
    palm_T_rod = np.eye(4)
    palm_T_rod[:3, :3] = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]
    palm_T_rod[:3, 3] = (0.0, -0.044, 0.085)
    return path, PublishedGrasp(1.0, np.linalg.inv(palm_T_rod), joints)


def test_a_power_grasp_keeps_a_rod_and_opening_the_hand_drops_it(rod):
    path, grasp = rod
    scene = GraspReplay(path, 1.0)
    held = scene.run(grasp)
    assert held.kept_in_contact
    assert held.near_squeezed
    dropped = scene.run(grasp, gain=-1.0)
    assert not dropped.near_squeezed
    assert not dropped.stable


def test_replay_repeats_to_the_bit(rod):
    path, grasp = rod
    assert GraspReplay(path, 1.0).run(grasp) == GraspReplay(path, 1.0).run(grasp)


def test_a_hand_inside_the_object_is_no_grasp(rod):
    path, grasp = rod
    pose = grasp.object_T_palm.copy()
    pose[:3, 3] += 0.02 * pose[:3, :3] @ [0.0, -1.0, 0.0]
    result = GraspReplay(path, 1.0).run(PublishedGrasp(1.0, pose, grasp.joints))
    assert result.initial_penetration > 0.01
    assert not result.stable


def test_controls_change_what_they_say(rod):
    _, grasp = rod
    generator = np.random.default_rng(0)
    moved = perturbed(grasp, Control.WRIST_MOVED, generator)
    shift = moved.object_T_palm[:3, 3] - grasp.object_T_palm[:3, 3]
    assert np.linalg.norm(shift) == pytest.approx(0.04)
    assert np.array_equal(moved.joints, grasp.joints)
    shuffled = perturbed(grasp, Control.SHUFFLED_JOINTS, generator)
    assert np.array_equal(shuffled.object_T_palm, grasp.object_T_palm)
    assert not np.array_equal(shuffled.joints, grasp.joints)
    limits = load_hand().limits
    assert ((shuffled.joints >= limits[:, 0]) & (shuffled.joints <= limits[:, 1])).all()


def test_data_set_poses_turn_about_fixed_axes(tmp_path):
    names = load_hand().paper_joints
    qpos = {name: 0.01 * index for index, name in enumerate(names)}
    qpos |= {"WRJRx": 0.3, "WRJRy": -0.7, "WRJRz": 1.9, "WRJTx": 0.1, "WRJTy": 0.2, "WRJTz": 0.3}
    np.save(tmp_path / "a.npy", np.array([{"qpos": qpos, "scale": 0.08}], dtype=object))
    (grasp,) = load_dexgraspnet(tmp_path / "a.npy")
    x, y, z = (_turn(axis, qpos[f"WRJR{name}"]) for axis, name in enumerate("xyz"))
    assert grasp.object_T_palm[:3, :3] == pytest.approx(z @ y @ x)
    assert grasp.object_T_palm[:3, 3] == pytest.approx([0.1, 0.2, 0.3])
    assert grasp.joints == pytest.approx(0.01 * np.arange(22))
    assert grasp.scale == 0.08


def _turn(axis, angle):
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix


def test_bad_data_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected"):
        replay(tmp_path)
    (tmp_path / "dataset").mkdir()
    np.save(tmp_path / "dataset" / "thing.npy", np.array([{"scale": 1.0}], dtype=object))
    with pytest.raises(FileNotFoundError, match="mesh that is missing"):
        replay(tmp_path)
    with pytest.raises(ValueError, match="holds no DexGraspNet grasps"):
        load_dexgraspnet(tmp_path / "dataset" / "thing.npy")


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"needs DexGraspNet's data in {PUBLISHED}")
def test_published_grasps_hold_and_the_controls_fall():
    rates = replay(PUBLISHED, grasps_per_object=12)["rates"]
    assert rates["published"]["kept_in_contact"] >= 0.85
    assert rates["published"]["stable"] > 0.6
    assert rates["shuffled_joints"]["initial_penetration_ok"] < 0.3
    for control in ("shuffled_joints", "wrist_moved", "reversed_squeeze"):
        assert rates[control]["stable"] < 0.3 * rates["published"]["stable"]
    assert rates["reversed_squeeze"]["kept_in_contact"] < 0.2
