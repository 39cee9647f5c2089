"""The hand in compiled code: where its links are, how far from it points are, what pulls at it.

A *pull* is the gradient of an energy by a point of a link; the pulls on a link are summed as force
and torque, and those of all links as the gradient by palm and joints.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.kernels.compiling import part
from dexgrasp_models.kernels.vectors import (
    cross,
    dot,
    moved,
    multiply,
    row,
    scale,
    subtract,
    turned,
    turned_back,
)


class HandArrays(NamedTuple):
    """The constants of a hand, double precision, m and rad."""

    parents: np.ndarray
    """(L,) of each link; -1 of the palm, which is the first."""
    axes: np.ndarray
    """(L, 3) of each link's joint, in the link."""
    at_rest: np.ndarray
    """(L, 3, 3) rotations R of the links in their parents are at_rest + sin q by_sine + cos q
    by_cosine."""
    by_sine: np.ndarray
    by_cosine: np.ndarray
    offsets: np.ndarray
    """(L, 3) positions of the links in their parents."""
    expansion: np.ndarray
    """(L - 1, K) joints = expansion @ coordinates."""
    coordinate_limits: np.ndarray
    """(K, 2)."""
    joint_limits: np.ndarray
    """(L - 1, 2)."""

    shape_links: np.ndarray
    """(P,) links of the primitives: boxes grown by a radius."""
    shape_poses: np.ndarray
    """(P, 3, 4) in their links."""
    half_extents: np.ndarray
    """(P, 3) of the boxes."""
    shape_radii: np.ndarray
    """(P,)."""
    reaches: np.ndarray
    """(P,) of balls about their centres that hold them."""

    ball_links: np.ndarray
    """(S,) links of the balls that cover the hand."""
    ball_centers: np.ndarray
    """(S, 3) in their links."""
    ball_radii: np.ndarray
    """(S,)."""
    ball_pairs: np.ndarray
    """(Q, 2) those that must not overlap."""
    forearm_centers: np.ndarray
    """(F, 3) of balls in the palm."""
    forearm_radii: np.ndarray
    """(F,)."""

    pad_links: np.ndarray
    """(5,) of each digit's pads."""
    pad_points: np.ndarray
    """(5, 9, 3) in the links."""
    pad_normals: np.ndarray
    """(5, 9, 3) outward, unit."""

    @classmethod
    def of(cls, hand: PlanningHand) -> HandArrays:
        """Those of a hand that is planned for."""
        spec, shapes = hand.spec, hand.distance.shapes
        axes = np.array([(0.0, 0.0, 0.0), *(joint.axis for joint in spec.joints)])
        rest = np.array([np.eye(3), *(link.pose.rotation for link in spec.links[1:])])
        crossed = np.cross(axes[:, None, :], np.eye(3)).transpose(0, 2, 1)
        bent = rest @ crossed @ crossed

        def array(values: object, kind: type = np.float64) -> np.ndarray:
            return np.ascontiguousarray(np.asarray(values, kind))

        half_extents, radii = array(shapes.half_extents.cpu()), array(shapes.radius.cpu())
        return cls(
            parents=array(spec.parents, np.int64),
            axes=array(axes),
            at_rest=array(rest + bent),
            by_sine=array(rest @ crossed),
            by_cosine=array(-bent),
            offsets=array([(0.0, 0.0, 0.0), *(link.pose.position for link in spec.links[1:])]),
            expansion=array(hand.expansion.cpu()),
            coordinate_limits=array(np.stack([hand.lower.cpu(), hand.upper.cpu()], axis=1)),
            joint_limits=array(hand.joint_limits.cpu()),
            shape_links=array(shapes.link_index.cpu(), np.int64),
            shape_poses=array(shapes.pose[:, :3].cpu()),
            half_extents=half_extents,
            shape_radii=radii,
            reaches=np.linalg.norm(half_extents, axis=1) + radii,
            ball_links=array(hand.ball_links.cpu(), np.int64),
            ball_centers=array(hand.ball_centers.cpu()),
            ball_radii=array(hand.ball_radii.cpu()),
            ball_pairs=array(hand.ball_pairs.nonzero().cpu(), np.int64),
            forearm_centers=array(hand.forearm_centers.cpu()),
            forearm_radii=array(hand.forearm_radii.cpu()),
            pad_links=array(hand.pad_links.cpu(), np.int64),
            pad_points=array(hand.pad_points.cpu()),
            pad_normals=array(hand.pad_normals.cpu()),
        )


