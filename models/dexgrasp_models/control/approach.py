"""The way to a grasp: how far to open the hand, from where to come, and how to get there.

The choice is kinematic. The open hand is swept back from the grasp along many directions, for
several openings of the fingers, and its signed distance to the object's points, to the scene's
points and to the table is taken at several distances on the way. The candidate with the least cost
wins; the last millimetres may touch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.control.approach_plan import (
    ApproachConfig,
    ApproachPlan,
    NoApproach,
    at_height,
)
from dexgrasp_models.control.obstacles import obstacles_near
from dexgrasp_models.geometry.farthest_points import farthest_points
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.outline import HandOutline
from dexgrasp_models.synthesis.types import Grasp

_CLOSING_PHASES = (0.25, 0.5, 0.75, 1.0)
"""Fractions of the way from open to closed at which the closing fingers are checked."""
_DEEPER_SHARES = (1.0, 0.75, 0.5, 0.25)
"""Shares of `ApproachConfig.deeper` that are tried, before the grasp as it is."""
_FINENESS = 2
"""How many times more distances are checked when a way is judged again."""
_OPENING_SHARES = 9
"""Shares of an opening, from all to nothing, tried for digits that would meet the table."""


def plan_approach(
    grasp: Grasp,
    object_points: np.ndarray,
    scene_points: np.ndarray,
    distance: HandDistance,
    config: ApproachConfig | None = None,
    *,
    table_height: float = 0.0,
    start_pose: np.ndarray | None = None,
    lift_height: float = 0.0,
    reachable: Callable[[Sequence[np.ndarray]], bool] | None = None,
) -> ApproachPlan:
    """Chooses approach direction and hand opening for ``grasp``, as deep as `config` has it.

    Args:
        grasp: the grasp; its `pregrasp_joints` give the direction in which the fingers open.
        object_points: (N, 3) points of the object in `world`, m.
        scene_points: (M, 3) other points in `world`, m; those of the table are left out here.
        distance: signed distance to the hand.
        config: what is tried and what clearance is asked for.
        table_height: z of the table in `world`, m.
        start_pose: (4, 4) palm pose from which the hand will come; part of what must be reachable.
        lift_height: how far the grasp will be lifted, m; part of what must be reachable.
        reachable: tells whether the arm can follow a sequence of palm poses; None: it always can.

    Raises:
        NoApproach: no candidate is free and reachable.
        ValueError: no object points.
    """
    config = config or ApproachConfig()
    if len(object_points) == 0:
        raise ValueError("plan_approach needs points of the object; the cloud is empty")

    def planned(grasp: Grasp) -> ApproachPlan:
        sweep = _Sweep(grasp, object_points, scene_points, distance, config, table_height)
        return _free_and_reachable(sweep, start_pose, lift_height, reachable)

    for share in _DEEPER_SHARES if config.deeper > 0.0 else ():
        try:
            return planned(_deeper(grasp, share * config.deeper))
        except NoApproach:
            continue
    return planned(grasp)


def _deeper(grasp: Grasp, way: float) -> Grasp:
    """The grasp with the palm farther on, m, along its normal."""
    pose = grasp.palm_pose.copy()
    pose[:3, 3] -= way * pose[:3, 1]  # the palm faces -y
    return replace(grasp, palm_pose=pose)


def _free_and_reachable(
    sweep: _Sweep,
    start_pose: np.ndarray | None,
    lift_height: float,
    reachable: Callable[[Sequence[np.ndarray]], bool] | None,
) -> ApproachPlan:
    """The plan of the best candidate that can be carried out; for the others see `plan_approach`.

    Raises:
        NoApproach: there is none.
    """
    candidates = sweep.candidates()
    unreachable = 0
    for candidate in candidates:
        plan = sweep.plan(candidate)
        if not sweep.descent_is_free(plan):
            continue
        if reachable is not None and not reachable(_key_poses(plan, start_pose, lift_height)):
            unreachable += 1
            continue
        return plan
    blocked = len(candidates) - unreachable
    raise NoApproach(
        f"none of the {len(candidates)} best approaches can be carried out: "
        f"{unreachable} out of the arm's reach, {blocked} with the descent blocked"
    )


class _Candidate(NamedTuple):
    """A free approach."""

    opening: int
    direction: int
    cost: float
    """m; the less the better."""
    clearance: float
    """Least signed distance to the object's points, m."""


