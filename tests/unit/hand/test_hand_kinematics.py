"""Forward kinematics of the hand against MuJoCo, Pinocchio and finite differences."""

from __future__ import annotations

import mujoco
import numpy as np
import pinocchio as pin
import pytest
import torch
from hand_samples import HAND, moved, random_joints, random_poses
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.kinematics import HandKinematics, directions_on_links, points_on_links
from dexgrasp_models.hand.urdf import hand_urdf
from dexgrasp_sim.backends.mujoco import robot_model


@pytest.fixture(scope="module")
def kinematics() -> HandKinematics:
    return HandKinematics(HAND, dtype=torch.float64)


def test_agrees_with_mujoco_on_1000_configurations(kinematics):
    spec = mujoco.MjSpec()
    robot_model.add_free_hand(spec, HAND, "independent", friction=1.0)
    model = spec.compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    palm, joints = random_poses(1000, rng), random_joints(1000, rng)
    ours = kinematics.link_poses(palm, joints).numpy()

    free = model.jnt_qposadr[model.joint("palm_free").id]
    addresses = [model.jnt_qposadr[model.joint(name).id] for name in HAND.finger_joints]
    bodies = [model.body(name).id for name in HAND.link_names]
    worst = 0.0
    for pose, angles, expected in zip(palm.numpy(), joints.numpy(), ours, strict=True):
        x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
        data.qpos[free : free + 7] = [*pose[:3, 3], w, x, y, z]
        data.qpos[addresses] = angles
        mujoco.mj_kinematics(model, data)
        worst = max(worst, np.abs(data.xpos[bodies] - expected[:, :3, 3]).max())
        worst = max(worst, np.abs(data.xmat[bodies].reshape(-1, 3, 3) - expected[:, :3, :3]).max())
    assert worst < 1e-6


@pytest.mark.parametrize("mounted", [False, True])
def test_agrees_with_pinocchio_on_the_urdf(kinematics, mounted):
    model = pin.buildModelFromXML(hand_urdf(HAND, mounted))
    data = model.createData()
    rng = np.random.default_rng(1)
    root = torch.as_tensor(HAND.mount.root_T_palm if mounted else np.eye(4))[None]
    joints = random_joints(20, rng)
    ours = kinematics.link_poses(root.expand(20, 4, 4), joints).numpy()
    addresses = [model.joints[model.getJointId(name)].idx_q for name in HAND.finger_joints]
    frames = [model.getFrameId(name) for name in HAND.link_names]
    for angles, expected in zip(joints.numpy(), ours, strict=True):
        configuration = pin.neutral(model)
        configuration[addresses] = angles
        pin.framesForwardKinematics(model, data, configuration)
        theirs = np.stack([data.oMf[frame].homogeneous for frame in frames])
        np.testing.assert_allclose(theirs, expected, atol=1e-9)


def test_urdf_keeps_masses_and_limits():
    model = pin.buildModelFromXML(hand_urdf(HAND, mounted=True))
    total = sum(link.mass for link in (*HAND.links, *HAND.mount.links))
    # The root's mass is the universe's for a fixed base.
    assert sum(i.mass for i in model.inertias) == pytest.approx(total, rel=1e-6)
    for name, (lower, upper) in zip(HAND.finger_joints, HAND.limits, strict=True):
        index = model.joints[model.getJointId(name)].idx_q
        assert model.lowerPositionLimit[index] == pytest.approx(lower)
        assert model.upperPositionLimit[index] == pytest.approx(upper)


def test_float32_is_precise_to_a_micrometre(kinematics):
    rng = np.random.default_rng(2)
    palm, joints = random_poses(64, rng), random_joints(64, rng)
    single = HandKinematics(HAND).link_poses(palm.float(), joints.float())
    exact = kinematics.link_poses(palm, joints)
    torch.testing.assert_close(single.double(), exact, atol=2e-6, rtol=0)


