"""Figures of proposals against the metrics themselves; means, intervals and the paper's claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from grasp_clouds import seen, standing
from scipy.spatial.transform import Rotation

from dexgrasp_models.evaluation.claims import paper_claims
from dexgrasp_models.evaluation.figures import (
    SceneObject,
    conditional_figures,
    proposal_figures,
)
from dexgrasp_models.evaluation.summary import BEST_LOST, LOST, mean_with_interval, summarise
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.metrics.contacts import link_contacts
from dexgrasp_models.metrics.diversity import keypoint_deviation, rotation_deviation
from dexgrasp_models.metrics.keypoints import keypoints
from dexgrasp_models.metrics.penetration import (
    object_penetration,
    self_penetration,
    table_penetration,
)
from dexgrasp_models.metrics.q1 import relaxed_q1
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.proposals.analytic import AnalyticProposer
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.types import Grasp

HAND = load_hand()
DISTANCE = HandDistance(HandKinematics(HAND))


@pytest.fixture(scope="module")
def grasps() -> list[Grasp]:
    config = EnergyConfig(batch=12)
    return AnalyticProposer(config).candidates(seen(standing("cylinder")), seed=0)


@pytest.fixture(scope="module")
def scene() -> SceneObject:
    """The cylinder, in a frame of its own that is turned and moved."""
    mesh = standing("cylinder")
    points, faces = mesh.sample(2000, return_index=True, seed=0)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", (0.4, -1.0, 2.0)).as_matrix()
    pose[:3, 3] = 0.01, -0.02, 0.05
    back = np.linalg.inv(pose)
    return SceneObject(
        pose, points @ back[:3, :3].T + back[:3, 3], mesh.face_normals[faces] @ back[:3, :3].T
    )


def test_figures_are_those_of_the_metrics(grasps, scene):
    """In `world`, where the table is z = 0, and Q1 about the object's origin."""
    found = proposal_figures(DISTANCE, grasps, scene)
    palms = torch.tensor(np.array([grasp.palm_pose for grasp in grasps]), dtype=torch.float32)
    joints = torch.tensor(np.array([grasp.joints for grasp in grasps]), dtype=torch.float32)
    poses = DISTANCE.kinematics.link_poses(palms, joints)
    pose = torch.tensor(scene.pose, dtype=torch.float32)
    points = torch.tensor(scene.points, dtype=torch.float32) @ pose[:3, :3].T + pose[:3, 3]
    normals = torch.tensor(scene.normals, dtype=torch.float32) @ pose[:3, :3].T
    in_object, in_table = (
        object_penetration(DISTANCE, poses, points),
        table_penetration(HAND, poses),
    )
    about_object = points - pose[:3, 3]
    moved = poses.clone()
    moved[..., :3, 3] -= pose[:3, 3]
    contacts = link_contacts(DISTANCE, moved, about_object, normals)
    expected = {
        "q1": relaxed_q1(contacts, in_object, in_table).mean(),
        "object_penetration": in_object.mean(),
        "table_penetration": in_table.mean(),
        "self_penetration": self_penetration(HAND, poses).mean(),
        "sigma_rotation": rotation_deviation(palms[:, :3, :3].numpy()),
        "sigma_keypoints": keypoint_deviation(keypoints(HAND, poses).numpy()),
    }
    assert expected["q1"] > 0.02
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=0.02, abs=2e-5), name


def test_shuffled_joints_lower_q1(grasps, scene):
    """Negative control."""
    generator = np.random.default_rng(0)
    spoiled = [replace(grasp, joints=generator.permutation(grasp.joints)) for grasp in grasps]
    good, bad = (proposal_figures(DISTANCE, some, scene)["q1"] for some in (grasps, spoiled))
    assert bad < 0.5 * good


def test_a_table_that_is_higher_lowers_q1(grasps, scene):
    """Negative control: the table is that of the object's pose."""
    pose = scene.pose.copy()
    pose[2, 3] -= 0.05
    lower = [
        replace(grasp, palm_pose=grasp.palm_pose - 0.05 * np.eye(4)[2][:, None] * np.eye(4)[3])
        for grasp in grasps
    ]
    found = proposal_figures(DISTANCE, lower, replace(scene, pose=pose))
    assert found["table_penetration"] > 0.02
    assert found["q1"] < proposal_figures(DISTANCE, grasps, scene)["q1"]


