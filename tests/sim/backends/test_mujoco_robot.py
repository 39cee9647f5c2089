"""The MuJoCo robot against the kinematics of the core, and its drives against what they promise."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends.mujoco.mujoco_model import build_scene
from dexgrasp_sim.scene import SceneConfig

HAND = load_hand()


def _model(**values):
    return build_scene(SceneConfig(**values), load_object("ball"))


def _set_fingers(model, data, joints):
    for name, angle in zip(HAND.finger_joints, joints, strict=True):
        data.qpos[model.joint(name).qposadr[0]] = angle


def test_hand_kinematics_agree_with_mujoco_on_random_configurations():
    generator = np.random.default_rng(0)
    count = 1000
    joints = generator.uniform(*HAND.limits.T, size=(count, len(HAND.joints)))
    rotations = Rotation.random(count, random_state=generator)
    palms = np.tile(np.eye(4), (count, 1, 1))
    palms[:, :3, :3] = rotations.as_matrix()
    palms[:, :3, 3] = generator.uniform(-0.5, 0.5, size=(count, 3))
    kinematics = HandKinematics(HAND, dtype=torch.float64)
    poses = kinematics.link_poses(torch.tensor(palms), torch.tensor(joints)).numpy()

    model = _model(hand="independent")
    data = mujoco.MjData(model)
    links = [model.body(name).id for name in HAND.link_names]
    start = model.joint("palm_free").qposadr[0]
    worst = 0.0
    for index in range(count):
        data.qpos[start : start + 3] = palms[index, :3, 3]
        data.qpos[start + 3 : start + 7] = rotations[index].as_quat(scalar_first=True)
        _set_fingers(model, data, joints[index])
        mujoco.mj_kinematics(model, data)
        worst = max(worst, np.abs(data.xpos[links] - poses[index, :, :3, 3]).max())
        turned = data.xmat[links].reshape(-1, 3, 3) - poses[index, :, :3, :3]
        worst = max(worst, np.abs(turned).max())
    assert worst < 1e-6


def test_arm_kinematics_agree_with_mujoco_on_random_configurations():
    kinematics = ArmKinematics()
    model = _model(scene="arm")
    data = mujoco.MjData(model)
    addresses = [model.joint(name).qposadr[0] for name in kinematics.arm.joint_names]
    palm = model.body(HAND.root).id
    for joints in np.random.default_rng(1).uniform(-np.pi, np.pi, size=(300, 6)):
        data.qpos[addresses] = joints
        mujoco.mj_kinematics(model, data)
        pose = kinematics.fk(joints)
        assert data.xpos[palm] == pytest.approx(pose[:3, 3], abs=1e-9)
        assert data.xmat[palm] == pytest.approx(pose[:3, :3].ravel(), abs=1e-9)


@pytest.mark.parametrize(("hand", "fingers"), [("coupled", 18), ("independent", 22)])
def test_actuators_are_those_of_the_variant(hand, fingers):
    floating, arm = _model(hand=hand), _model(hand=hand, scene="arm")
    assert floating.nu == 6 + fingers
    assert arm.nu == 6 + fingers
    names = HAND.actuators if hand == "coupled" else HAND.finger_joints
    for model in (floating, arm):
        assert tuple(model.actuator(i).name for i in range(6, model.nu)) == names


def _driven(hand, targets, seconds=1.0, load=()):
    """Finger joints (22,) after driving the hand in free space against joint torques `load`."""
    model = _model(hand=hand)
    data = mujoco.MjData(model)
    data.qpos[model.joint("palm_free").qposadr[0] + 2] = 1.0
    data.mocap_pos[0] = (0.0, 0.0, 1.0)
    names = HAND.actuators if hand == "coupled" else HAND.finger_joints
    for name, target in zip(names, targets, strict=True):
        data.ctrl[model.actuator(name).id] = target
    for name, torque in load:
        data.qfrc_applied[model.joint(name).dofadr[0]] = torque
    middle = [model.joint(tendon.middle).qposadr[0] for tendon in HAND.tendons]
    distal = [model.joint(tendon.distal).qposadr[0] for tendon in HAND.tendons]
    ahead = -np.inf
    for _ in range(int(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
        ahead = max(ahead, float((data.qpos[distal] - data.qpos[middle]).max()))
    joints = [data.qpos[model.joint(name).qposadr[0]] for name in HAND.finger_joints]
    return np.array(joints), ahead


def test_coupled_joints_close_alike_in_free_space():
    targets = 0.5 * HAND.actuator_limits.mean(axis=1)
    joints, _ = _driven("coupled", targets)
    assert HAND.reduction @ joints == pytest.approx(targets, abs=0.01)
    assert joints == pytest.approx(HAND.expansion @ targets, abs=0.02)


def test_distal_joint_never_runs_ahead_of_the_middle_one():
    # Pushing the middle joint open, as an object would, leaves the distal one nowhere to go.
    load = [(tendon.middle, -0.5) for tendon in HAND.tendons]
    closing = np.where([name.endswith("J0") for name in HAND.actuators], 1.6, 0.0)
    _, ahead = _driven("coupled", closing, load=load)
    assert ahead < 0.03


def test_blocked_middle_joint_lets_the_other_variant_curl_its_tip():
    load = [(tendon.middle, -3.0) for tendon in HAND.tendons]
    targets = np.where(
        [name.endswith("J1") for name in HAND.finger_joints[:17]] + [False] * 5, 1, 0
    )
    _, ahead = _driven("independent", targets, load=load)
    assert ahead > 0.5
