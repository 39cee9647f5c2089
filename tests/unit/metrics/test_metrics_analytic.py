"""All analytic figures together: the same as one by one, and published grasps against controls."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from hand_samples import HAND, random_joints, random_poses

from dexgrasp_models.data.unidexgrasp import read_unidexgrasp
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.metrics.analytic import evaluate_grasps
from dexgrasp_models.metrics.contacts import contact_count, link_contacts
from dexgrasp_models.metrics.penetration import (
    TABLE_TOP,
    object_penetration,
    self_penetration,
    table_penetration,
)

DISTANCE = HandDistance(HandKinematics(HAND, dtype=torch.float64))
DATA = Path(os.environ.get("DEXGRASP_DATA") or Path(__file__).parents[4] / "shared" / "data")
PUBLISHED = DATA / "unidexgrasp"
CAR = "sem/Car-669043a8ce40d9d78781f76a6db4ab62"


def ball(radius: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    normals = np.random.default_rng(0).normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return radius * normals, normals


def test_agrees_with_the_figures_one_by_one_over_several_batches():
    rng = np.random.default_rng(1)
    palm, joints = random_poses(70, rng), random_joints(70, rng)
    palm[:, :3, 3] *= 0.12
    points, normals = ball(0.04, 300)
    planes = np.tile(TABLE_TOP, (70, 1))
    planes[::2] = np.nan
    found = evaluate_grasps(DISTANCE, palm.numpy(), joints.numpy(), points, normals, planes)
    assert all(values.shape == (70,) for values in found.values())
    poses = DISTANCE.kinematics.link_poses(palm, joints)
    surface, outward = torch.as_tensor(points), torch.as_tensor(normals)
    in_object = object_penetration(DISTANCE, poses, surface).numpy()
    assert found["object_penetration"] == pytest.approx(in_object)
    assert found["self_penetration"] == pytest.approx(self_penetration(HAND, poses).numpy())
    touching = contact_count(link_contacts(DISTANCE, poses, surface, outward))
    assert found["contact_count"].tolist() == touching.tolist()
    in_table = table_penetration(HAND, poses).numpy()
    in_table[::2] = 0  # there is no table
    assert found["table_penetration"] == pytest.approx(in_table)
    too_deep = (in_object > 0.005) | (in_table > 0.01)
    assert too_deep.any()
    assert (found["q1"][too_deep] == 0).all()
    without = evaluate_grasps(DISTANCE, palm[:4].numpy(), joints[:4].numpy(), points, normals)
    assert (without["table_penetration"] == 0).all()


def test_what_does_not_fit_is_refused():
    points, normals = ball(0.04, 10)
    palm, joints = np.eye(4)[None], np.zeros((1, 22))
    with pytest.raises(ValueError, match="no grasps"):
        evaluate_grasps(DISTANCE, palm[:0], joints[:0], points, normals)
    with pytest.raises(ValueError, match=r"planes \(1, 4\)"):
        evaluate_grasps(DISTANCE, palm, joints, points, normals, np.array(TABLE_TOP))
    with pytest.raises(ValueError, match="palm_pose"):
        evaluate_grasps(DISTANCE, palm[0], joints, points, normals)
    with pytest.raises(ValueError, match="as many normals"):
        evaluate_grasps(DISTANCE, palm, joints, points, normals[:5])


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"no UniDexGrasp data in {PUBLISHED}")
def test_published_grasps_are_good_and_controls_are_not():
    grasps = read_unidexgrasp(PUBLISHED / "datasetv4.1" / CAR)
    chosen = np.flatnonzero(np.isclose(grasps.scales, 0.1))[:12]
    palm, joints = grasps.palm_poses[chosen], grasps.joints[chosen]
    mesh = trimesh.load_mesh(PUBLISHED / "meshdatav3" / CAR / "coacd" / "decomposed.obj")
    mesh.apply_scale(0.1)
    points, faces = trimesh.sample.sample_surface(mesh, 2000, seed=0)
    rng = np.random.default_rng(2)
    moved = palm.copy()
    offset = rng.normal(size=(len(palm), 3))
    moved[:, :3, 3] += 0.04 * offset / np.linalg.norm(offset, axis=1, keepdims=True)

    def figures(palm: np.ndarray, joints: np.ndarray) -> dict[str, np.ndarray]:
        normals = mesh.face_normals[faces]
        return evaluate_grasps(DISTANCE, palm, joints, points, normals, grasps.planes[chosen])

    published = figures(palm, joints)
    assert np.median(published["object_penetration"]) < 0.001  # the paper's own filter
    assert np.median(published["contact_count"]) >= 5
    assert np.median(published["q1"]) > 0.1
    assert np.median(published["load_balance_error"]) < 0.01
    for control in (figures(palm, rng.permuted(joints, axis=1)), figures(moved, joints)):
        assert np.median(control["object_penetration"]) > 0.003
        assert np.median(control["contact_count"]) <= 2
        assert np.median(control["q1"]) == 0
        assert np.median(control["load_balance_error"]) > 0.5
