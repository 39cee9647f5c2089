"""Matrices, Euler angles and quaternions, as ROS 2's package tf_transformations (1.1.1) has them.

For machines where that is not installed: the same names, arguments and order, of the functions that
the nodes and their users are likely to call. Both are thin layers over transforms3d, so that a
result has the same bits with the one and with the other.

Quaternions are (x, y, z, w), matrices (4, 4) homogeneous, angles in rad. `axes` names an Euler
sequence: `s` or `r`, static or rotating, and three axes; `sxyz` is roll, pitch and yaw as in URDF.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from transforms3d import affines, axangles, euler, quaternions

Quaternion = tuple[float, float, float, float]

_ORIGIN, _NO_ROTATION, _NO_ZOOM = np.zeros(3), np.eye(3), np.ones(3)
_EPS = np.finfo(float).eps * 4.0


# Matrices


def identity_matrix() -> np.ndarray:
    """The identity."""
    return np.eye(4)


def translation_matrix(direction: ArrayLike) -> np.ndarray:
    """The translation by (3,)."""
    return affines.compose(direction, _NO_ROTATION, _NO_ZOOM)


def translation_from_matrix(matrix: ArrayLike) -> np.ndarray:
    """(3,), by which a matrix translates."""
    return affines.decompose(matrix)[0]


def rotation_matrix(
    angle: float, direction: ArrayLike, point: ArrayLike | None = None
) -> np.ndarray:
    """The rotation about an axis (3,), through a point (3,) or the origin."""
    return axangles.axangle2aff(direction, angle, point=point)


def inverse_matrix(matrix: ArrayLike) -> np.ndarray:
    """The inverse.

    Raises:
        numpy.linalg.LinAlgError: there is none.
    """
    return np.linalg.inv(matrix)


def concatenate_matrices(*matrices: ArrayLike) -> np.ndarray:
    """The product, the first on the left."""
    product = np.eye(4)
    for matrix in matrices:
        product = np.dot(product, matrix)
    return product


# Euler angles


def euler_matrix(ai: float, aj: float, ak: float, axes: str = "sxyz") -> np.ndarray:
    """The rotation by three angles."""
    return affines.compose(_ORIGIN, euler.euler2mat(ai, aj, ak, axes=axes), _NO_ZOOM)


def euler_from_matrix(matrix: ArrayLike, axes: str = "sxyz") -> tuple[float, float, float]:
    """One of the triples of angles that make a rotation."""
    return euler.mat2euler(matrix, axes=axes)


def euler_from_quaternion(quaternion: ArrayLike, axes: str = "sxyz") -> tuple[float, float, float]:
    """As `euler_from_matrix`."""
    return euler_from_matrix(quaternion_matrix(quaternion), axes)


# Quaternions


def quaternion_from_euler(ai: float, aj: float, ak: float, axes: str = "sxyz") -> Quaternion:
    """The rotation by three angles."""
    return _scalar_last(euler.euler2quat(ai, aj, ak, axes=axes))


def quaternion_about_axis(angle: float, axis: ArrayLike) -> Quaternion:
    """The rotation about an axis (3,)."""
    return _scalar_last(quaternions.axangle2quat(axis, angle))


def quaternion_matrix(quaternion: ArrayLike) -> np.ndarray:
    """The rotation of a quaternion of any length but zero, which makes the identity."""
    rotation = quaternions.quat2mat(_scalar_first(quaternion))
    return affines.compose(_ORIGIN, rotation, _NO_ZOOM)


def quaternion_from_matrix(matrix: ArrayLike) -> Quaternion:
    """The unit quaternion of a matrix's rotation, w not negative.

    Raises:
        numpy.linalg.LinAlgError: the matrix is singular.
    """
    return _scalar_last(quaternions.mat2quat(affines.decompose(matrix)[1]))


def quaternion_multiply(quaternion1: ArrayLike, quaternion0: ArrayLike) -> Quaternion:
    """First the rotation `quaternion0`, then `quaternion1`."""
    return _scalar_last(quaternions.qmult(_scalar_first(quaternion1), _scalar_first(quaternion0)))


def quaternion_conjugate(quaternion: ArrayLike) -> np.ndarray:
    """(4,), of a unit quaternion the inverse rotation."""
    x, y, z, w = np.asarray(quaternion, float)
    return np.array([-x, -y, -z, w])


def quaternion_inverse(quaternion: ArrayLike) -> np.ndarray:
    """(4,), whose product with the quaternion is one."""
    return quaternion_conjugate(quaternion) / np.dot(quaternion, quaternion)


def quaternion_slerp(
    quat0: Sequence[float] | np.ndarray,
    quat1: Sequence[float] | np.ndarray,
    fraction: float,
    spin: int = 0,
    shortestpath: bool = True,
) -> np.ndarray:
    """(4,) on the way from one unit quaternion to the other at constant speed.

    Args:
        quat0: at fraction 0.
        quat1: at fraction 1.
        fraction: of the way.
        spin: half turns to make beside.
        shortestpath: whether the opposite of `quat1` is gone to where that is nearer.
    """
    start, end = _unit(quat0), _unit(quat1)
    if fraction == 0.0:
        return start
    if fraction == 1.0:
        return end
    cosine = np.dot(start, end)
    if abs(abs(cosine) - 1.0) < _EPS:
        return start
    if shortestpath and cosine < 0.0:
        cosine, end = -cosine, -end
    angle = math.acos(cosine) + spin * math.pi
    if abs(angle) < _EPS:
        return start
    scale = 1.0 / math.sin(angle)
    return start * (math.sin((1.0 - fraction) * angle) * scale) + end * (
        math.sin(fraction * angle) * scale
    )


def random_quaternion(rand: ArrayLike | None = None) -> np.ndarray:
    """(4,), uniformly distributed (Shoemake, 1992); of three numbers from 0 to 1 where given."""
    first, second, third = (
        np.random.default_rng().random(3) if rand is None else np.asarray(rand, float)
    )
    inner, outer = np.sqrt(1.0 - first), np.sqrt(first)
    turn, twist = 2.0 * math.pi * second, 2.0 * math.pi * third
    return np.array(
        [np.sin(turn) * inner, np.cos(turn) * inner, np.sin(twist) * outer, np.cos(twist) * outer]
    )


def _scalar_first(quaternion: ArrayLike) -> tuple[float, float, float, float]:
    x, y, z, w = np.asarray(quaternion, float)
    return w, x, y, z


def _scalar_last(quaternion: ArrayLike) -> Quaternion:
    w, x, y, z = np.asarray(quaternion, float)
    return x, y, z, w


def _unit(quaternion: ArrayLike) -> np.ndarray:
    values = np.array(quaternion, float)[:4]
    return values / math.sqrt(np.dot(values, values))
