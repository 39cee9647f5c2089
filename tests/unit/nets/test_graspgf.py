"""GraspGF's primitive: its network, its encoder, what it gives to a control loop, bad inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets_samples import HAND, random_grasps, sphere
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from torch import Tensor

from dexgrasp_models.nets.basis_points import BasisPoints, BasisPointsConfig
from dexgrasp_models.nets.grasp_gradient import GraspGradient
from dexgrasp_models.nets.graspgf import GraspGF, GraspGFConfig, jittered, wrist_frame
from dexgrasp_models.nets.ipdf import GraspIPDFConfig
from dexgrasp_models.nets.pointnet import PointNet2Config
from dexgrasp_models.nets.weights import WeightsError, save_weights

TINY = GraspGFConfig(
    encoder="basis_points",
    basis_points=BasisPointsConfig(points=32, widths=(16,)),
    joint_features=16,
    time_features=8,
    widths=(32,),
)
KINDS = {
    "joints": TINY,
    "circular": replace(TINY, circular=True),
    "pointnet2": replace(TINY, encoder="pointnet2", pointnet2=PointNet2Config.small()),
}


def network(config: GraspGFConfig = TINY) -> GraspGF:
    """Untrained, but standardised."""
    torch.manual_seed(0)
    found = GraspGF(config)
    found.fit_standardisation(random_grasps(64).joints)
    return found.eval()


def ball() -> Tensor:
    """(200, 3) about where the palm faces, in its frame."""
    return sphere((0.0, -0.05, 0.08), 0.03, 200).float()


@pytest.fixture
def gradient(tmp_path) -> GraspGradient:
    save_weights(tmp_path / "graspgf.safetensors", network(), TINY)
    return GraspGradient(tmp_path / "graspgf.safetensors")


def inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball in the world, a wrist behind it, and joints."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec([0.3, -0.8, 0.2]).as_matrix()
    pose[:3, 3] = (0.4, 0.1, 0.2)
    points = ball().numpy() @ pose[:3, :3].T + pose[:3, 3]
    return points, pose, random_grasps(1).joints[0].numpy()


# The encoder


def test_basis_points_see_the_nearest_point():
    encoder = BasisPoints(BasisPointsConfig())
    found = encoder.distances(ball()[None])[0]
    true, _ = KDTree(ball().numpy()).query(encoder.basis.numpy())
    np.testing.assert_allclose(found, true, atol=1e-4)


def test_basis_is_the_seeds_and_fills_its_ball():
    config = BasisPointsConfig(points=4000)
    basis = BasisPoints(config).basis
    assert torch.equal(basis, BasisPoints(config).basis)
    assert not torch.equal(basis, BasisPoints(replace(config, seed=1)).basis)
    apart = (basis - torch.tensor(config.centre)).norm(dim=1) / config.radius
    assert apart.max() <= 1
    # Evenly in volume: an eighth within half the radius.
    assert float((apart < 0.5).float().mean()) == pytest.approx(0.125, abs=0.02)


def test_order_and_repetition_of_points_do_not_matter():
    encoder = BasisPoints(BasisPointsConfig())
    cloud = ball()
    shuffled = torch.cat((cloud.flip(0), cloud[:50]))
    torch.testing.assert_close(encoder(cloud[None]), encoder(shuffled[None]), atol=1e-4, rtol=1e-4)


def test_many_clouds_are_as_one_by_one():
    encoder = BasisPoints(BasisPointsConfig(points=16))
    clouds = torch.randn(70, 20, 3, generator=torch.Generator().manual_seed(0)) * 0.05
    each = torch.cat([encoder.distances(cloud[None]) for cloud in clouds])
    torch.testing.assert_close(encoder.distances(clouds), each, atol=1e-5, rtol=0)


# The network


def test_gradient_is_that_of_the_coordinates_by_the_chain_rule():
    """A known score, of a normal density in the sines and cosines, against autograd."""
    found = network(KINDS["circular"])
    found.forward = lambda coordinates, features, times: -coordinates
    joints = random_grasps(5).joints
    angles = found.actuator_angles(joints).requires_grad_()
    embedded = (torch.cat((angles.sin(), angles.cos()), -1) - found.mean) / found.deviation
    left = float(TINY.schedule.mean(torch.tensor(0.3)))
    (true,) = torch.autograd.grad(-0.5 * (left * embedded).square().sum(), angles)
    given = found.gradient(ball().expand(5, -1, -1), joints, 0.3)
    torch.testing.assert_close(given, true, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_gradient_and_samples(kind):
    found = network(KINDS[kind])
    clouds = ball().expand(3, -1, -1)
    assert found.gradient(clouds, random_grasps(3).joints).shape == (3, 18)
    first, again, other = (
        found.sample(clouds, torch.Generator().manual_seed(seed), steps=4) for seed in (0, 0, 1)
    )
    assert first.shape == (3, 22)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(found.central(clouds), found.central(clouds))
    limits = torch.as_tensor(HAND.limits, dtype=torch.float32)
    assert ((first >= limits[:, 0] - 1e-6) & (first <= limits[:, 1] + 1e-6)).all()
    # The hand couples J1 and J2.
    np.testing.assert_allclose(first, HAND.couple(first.numpy()), atol=1e-6)


@pytest.mark.parametrize("kind", ["joints", "circular"])
def test_postures_come_back(kind):
    """Standardised and back, a coupled hand's joints are the same."""
    found = network(KINDS[kind])
    limits = torch.as_tensor(HAND.limits, dtype=torch.float32)
    joints = torch.as_tensor(HAND.couple(random_grasps(6).joints.numpy()), dtype=torch.float32)
    joints = joints.clamp(limits[:, 0], limits[:, 1])
    coordinates = (found._embedded(found.actuator_angles(joints)) - found.mean) / found.deviation
    torch.testing.assert_close(found._decoded(coordinates), joints, atol=1e-5, rtol=0)


