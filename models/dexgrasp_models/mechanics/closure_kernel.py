"""Force closure in compiled code: see :mod:`dexgrasp_models.mechanics.force_closure`.

Of each contact's friction cone there are four edges: along the two tangents and against them.
"""

from __future__ import annotations

import math

import numpy as np

from dexgrasp_models.kernels.compiling import part
from dexgrasp_models.kernels.vectors import add, cross, row, scale, subtract


@part
def tangents(normal):
    """Two unit tangents of a unit normal (Duff et al., JCGT 2017)."""
    x, y, z = normal
    sign = 1.0 if z >= 0 else -1.0
    a = -1.0 / (sign + z)
    b = x * y * a
    return (1.0 + sign * x * x * a, sign * b, -sign * x), (b, sign + y * y * a, -y)


@part
def tangents_gradient(normal, by_first, by_second):
    """Gradient by the normal of a function of its `tangents`, from that by these."""
    x, y, z = normal
    sign = 1.0 if z >= 0 else -1.0
    a = -1.0 / (sign + z)
    one, other = sign * by_first[0], sign * by_first[1] + by_second[0]
    return (
        a * (2 * one * x + other * y) - sign * by_first[2],
        a * (other * x + 2 * by_second[1] * y) - by_second[2],
        a * a * (one * x * x + other * x * y + by_second[1] * y * y),
    )


@part
def project_to_simplex(values, ordered):
    """Move (K,) to the nearest point with no negative entry and a sum of one, in place.

    ``ordered`` (K,) is overwritten: the values, greatest first (Duchi et al., ICML 2008).
    """
    for index in range(len(values)):
        place = index
        while place > 0 and ordered[place - 1] < values[index]:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = values[index]
    total, threshold = 0.0, -math.inf
    for index in range(len(ordered)):
        total += ordered[index]
        threshold = max(threshold, (total - 1.0) / (index + 1))
    for index in range(len(values)):
        values[index] = max(values[index] - threshold, 0.0)


@part
def solve_simplex_programme(wrenches, load, steps, weights):
    """Minimise ``|weights @ wrenches + load|^2`` over the simplex, from what is in ``weights``.

    Args:
        wrenches: (K, 6).
        load: (6,).
        steps: of the accelerated projected gradient.
        weights: (K,), overwritten.
    """
    count = len(wrenches)
    gram, linear = np.empty((count, count)), np.empty(count)
    size = 0.0
    for i in range(count):
        for j in range(i + 1):
            value = 0.0
            for k in range(6):
                value += wrenches[i, k] * wrenches[j, k]
            gram[i, j] = gram[j, i] = value
            size += value * value if i == j else 2 * value * value
        linear[i] = 0.0
        for k in range(6):
            linear[i] += wrenches[i, k] * load[k]
    step = 1.0 / max(math.sqrt(size), 1e-9)
    ahead, moved, ordered = np.empty(count), np.empty(count), np.empty(count)
    for i in range(count):
        ahead[i] = weights[i]
    momentum = 1.0
    for _ in range(steps):
        for i in range(count):
            moved[i] = linear[i]
        for i in range(count):
            if ahead[i] != 0:  # most are
                for j in range(count):
                    moved[j] += gram[i, j] * ahead[i]
        for i in range(count):
            moved[i] = ahead[i] - step * moved[i]
        project_to_simplex(moved, ordered)
        following = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum * momentum))
        for i in range(count):
            ahead[i] = moved[i] + (momentum - 1.0) / following * (moved[i] - weights[i])
            weights[i] = moved[i]
        momentum = following


@part
def force_closure(points, normals, center, friction, torque_length, load, steps, weights, pulls):
    """Squared norm of the smallest net wrench of contacts, and its gradient.

    Args:
        points: (C, 3) contact points.
        normals: (C, 3) outward unit normals.
        center: (3,) that torques are about.
        friction: coefficient.
        torque_length: by which torques are divided.
        load: (6,) wrench besides the contacts'.
        steps: of the solver.
        weights: (4 C,) of the cones' edges to start from; overwritten by the solution.
        pulls: (C, 2, 3) gradients by each point and normal, overwritten.
    """
    count = len(points)
    wrenches = np.empty((4 * count, 6))
    for contact in range(count):
        normal = row(normals, contact)
        first, second = tangents(normal)
        arm = scale(1.0 / torque_length, subtract(row(points, contact), center))
        for edge in range(4):
            tangent = first if edge % 2 == 0 else second
            sign = friction if edge < 2 else -friction
            force = subtract(scale(sign, tangent), normal)
            torque = cross(arm, force)
            for i in range(3):
                wrenches[4 * contact + edge, i] = force[i]
                wrenches[4 * contact + edge, 3 + i] = torque[i]
    solve_simplex_programme(wrenches, load, steps, weights)
    net, residual = np.empty(6), 0.0
    for i in range(6):
        net[i] = load[i]
        for edge in range(4 * count):
            net[i] += weights[edge] * wrenches[edge, i]
        residual += net[i] * net[i]
    # At the optimum, weights held fixed, the derivative is the true one (envelope theorem).
    by_force = (2 * net[0], 2 * net[1], 2 * net[2])
    by_torque = (2 * net[3], 2 * net[4], 2 * net[5])
    for contact in range(count):
        edge = 4 * contact
        along = friction * (weights[edge] - weights[edge + 2])
        across = friction * (weights[edge + 1] - weights[edge + 3])
        pressure = weights[edge] + weights[edge + 1] + weights[edge + 2] + weights[edge + 3]
        normal = row(normals, contact)
        first, second = tangents(normal)
        force = subtract(add(scale(along, first), scale(across, second)), scale(pressure, normal))
        arm = scale(1.0 / torque_length, subtract(row(points, contact), center))
        by_own = add(by_force, cross(by_torque, arm))
        by_point = scale(1.0 / torque_length, cross(force, by_torque))
        by_tangents = tangents_gradient(normal, scale(along, by_own), scale(across, by_own))
        by_normal = subtract(by_tangents, scale(pressure, by_own))
        for i in range(3):
            pulls[contact, 0, i] = by_point[i]
            pulls[contact, 1, i] = by_normal[i]
    return residual
