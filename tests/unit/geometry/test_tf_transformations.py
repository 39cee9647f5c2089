"""Conversions of poses as the nodes and the models do them, against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
import tf_transformations as tf
from scipy.spatial.transform import Rotation, Slerp

from dexgrasp_models.geometry import poses

RNG = np.random.default_rng(7)
TURNS = list(
    Rotation.concatenate(
        [
            Rotation.random(50, random_state=1),
            Rotation.from_rotvec(np.pi * np.eye(3)),  # where w is 0
            Rotation.from_rotvec(1e-9 * np.eye(3)),
            Rotation.from_rotvec((np.pi - 1e-9) * np.eye(3)),
            Rotation.identity(1),
        ]
    )
)


def matrix(turn: Rotation, position: np.ndarray | None = None) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = turn.as_matrix()
    pose[:3, 3] = 0.0 if position is None else position
    return pose


def same_turn(quaternion: np.ndarray, turn: Rotation, within: float = 1e-12) -> bool:
    return bool((Rotation.from_quat(quaternion) * turn.inv()).magnitude() < within)


@pytest.mark.parametrize("turn", TURNS)
def test_quaternions_and_matrices(turn):
    quaternion = tf.quaternion_from_matrix(matrix(turn, RNG.normal(size=3)))
    assert same_turn(quaternion, turn, 1e-7)  # of an angle near pi
    assert np.isclose(np.linalg.norm(quaternion), 1.0, atol=1e-14)
    assert quaternion[3] >= 0.0
    assert np.allclose(tf.quaternion_matrix(quaternion), matrix(turn), atol=1e-14)
    assert np.allclose(tf.quaternion_matrix(-1.005 * np.array(quaternion)), matrix(turn))


@pytest.mark.parametrize("turn", TURNS)
def test_the_models_have_the_same_bits(turn):
    pose = matrix(turn, RNG.normal(size=3))
    position, quaternion = poses.to_quaternion(pose)
    assert np.array_equal(quaternion, tf.quaternion_from_matrix(pose))
    there = tf.quaternion_matrix(quaternion)
    there[:3, 3] = position
    assert np.array_equal(poses.through_quaternion(pose), there)
    assert np.allclose(poses.through_quaternion(pose), pose, atol=1e-14)


def test_euler_angles():
    for angles in RNG.uniform(-1.5, 1.5, (20, 3)):
        turn = Rotation.from_euler("xyz", angles)
        assert np.allclose(tf.euler_matrix(*angles), matrix(turn))
        assert same_turn(tf.quaternion_from_euler(*angles), turn)
        assert np.allclose(tf.euler_from_quaternion(turn.as_quat()), angles)
        assert np.allclose(tf.euler_from_matrix(matrix(turn)), angles)
        rotating = Rotation.from_euler("ZYX", angles)
        assert np.allclose(tf.euler_matrix(*angles, "rzyx"), matrix(rotating))


def test_products_inverses_and_ways_between():
    first, second = Rotation.random(2, random_state=3)
    product = tf.quaternion_multiply(first.as_quat(), second.as_quat())
    assert same_turn(product, first * second)
    assert same_turn(tf.quaternion_inverse(first.as_quat()), first.inv())
    assert same_turn(tf.quaternion_conjugate(first.as_quat()), first.inv())
    way = Slerp([0.0, 1.0], Rotation.concatenate([first, second]))
    for fraction in (0.0, 0.3, 1.0):
        for sign in (1.0, -1.0):
            between = tf.quaternion_slerp(first.as_quat(), sign * second.as_quat(), fraction)
            assert same_turn(between, way(fraction), 1e-7)
    axis, angle = np.array([1.0, 2.0, -1.0]), 0.7
    turn = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis))
    assert np.allclose(tf.rotation_matrix(angle, axis), matrix(turn))
    assert same_turn(tf.quaternion_about_axis(angle, axis), turn)
    move = tf.translation_matrix([1.0, 2.0, 3.0])
    assert np.allclose(tf.translation_from_matrix(move), [1.0, 2.0, 3.0])
    both = tf.concatenate_matrices(move, matrix(turn))
    assert np.allclose(both, matrix(turn, np.array([1.0, 2.0, 3.0])))
    assert np.allclose(tf.inverse_matrix(both) @ both, tf.identity_matrix())


def test_random_quaternions_turn_a_direction_anywhere():
    rng = np.random.default_rng(5)
    quaternions = np.array([tf.random_quaternion(rng.random(3)) for _ in range(4000)])
    assert np.allclose(np.linalg.norm(quaternions, axis=1), 1.0)
    turned = Rotation.from_quat(quaternions).apply([0.0, 0.0, 1.0])
    assert np.abs(turned.mean(axis=0)).max() < 0.05  # three deviations are 0.027
    assert np.allclose(np.linalg.norm(tf.random_quaternion()), 1.0)


@pytest.mark.parametrize("broken", [np.zeros((4, 4)), np.diag([1.0, 0.0, 1.0, 1.0])])
def test_what_is_no_pose_is_refused(broken):
    with pytest.raises(np.linalg.LinAlgError):
        tf.quaternion_from_matrix(broken)
