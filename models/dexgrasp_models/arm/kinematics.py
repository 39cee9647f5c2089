"""Forward and inverse kinematics of the arm that carries the hand, on Pinocchio."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation, Slerp

from dexgrasp_models.arm.mounting import Mounting, load_mounting
from dexgrasp_models.arm.spec import ArmSpec, load_arm
from dexgrasp_models.arm.urdf import arm_urdf
from dexgrasp_models.hand.spec import HandSpec, load_hand

POSITION_TOLERANCE = 1e-5
"""Greatest position error of a solution, m."""
ROTATION_TOLERANCE = 1e-4
"""Greatest rotation error of a solution, rad."""

_MAX_ITERATIONS = 25
_MAX_STEP = 0.5
"""Greatest change of a joint in one iteration, rad."""
_MAX_JUMP = 0.35
"""Greatest change of a joint between neighbouring poses of a continuous path, rad."""
_PATH_SPACING = (0.03, 0.15)
"""Poses of a path further apart than this (m, rad) are interpolated."""


class ArmKinematics:
    """The arm with the hand's forearm on its flange and the wrist at zero; its end is `rh_palm`.

    Poses are (4, 4) homogeneous matrices of `rh_palm` in `world`, joints (6,) in rad in the order
    of `ArmSpec.joint_names`. Inverse kinematics is damped least squares (Levenberg-Marquardt with
    the damping of Sugihara, IEEE T-RO 2011) from the given configuration, then from the arm's other
    branches.
    """

    def __init__(
        self,
        arm: ArmSpec | None = None,
        hand: HandSpec | None = None,
        mounting: Mounting | None = None,
    ) -> None:
        self.arm = arm or load_arm()
        self.hand = hand or load_hand()
        self.mounting = mounting or load_mounting()
        self.lower, self.upper = self.arm.limits.T
        self.home = np.array(self.mounting.home)
        mount = self.hand.mount
        tool_T_palm = self.mounting.tool_T_forearm @ mount.root_T_palm
        self._world_T_base = pin.SE3(self.mounting.world_T_base)
        self._model = pin.buildModelFromXML(arm_urdf(self.arm))
        tool = self._model.frames[self._model.getFrameId(self.arm.tool)]
        self._joint = tool.parentJoint
        self._end = tool.placement * pin.SE3(tool_T_palm)
        self._palm = self._model.addFrame(
            pin.Frame(self.hand.root, self._joint, 0, self._end, pin.FrameType.OP_FRAME)
        )
        self._data = self._model.createData()
        self._capsules = list(self._moving_capsules())
        self._ends = [
            (
                joint,
                np.concatenate([ends for _, ends, _ in capsules]),
                np.repeat([radius for _, _, radius in capsules], 2),
            )
            for joint, capsules in (
                (joint, list(capsules))
                for joint, capsules in itertools.groupby(self._capsules, lambda each: each[0])
            )
        ]

    def fk(self, joints: np.ndarray) -> np.ndarray:
        """(4, 4) pose of `rh_palm` in `world` at (6,) joint angles.

        Raises:
            ValueError: the angles are not six finite numbers.
        """
        pin.forwardKinematics(self._model, self._data, self._checked(joints))
        return (self._world_T_base * self._data.oMi[self._joint] * self._end).homogeneous

    def jacobian(self, joints: np.ndarray) -> np.ndarray:
        """(6, 6) Jacobian of the palm, linear rows over angular ones, in the palm's frame."""
        return pin.computeFrameJacobian(
            self._model, self._data, self._checked(joints), self._palm, pin.ReferenceFrame.LOCAL
        )

    def ik(
        self,
        world_T_palm: np.ndarray,
        start: np.ndarray | None = None,
        rng: np.random.Generator | None = None,
        restarts: int = 4,
    ) -> np.ndarray | None:
        """Joint angles that bring the palm to a pose, near to a configuration.

        Tried in turn: from `start`; from the arm's branches (shoulder, elbow and wrist each to
        either side), of which the solution nearest to `start` is taken; from random configurations.

        Args:
            world_T_palm: (4, 4) wanted pose of `rh_palm` in `world`.
            start: (6,) configuration to start from and to stay near to; the home one by default.
            rng: source of the random restarts; without one there are none.
            restarts: how many of them.

        Returns:
            (6,) joint angles within the limits, or None where no solution was found.

        Raises:
            ValueError: the pose or `start` is not finite or has a wrong shape.
        """
        target = self._target(world_T_palm)
        start = self.home if start is None else self._checked(start)
        if not self._in_reach(target):
            return None
        if (solution := self._solve(target, start)) is not None:
            return self._nearest_turn(solution, start)
        found = [self._solve(target, seed) for seed in self._branches(target)]
        solutions = [self._nearest_turn(joints, start) for joints in found if joints is not None]
        if solutions:
            return min(solutions, key=lambda joints: np.linalg.norm(joints - start))
        if rng is None:
            return None
        for _ in range(restarts):
            solution = self._solve(target, rng.uniform(-np.pi, np.pi, len(self.lower)))
            if solution is not None:
                return self._nearest_turn(solution, start)
        return None

    def track(
        self, path: np.ndarray | Sequence[np.ndarray], start: np.ndarray | None = None
    ) -> np.ndarray | None:
        """Follow a path of palm poses continuously, as a servo does: without changing branch.

        Args:
            path: (K, 4, 4) poses of `rh_palm` in `world`; sparse ones are interpolated in between.
            start: (6,) configuration to begin with, which need not be at the first pose: that is
                solved for near to it. The home one by default.

        Returns:
            (K, 6) joint angles at the poses, or None where the path leaves the reach or the joint
            limits, or needs a jump.

        Raises:
            ValueError: the path or `start` is not finite or has a wrong shape.
        """
        path = np.asarray(path, dtype=float)
        if path.ndim != 3 or not len(path):
            raise ValueError(f"expected a path (K, 4, 4) of at least one pose, got {path.shape}")
        joints = self.ik(path[0], start)
        if joints is None:
            return None
        solutions = [joints]
        for previous, pose in itertools.pairwise(path):
            for between in interpolate_poses(previous, pose, *_PATH_SPACING):
                following = self._solve(self._target(between), joints)
                if following is None or np.abs(following - joints).max() > _MAX_JUMP:
                    return None
                joints = following
            solutions.append(joints)
        return np.array(solutions)

    def reachable(
        self,
        path: np.ndarray | Sequence[np.ndarray],
        start: np.ndarray | None = None,
        clearance: float = 0.0,
    ) -> bool:
        """Whether a path can be tracked (see `track`) with the arm `clearance` m off the table.

        Args:
            path, start: as for `track`.
            clearance: least `clearance_to_table` wanted at every pose of the path, m.
        """
        joints = self.track(path, start)
        return joints is not None and all(
            self.clearance_to_table(each) >= clearance for each in joints
        )

    def clearance_to_table(self, joints: np.ndarray) -> float:
        """Least height in m of the arm's capsules and the hand's forearm above the table (z = 0).

        The shoulder is left out, as it turns in place; so are wrist and hand, whose clearance is
        the grasp's.
        """
        pin.forwardKinematics(self._model, self._data, self._checked(joints))
        up, above = self._world_T_base.rotation[2], self._world_T_base.translation[2]
        lowest = np.inf
        for joint, ends, radii in self._ends:
            pose = self._data.oMi[joint]
            heights = ends @ (up @ pose.rotation) - radii
            lowest = min(lowest, heights.min() + up @ pose.translation)
        return float(above + lowest)

    def capsules(self, joints: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Segment ends (2, 3) in `world` and radius of each capsule of `clearance_to_table`, m."""
        pin.forwardKinematics(self._model, self._data, self._checked(joints))
        placed = []
        for joint, ends, radius in self._capsules:
            pose = self._world_T_base * self._data.oMi[joint]
            placed.append((ends @ pose.rotation.T + pose.translation, radius))
        return placed

    def error(self, joints: np.ndarray, world_T_palm: np.ndarray) -> tuple[float, float]:
        """Distance in m and angle in rad between the palm at `joints` and a pose of it."""
        twist = self._twist(self._target(world_T_palm), self._checked(joints))
        return float(np.linalg.norm(twist[:3])), float(np.linalg.norm(twist[3:]))

    def toward(self, joints: np.ndarray, world_T_palm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a step to a pose is made of.

        Returns:
            (6,) displacement to it from the palm at `joints`, m and rad, and the (6, 6) Jacobian
            there, linear rows over angular ones, both in the palm's frame.

        Raises:
            ValueError: the pose or `joints` is not finite or has a wrong shape.
        """
        twist = self._twist(self._target(world_T_palm), self._checked(joints))
        return twist, pin.getFrameJacobian(
            self._model, self._data, self._palm, pin.ReferenceFrame.LOCAL
        )

    def step(self, joints: np.ndarray, world_T_palm: np.ndarray, iterations: int = 3) -> np.ndarray:
        """(6,) joint angles after a few damped least-squares steps from `joints` toward a pose.

        The result need not reach the pose; it is within the joint limits.
        """
        target, joints = self._target(world_T_palm), self._checked(joints)
        for _ in range(iterations):
            joints = self._improve(joints, self._twist(target, joints))
        return joints

    # The solver

    def _solve(self, target: pin.SE3, joints: np.ndarray) -> np.ndarray | None:
        for _ in range(_MAX_ITERATIONS):
            twist = self._twist(target, joints)
            if (
                math.hypot(*twist[:3]) < POSITION_TOLERANCE
                and math.hypot(*twist[3:]) < ROTATION_TOLERANCE
            ):
                return joints
            joints = self._improve(joints, twist)
        return None

    def _twist(self, target: pin.SE3, joints: np.ndarray) -> np.ndarray:
        """(6,) displacement from palm to target in the palm's frame; updates the Jacobians too."""
        pin.computeJointJacobians(self._model, self._data, joints)
        return pin.log6((self._data.oMi[self._joint] * self._end).actInv(target)).vector

    def _improve(self, joints: np.ndarray, twist: np.ndarray) -> np.ndarray:
        jacobian = pin.getFrameJacobian(
            self._model, self._data, self._palm, pin.ReferenceFrame.LOCAL
        )
        damping = 0.05 * (twist @ twist) + 1e-8
        step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + damping * np.eye(6), twist)
        step *= min(1.0, _MAX_STEP / max(np.abs(step).max(), 1e-12))
        return np.clip(joints + step, self.lower, self.upper)

    def _branches(self, target: pin.SE3) -> Iterator[np.ndarray]:
        """Configurations toward the target with shoulder, elbow and wrist to either side."""
        wrist = target.translation - 0.3 * target.rotation[:, 2]
        toward = math.atan2(wrist[1], wrist[0])
        away = toward - math.copysign(np.pi, toward)
        for (pan, lift), elbow, wrist_2 in itertools.product(
            ((toward, -1.2), (away, -1.9)), (1.6, -1.6), (-1.5, 1.5)
        ):
            wrist_1 = -np.pi / 2 - lift - elbow
            yield np.array([pan, lift, elbow, wrist_1, wrist_2, 0.0])

    def _nearest_turn(self, joints: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The same configuration, joints turned by multiples of 2 pi to be nearest to `start`."""
        turns = 2 * np.pi * np.round((start - joints) / (2 * np.pi))
        moved = joints + turns
        inside = (moved >= self.lower) & (moved <= self.upper)
        return np.where(inside, moved, joints)

    def _in_reach(self, target: pin.SE3) -> bool:
        """Whether the target is at most the summed length of the links away."""
        links = self.arm.dh
        length = sum(math.hypot(row.a, row.d) for row in links[1:]) + np.linalg.norm(
            self._end.translation
        )
        return bool(np.linalg.norm(target.translation - [0.0, 0.0, links[0].d]) <= length)

    # Geometry and checks

    def _moving_capsules(self) -> Iterator[tuple[int, np.ndarray, float]]:
        for link, moving in zip(self.arm.links[2:], self.arm.joints[1:], strict=True):
            joint = self._model.getJointId(moving.name)
            for capsule in link.primitives:
                yield joint, capsule.segment, capsule.size[0]
        tool_from_last = self._end * pin.SE3(self.hand.mount.root_T_palm).inverse()
        for capsule in self.hand.mount.links[0].primitives:
            ends = capsule.segment @ tool_from_last.rotation.T + tool_from_last.translation
            yield self._joint, ends, capsule.size[0]

    def _target(self, world_T_palm: np.ndarray) -> pin.SE3:
        pose = np.asarray(world_T_palm, dtype=float)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise ValueError("the palm's pose must be a finite (4, 4) matrix")
        if np.abs(pose[:3, :3].T @ pose[:3, :3] - np.eye(3)).max() > 1e-4:
            raise ValueError("the palm's pose must have a rotation matrix in its upper left")
        return self._world_T_base.actInv(pin.SE3(pose))

    def _checked(self, joints: np.ndarray) -> np.ndarray:
        joints = np.asarray(joints, dtype=float)
        if joints.shape != self.lower.shape or not np.isfinite(joints).all():
            raise ValueError(f"expected {len(self.lower)} finite joint angles, got {joints!r}")
        return joints


def interpolate_poses(
    start: np.ndarray, end: np.ndarray, spacing: float, angle: float
) -> np.ndarray:
    """Poses from behind `start` up to `end`, at most `spacing` m and `angle` rad apart.

    Positions run along the straight line, rotations along the shortest turn.

    Args:
        start, end: (4, 4) poses.
        spacing: m.
        angle: rad.

    Returns:
        (K, 4, 4), the last one `end`.
    """
    rotations = Rotation.from_matrix(np.stack([start[:3, :3], end[:3, :3]]))
    turn = (rotations[0].inv() * rotations[1]).magnitude()
    distance = np.linalg.norm(end[:3, 3] - start[:3, 3])
    count = max(1, math.ceil(max(distance / spacing, turn / angle)))
    shares = np.arange(1, count + 1) / count
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Slerp([0, 1], rotations)(shares).as_matrix()
    poses[:, :3, 3] = start[:3, 3] + shares[:, None] * (end[:3, 3] - start[:3, 3])
    return poses