@dataclass(frozen=True)
class _Clearances:
    """Signed distances, m, for O openings, D directions and S distances."""

    distances: np.ndarray
    """(S,) how far the hand is from the grasp."""
    to_object: np.ndarray
    """(O, D, S)"""
    to_scene: np.ndarray
    """(O, D, S)"""
    to_table: np.ndarray
    """(O, D, S)"""
    config: ApproachConfig

    @property
    def free(self) -> np.ndarray:
        """(O, D) whether the whole sweep is free, apart from what is tolerated."""
        c = self.config
        return (
            (self.to_object.min(-1) > -c.touch_depth)
            & (self.to_scene.min(-1) > 0.0)
            & (self.to_table.min(-1) > -c.table_depth)
        )

    @property
    def cost(self) -> np.ndarray:
        """(O, D) mean shortfall from the clearance that is wanted, and deepest overlap, m."""
        c = self.config
        wanted = np.minimum(c.margin, c.margin_slope * self.distances)
        return (
            np.maximum(wanted - self.to_object, 0.0).mean(-1)
            + np.maximum(c.margin - self.to_scene, 0.0).mean(-1)
            + np.maximum(c.table_margin - self.to_table, 0.0).mean(-1)
            + np.maximum(-self.to_object.min(-1), 0.0)
        )

    def refusal(self) -> str:
        """What is in the way, judged by the best candidate for each of the obstacles."""
        c = self.config
        best = {
            "the object": self.to_object.min(-1).max() + c.touch_depth,
            "the scene": self.to_scene.min(-1).max(),
            "the table": self.to_table.min(-1).max() + c.table_depth,
        }
        what, spare = min(best.items(), key=lambda item: item[1])
        if spare > 0.0:
            return "no approach is free of object, scene and table at once"
        return (
            f"{what} is in the way of every approach: "
            f"the best one overlaps it {-spare * 1000:.0f} mm more than is tolerated"
        )


