"""Vectors of three numbers, as tuples, in compiled code."""

from __future__ import annotations

import math

from dexgrasp_models.kernels.compiling import part


@part
def add(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@part
def subtract(a, b):
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@part
def scale(factor, a):
    return factor * a[0], factor * a[1], factor * a[2]


@part
def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@part
def cross(a, b):
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


@part
def row(values, index):
    """Of an array (..., 3)."""
    return values[index, 0], values[index, 1], values[index, 2]


@part
def turned(pose, a):
    """A direction of a frame, in that of its pose (3, 4)."""
    return (
        pose[0, 0] * a[0] + pose[0, 1] * a[1] + pose[0, 2] * a[2],
        pose[1, 0] * a[0] + pose[1, 1] * a[1] + pose[1, 2] * a[2],
        pose[2, 0] * a[0] + pose[2, 1] * a[1] + pose[2, 2] * a[2],
    )


@part
def turned_back(pose, a):
    """The inverse of `turned`."""
    return (
        pose[0, 0] * a[0] + pose[1, 0] * a[1] + pose[2, 0] * a[2],
        pose[0, 1] * a[0] + pose[1, 1] * a[1] + pose[2, 1] * a[2],
        pose[0, 2] * a[0] + pose[1, 2] * a[1] + pose[2, 2] * a[2],
    )


@part
def moved(pose, a):
    """A point of a frame, in that of its pose (3, 4)."""
    return add(turned(pose, a), (pose[0, 3], pose[1, 3], pose[2, 3]))


@part
def multiply(one, other, product):
    """Rotations or poses (3, 3 or 4): the second in the first's frame. ``product`` is neither."""
    for i in range(3):
        for j in range(other.shape[1]):
            product[i, j] = (
                one[i, 0] * other[0, j] + one[i, 1] * other[1, j] + one[i, 2] * other[2, j]
            )
        if other.shape[1] == 4:
            product[i, 3] += one[i, 3]


@part
def turn(rotation, vector):
    """Turn a rotation (3, 3), in place, by a rotation vector along its own axes, rad."""
    square = dot(vector, vector)
    angle = math.sqrt(square)
    if angle < 1e-6:  # the next terms are below the rounding
        first, second = 1.0 - square / 6, 0.5 - square / 24
    else:
        first, second = math.sin(angle) / angle, (1 - math.cos(angle)) / square
    for i in range(3):
        # A row r becomes r exp([v]): r - first v x r + second v x (v x r).
        line = row(rotation, i)
        once = cross(vector, line)
        twice = cross(vector, once)
        for j in range(3):
            rotation[i, j] = line[j] - first * once[j] + second * twice[j]
