"""The refinement in compiled code: the energy of one grasp, its gradient, and steps of Adam.

The energy is that of :class:`~dexgrasp_models.synthesis.energy.GraspEnergy`, over all obstacles:
those that are out of a link's reach are told apart so cheaply that none need be left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dexgrasp_models.hand.hand_kernel import (
    distance,
    expand,
    forearm_table_depth,
    joint_gradient,
    pose,
    pull,
    room,
    self_overlap,
    table_depth,
    turn_link,
)
from dexgrasp_models.kernels.compiling import kernel, part
from dexgrasp_models.kernels.vectors import (
    add,
    cross,
    dot,
    moved,
    row,
    scale,
    subtract,
    turn,
    turned,
)
from dexgrasp_models.mechanics.closure_kernel import force_closure
from dexgrasp_models.synthesis.energy import MISALIGNMENT_LENGTH
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface

TERMS = ("closure", "distance", "alignment", "penetration", "table", "self", "joints", "prior")
"""In the order of what the kernels return."""
_FIRST_MOMENT, _SECOND_MOMENT = 0.9, 0.99  # of Adam
_FINAL_STEP = 0.1  # of the initial step, at the end of the cosine
_DIGITS = 5


class SurfaceArrays(NamedTuple):
    """G objects, double precision; points are (3, N), so that distances to them are vectorised."""

    points: np.ndarray
    """(G, 3, N)."""
    normals: np.ndarray
    """(G, N, 3)."""
    sparse_points: np.ndarray
    """(G, 3, K)."""
    sparse_normals: np.ndarray
    """(G, K, 3)."""
    obstacles: np.ndarray
    """(G, M, 4) with their radii."""
    centers: np.ndarray
    """(G, 3)."""

    @classmethod
    def of(cls, surface: ObjectSurface) -> SurfaceArrays:
        """Those of the objects that are planned on."""
        points, obstacles = _array(surface.points), _array(surface.obstacle_points)
        sparse = obstacles[:, : surface.sparse_normals.shape[1]]
        radii = _array(surface.obstacle_radii)[..., None]
        return cls(
            points=np.ascontiguousarray(points.transpose(0, 2, 1)),
            normals=_array(surface.normals),
            sparse_points=np.ascontiguousarray(sparse.transpose(0, 2, 1)),
            sparse_normals=_array(surface.sparse_normals),
            obstacles=np.concatenate([obstacles, radii], axis=2),
            centers=_array(surface.center),
        )


class EnergyConstants(NamedTuple):
    """Of `EnergyConfig`, those of the energy."""

    weights: np.ndarray
    """(8,) of the terms."""
    neighbours: int
    sigma: float
    friction: float
    torque_length: float
    load: np.ndarray
    """(6,)."""
    closure_steps: int
    penetration_margin: float
    table_margin: float

    @classmethod
    def of(cls, config: EnergyConfig) -> EnergyConstants:
        """Those of the settings."""
        return cls(
            weights=np.array([getattr(config, f"weight_{name}") for name in TERMS], float),
            neighbours=int(config.contact_neighbours),
            sigma=float(config.contact_sigma),
            friction=float(config.friction),
            torque_length=float(config.torque_length),
            load=np.array([0.0, 0.0, -config.gravity_load, 0.0, 0.0, 0.0]),
            closure_steps=int(config.closure_steps),
            penetration_margin=float(config.penetration_margin),
            table_margin=float(config.table_margin),
        )


class GraspArrays(NamedTuple):
    """B grasps and how far their optimisation is, double precision, changed in place."""

    palms: np.ndarray
    """(B, 3, 4)."""
    coordinates: np.ndarray
    """(B, K)."""
    preshapes: np.ndarray
    """(B, K)."""
    objects: np.ndarray
    """(B,) which of the objects each is for."""
    closure_weights: np.ndarray
    """(B, 20) solutions of the force closure programme, which the next ones start from."""
    means: np.ndarray
    """(B, 6 + K) Adam's mean gradient."""
    squares: np.ndarray
    """(B, 6 + K) and mean square."""
    terms: np.ndarray
    """(B, 8) of the energy before the last step, unweighted."""
    gradients: np.ndarray
    """(B, 6 + K) of the energy before the last step: along and about the palm's axes, and by the
    coordinates."""

    @classmethod
    def of(
        cls, palm_poses: np.ndarray, coordinates: np.ndarray, preshapes: np.ndarray, objects: int
    ) -> GraspArrays:
        """Grasps that no step was made with: (B, 4, 4), (B, K), (B, K), B / objects of each."""
        count, size = coordinates.shape
        if count % objects:
            raise ValueError(f"{count} grasps can't be split evenly among {objects} objects")
        return cls(
            palms=np.array(palm_poses[:, :3], np.float64),
            coordinates=np.array(coordinates, np.float64),
            preshapes=np.array(preshapes, np.float64),
            objects=np.repeat(np.arange(objects), count // objects),
            closure_weights=np.full((count, 4 * _DIGITS), 0.25 / _DIGITS),
            means=np.zeros((count, 6 + size)),
            squares=np.zeros((count, 6 + size)),
            terms=np.zeros((count, len(TERMS))),
            gradients=np.zeros((count, 6 + size)),
        )


@part
def nearest_of(points, query, squares):
    """Index of and squared distance to the nearest of (3, N) points; ``squares`` (N,) is filled."""
    for index in range(points.shape[1]):
        x = points[0, index] - query[0]
        y = points[1, index] - query[1]
        z = points[2, index] - query[2]
        squares[index] = x * x + y * y + z * z
    best, nearest = squares[0], 0
    for index in range(1, points.shape[1]):
        if squares[index] < best:
            best, nearest = squares[index], index
    return nearest, best


@part
def best_pad(hand, posed, digit, sparse_points, sparse_normals, squares):
    """The pad of a digit with the least gap and misalignment to the thinned surface."""
    frame = posed.links[hand.pad_links[digit]]
    best, chosen = math.inf, 0
    for pad in range(hand.pad_points.shape[1]):
        point = moved(frame, row(hand.pad_points[digit], pad))
        nearest, square = nearest_of(sparse_points, point, squares)
        facing = dot(turned(frame, row(hand.pad_normals[digit], pad)), row(sparse_normals, nearest))
        gap = math.sqrt(square) + MISALIGNMENT_LENGTH * (1 + facing)
        if gap < best:
            best, chosen = gap, pad
    return chosen


@part
def nearest_some(points, query, squares, chosen):
    """Fill ``chosen`` (n,) with the indices of the nearest of (3, N) points, nearest first."""
    nearest_of(points, query, squares)
    count = 0
    for index in range(points.shape[1]):
        if count < len(chosen):
            count += 1
        elif squares[index] >= squares[chosen[count - 1]]:
            continue
        place = count - 1
        while place > 0 and squares[chosen[place - 1]] > squares[index]:
            chosen[place] = chosen[place - 1]
            place -= 1
        chosen[place] = index


@part
def smooth(points, normals, query, sigma, squares, chosen, shares):
    """Gaussian average of the surface near a point: `ObjectSurface.smooth` of one query.

    Returns:
        Its point, its unit normal, and the length of the averaged normals; ``chosen`` and
        ``shares`` (n,) have the points averaged and how much each counts.
    """
    nearest_some(points, query, squares, chosen)
    least, total = squares[chosen[0]], 0.0
    for k in range(len(chosen)):
        shares[k] = math.exp((least - squares[chosen[k]]) / (2 * sigma * sigma))
        total += shares[k]
    point, normal = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    for k in range(len(chosen)):
        shares[k] /= total
        index = chosen[k]
        around = (points[0, index], points[1, index], points[2, index])
        point = add(point, scale(shares[k], around))
        normal = add(normal, scale(shares[k], row(normals, index)))
    length = max(math.sqrt(dot(normal, normal)), 1e-12)
    return point, scale(1 / length, normal), length


@part
def smooth_gradient(points, normals, sigma, chosen, shares, smoothed, by_point, by_normal):
    """Gradient by the query of a function of what `smooth` returned, from that by these."""
    point, normal, length = smoothed
    # Of the normalised average only what turns it counts.
    across = subtract(by_normal, scale(dot(by_normal, normal), normal))
    gradient = (0.0, 0.0, 0.0)
    for k in range(len(chosen)):
        index = chosen[k]
        around = (points[0, index], points[1, index], points[2, index])
        value = dot(by_point, around) + dot(across, row(normals, index)) / length
        gradient = add(gradient, scale(shares[k] * value, subtract(around, point)))
    return scale(1 / (sigma * sigma), gradient)


@part
def contact_terms(hand, posed, surface, constants, group, closure_weights, terms):
    """Closure, distance and alignment of one grasp; pulls at the hand by their weights."""
    points, normals = surface.points[group], surface.normals[group]
    squares = np.empty(max(points.shape[1], surface.sparse_points.shape[2]))
    count = min(constants.neighbours, points.shape[1])
    chosen, shares = np.empty((_DIGITS, count), np.int64), np.empty((_DIGITS, count))
    pads = np.empty(_DIGITS, np.int64)
    on_hand, facing = np.empty((_DIGITS, 3)), np.empty((_DIGITS, 3))
    smoothed, lengths = np.empty((_DIGITS, 2, 3)), np.empty(_DIGITS)
    pulls = np.empty((_DIGITS, 2, 3))
    for digit in range(_DIGITS):
        pads[digit] = best_pad(
            hand, posed, digit, surface.sparse_points[group], surface.sparse_normals[group], squares
        )
        frame = posed.links[hand.pad_links[digit]]
        place = moved(frame, row(hand.pad_points[digit], pads[digit]))
        point, normal, lengths[digit] = smooth(
            points, normals, place, constants.sigma, squares, chosen[digit], shares[digit]
        )
        outward = turned(frame, row(hand.pad_normals[digit], pads[digit]))
        for i in range(3):
            on_hand[digit, i], facing[digit, i] = place[i], outward[i]
            smoothed[digit, 0, i], smoothed[digit, 1, i] = point[i], normal[i]
    terms[0] = force_closure(
        on_hand,
        smoothed[:, 1],
        row(surface.centers, group),
        constants.friction,
        constants.torque_length,
        constants.load,
        constants.closure_steps,
        closure_weights,
        pulls,
    )
    weights = constants.weights
    closing, attracting, aligning = weights[0], weights[1], weights[2]
    for digit in range(_DIGITS):
        link, place, outward = hand.pad_links[digit], row(on_hand, digit), row(facing, digit)
        point, normal = row(smoothed[digit], 0), row(smoothed[digit], 1)
        offset = subtract(place, point)
        gap = math.sqrt(dot(offset, offset) + 1e-10)
        terms[1] += gap
        terms[2] += 1.0 + dot(outward, normal)
        towards = scale(attracting / gap, offset)
        by_normal = add(scale(closing, row(pulls[digit], 1)), scale(aligning, outward))
        through_surface = smooth_gradient(
            points,
            normals,
            constants.sigma,
            chosen[digit],
            shares[digit],
            (point, normal, lengths[digit]),
            scale(-1.0, towards),
            by_normal,
        )
        direct = add(towards, scale(closing, row(pulls[digit], 0)))
        pull(posed, link, place, add(direct, through_surface))
        turn_link(posed, link, cross(outward, scale(aligning, normal)))


@part
def penetration(hand, posed, obstacles, margin, weight):
    """Sum of the depths of obstacles (M, 4), with their radii, in the hand; pulls by its weight."""
    total = 0.0
    for index in range(len(obstacles)):
        reach = obstacles[index, 3] + margin
        point = row(obstacles, index)
        found, shape, normal = distance(hand, posed, point, reach)
        if shape >= 0:
            total += reach - found
            pull(posed, hand.shape_links[shape], point, scale(weight, normal))
    return total


@part
def joint_terms(hand, constants, joints, preshape, terms, gradient):
    """Joint limits and prior of one grasp, and their gradient (L - 1,)."""
    limiting, keeping = constants.weights[6], constants.weights[7]
    for joint in range(len(joints)):
        offset = joints[joint] - preshape[joint]
        terms[7] += offset * offset
        gradient[joint] = 2 * keeping * offset
        below = hand.joint_limits[joint, 0] - joints[joint]
        above = joints[joint] - hand.joint_limits[joint, 1]
        # At a limit too: that is where clamped joints are, and PyTorch's clamp does the same.
        if below >= 0:
            terms[6] += below
            gradient[joint] -= limiting
        if above >= 0:
            terms[6] += above
            gradient[joint] += limiting


@part
def evaluate(hand, surface, constants, grasps, index, posed):
    """Find one grasp's terms and gradient."""
    coordinates = grasps.coordinates[index]
    terms, gradient = grasps.terms[index], grasps.gradients[index]
    size = len(hand.parents) - 1
    joints, preshape, by_joints = np.empty(size), np.empty(size), np.empty(size)
    expand(hand, coordinates, joints)
    expand(hand, grasps.preshapes[index], preshape)
    pose(hand, grasps.palms[index], joints, posed)
    for i in range(len(terms)):
        terms[i] = 0.0
    joint_terms(hand, constants, joints, preshape, terms, by_joints)
    group, weights = grasps.objects[index], constants.weights
    contact_terms(hand, posed, surface, constants, group, grasps.closure_weights[index], terms)
    margin = constants.penetration_margin
    terms[3] = penetration(hand, posed, surface.obstacles[group], margin, weights[3])
    terms[4] = table_depth(hand, posed, constants.table_margin, weights[4])
    terms[4] += forearm_table_depth(hand, posed, constants.table_margin, weights[4])
    terms[5] = self_overlap(hand, posed, weights[5])
    force, torque = joint_gradient(hand, posed, by_joints)
    for i in range(3):
        gradient[i], gradient[3 + i] = force[i], torque[i]
    for column in range(len(coordinates)):
        gradient[6 + column] = 0.0
        for joint in range(size):
            gradient[6 + column] += hand.expansion[joint, column] * by_joints[joint]


@kernel
def refine_some(hand, surface, constants, grasps, first, last, start, stop, steps, sizes):
    """Make the steps ``start`` to ``stop`` of ``steps`` with the grasps ``first`` to ``last``.

    ``sizes`` (6 + K,) are those of the first step: along and about the palm's axes, and of the
    coordinates. They fall along a cosine.
    """
    posed, move = room(hand), np.empty(len(sizes))
    for index in range(first, last):
        palm, coordinates = grasps.palms[index], grasps.coordinates[index]
        mean, square, gradient = grasps.means[index], grasps.squares[index], grasps.gradients[index]
        for step in range(start, stop):
            evaluate(hand, surface, constants, grasps, index, posed)
            progress = 0.5 * (1 + math.cos(math.pi * step / steps))
            factor = _FINAL_STEP + (1 - _FINAL_STEP) * progress
            for i in range(len(sizes)):
                mean[i] += (1 - _FIRST_MOMENT) * (gradient[i] - mean[i])
                square[i] += (1 - _SECOND_MOMENT) * (gradient[i] * gradient[i] - square[i])
                unbiased = mean[i] / (1 - _FIRST_MOMENT ** (step + 1))
                deviation = math.sqrt(square[i] / (1 - _SECOND_MOMENT ** (step + 1))) + 1e-8
                move[i] = -factor * sizes[i] * unbiased / deviation
            shift = turned(palm, (move[0], move[1], move[2]))
            for i in range(3):
                palm[i, 3] += shift[i]
            turn(palm[:, :3], (move[3], move[4], move[5]))
            for column in range(len(coordinates)):
                bent = coordinates[column] + move[6 + column]
                low, high = hand.coordinate_limits[column, 0], hand.coordinate_limits[column, 1]
                coordinates[column] = min(max(bent, low), high)


def _array(tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.cpu().numpy(), np.float64)