class Posed(NamedTuple):
    """A hand in one pose, and room for the pulls on it; in ``world``."""

    links: np.ndarray
    """(L, 3, 4)."""
    shapes: np.ndarray
    """(P, 3, 4)."""
    balls: np.ndarray
    """(S, 3)."""
    forces: np.ndarray
    """(L, 3) sums of the pulls."""
    torques: np.ndarray
    """(L, 3) sums of their moments about the origin."""


@part
def room(hand):
    """A hand that is in no pose yet."""
    links, shapes, balls = len(hand.parents), len(hand.shape_links), len(hand.ball_links)
    return Posed(
        np.empty((links, 3, 4)),
        np.empty((shapes, 3, 4)),
        np.empty((balls, 3)),
        np.empty((links, 3)),
        np.empty((links, 3)),
    )


@part
def pose(hand, palm, joints, posed):
    """Put a hand to its palm's pose (3, 4) and joints (L - 1,), with nothing pulling at it."""
    local = np.empty((3, 4))
    for i in range(3):
        for j in range(4):
            posed.links[0, i, j] = palm[i, j]
    for link in range(1, len(hand.parents)):
        sine, cosine = math.sin(joints[link - 1]), math.cos(joints[link - 1])
        for i in range(3):
            for j in range(3):
                local[i, j] = (
                    hand.at_rest[link, i, j]
                    + sine * hand.by_sine[link, i, j]
                    + cosine * hand.by_cosine[link, i, j]
                )
            local[i, 3] = hand.offsets[link, i]
        multiply(posed.links[hand.parents[link]], local, posed.links[link])
    for shape in range(len(hand.shape_links)):
        multiply(posed.links[hand.shape_links[shape]], hand.shape_poses[shape], posed.shapes[shape])
    for ball in range(len(hand.ball_links)):
        center = moved(posed.links[hand.ball_links[ball]], row(hand.ball_centers, ball))
        for i in range(3):
            posed.balls[ball, i] = center[i]
    for link in range(len(hand.parents)):
        for i in range(3):
            posed.forces[link, i] = posed.torques[link, i] = 0.0


@part
def pull(posed, link, point, force):
    """Pull at a point of a link."""
    turn_link(posed, link, cross(point, force))
    for i in range(3):
        posed.forces[link, i] += force[i]


@part
def turn_link(posed, link, torque):
    """Pull at a link by a torque alone."""
    for i in range(3):
        posed.torques[link, i] += torque[i]


@part
def joint_gradient(hand, posed, gradient):
    """Derivatives by the joints, added to (L - 1,), of what pulls.

    Returns:
        Force and torque, about the palm's origin, on the whole hand, along the palm's axes.
    """
    for link in range(len(hand.parents) - 1, 0, -1):
        force, torque = row(posed.forces, link), row(posed.torques, link)
        frame = posed.links[link]
        origin = (frame[0, 3], frame[1, 3], frame[2, 3])
        moment = subtract(torque, cross(origin, force))
        gradient[link - 1] += dot(turned(frame, row(hand.axes, link)), moment)
        pull(posed, hand.parents[link], (0.0, 0.0, 0.0), force)
        turn_link(posed, hand.parents[link], torque)
    palm, force, torque = posed.links[0], row(posed.forces, 0), row(posed.torques, 0)
    moment = subtract(torque, cross((palm[0, 3], palm[1, 3], palm[2, 3]), force))
    return turned_back(palm, force), turned_back(palm, moment)


