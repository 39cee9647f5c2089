"""What every `BatchPhysics` has to meet: units, frames and orders.

Each expectation is a closed form, or comes of the descriptions of hand, arm and cameras. It takes a
function that makes a batch of objects and the values of a scene's configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends.mujoco.robot_model import PalmServo
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.noise import NoiseConfig

HAND = load_hand()
BALL, BOX, CAN = (load_object(name) for name in ("ball", "box", "can"))
RADIUS = 0.034
"""Of the ball, m; its mesh frame is at its lowest point."""
GRAVITY = 9.81
STEP = {"timestep": 0.005, "control_period": 0.005}
"""A tick is one step of the physics: what is measured after it is of what was placed."""

SMALL_RIG = Path(__file__).with_name("small_rig.yaml")

Make = Callable[..., Any]


def fingertips_are_where_joints_and_palm_say(make: Make) -> None:
    """A ball a millimetre into a fingertip is touched by its link alone, a millimetre off by none.

    Where the tips are comes of `HandKinematics`.
    """
    tips = [
        HAND.link_names.index(f"rh_{finger}distal") for finger in ("ff", "mf", "rf", "lf", "th")
    ]
    batch = make([BALL] * len(tips), hand="independent", **STEP)
    rows = range(len(tips))
    batch.reset(rows, rows, np.tile(np.eye(4), (len(tips), 1, 1)))
    palms, joints = _bent_fingers(tips)
    links = HandKinematics(HAND, torch.float64).link_poses(
        torch.tensor(palms), torch.tensor(joints)
    )
    for gap in (-0.001, 0.001):
        balls = np.tile(np.eye(4), (len(tips), 1, 1))
        for row, tip in enumerate(tips):
            (capsule,) = HAND.links[tip].primitives
            radius, half = capsule.size
            beyond = np.array([0.0, 0.0, 2 * half + radius + RADIUS + gap, 1.0])
            balls[row, :3, 3] = (links[row, tip].numpy() @ beyond)[:3] - (0.0, 0.0, RADIUS)
        batch.place(rows, wrist_poses=palms, joints=joints, object_poses=balls)
        batch.step()
        expected = np.zeros((len(tips), len(HAND.links)), dtype=bool)
        expected[rows, tips] = gap < 0.0
        assert np.array_equal(batch.hand_contacts() > 0.0, expected)


def _bent_fingers(tips: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Palms somewhere in the air, and joints of which each finger has its own."""
    generator = np.random.default_rng(3)
    palms = np.tile(np.eye(4), (len(tips), 1, 1))
    palms[:, :3, :3] = Rotation.random(len(tips), random_state=generator).as_matrix()
    palms[:, :3, 3] = generator.uniform((-0.3, -0.3, 0.5), (0.3, 0.3, 0.8), size=(len(tips), 3))
    joints = np.zeros((len(tips), len(HAND.joints)))
    for row, tip in enumerate(tips):
        last = tip - 1  # joint i moves link i + 1
        if HAND.link_names[tip] != "rh_thdistal":  # the thumb is beside the others as it is
            joints[row, last - 3 : last + 1] = (0.1, 1.2, 0.35, 0.2)
        else:
            joints[row, last - 4 : last + 1] = (-0.3, 0.4, 0.1, -0.3, -0.5)
    return palms, joints


def what_falls_falls_by_half_g_t_squared(make: Make) -> None:
    """In two environments, each at a place of its own."""
    batch = make([BALL, BALL])
    starts = np.tile(np.eye(4), (2, 1, 1))
    starts[:, :3, 3] = (0.4, 0.3, 0.9), (-0.4, 0.2, 1.1)
    batch.reset([0, 1], [0, 0], starts)
    batch.place([0, 1], object_poses=starts)
    batch.step(10)
    time = 10 * batch.config.control_period
    fallen = starts[:, :3, 3] - batch.object_poses()[:, :3, 3]
    # An integrator that takes the new speed falls further by half a step.
    expected = np.tile((0.0, 0.0, GRAVITY * time**2 / 2), (2, 1))
    assert fallen == pytest.approx(expected, abs=0.006)
    expected = np.tile((0.0, 0.0, -GRAVITY * time, 0.0, 0.0, 0.0), (2, 1))
    assert batch.object_velocities() == pytest.approx(expected, abs=1e-3)


def what_lies_on_the_hand_presses_with_its_weight(make: Make) -> None:
    """On the level back of the hand, whose normals point up."""
    mass = 0.4
    batch, _ = _carrying(make, mass)
    assert batch.hand_contacts()[0].sum() == pytest.approx(mass * GRAVITY, rel=0.02)
    assert batch.hand_contacts()[0, 0] > 0.9 * mass * GRAVITY, "it lies on the palm"


def a_weight_pushes_the_palm_down_as_its_spring_says(make: Make) -> None:
    """By m g / k, once it is at rest; and turns it, for it does not lie in the middle."""
    mass, servo = 1.0, PalmServo()
    batch, palm = _carrying(make, mass)
    now = batch.wrist_poses()[0]
    assert palm[2, 3] - now[2, 3] == pytest.approx(mass * GRAVITY / servo.stiffness, rel=0.02)
    lever = batch.object_poses()[0] @ (*BOX.center_of_mass, 1.0) - (*now[:3, 3], 1.0)
    torques = np.cross(lever[:3], (0.0, 0.0, -mass * GRAVITY))
    turn = Rotation.from_matrix(now[:3, :3] @ palm[:3, :3].T).as_rotvec()
    assert turn == pytest.approx(torques / servo.angular_stiffness, abs=2e-3)
    assert np.abs(batch.wrist_velocities()[0]).max() < 0.1, "m/s and rad/s: it is at rest"


