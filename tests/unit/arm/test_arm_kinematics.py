"""Kinematics of the arm against the Denavit-Hartenberg product, and inverse against forward."""

from __future__ import annotations

import copy
import re

import mujoco
import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.kinematics import ArmKinematics, interpolate_poses
from dexgrasp_models.arm.mounting import Mounting, load_mounting
from dexgrasp_models.arm.servo import PoseServo
from dexgrasp_models.arm.spec import ARM_DESCRIPTION, load_arm, parse_arm
from dexgrasp_models.arm.urdf import arm_urdf, robot_urdf
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.robot.links import DescriptionError, load_description
from dexgrasp_sim.backends.mujoco import robot_model

ARM = load_arm()
KINEMATICS = ArmKinematics()

# Universal Robots' published parameters of the UR10e, written down anew: a, d, alpha.
PUBLISHED_DH = [
    (0.0, 0.1807, np.pi / 2),
    (-0.6127, 0.0, 0.0),
    (-0.57155, 0.0, 0.0),
    (0.0, 0.17415, np.pi / 2),
    (0.0, 0.11985, -np.pi / 2),
    (0.0, 0.11655, 0.0),
]


def dh_product(joints: np.ndarray) -> np.ndarray:
    """Pose of the flange in the controller's base frame."""
    pose = np.eye(4)
    for angle, (a, d, alpha) in zip(joints, PUBLISHED_DH, strict=True):
        c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(alpha), np.sin(alpha)
        pose = pose @ np.array(
            [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
        )
    return pose


def grasp_pose(rng: np.random.Generator) -> np.ndarray:
    """A palm pose as in grasps of a thing near the table's centre: palm and fingers toward it."""
    elevation, azimuth = rng.uniform(0.3, np.pi / 2), rng.uniform(-np.pi, np.pi)
    approach = -np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    turn, _ = Rotation.align_vectors([approach], [[0, -0.5, 0.85]])
    pose = np.eye(4)
    pose[:3, :3] = (Rotation.from_rotvec(rng.uniform(-np.pi, np.pi) * approach) * turn).as_matrix()
    pose[:3, 3] = [0, 0, 0.06] - 0.13 * approach
    return pose


def test_forward_kinematics_is_the_dh_product():
    rng = np.random.default_rng(0)
    mounting = load_mounting()
    # base_link is the controller's base turned by pi about z (REP-103: x forward).
    base = mounting.world_T_base @ np.diag([-1.0, -1.0, 1.0, 1.0])
    flange_T_palm = mounting.tool_T_forearm @ load_hand().mount.root_T_palm
    for joints in rng.uniform(*ARM.limits.T, (100, 6)):
        expected = base @ dh_product(joints) @ flange_T_palm
        np.testing.assert_allclose(KINEMATICS.fk(joints), expected, atol=1e-9)


def test_jacobian_is_the_derivative():
    joints = np.random.default_rng(1).uniform(-1.5, 1.5, 6)
    jacobian = KINEMATICS.jacobian(joints)
    step = 1e-6
    for column in range(6):
        change = np.zeros(6)
        change[column] = step
        there, back = (pin.SE3(KINEMATICS.fk(joints + sign * change)) for sign in (1, -1))
        difference = pin.log6(back.actInv(there)).vector / (2 * step)
        np.testing.assert_allclose(jacobian[:, column], difference, atol=1e-6)


def test_urdf_of_the_robot_places_arm_and_hand_alike():
    hand = load_hand()
    model = pin.buildModelFromXML(robot_urdf(ARM, hand, load_mounting()))
    data = model.createData()
    rng = np.random.default_rng(2)
    arm_joints, finger_joints = rng.uniform(-1.5, 1.5, 6), rng.uniform(*hand.limits.T)
    configuration = pin.neutral(model)
    for name, angle in zip(
        (*ARM.joint_names, *hand.finger_joints), (*arm_joints, *finger_joints), strict=True
    ):
        configuration[model.joints[model.getJointId(name)].idx_q] = angle
    pin.framesForwardKinematics(model, data, configuration)
    palm = data.oMf[model.getFrameId("rh_palm")].homogeneous
    np.testing.assert_allclose(palm, KINEMATICS.fk(arm_joints), atol=1e-9)

    import torch

    poses = HandKinematics(hand, torch.float64).link_poses(
        torch.as_tensor(palm)[None], torch.as_tensor(finger_joints)[None]
    )
    tip = data.oMf[model.getFrameId("rh_thdistal")].homogeneous
    np.testing.assert_allclose(poses[0, hand.link_index("rh_thdistal")].numpy(), tip, atol=1e-9)


def test_agrees_with_mujoco():
    spec = mujoco.MjSpec()
    robot_model.add_arm_with_hand(
        spec, ARM, load_hand(), load_mounting(), "independent", friction=1.0
    )
    model = spec.compile()
    data = mujoco.MjData(model)
    addresses = [model.jnt_qposadr[model.joint(name).id] for name in ARM.joint_names]
    for joints in np.random.default_rng(6).uniform(*ARM.limits.T, (100, 6)):
        data.qpos[addresses] = joints
        mujoco.mj_kinematics(model, data)
        palm, expected = data.body("rh_palm"), KINEMATICS.fk(joints)
        np.testing.assert_allclose(palm.xpos, expected[:3, 3], atol=1e-6)
        np.testing.assert_allclose(palm.xmat.reshape(3, 3), expected[:3, :3], atol=1e-6)


def test_urdf_has_the_rated_limits():
    model = pin.buildModelFromXML(arm_urdf(ARM))
    np.testing.assert_allclose(model.velocityLimit, np.deg2rad([120, 120, 180, 180, 180, 180]))
    np.testing.assert_allclose(model.effortLimit, [330, 330, 150, 56, 56, 56])
    np.testing.assert_allclose(model.upperPositionLimit, np.pi * np.array([2, 2, 1, 2, 2, 2]), 1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_inverse_kinematics_round_trip(seed):
    joints = np.random.default_rng(seed).uniform(-np.pi, np.pi, 6)
    target = KINEMATICS.fk(joints)
    solution = KINEMATICS.ik(target, rng=np.random.default_rng(seed), restarts=20)
    assert solution is not None
    np.testing.assert_allclose(KINEMATICS.fk(solution), target, atol=1e-4)
    assert (solution >= ARM.limits[:, 0]).all()
    assert (solution <= ARM.limits[:, 1]).all()


def test_inverse_kinematics_stays_near_its_start():
    rng = np.random.default_rng(3)
    for _ in range(50):
        joints = rng.uniform(-1, 1, 6) + KINEMATICS.home
        start = joints + rng.uniform(-0.1, 0.1, 6)
        solution = KINEMATICS.ik(KINEMATICS.fk(joints), start)
        assert np.abs(solution - start).max() < 0.5


def test_whole_turns_are_unwound_toward_the_start():
    start = KINEMATICS.home.copy()
    start[5] += 2 * np.pi
    solution = KINEMATICS.ik(KINEMATICS.fk(KINEMATICS.home), start)
    np.testing.assert_allclose(solution, start, atol=1e-3)


def test_most_grasp_poses_near_the_centre_are_reached():
    rng = np.random.default_rng(4)
    found = [KINEMATICS.ik(grasp_pose(rng)) is not None for _ in range(60)]
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("x", [0.9, 3.0])
def test_unreachable_poses_are_refused(x):
    pose = grasp_pose(np.random.default_rng(5))
    pose[0, 3] = x
    assert KINEMATICS.ik(pose, rng=np.random.default_rng(0)) is None
    assert KINEMATICS.track(pose[None]) is None
    assert not KINEMATICS.reachable(pose[None])


def test_track_is_continuous_and_ends_at_the_last_pose():
    start = KINEMATICS.fk(KINEMATICS.home)
    goal = start.copy()
    goal[:3, 3] += [0.25, -0.1, -0.3]
    goal[:3, :3] = goal[:3, :3] @ Rotation.from_euler("xyz", [0.4, 0.3, 0.5]).as_matrix()
    path = np.concatenate([start[None], interpolate_poses(start, goal, 0.02, 0.05)])
    joints = KINEMATICS.track(path, KINEMATICS.home)
    np.testing.assert_allclose(joints[0], KINEMATICS.home, atol=1e-3)
    np.testing.assert_allclose(KINEMATICS.fk(joints[-1]), goal, atol=1e-4)
    assert np.abs(np.diff(joints, axis=0)).max() < 0.15
    sparse = KINEMATICS.track(np.stack([start, goal]), KINEMATICS.home)
    np.testing.assert_allclose(sparse[-1], joints[-1], atol=1e-3)


def test_track_refuses_a_path_that_leaves_the_reach():
    start = KINEMATICS.fk(KINEMATICS.home)
    beyond = start.copy()
    beyond[0, 3] += 1.5
    assert KINEMATICS.track(np.stack([start, beyond])) is None


def test_clearance_falls_with_the_arm_and_matches_its_capsules():
    low = KINEMATICS.fk(KINEMATICS.home)
    low[:3, 3] = [0.0, 0.0, 0.12]
    joints = KINEMATICS.ik(low)
    lowest = min(ends[:, 2].min() - radius for ends, radius in KINEMATICS.capsules(joints))
    assert KINEMATICS.clearance_to_table(joints) == pytest.approx(lowest)
    assert KINEMATICS.reachable(low[None], clearance=0.02)
    # Fingers level with the table bring the forearm down to it.
    flat = np.eye(4)
    flat[:3, :3] = Rotation.from_euler("xyz", [np.pi / 2, 0, np.pi / 2]).as_matrix()
    flat[:3, 3] = [0.2, 0.0, 0.03]
    joints = KINEMATICS.ik(flat)
    assert joints is not None
    assert KINEMATICS.clearance_to_table(joints) < 0
    assert not KINEMATICS.reachable(flat[None])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KINEMATICS.fk(np.zeros(5)), "6 finite joint angles"),
        (lambda: KINEMATICS.ik(np.full((4, 4), np.nan)), "finite (4, 4)"),
        (lambda: KINEMATICS.ik(2 * np.eye(4)), "rotation matrix"),
        (lambda: KINEMATICS.ik(np.eye(4), np.full(6, np.inf)), "6 finite joint angles"),
        (lambda: KINEMATICS.track(np.eye(4)), "path (K, 4, 4)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_servo_reaches_its_target_within_the_joints_speeds():
    servo = PoseServo(KINEMATICS, period=0.02)
    joints = KINEMATICS.home
    target = KINEMATICS.fk(joints)
    target[:3, 3] += [0.2, 0.1, -0.15]
    target[:3, :3] = target[:3, :3] @ Rotation.from_rotvec([0.3, -0.5, 0.4]).as_matrix()
    for _ in range(100):
        step = servo.step(joints, target)
        assert (np.abs(step.joints - joints) <= servo.max_step * (1 + 1e-9)).all()
        joints = step.joints
    assert not step.limited
    assert step.position_error < 1e-5
    assert step.rotation_error < 1e-4
    np.testing.assert_allclose(KINEMATICS.fk(joints), target, atol=1e-4)


def test_servo_stops_short_of_what_it_cannot_reach_and_says_so():
    servo = PoseServo(KINEMATICS, period=0.02)
    joints = KINEMATICS.home
    target = KINEMATICS.fk(joints)
    target[0, 3] += 2.0
    for _ in range(300):
        joints = servo.step(joints, target).joints
        assert (joints >= ARM.limits[:, 0]).all()
        assert (joints <= ARM.limits[:, 1]).all()
    assert servo.step(joints, target).position_error > 0.3


def test_servo_refuses_what_is_not_finite():
    servo = PoseServo(KINEMATICS, period=0.02)
    with pytest.raises(ValueError, match="finite"):
        servo.step(np.full(6, np.nan), np.eye(4))
    with pytest.raises(ValueError, match="finite"):
        servo.step(KINEMATICS.home, np.full((4, 4), np.nan))
    for bad in ({"period": 0.0}, {"period": 0.02, "speed_scale": 1.5}):
        with pytest.raises(ValueError, match="must be"):
            PoseServo(KINEMATICS, **bad)


@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        (lambda d: d["links"][0].pop("dh"), "lacks 'dh'"),
        (lambda d: d["links"][1]["dh"].update(a=float("nan")), "must be finite"),
        (lambda d: d["links"][1]["joint"].update(max_speed=0), "must be positive"),
        (lambda d: d["links"][1]["joint"].update(range=[1, 1]), "must rise"),
        (lambda d: d["links"][1].update(name="shoulder_link"), "described twice"),
        (lambda d: d.pop("tool"), "lacks 'tool'"),
    ],
)
def test_broken_descriptions_are_refused_with_the_reason(breaking, message):
    description = copy.deepcopy(dict(load_description(ARM_DESCRIPTION)))
    breaking(description)
    with pytest.raises(DescriptionError, match=re.escape(message)):
        parse_arm(description)


def test_mounting_checks_itself():
    with pytest.raises(ValueError, match="base_position"):
        Mounting(base_position=(9.0, 0.0, 0.0))
    with pytest.raises(ValueError, match=r"home = \(0.0, 1.0\): expected 6 numbers"):
        Mounting(home=(0.0, 1.0))
    moved = ArmKinematics(mounting=Mounting(base_position=(-0.75, 0.2, 0.1)))
    shift = moved.fk(KINEMATICS.home)[:3, 3] - KINEMATICS.fk(KINEMATICS.home)[:3, 3]
    np.testing.assert_allclose(shift, [0, 0.2, 0.1], atol=1e-9)