@part
def distance(hand, posed, point, bound):
    """Signed distance to the nearest primitive, its index and the unit outward normal there.

    Primitives that are no nearer than ``bound`` are not looked at; if all are, the index is -1.
    """
    best, nearest, normal = bound, -1, (0.0, 0.0, 0.0)
    for shape in range(len(hand.shape_links)):
        frame = posed.shapes[shape]
        offset = subtract(point, (frame[0, 3], frame[1, 3], frame[2, 3]))
        beyond = best + hand.reaches[shape]
        if beyond <= 0 or dot(offset, offset) >= beyond * beyond:
            continue
        local = turned_back(frame, offset)
        x = abs(local[0]) - hand.half_extents[shape, 0]
        y = abs(local[1]) - hand.half_extents[shape, 1]
        z = abs(local[2]) - hand.half_extents[shape, 2]
        out_x, out_y, out_z = max(x, 0.0), max(y, 0.0), max(z, 0.0)
        outside = math.sqrt(out_x * out_x + out_y * out_y + out_z * out_z)
        found = outside + min(max(x, y, z), 0.0) - hand.shape_radii[shape]
        if found >= best:
            continue
        best, nearest = found, shape
        if outside > 0:  # away from the box
            away = scale(1 / outside, (out_x, out_y, out_z))
        elif x >= y and x >= z:  # inside, to the nearest face
            away = (1.0, 0.0, 0.0)
        elif y >= z:
            away = (0.0, 1.0, 0.0)
        else:
            away = (0.0, 0.0, 1.0)
        signed = (
            math.copysign(away[0], local[0]),
            math.copysign(away[1], local[1]),
            math.copysign(away[2], local[2]),
        )
        normal = turned(frame, signed)
    return best, nearest, normal


@part
def self_overlap(hand, posed, weight):
    """Sum of the depths of balls that must not touch in each other; pulls by its weight."""
    total = 0.0
    for pair in range(len(hand.ball_pairs)):
        one, other = hand.ball_pairs[pair, 0], hand.ball_pairs[pair, 1]
        apart = subtract(row(posed.balls, one), row(posed.balls, other))
        reach = hand.ball_radii[one] + hand.ball_radii[other]
        square = dot(apart, apart)
        if square >= reach * reach:
            continue
        length = math.sqrt(max(square, 1e-12))
        total += reach - length
        force = scale(-weight / length, apart)
        pull(posed, hand.ball_links[one], row(posed.balls, one), force)
        pull(posed, hand.ball_links[other], row(posed.balls, other), scale(-1.0, force))
    return total


@part
def table_depth(hand, posed, margin, weight):
    """Sum of the depths of the covering balls below a height above the table; pulls likewise."""
    total = 0.0
    for ball in range(len(hand.ball_links)):
        depth = margin - (posed.balls[ball, 2] - hand.ball_radii[ball])
        if depth > 0:
            total += depth
            pull(posed, hand.ball_links[ball], row(posed.balls, ball), (0.0, 0.0, -weight))
    return total


@part
def forearm_table_depth(hand, posed, margin, weight):
    """As `table_depth`, of the forearm."""
    total = 0.0
    for ball in range(len(hand.forearm_radii)):
        center = moved(posed.links[0], row(hand.forearm_centers, ball))
        depth = margin - (center[2] - hand.forearm_radii[ball])
        if depth > 0:
            total += depth
            pull(posed, 0, center, (0.0, 0.0, -weight))
    return total


@part
def expand(hand, coordinates, joints):
    """The joints (L - 1,) of coordinates (K,)."""
    for joint in range(len(joints)):
        joints[joint] = 0.0
        for column in range(len(coordinates)):
            joints[joint] += hand.expansion[joint, column] * coordinates[column]
