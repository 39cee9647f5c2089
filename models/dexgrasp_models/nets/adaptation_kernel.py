"""The adaptation in compiled code: the losses of one grasp, their gradient, and steps of Adam.

The losses are those of :class:`~dexgrasp_models.nets.losses.GraspLosses`, without the attraction;
the contact map is that of some points of the cloud, penetration that of all: those that are out of
a link's reach are told apart so cheaply that none need be left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dexgrasp_models.hand.hand_kernel import (
    distance,
    expand,
    joint_gradient,
    pose,
    pull,
    room,
    self_overlap,
    table_depth,
)
from dexgrasp_models.kernels.compiling import kernel, part
from dexgrasp_models.kernels.vectors import add, cross, dot, row, scale, turn, turned
from dexgrasp_models.nets.contact import BETA

TERMS = ("cmap", "pen", "tpen", "spen")
"""In the order of what the kernels return."""
_FIRST_MOMENT, _SECOND_MOMENT = 0.9, 0.999  # of Adam
_LARGEST = float(np.finfo(np.float32).max)


class LossConstants(NamedTuple):
    """What the losses of a cloud are made of."""

    points: np.ndarray
    """(N, 3) of the cloud, m."""
    even: np.ndarray
    """(E,) those that stand for its contact map."""
    weights: np.ndarray
    """(4,) of the terms."""
    in_map: float
    """How many points each of the even ones stands for."""
    in_hand: float
    """How many points each stands for in the penetration."""


class AdaptedArrays(NamedTuple):
    """B grasps and how far their optimisation is, double precision, changed in place."""

    palms: np.ndarray
    """(B, 3, 4) that they start from; not changed."""
    values: np.ndarray
    """(B, 6 + K): offset along and rotation vector about the axes of that, then coordinates."""
    means: np.ndarray
    """(B, 6 + K) Adam's mean gradient."""
    squares: np.ndarray
    """(B, 6 + K) and mean square."""
    terms: np.ndarray
    """(B, 4) of the losses before the last step, unweighted."""
    gradients: np.ndarray
    """(B, 6 + K) of the losses before the last step."""
    diverged: np.ndarray
    """(B,) step in which they became more than single precision has; -1 if they didn't."""

    @classmethod
    def of(cls, palms: np.ndarray, values: np.ndarray) -> AdaptedArrays:
        """Grasps (B, 3, 4) and their values (B, 6 + K) that no step was made with."""
        values = np.array(values, np.float64)
        return cls(
            palms=np.array(palms, np.float64),
            values=values,
            means=np.zeros_like(values),
            squares=np.zeros_like(values),
            terms=np.zeros((len(values), len(TERMS))),
            gradients=np.zeros_like(values),
            diverged=np.full(len(values), -1),
        )


@part
def map_difference(hand, posed, constants, target, weight):
    """Sum of squared differences of the contact map and its target (E,); pulls by its weight."""
    total = 0.0
    for index in range(len(constants.even)):
        point = row(constants.points, constants.even[index])
        gap, shape, normal = distance(hand, posed, point, math.inf)
        cooled = math.tanh(0.5 * BETA * abs(gap))
        difference = 1 - cooled - target[index]
        total += constants.in_map * difference * difference
        if shape >= 0:
            slope = -0.5 * BETA * (1 - cooled * cooled) * math.copysign(1.0, gap)
            by_gap = weight * constants.in_map * 2 * difference * slope
            pull(posed, hand.shape_links[shape], point, scale(-by_gap, normal))
    return total


@part
def penetration(hand, posed, constants, weight):
    """Sum of the squared depths of the points in the hand; pulls by its weight."""
    total = 0.0
    for index in range(len(constants.points)):
        point = row(constants.points, index)
        gap, shape, normal = distance(hand, posed, point, 0.0)
        if shape >= 0:
            total += constants.in_hand * gap * gap
            force = scale(-2 * weight * constants.in_hand * gap, normal)
            pull(posed, hand.shape_links[shape], point, force)
    return total


@part
def losses(hand, constants, grasps, index, target, posed):
    """Find one grasp's terms and gradient; returns the weighted sum of the terms."""
    values, start = grasps.values[index], grasps.palms[index]
    terms, gradient = grasps.terms[index], grasps.gradients[index]
    size = len(hand.parents) - 1
    joints, by_joints, palm = np.empty(size), np.zeros(size), np.empty((3, 4))
    vector = (values[3], values[4], values[5])
    offset = turned(start, (values[0], values[1], values[2]))
    for i in range(3):
        for j in range(3):
            palm[i, j] = start[i, j]
        palm[i, 3] = start[i, 3] + offset[i]
    turn(palm[:, :3], vector)
    expand(hand, values[6:], joints)
    pose(hand, palm, joints, posed)
    weights = constants.weights
    terms[0] = map_difference(hand, posed, constants, target, weights[0])
    terms[1] = penetration(hand, posed, constants, weights[1])
    terms[2] = table_depth(hand, posed, 0.0, weights[2])
    terms[3] = self_overlap(hand, posed, weights[3])
    force, torque = joint_gradient(hand, posed, by_joints)

    # From the palm's axes to those it started with, and from turns about them to the vector.
    force = turned_by(vector, force)
    square = dot(vector, vector)
    angle = math.sqrt(square)
    if angle < 1e-4:  # the next terms are below the rounding
        second, third = 0.5 - square / 24, 1 / 6 - square / 120
    else:
        second = (1 - math.cos(angle)) / square
        third = (angle - math.sin(angle)) / (square * angle)
    once = cross(vector, torque)
    by_vector = add(torque, add(scale(second, once), scale(third, cross(vector, once))))
    for i in range(3):
        gradient[i], gradient[3 + i] = force[i], by_vector[i]
    for column in range(len(values) - 6):
        gradient[6 + column] = 0.0
        for joint in range(size):
            gradient[6 + column] += hand.expansion[joint, column] * by_joints[joint]
    total = 0.0
    for i in range(len(terms)):
        total += weights[i] * terms[i]
    return total


@part
def turned_by(vector, a):
    """A vector turned by a rotation vector."""
    rotation = np.zeros((3, 3))
    for i in range(3):
        rotation[i, i] = 1.0
    turn(rotation, vector)
    return turned(rotation, a)


@kernel
def adapt_some(hand, constants, grasps, targets, first, last, start, stop, step_size):
    """Make the steps ``start`` to ``stop`` with the grasps ``first`` to ``last``.

    ``targets`` are (B, E). A grasp that diverged is left as it is.
    """
    posed = room(hand)
    for index in range(first, last):
        values, gradient = grasps.values[index], grasps.gradients[index]
        mean, square = grasps.means[index], grasps.squares[index]
        for step in range(start, stop):
            if grasps.diverged[index] >= 0:
                break
            total = losses(hand, constants, grasps, index, targets[index], posed)
            if not abs(total) <= _LARGEST:
                grasps.diverged[index] = step
                break
            for i in range(len(values)):
                mean[i] += (1 - _FIRST_MOMENT) * (gradient[i] - mean[i])
                square[i] += (1 - _SECOND_MOMENT) * (gradient[i] * gradient[i] - square[i])
                unbiased = mean[i] / (1 - _FIRST_MOMENT ** (step + 1))
                deviation = math.sqrt(square[i] / (1 - _SECOND_MOMENT ** (step + 1)))
                values[i] -= step_size * unbiased / (deviation + 1e-8)
            for i in range(6, len(values)):
                low, high = hand.coordinate_limits[i - 6, 0], hand.coordinate_limits[i - 6, 1]
                values[i] = min(max(values[i], low), high)
