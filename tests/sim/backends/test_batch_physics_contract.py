"""Units, frames and orders of every `BatchPhysics`, against what it can't have from itself.

A batch in which one thing is planted wrong, consistently on all ways in and out, must fail the
expectations (`simulator_expectations.py`): with each simulator, so that none hides it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from simulator_expectations import (
    BALL,
    EXPECTATIONS,
    GRAVITY,
    HAND,
    Make,
    cameras_see_the_ball_where_it_was_put,
    each_joint_s_effort_is_its_spring_s,
    fingertips_are_where_joints_and_palm_say,
    its_own_depth_is_that_of_the_reference_caster,
    the_arm_s_joints_put_the_palm_where_its_kinematics_say,
    what_falls_falls_by_half_g_t_squared,
    what_lies_on_the_hand_presses_with_its_weight,
)

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_sim.backends import make_batch_physics
from dexgrasp_sim.backends.isaac_gym.settings import IsaacGymSettings
from dexgrasp_sim.scene import SceneConfig

Change = Callable[[np.ndarray], np.ndarray]


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
    depth: Change = _same

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

    def depth(self, camera):
        return self._planted.depth(self._batch.depth(camera))


@pytest.mark.parametrize("expectation", EXPECTATIONS)
def test_units_frames_and_orders(backend, expectation):
    expectation(made_with(backend, Planted()))


@pytest.fixture(autouse=True)
def isaac_gym_draws(monkeypatch):
    """Which it does where it is told to."""
    settings = IsaacGymSettings(depth=True)
    monkeypatch.setattr("dexgrasp_sim.backends.isaac_gym.batch.load_settings", lambda: settings)


def made_with(backend: str, planted: Planted) -> Make:
    def make(objects, **values):
        return planted(make_batch_physics(SceneConfig(backend=backend, **values), objects))

    return make


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
    "depth of the other environment": (
        Planted(depth=lambda images: images[::-1]),
        its_own_depth_is_that_of_the_reference_caster,
    ),
    "depth of the row above": (
        Planted(depth=lambda images: np.roll(images, 1, axis=1)),
        its_own_depth_is_that_of_the_reference_caster,
    ),
    "depth upside down": (
        Planted(depth=lambda images: images[:, ::-1]),
        its_own_depth_is_that_of_the_reference_caster,
    ),
    "depth a percent too great": (
        Planted(depth=lambda images: 1.01 * images),
        its_own_depth_is_that_of_the_reference_caster,
    ),
    "joints of the arm": (
        Planted(
            joints_in=_swapped("wrist_1_joint", "wrist_3_joint", _ARM),
            joints_out=_swapped("wrist_1_joint", "wrist_3_joint", _ARM),
        ),
        the_arm_s_joints_put_the_palm_where_its_kinematics_say,
    ),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_what_is_planted_wrong_fails(backend, name):
    planted, expectation = CONTROLS[name]
    with pytest.raises(AssertionError):
        expectation(made_with(backend, planted))
