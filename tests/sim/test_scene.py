"""The configuration of a scene checks itself."""

from __future__ import annotations

import dataclasses

import pytest

from dexgrasp_sim.noise import NoiseConfig
from dexgrasp_sim.scene import SceneConfig, load_scene


def test_unknown_names_and_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match="backend = 'gazebo': expected one of: isaac_gym, mujoco"):
        SceneConfig(backend="gazebo")
    with pytest.raises(ValueError, match="object_mass"):
        SceneConfig(object_mass=-1.0)
    with pytest.raises(ValueError, match=r"scene = .*: expected one of: floating, arm"):
        SceneConfig(scene="boat")
    with pytest.raises(ValueError, match="no multiple of timestep"):
        SceneConfig(timestep=0.003)
    with pytest.raises(ValueError, match="no parameter gravity"):
        SceneConfig.from_mapping({"gravity": 1.0})


def test_configuration_is_the_file_s_with_overrides():
    config = load_scene(scene="arm", friction=0.6)
    assert config == dataclasses.replace(load_scene(), scene="arm", friction=0.6)


def test_joints_of_the_fingers_come_before_those_of_the_arm():
    floating, arm = SceneConfig().joint_names, SceneConfig(scene="arm").joint_names
    assert len(floating) == 22
    assert arm[:22] == floating
    assert (arm[22], arm[-1]) == ("shoulder_pan_joint", "wrist_3_joint")


def test_noise_is_a_configuration_inside_the_scenes():
    config = SceneConfig.from_mapping({"noise": {"enabled": False}})
    assert config.noise == NoiseConfig(enabled=False)
    with pytest.raises(ValueError, match="NoiseConfig needs names and values, not 5"):
        SceneConfig.from_mapping({"noise": 5})
