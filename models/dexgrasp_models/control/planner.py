"""From ranked grasps to a planned one: what the control node and the runs without ROS do alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.approach_plan import ApproachPlan
from dexgrasp_models.control.choose import plan_best
from dexgrasp_models.control.config import ControlConfig
from dexgrasp_models.hand.spec import HandSpec, load_hand
from dexgrasp_models.synthesis.types import Grasp

ARM_CLEARANCE = 0.01
"""Metres that arm and forearm keep from the table."""


class GraspPlanner:
    """Plans the approach of the best grasp that has one.

    Args:
        config: of which approach, lift height and workspace are used.
        arm: carries the hand; without it the hand is free.
        hand: by default the Shadow Hand.
    """

    def __init__(
        self,
        config: ControlConfig,
        arm: ArmKinematics | None = None,
        hand: HandSpec | None = None,
    ) -> None:
        self._config = config
        self._arm = arm
        self._hand = hand or load_hand()

    def load(self) -> None:
        """Loads what planning alone needs; otherwise `plan` does, which then takes seconds more."""
        _ = self._plan_approach

    @cached_property
    def _plan_approach(self) -> Callable[..., ApproachPlan]:
        # PyTorch comes with these, and takes longer to load than all the rest of a control node.
        from dexgrasp_models.control.approach import plan_approach
        from dexgrasp_models.hand.distance import HandDistance
        from dexgrasp_models.hand.kinematics import HandKinematics

        return partial(
            plan_approach,
            distance=HandDistance(HandKinematics(self._hand)),
            config=self._config.approach,
            lift_height=self._config.executor.lift_height,
        )

    def plan(
        self,
        grasps: Sequence[Grasp],
        object_points: np.ndarray,
        scene_points: np.ndarray,
        wrist_pose: np.ndarray,
        arm_joints: np.ndarray | None = None,
    ) -> ApproachPlan:
        """The plan for the first of ``grasps`` that can be approached.

        Args:
            grasps: best first.
            object_points: (N, 3) in `world`, m.
            scene_points: (M, 3) in `world`, m.
            wrist_pose: (4, 4) present pose of `rh_palm` in `world`.
            arm_joints: (6,) present joints of the arm, rad; its home ones by default.

        Raises:
            NoApproach: none can be approached.
        """
        return plan_best(
            grasps,
            partial(
                self._plan_approach,
                object_points=object_points,
                scene_points=scene_points,
                start_pose=wrist_pose,
                reachable=partial(self.is_reachable, arm_joints),
            ),
        )

    def is_reachable(self, arm_joints: np.ndarray | None, path: Sequence[np.ndarray]) -> bool:
        """Whether the palm may go through poses: in the workspace, and within the arm's reach.

        Args:
            arm_joints: (6,) present joints of the arm, rad; None where there is no arm.
            path: (4, 4) palm poses in `world`.
        """
        limits = self._config.limits
        positions = np.array([pose[:3, 3] for pose in path])
        if np.any(positions < limits.workspace_low) or np.any(positions > limits.workspace_high):
            return False
        return self._arm is None or self._arm.reachable(path, arm_joints, ARM_CLEARANCE)