def test_gradients_agree_with_finite_differences(kinematics):
    rng = np.random.default_rng(3)
    palm = random_poses(2, rng)
    twists = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    joints = random_joints(2, rng).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda twist, angles: kinematics.link_poses(moved(palm, twist), angles),
        (twists, joints),
        fast_mode=True,
    )


def test_flexion_moves_the_fingertips_to_the_palmar_side(kinematics):
    joints = torch.zeros(1, 22, dtype=torch.float64)
    tips = torch.tensor([HAND.link_index(name) for name in HAND.distal_links[:4]])
    open_tips = kinematics.link_poses(torch.eye(4, dtype=torch.float64)[None], joints)[0, tips]
    for finger in ("FF", "MF", "RF", "LF"):
        joints[0, HAND.joint_index(f"rh_{finger}J3")] = 0.8
    flexed = kinematics.link_poses(torch.eye(4, dtype=torch.float64)[None], joints)[0, tips]
    assert (flexed[:, 1, 3] < open_tips[:, 1, 3] - 0.02).all()


@pytest.mark.parametrize("batched_links", [False, True])
def test_point_jacobian_is_the_derivative_and_its_transpose_gives_torques(
    kinematics, batched_links
):
    rng = np.random.default_rng(4)
    palm, joints = random_poses(3, rng), random_joints(3, rng)
    links = torch.as_tensor(rng.integers(0, len(HAND.links), 12))
    local = torch.as_tensor(rng.uniform(-0.02, 0.02, (12, 3)))

    def points(angles: torch.Tensor) -> torch.Tensor:
        return points_on_links(kinematics.link_poses(palm, angles), links, local)

    derivative = torch.autograd.functional.jacobian(points, joints)  # (3, 12, 3, 3, 22)
    derivative = torch.stack([derivative[b, :, :, b] for b in range(3)])
    poses = kinematics.link_poses(palm, joints)
    of_points = links.expand(3, -1) if batched_links else links
    jacobian = kinematics.point_jacobian(poses, of_points, points(joints))
    torch.testing.assert_close(jacobian, derivative)

    forces = torch.as_tensor(rng.normal(size=(3, 12, 3)))
    torques = kinematics.joint_torques(poses, of_points, points(joints), forces)
    torch.testing.assert_close(torques, torch.einsum("bkcj,bkc->bj", jacobian, forces))


def test_directions_turn_with_their_links_but_do_not_move(kinematics):
    rng = np.random.default_rng(5)
    poses = kinematics.link_poses(random_poses(2, rng), random_joints(2, rng))
    links, local = torch.tensor([3, 9]), torch.as_tensor(rng.normal(size=(2, 3)))
    origins = points_on_links(poses, links, torch.zeros_like(local))
    expected = points_on_links(poses, links, local) - origins
    torch.testing.assert_close(directions_on_links(poses, links, local), expected)


def test_coupling_round_trip(kinematics):
    actuators = torch.rand(5, 18, dtype=torch.float64)
    joints = kinematics.expand(actuators)
    torch.testing.assert_close(kinematics.reduce(joints), actuators)
    distal, middle = HAND.joint_index("rh_MFJ1"), HAND.joint_index("rh_MFJ2")
    torch.testing.assert_close(joints[:, distal], joints[:, middle])


def test_clamp_keeps_joints_within_limits(kinematics):
    clamped = kinematics.clamp(torch.full((1, 22), 9.0, dtype=torch.float64))
    torch.testing.assert_close(clamped[0], kinematics.upper)


def test_wrong_shapes_are_refused(kinematics):
    with pytest.raises(ValueError, match="expected palm_pose"):
        kinematics.link_poses(torch.eye(4)[None], torch.zeros(1, 21))
    with pytest.raises(ValueError, match="expected palm_pose"):
        kinematics.link_poses(torch.eye(4)[None], torch.zeros(2, 22))