class _Sweep:
    """Clearances of the open hand for all openings, directions and distances of one grasp."""

    def __init__(
        self,
        grasp: Grasp,
        object_points: np.ndarray,
        scene_points: np.ndarray,
        distance: HandDistance,
        config: ApproachConfig,
        table_height: float,
    ) -> None:
        self._grasp = grasp
        self._config = config
        self._distance = distance
        self._table = table_height
        target = np.asarray(object_points, dtype=float)
        scene = obstacles_near(scene_points, target, grasp.palm_pose[:3, 3], table_height)
        self._object, self._scene = _spread(target, config.points), _spread(scene, config.points)
        self._object_fine = _spread(target, config.fine_points)
        self._scene_fine = _spread(scene, config.fine_points)
        self._outline = HandOutline(distance.kinematics)
        self._joints = np.stack([self._opened(factor) for factor in config.openings])
        self._directions = upper_half_sphere(config.directions)

    def candidates(self) -> list[_Candidate]:
        """Free candidates, best first: all judged roughly, then the best ones finely.

        Raises:
            NoApproach: none is free.
        """
        c = self._config
        dip = self._table - self._height(self._grasp.joints[None]).item()
        if dip > c.table_depth:
            raise NoApproach(
                "the table is in the way of the grasp itself: "
                f"its fingers reach {dip * 1000:.0f} mm below the table"
            )
        rough = self._sweep(self._joints, self._directions, c.steps, self._object, self._scene)
        closing = self._closing_cost()
        cost = rough.cost + closing[:, None] + self._preference()
        order = np.argwhere(rough.free)
        if not len(order):
            raise NoApproach(rough.refusal())
        order = order[np.argsort(cost[tuple(order.T)], kind="stable")][: c.attempts]
        found, refusals = [], []
        for opening, direction in order:
            fine = self._sweep(
                self._joints[[opening]],
                self._directions[[direction]],
                _FINENESS * c.steps,
                self._object_fine,
                self._scene_fine,
            )
            if fine.free.all():
                preference = self._preference()[direction]
                total = float(fine.cost.item() + closing[opening] + preference)
                clearance = float(fine.to_object.min())
                found.append(_Candidate(int(opening), int(direction), total, clearance))
            else:
                refusals.append(fine.refusal())
        if not found:
            raise NoApproach(refusals[0])
        return sorted(found, key=lambda candidate: candidate.cost)

    def _sweep(
        self,
        joints: np.ndarray,
        directions: np.ndarray,
        steps: int,
        target: np.ndarray,
        scene: np.ndarray,
    ) -> _Clearances:
        """Clearances of hands with ``joints`` (O, 22) swept back along ``directions`` (D, 3)."""
        distances = np.linspace(0.0, self._config.distance, steps)
        offsets = directions[:, None] * distances[:, None]  # (D, S, 3)
        heights = self._height(joints) - self._table
        return _Clearances(
            distances=distances,
            to_object=self._clearance(joints, target, offsets),
            to_scene=self._clearance(joints, scene, offsets),
            to_table=heights[:, None, None] + offsets[..., 2],
            config=self._config,
        )

    def plan(self, candidate: _Candidate) -> ApproachPlan:
        """The plan for a candidate."""
        joints = self._joints[candidate.opening]
        pregrasp = self._grasp.palm_pose.copy()
        pregrasp[:3, 3] += self._config.distance * self._directions[candidate.direction]
        top = float(max([self._table, *self._object_fine[:, 2], *self._scene_fine[:, 2]]))
        return ApproachPlan(
            grasp=self._grasp,
            open_joints=joints,
            pregrasp_pose=pregrasp,
            travel_height=top + self._reach(joints) + self._config.travel_margin,
            clearance=candidate.clearance,
            cost=candidate.cost,
        )

    def descent_is_free(self, plan: ApproachPlan) -> bool:
        """Whether the open hand can come down to the pre-grasp from the travel height."""
        start = plan.pregrasp_pose[:3, 3] - self._grasp.palm_pose[:3, 3]
        drop = max(plan.travel_height - plan.pregrasp_pose[2, 3], 0.0)
        heights = np.linspace(0.0, drop, _FINENESS * self._config.steps)
        offsets = start + np.outer(heights, [0.0, 0.0, 1.0])
        return all(
            (self._clearance(plan.open_joints[None], points, offsets) > 0.0).all()
            for points in (self._object, self._scene)
        )

    def _opened(self, factor: float) -> np.ndarray:
        """(22,) joints of the hand opened by ``factor``, as far as table and object allow.

        A digit that would dip into the table or the object at the grasp is opened less, down to
        not at all.
        """
        grasp, c = self._grasp, self._config
        spec = self._distance.kinematics.spec
        shares = np.linspace(1.0, 0.0, _OPENING_SHARES)
        opening = factor * (grasp.pregrasp_joints - grasp.joints)
        joints = np.clip(grasp.joints + shares[:, None] * opening, *spec.limits.T)  # (K, 22)
        poses = self._link_poses(joints)
        to_table = self._outline.digit_heights(poses) - self._table  # (K, G)
        with torch.inference_mode():
            by_link = self._distance.by_link(self._tensor(self._object), poses).amin(1)
        to_object = self._outline.by_digit(by_link.double().cpu().numpy())
        allowed = (to_table >= np.minimum(c.table_margin, to_table[-1])) & (
            to_object >= np.minimum(0.0, to_object[-1])
        )
        share = allowed.argmax(0)  # the first, so the widest, that is allowed
        return joints[share[self._outline.digit_of_joint], np.arange(joints.shape[1])]

    def _clearance(self, joints: np.ndarray, points: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """(O, ...) least distance of hands with ``joints`` (O, 22), moved by ``offsets`` (..., 3).

        Moving the hand by an offset is moving the points by its opposite: kinematics run once.
        """
        shape = (len(joints), *offsets.shape[:-1])
        if not len(points):
            return np.full(shape, np.inf)
        moved = points - offsets[..., None, :]
        with torch.inference_mode():
            distances = self._distance.signed_distance(
                self._tensor(moved.reshape(1, -1, 3)).expand(len(joints), -1, -1),
                self._palm_poses(len(joints)),
                self._tensor(joints),
            )
        return distances.reshape(*shape, len(points)).amin(-1).double().numpy()

    def _height(self, joints: np.ndarray) -> np.ndarray:
        """(O,) height of the lowest point of the hand at the grasp with ``joints`` (O, 22)."""
        return self._outline.digit_heights(self._link_poses(joints)).min(-1)

    def _reach(self, joints: np.ndarray) -> float:
        """Distance from the palm frame to the farthest point of the open hand."""
        return self._outline.reach(self._link_poses(joints[None]))

    def _link_poses(self, joints: np.ndarray) -> Tensor:
        """(O, L, 4, 4) link poses at the grasp with ``joints`` (O, 22)."""
        with torch.inference_mode():
            return self._distance.kinematics.link_poses(
                self._palm_poses(len(joints)), self._tensor(joints)
            )

    def _closing_cost(self) -> np.ndarray:
        """(O,) how deep the closing fingers overlap the object and near the table, m."""
        phases = np.array(_CLOSING_PHASES)[:, None, None]
        joints = self._joints + phases * (self._grasp.joints - self._joints)  # (K, O, 22)
        flat = joints.reshape(-1, joints.shape[-1])
        to_object = self._clearance(flat, self._object, np.zeros(3)).reshape(joints.shape[:2])
        to_table = self._height(flat).reshape(joints.shape[:2]) - self._table
        return np.maximum(-to_object.min(0), 0.0) + np.maximum(
            self._config.table_margin - to_table.min(0), 0.0
        )

    def _preference(self) -> np.ndarray:
        """(D,) cost of the directions themselves: behind palm and fingers, and above, is best."""
        c = self._config
        rotation = self._grasp.palm_pose[:3, :3]
        behind = rotation @ np.array([0.0, 1.0, -1.0]) / np.sqrt(2.0)  # palm faces -y, fingers +z
        return 0.5 * (
            c.palm_preference * (1.0 - self._directions @ behind)
            + c.top_preference * (1.0 - self._directions[:, 2])
        )

    def _palm_poses(self, count: int) -> Tensor:
        return self._tensor(self._grasp.palm_pose).expand(count, 4, 4)

    def _tensor(self, values: np.ndarray) -> Tensor:
        kinematics = self._distance.kinematics
        return torch.as_tensor(values, dtype=kinematics.dtype, device=kinematics.device)


def upper_half_sphere(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly over z >= 0 (a Fibonacci lattice)."""
    index = np.arange(count)
    z = 1.0 - (index + 0.5) / count
    azimuth = index * np.pi * (3.0 - np.sqrt(5.0))
    radius = np.sqrt(1.0 - z * z)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=-1)


def _spread(points: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the points, evenly spread."""
    return points[farthest_points(points, count)]


def _key_poses(
    plan: ApproachPlan, start: np.ndarray | None, lift_height: float
) -> list[np.ndarray]:
    """Palm poses that the arm must be able to go through, in order."""
    grasp = plan.grasp.palm_pose
    way = plan.transit(start if start is not None else plan.pregrasp_pose)
    lifted = at_height(grasp, float(grasp[2, 3]) + lift_height)
    return [*way, grasp, lifted]