def test_it_learns_postures_that_depend_on_the_cloud():
    """A ball in the hand closes it, one far off opens it: samples and gradients follow."""
    torch.manual_seed(0)
    closed = torch.as_tensor(0.8 * HAND.limits.max(1), dtype=torch.float32)
    postures = torch.stack((closed, 0.1 * closed))
    clouds = torch.stack((ball(), ball() + torch.tensor([0.0, -0.08, 0.0])))
    found = GraspGF(replace(TINY, joint_features=128, widths=(128,)))
    joints = postures.repeat(32, 1) + 0.05 * torch.randn(64, 22)
    found.fit_standardisation(joints)
    optimiser = torch.optim.Adam(found.parameters(), 5e-3)
    for _ in range(500):
        optimiser.zero_grad()
        found.loss(clouds.repeat(32, 1, 1), joints).mean().backward()
        optimiser.step()
    found.eval()
    coupled = torch.as_tensor(HAND.couple(postures.numpy()), dtype=torch.float32)
    samples = found.sample(clouds.repeat(16, 1, 1), torch.Generator().manual_seed(0))
    errors = (samples - coupled.repeat(16, 1)).abs().mean()
    assert errors < 0.15
    assert (samples - coupled.flip(0).repeat(16, 1)).abs().mean() > 2 * errors
    assert (found.central(clouds) - coupled).abs().mean() < errors
    middle = coupled.mean(0).expand(2, -1)
    # From there on little noise has led astray in training: the gradient is one of more noise.
    gradients = found.gradient(clouds, middle, 0.3)
    wanted = found.actuator_angles(coupled - middle)
    assert (torch.cosine_similarity(gradients, wanted) > 0.7).all()


def test_jitter():
    grasps = random_grasps(2000)
    moved = jittered(grasps, torch.Generator().manual_seed(0), 0.01, 0.05)
    offsets = moved.translations - grasps.translations
    assert float(offsets.std()) == pytest.approx(0.01, rel=0.05)
    turns = Rotation.from_matrix(
        (grasps.rotations.transpose(1, 2) @ moved.rotations).double().numpy()
    )
    assert turns.as_rotvec().std() == pytest.approx(0.05, rel=0.05)
    assert torch.equal(moved.joints, grasps.joints)
    same = jittered(grasps, torch.Generator().manual_seed(0), 0.0, 0.0)
    torch.testing.assert_close(same.rotations, grasps.rotations)


# The control loop's view


def test_turned_world_changes_nothing(gradient):
    points, wrist, joints = inputs()
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec([1.0, 2.0, -0.5]).as_matrix()
    turn[:3, 3] = (0.3, -0.2, 0.5)
    moved = points @ turn[:3, :3].T + turn[:3, 3]
    first = gradient.gradient(points, wrist, joints)
    again = gradient.gradient(moved, turn @ wrist, joints)
    np.testing.assert_allclose(again, first, rtol=1e-3, atol=1e-2)
    # The wrist alone is another grasp.
    assert np.abs(gradient.gradient(points, turn @ wrist, joints) - first).max() > 0.1


