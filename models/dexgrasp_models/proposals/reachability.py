"""Which grasps can be carried out: clear of object and table, in the workspace, in reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.types import Grasp

ReachCheck = Callable[[np.ndarray], str | None]
"""From a (4, 4) palm pose in ``world`` to the reason why it can't be reached, or None."""


class ArmReach:
    """Checks that an arm can bring the palm to a grasp and lift it, clear of the table.

    Args:
        arm: its kinematics.
        clearance: least distance of arm and forearm to the table, m.
        lift_height: height above the grasp that must be reachable too, m.
    """

    def __init__(
        self, arm: ArmKinematics, clearance: float = 0.01, lift_height: float = 0.2
    ) -> None:
        self._arm = arm
        self._clearance = clearance
        self._lift_height = lift_height

    def __call__(self, palm_pose: np.ndarray) -> str | None:
        """Why the (4, 4) palm pose in ``world`` can't be reached, or None."""
        joints = self._arm.ik(palm_pose)
        if joints is None:
            return "are out of the arm's reach"
        if self._arm.clearance_to_table(joints) < self._clearance:
            return "bring the arm or the forearm to the table"
        lifted = palm_pose.copy()
        lifted[2, 3] += self._lift_height
        if self._arm.track(np.stack([palm_pose, lifted]), joints) is None:
            return "can't be lifted by the arm"
        return None


class NoProposalError(RuntimeError):
    """No grasp is left; the message counts why they were rejected.

    Attributes:
        reasons: number of rejected grasps for each reason.
    """

    def __init__(self, reasons: Counter[str]) -> None:
        self.reasons = dict(reasons)
        listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        super().__init__(f"none of {reasons.total()} grasps can be carried out: {listed}")


def rejection(grasp: Grasp, config: ExecutionConfig, reach: ReachCheck | None = None) -> str | None:
    """Why a grasp can't be carried out, or None.

    Args:
        grasp: with the figures of :func:`~dexgrasp_models.proposals.rank.grasp_figures`.
        config: limits.
        reach: further check of the palm's pose, such as the arm's; asked last, being the slowest.
    """
    if grasp.figures["penetration"] > config.max_penetration:
        return "penetrate the object"
    if grasp.figures["table_clearance"] < config.min_table_clearance:
        return "reach below the table"
    x, y, z = grasp.palm_pose[:3, 3]
    if np.hypot(x, y) > config.workspace_radius or z > config.workspace_height:
        return "leave the workspace"
    return reach(grasp.palm_pose) if reach else None


def first_reachable(
    grasps: list[Grasp], count: int, config: ExecutionConfig, reach: ReachCheck | None = None
) -> list[Grasp]:
    """The first ``count`` grasps that can be carried out; later ones are not looked at.

    Raises:
        NoProposalError: there is none.
    """
    kept: list[Grasp] = []
    reasons: Counter[str] = Counter()
    for grasp in grasps:
        reason = rejection(grasp, config, reach)
        if reason is None:
            kept.append(grasp)
            if len(kept) == count:
                break
        else:
            reasons[reason] += 1
    if not kept:
        raise NoProposalError(reasons)
    return kept