def test_spread_for_one_rotation():
    generator = torch.Generator().manual_seed(0)
    translations = torch.randn(4, 500, 3, generator=generator) * 0.01
    translations += torch.arange(4)[:, None, None]  # between rotations it doesn't count
    joints = torch.randn(4, 500, 22, generator=generator) * 0.2
    rotations = torch.eye(3).expand(2000, 3, 3)
    found = conditional_figures(
        GraspTensors(rotations, translations.flatten(0, 1), joints.flatten(0, 1)), 4
    )
    assert found["sigma_translation_given_rotation"] == pytest.approx(0.01 * 3**0.5, rel=0.03)
    assert found["sigma_joints_given_rotation"] == pytest.approx(0.2, rel=0.03)


def test_the_interval_is_that_of_a_mean():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = mean_with_interval(values)
    assert found["mean"] == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert found["low"] == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found["high"] == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert found == mean_with_interval(values)
    assert mean_with_interval([2.0]) == {"mean": 2.0, "low": None, "high": None, "scenes": 1}
    assert mean_with_interval([])["mean"] is None
    assert mean_with_interval([1.0, 1.0, 1.0])["high"] == 1.0


def test_means_are_over_the_scenes_that_have_a_figure():
    results = [
        {"a": {"q1": 1.0, "likelihood": None, LOST: ["", "lift"], BEST_LOST: ["plan"]}},
        {"a": {"q1": 3.0, "likelihood": 5.0, LOST: ["lift"], BEST_LOST: [""]}},
        {"a": {"problem": "not finite"}},
        {},
    ]
    found = summarise(results, ["a", "b"])
    assert found["a"]["figures"]["q1"]["mean"] == 2.0
    assert found["a"]["figures"]["q1"]["scenes"] == 2
    assert found["a"]["figures"]["likelihood"]["mean"] == 5.0
    assert set(found["a"]["figures"]) == {"q1", "likelihood"}
    assert found["a"][LOST] == {"lift": 2}
    assert found["a"][BEST_LOST] == {"plan": 1}
    assert found["a"]["problems"] == {"not finite": 1}
    assert found["b"]["figures"] == {}


PAPER = {
    "grasptta": {"q1": 0.0269, "sigma_rotation": np.deg2rad(4.9)},
    "ddg": {"q1": 0.0357, "sigma_rotation": 0.0},
    "r_c_t": {"q1": 0.0362, "sigma_translation_given_rotation": 0.00095},
    "relie": {"q1": 0.0190, "log_likelihood": -1.540},
    "prohmr": {"q1": 0.0210, "log_likelihood": -1.710},
    "without_tta": {"q1": 0.0013},
    "full": {
        "q1": 0.0423,
        "sigma_rotation": np.deg2rad(127.6),
        "sigma_translation_given_rotation": 0.01143,
        "log_likelihood": 10.908,
    },
}
"""UniDexGrasp's Tables 1, 2 and 9, seen categories."""


def test_the_papers_figures_meet_the_papers_claims():
    claims = paper_claims(PAPER)
    assert len(claims) == 8
    assert all(claim.holds for claim in claims)


@pytest.mark.parametrize(
    ("row", "figure", "value"),
    [
        ("full", "q1", 0.0340),
        ("full", "sigma_rotation", np.deg2rad(99)),
        ("ddg", "sigma_rotation", np.deg2rad(6)),
        ("grasptta", "sigma_rotation", np.deg2rad(6)),
        ("full", "sigma_translation_given_rotation", 0.004),
        ("relie", "log_likelihood", 11.0),
        ("prohmr", "log_likelihood", 11.0),
        ("without_tta", "q1", 0.01),
    ],
)
def test_each_claim_can_fail(row, figure, value):
    claims = paper_claims(PAPER | {row: PAPER[row] | {figure: value}})
    assert [claim.holds for claim in claims].count(False) == 1


def test_a_q1_of_zero_is_not_the_highest():
    claims = paper_claims({row: figures | {"q1": 0.0} for row, figures in PAPER.items()})
    assert [claim.holds for claim in claims if "Q1" in claim.claim] == [False, False]


def test_claims_about_rows_that_are_missing_are_not_made():
    left = {row: figures for row, figures in PAPER.items() if row not in ("r_c_t", "relie")}
    assert len(paper_claims(left)) == 6
    assert paper_claims({}) == []