def test_batch_is_as_one_by_one(gradient):
    points, wrist, joints = inputs()
    several = [(points + 0.01 * i, wrist, joints * (1 - 0.1 * i)) for i in range(3)]
    columns = (np.stack(column) for column in zip(*several, strict=True))
    together = gradient.gradients(
        *(torch.as_tensor(column, dtype=torch.float32) for column in columns)
    )
    for row, one in zip(together, several, strict=True):
        np.testing.assert_allclose(row, gradient.gradient(*one), rtol=1e-4, atol=1e-3)


def test_one_thread_and_the_callers_number_again(gradient, monkeypatch):
    seen = []
    inner = gradient.network.gradient

    def spying(*arguments):
        seen.append(torch.get_num_threads())
        return inner(*arguments)

    monkeypatch.setattr(gradient.network, "gradient", spying)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        gradient.gradient(*inputs())
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_postures_are_the_networks_samples(gradient):
    points, wrist, _ = (torch.as_tensor(v, dtype=torch.float32)[None] for v in inputs())
    found = gradient.postures(points, wrist, torch.Generator().manual_seed(0))
    seen = wrist_frame(points, wrist[:, :3, :3], wrist[:, :3, 3])
    expected = gradient.network.sample(seen, torch.Generator().manual_seed(0))
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p, w, j: (p[:0], w, j), "with points"),
        (lambda p, w, j: (p[:, :2], w, j), r"expected points \(B, N, 3\)"),
        (lambda p, w, j: (p * np.nan, w, j), "finite"),
        (lambda p, w, j: (p, w * np.nan, j), "wrist poses must be finite"),
        (lambda p, w, j: (p, 2 * w, j), "orthonormal"),
        (lambda p, w, j: (p, w[:3], j), r"expected wrist poses \(1, 4, 4\)"),
        (lambda p, w, j: (p, w, j[:18]), r"expected joints \(B, 22\), got \(1, 18\)"),
        (lambda p, w, j: (p, w, j * np.nan), "joints must be finite"),
    ],
)
def test_bad_input_is_told(gradient, change, told):
    with pytest.raises(ValueError, match=told):
        gradient.gradient(*change(*inputs()))


def test_clouds_and_joints_of_different_numbers():
    with pytest.raises(ValueError, match="as many clouds as joints, got 2, 3"):
        network().gradient(ball().expand(2, -1, -1), random_grasps(3).joints)


def test_standardisation_needs_two_grasps():
    with pytest.raises(ValueError, match="two or more grasps, got 1"):
        network().fit_standardisation(random_grasps(1).joints)


def test_bad_weights_are_told(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        GraspGradient(tmp_path / "none.safetensors")
    other = tmp_path / "other.safetensors"
    save_weights(other, network(), GraspIPDFConfig.small())
    with pytest.raises(WeightsError, match="GraspIPDFConfig, not GraspGFConfig"):
        GraspGradient(other)
    save_weights(other, network(), replace(TINY, joint_features=24))
    with pytest.raises(WeightsError, match="doesn't fit its network"):
        GraspGradient(other)


def test_time_out_of_range(tmp_path):
    with pytest.raises(ValueError, match=r"in \(0, 1\], got 0"):
        GraspGradient(tmp_path / "none.safetensors", time=0.0)


@pytest.mark.parametrize("time", [0.005, 0.3])
def test_the_packages_weights_close_an_open_hand_and_open_a_fist(time):
    primitive = GraspGradient(time=time)
    errors = primitive.metadata["validation"]
    assert errors["joint_error"] < 0.85 * errors["joint_error_of_mean"]
    points, wrist, _ = inputs()
    flexors = [
        name[3:] in ("FFJ3", "MFJ3", "RFJ3", "FFJ0", "MFJ0", "RFJ0") for name in HAND.actuators
    ]
    opened = primitive.gradient(points, wrist, np.zeros(22))[flexors]
    fist = primitive.gradient(points, wrist, HAND.limits[:, 1])[flexors]
    assert (opened > 0).all()
    assert (fist < 0).all()


def test_paper_size():
    """The widths of 3.3; the header of the file tells the rest."""
    found = GraspGF(GraspGFConfig.paper())
    assert found.encoder.features == 512
    assert found.of_joints[0].out_features == 1024
    assert found.of_time.layer[0].out_features == 512
    assert found.head[-1].out_features == 18