def _carrying(make: Make, mass: float) -> tuple[Any, np.ndarray]:
    """A batch in which a box of a mass lies on a level hand, and where the palm is to be."""
    batch = make([BOX], object_mass=mass)
    batch.reset([0], [0], np.eye(4)[None])
    palm, box = np.eye(4)[None].copy(), np.eye(4)[None].copy()
    palm[0, :3, :3] = Rotation.from_euler("x", 90, degrees=True).as_matrix()  # +y, its back, is up
    palm[0, :3, 3] = 0.0, 0.0, 0.3
    assert palm[0, :3, 1] == pytest.approx((0.0, 0.0, 1.0))
    box[0, :3, 3] = palm[0, :3, 3] + (0.011, -0.038, 0.0112)
    batch.place([0], wrist_poses=palm, object_poses=box)
    batch.step(100)
    return batch, palm[0]


def each_joint_s_effort_is_its_spring_s(make: Make) -> None:
    """Every joint is told to go beyond its limit, each by another angle."""
    batch = make([BALL], hand="independent", self_collision=False)
    batch.reset([0], [0], np.eye(4)[None])
    beyond = np.linspace(0.05, 0.3, len(HAND.joints))
    limits = HAND.limits[:, 1]
    batch.place([0], joints=limits[None])
    batch.set_targets(batch.wrist_poses(), (limits + beyond)[None])
    batch.step(50)
    efforts = HAND.actuator.kp * (limits + beyond - batch.joints()[0])
    assert batch.efforts()[0] == pytest.approx(efforts, rel=0.01)
    assert batch.efforts()[0] == pytest.approx(HAND.actuator.kp * beyond, rel=0.25)


def the_arm_s_joints_put_the_palm_where_its_kinematics_say(make: Make) -> None:
    kinematics = ArmKinematics()
    batch = make([BALL, BALL], scene="arm")
    batch.reset([0, 1], [0, 0], np.tile(np.eye(4), (2, 1, 1)))
    joints = batch.joints()
    joints[:, len(HAND.joints) :] += (
        (0.2, -0.1, 0.15, 0.1, -0.2, 0.3),
        (-0.2, 0.1, 0.0, 0.2, 0.1, -0.4),
    )
    batch.place([0, 1], joints=joints)
    expected = np.stack([kinematics.fk(each[len(HAND.joints) :]) for each in joints])
    assert batch.wrist_poses() == pytest.approx(expected, abs=1e-5)
    assert batch.config.joint_names[len(HAND.joints) :] == kinematics.arm.joint_names


def cameras_see_the_ball_where_it_was_put(make: Make) -> None:
    """To a millimetre, along the ray through its centre; the joints as they were placed."""
    batch = make([BALL], noise=NoiseConfig(enabled=False))
    pose = np.eye(4)[None]
    pose[0, :3, 3] = 0.03, -0.02, 0.08
    batch.reset([0], [0], pose)
    centre = batch.object_poses()[0, :3, 3] + (0.0, 0.0, RADIUS)
    cameras = DepthCameras(batch.config, BALL)
    for name, camera in cameras.cameras.items():
        x, y, z = (np.linalg.inv(camera.world_T_optical) @ (*centre, 1.0))[:3]
        column, row = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
        assert 0 <= column < camera.width, "the ball is in the image"
        assert 0 <= row < camera.height, "the ball is in the image"
        depth = cameras.read_depth(batch.snapshot(0), name)[round(row), round(column)]
        nearest = z * (1.0 - RADIUS / np.linalg.norm((x, y, z)))
        assert depth * camera.depth_unit == pytest.approx(nearest, abs=0.001)


def its_own_depth_is_that_of_the_reference_caster(make: Make) -> None:
    """To a millimetre, but for a few pixels on the edges of things."""
    batch = make([CAN, BOX], cameras=str(SMALL_RIG))
    batch.reset([0, 1], [3, 4])
    batch.step()
    references = [DepthCameras(batch.config, item) for item in batch.object_models]
    for name, camera in references[0].cameras.items():
        images = batch.depth(name)
        assert images.shape == (2, camera.height, camera.width)
        for index, reference in enumerate(references):
            expected = reference.true_depth(batch.snapshot(index), name)
            assert 0.2 < np.isfinite(expected).mean() < 1.0, "it sees the table and beyond"
            alike = np.isclose(images[index], expected, rtol=0.0, atol=1e-3)
            assert alike.mean() > 0.99
    with pytest.raises(KeyError, match="no camera 'nowhere'; there are level, leaning"):
        batch.depth("nowhere")


EXPECTATIONS = (
    fingertips_are_where_joints_and_palm_say,
    what_falls_falls_by_half_g_t_squared,
    what_lies_on_the_hand_presses_with_its_weight,
    a_weight_pushes_the_palm_down_as_its_spring_says,
    each_joint_s_effort_is_its_spring_s,
    the_arm_s_joints_put_the_palm_where_its_kinematics_say,
    cameras_see_the_ball_where_it_was_put,
    its_own_depth_is_that_of_the_reference_caster,
)
