"""Signed distances to the hand against meshes, a plain formula and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from hand_samples import HAND, moved, random_joints, random_poses

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics, points_on_links
from dexgrasp_models.open3d_import import import_open3d


@pytest.fixture(scope="module")
def distance() -> HandDistance:
    return HandDistance(HandKinematics(HAND, dtype=torch.float64))


def scene(seed: int, batch: int, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points (B, N, 3) about hands, many of them inside, with the hands' palm poses and joints."""
    rng = np.random.default_rng(seed)
    palm, joints = random_poses(batch, rng), random_joints(batch, rng)
    in_palm = torch.as_tensor(rng.normal(0, [0.04, 0.03, 0.06], (batch, count, 3)))
    in_palm[..., 2] += 0.06
    points = in_palm @ palm[:, :3, :3].transpose(1, 2) + palm[:, None, :3, 3]
    return points, palm, joints


def mesh_of(primitive) -> trimesh.Trimesh:
    if primitive.kind == "box":
        return trimesh.creation.box(2 * np.array(primitive.size))
    radius, half_length = primitive.size
    return trimesh.creation.capsule(2 * half_length, radius, count=[32, 32])


def mesh_distance(mesh: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    """(N,) signed distance of (N, 3) points to a convex mesh, negative inside, by Open3D."""
    raycasting = import_open3d().t.geometry.RaycastingScene()
    raycasting.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    distance = raycasting.compute_distance(points.astype(np.float32)).numpy()
    # Open3D tells inside from outside by rays, which err where they meet an edge.
    heights = points @ mesh.face_normals.T - (mesh.face_normals * mesh.triangles[:, 0]).sum(1)
    return np.where((heights < 0).all(axis=1), -distance, distance)


def test_agrees_with_meshes_of_the_primitives(distance):
    """To 0.1 mm; the meshes of the capsules themselves are within 0.07 mm of their surface."""
    points, palm, joints = scene(seed=0, batch=1, count=2000)
    poses = distance.kinematics.link_poses(palm, joints)
    inside_most = np.full(points.shape[1], np.inf)
    for link, pose in zip(HAND.links, poses[0].numpy(), strict=True):
        for primitive in link.primitives:
            frame = pose @ primitive.pose.matrix
            local = (points[0].numpy() - frame[:3, 3]) @ frame[:3, :3]
            found = mesh_distance(mesh_of(primitive), local)
            inside_most = np.minimum(inside_most, found)
    ours = distance.signed_distance(points, palm, joints)[0].numpy()
    assert (ours < 0).sum() > 10
    np.testing.assert_allclose(ours, inside_most, atol=1e-4)


def test_fast_choice_of_the_nearest_primitive_is_right(distance):
    points, palm, joints = scene(seed=1, batch=4, count=5000)
    poses = distance.kinematics.link_poses(palm, joints)
    by_link = distance.by_link(points, poses)
    torch.testing.assert_close(distance.to_links(points, poses), by_link.amin(-1))
    with_graph = distance.to_links(points, poses.requires_grad_())
    torch.testing.assert_close(with_graph, by_link.amin(-1))
    torch.testing.assert_close(distance.by_link(points, poses), by_link)
    poses = poses.detach()
    nearest = distance.nearest(points, poses)
    torch.testing.assert_close(nearest.distance, by_link.amin(-1))
    chosen = by_link.gather(-1, nearest.link_index[..., None]).squeeze(-1)
    torch.testing.assert_close(chosen, by_link.amin(-1))


def test_links_without_primitives_are_infinitely_far(distance):
    points, palm, joints = scene(seed=2, batch=1, count=5)
    by_link = distance.by_link(points, distance.kinematics.link_poses(palm, joints))
    bare = [bool(link.primitives) for link in HAND.links]
    assert by_link.isfinite().all(dim=1)[0].tolist() == bare


def test_gradients_agree_with_finite_differences(distance):
    points, palm, joints = scene(seed=3, batch=2, count=40)
    twists = torch.zeros(2, 6, dtype=torch.float64)
    inputs = [value.clone().requires_grad_() for value in (points, twists, joints)]
    assert (distance.signed_distance(points, palm, joints) < 0).any()
    assert torch.autograd.gradcheck(
        lambda x, twist, angles: distance.signed_distance(x, moved(palm, twist), angles),
        inputs,
        fast_mode=True,
    )


def test_shared_points_serve_every_hand(distance):
    points, palm, joints = scene(seed=4, batch=3, count=10)
    shared = points[0]
    repeated = shared.expand(3, -1, -1)
    torch.testing.assert_close(
        distance.signed_distance(shared, palm, joints),
        distance.signed_distance(repeated, palm, joints),
    )


def test_normal_leads_out_along_the_distance(distance):
    points, palm, joints = scene(seed=5, batch=2, count=200)
    poses = distance.kinematics.link_poses(palm, joints)
    before = distance.nearest(points, poses)
    torch.testing.assert_close(before.normal.norm(dim=-1), torch.ones(2, 200, dtype=torch.float64))
    after = distance.to_links(points + 1e-6 * before.normal, poses)
    torch.testing.assert_close(after, before.distance + 1e-6, atol=1e-10, rtol=0)


def test_centre_of_a_capsule_is_finite(distance):
    """On the segment itself the direction is not unique: the value still holds, nothing is NaN."""
    palm, joints = torch.eye(4, dtype=torch.float64)[None], torch.zeros(1, 22, dtype=torch.float64)
    poses = distance.kinematics.link_poses(palm, joints).requires_grad_()
    links = torch.tensor([HAND.link_index("rh_ffdistal")])
    middle = torch.tensor([[0, 0, 0.012]], dtype=torch.float64)
    value = distance.to_links(points_on_links(poses.detach(), links, middle), poses)
    assert value.item() == pytest.approx(-0.00705)
    (gradient,) = torch.autograd.grad(value.sum(), poses)
    assert gradient.isfinite().all()


def test_float32_is_precise_to_micrometres():
    points, palm, joints = scene(seed=6, batch=4, count=500)
    exact = HandDistance(HandKinematics(HAND, torch.float64)).signed_distance(points, palm, joints)
    single = HandDistance(HandKinematics(HAND)).signed_distance(
        points.float(), palm.float(), joints.float()
    )
    torch.testing.assert_close(single.double(), exact, atol=2e-6, rtol=0)


def test_wrong_points_are_refused(distance):
    _, palm, joints = scene(seed=7, batch=2, count=1)
    with pytest.raises(ValueError, match="expected points"):
        distance.signed_distance(torch.zeros(3, 5, 3, dtype=torch.float64), palm, joints)
