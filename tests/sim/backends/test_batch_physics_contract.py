"""Units, frames and orders of every `BatchPhysics`, against what it can't have from itself.

Each expectation is a closed form, or comes of the descriptions of hand, arm and cameras. A batch in
which one thing is planted wrong, consistently on all ways in and out, must fail it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import make_batch_physics
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.noise import NoiseConfig
from dexgrasp_sim.scene import SceneConfig

HAND = load_hand()
BALL, BOX = load_object("ball"), load_object("box")
RADIUS = 0.034
"""Of the ball, m; its mesh frame is at its lowest point."""
GRAVITY = 9.81
STEP = {"timestep": 0.005, "control_period": 0.005}
"""A tick is one step of the physics: what is measured after it is of what was placed."""

Change = Callable[[np.ndarray], np.ndarray]
Make = Callable[..., Any]


def _same(values: np.ndarray) -> np.ndarray:
    return values


@dataclass(frozen=True)
class Planted:
    """What is done to the arrays of a batch on their way in and out."""

    joints_in: Change = _same
    joints_out: Change = _same
    poses_in: Change = _same
    poses_out: Change = _same
    efforts: Change = _same
    contacts: Change = _same
    velocities: Change = _same

    def __call__(self, batch: Any) -> PlantedBatch:
        return PlantedBatch(batch, self)


class PlantedBatch:
    """A `BatchPhysics` with something wrong."""

    def __init__(self, batch: Any, planted: Planted) -> None:
        self._batch, self._planted = batch, planted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def place(self, indices, *, wrist_poses=None, joints=None, object_poses=None):
        planted = self._planted
        self._batch.place(
            indices,
            wrist_poses=None if wrist_poses is None else planted.poses_in(wrist_poses),
            joints=None if joints is None else planted.joints_in(joints),
            object_poses=None if object_poses is None else planted.poses_in(object_poses),
        )

    def set_targets(self, wrists, fingers):
        self._batch.set_targets(self._planted.poses_in(wrists), self._planted.joints_in(fingers))

    def joints(self):
        return self._planted.joints_out(self._batch.joints())

    def efforts(self):
        return self._planted.efforts(self._batch.efforts())

    def wrist_poses(self):
        return self._planted.poses_out(self._batch.wrist_poses())

    def object_poses(self):
        return self._planted.poses_out(self._batch.object_poses())

    def object_velocities(self):
        return self._planted.velocities(self._batch.object_velocities())

    def hand_contacts(self):
        return self._planted.contacts(self._batch.hand_contacts())


# What is expected


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
    batch = make([BALL])
    start = np.eye(4)[None]
    start[0, :3, 3] = 0.4, 0.3, 0.9
    batch.reset([0], [0], start)
    batch.place([0], object_poses=start)
    batch.step(10)
    time = 10 * batch.config.control_period
    fallen = start[0, :3, 3] - batch.object_poses()[0, :3, 3]
    # An integrator that takes the new speed falls further by half a step.
    assert fallen == pytest.approx((0.0, 0.0, GRAVITY * time**2 / 2), abs=0.006)
    assert batch.object_velocities()[0] == pytest.approx(
        (0.0, 0.0, -GRAVITY * time, 0.0, 0.0, 0.0), abs=1e-3
    )


def what_lies_on_the_hand_presses_with_its_weight(make: Make) -> None:
    """On the level back of the hand, whose normals point up."""
    mass = 0.4
    batch = make([BOX], object_mass=mass)
    batch.reset([0], [0], np.eye(4)[None])
    palm, box = np.eye(4)[None].copy(), np.eye(4)[None].copy()
    palm[0, :3, :3] = Rotation.from_euler("x", 90, degrees=True).as_matrix()  # +y, its back, is up
    palm[0, :3, 3] = 0.0, 0.0, 0.3
    assert palm[0, :3, 1] == pytest.approx((0.0, 0.0, 1.0))
    box[0, :3, 3] = palm[0, :3, 3] + (0.011, -0.038, 0.0112)
    batch.place([0], wrist_poses=palm, object_poses=box)
    batch.step(100)
    assert batch.hand_contacts()[0].sum() == pytest.approx(mass * GRAVITY, rel=0.02)
    assert batch.hand_contacts()[0, 0] > 0.9 * mass * GRAVITY, "it lies on the palm"


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


EXPECTATIONS = (
    fingertips_are_where_joints_and_palm_say,
    what_falls_falls_by_half_g_t_squared,
    what_lies_on_the_hand_presses_with_its_weight,
    each_joint_s_effort_is_its_spring_s,
    the_arm_s_joints_put_the_palm_where_its_kinematics_say,
    cameras_see_the_ball_where_it_was_put,
)


@pytest.mark.parametrize("expectation", EXPECTATIONS)
def test_units_frames_and_orders(backend, expectation):
    def make(objects, **values):
        return make_batch_physics(SceneConfig(backend=backend, **values), objects)

    expectation(make)


# What must fail


def _swapped(first: str, second: str, names: tuple[str, ...] = HAND.finger_joints) -> Change:
    one, other = names.index(first), names.index(second)

    def swap(values):
        values = values.copy()
        values[:, [one, other]] = values[:, [other, one]]
        return values

    return swap


def _swapped_joints(first: str, second: str) -> Planted:
    swap = _swapped(first, second)
    return Planted(joints_in=swap, joints_out=swap, efforts=swap)


def _scaled(factor: float) -> Change:
    def scale(poses):
        poses = poses.copy()
        poses[:, :3, 3] *= factor
        return poses

    return scale


def _turned_back(poses: np.ndarray) -> np.ndarray:
    poses = poses.copy()
    poses[:, :3, :3] = poses[:, :3, :3].swapaxes(1, 2)
    return poses


def _of_the_centre_of_mass(poses: np.ndarray) -> np.ndarray:
    poses = poses.copy()
    poses[:, :3, 3] += poses[:, :3, 2] * BALL.center_of_mass[2]
    return poses


CENTIMETRES = Planted(poses_in=_scaled(0.01), poses_out=_scaled(100.0))
MILLIMETRES_OUT = Planted(poses_out=_scaled(1000.0))
_ARM = (*HAND.finger_joints, *ArmKinematics().arm.joint_names)

CONTROLS = {
    "centimetres": (CENTIMETRES, fingertips_are_where_joints_and_palm_say),
    "centimetres that fall": (CENTIMETRES, what_falls_falls_by_half_g_t_squared),
    "millimetres come out": (MILLIMETRES_OUT, cameras_see_the_ball_where_it_was_put),
    "poses of the centre of mass come out": (
        Planted(poses_out=_of_the_centre_of_mass),
        cameras_see_the_ball_where_it_was_put,
    ),
    "rotations the other way round": (
        Planted(poses_in=_turned_back, poses_out=_turned_back),
        fingertips_are_where_joints_and_palm_say,
    ),
    "first and middle finger": (
        _swapped_joints("rh_FFJ3", "rh_MFJ3"),
        fingertips_are_where_joints_and_palm_say,
    ),
    "joints of one finger": (
        _swapped_joints("rh_LFJ3", "rh_LFJ2"),
        fingertips_are_where_joints_and_palm_say,
    ),
    "joints of the thumb": (
        _swapped_joints("rh_THJ4", "rh_THJ2"),
        fingertips_are_where_joints_and_palm_say,
    ),
    "degrees": (
        Planted(joints_in=np.deg2rad, joints_out=np.rad2deg),
        fingertips_are_where_joints_and_palm_say,
    ),
    "links of contacts": (
        Planted(contacts=_swapped("rh_mfdistal", "rh_rfdistal", HAND.link_names)),
        fingertips_are_where_joints_and_palm_say,
    ),
    "grams of force": (
        Planted(contacts=lambda forces: forces / GRAVITY * 1000.0),
        what_lies_on_the_hand_presses_with_its_weight,
    ),
    "order of efforts": (
        Planted(efforts=_swapped("rh_FFJ4", "rh_THJ1")),
        each_joint_s_effort_is_its_spring_s,
    ),
    "sign of efforts": (Planted(efforts=np.negative), each_joint_s_effort_is_its_spring_s),
    "angular velocities first": (
        Planted(velocities=lambda values: np.roll(values, 3, axis=1)),
        what_falls_falls_by_half_g_t_squared,
    ),
    "joints of the arm": (
        Planted(
            joints_in=_swapped("wrist_1_joint", "wrist_3_joint", _ARM),
            joints_out=_swapped("wrist_1_joint", "wrist_3_joint", _ARM),
        ),
        the_arm_s_joints_put_the_palm_where_its_kinematics_say,
    ),
}


@pytest.mark.parametrize("expectation", EXPECTATIONS)
def test_it_is_what_was_planted_that_fails(expectation):
    def make(objects, **values):
        return Planted()(make_batch_physics(SceneConfig(**values), objects))

    expectation(make)


@pytest.mark.parametrize("name", CONTROLS)
def test_what_is_planted_wrong_fails(name):
    planted, expectation = CONTROLS[name]

    def make(objects, **values):
        return planted(make_batch_physics(SceneConfig(**values), objects))

    with pytest.raises(AssertionError):
        expectation(make)
