"""What counts as success in the goal-conditioned task, how near the goal, and where it is lost.

UniDexGrasp, C.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dexgrasp_models.tasks.goal_config import GoalConfig

REACHED = 0.03
"""m, mean distance of the keypoints to the goal's, within which the hand has come to the grasp."""
RAISED = 0.02
"""m, by which an object is off the table for sure."""
SLACK = 0.01
"""m, by which an object may sink in a hand that still rises."""


@dataclass(frozen=True, eq=False)
class GoalVerdicts:
    """Whether each of N episodes has succeeded."""

    paper: np.ndarray
    """(N,) after the last step the object is at its target."""
    latched: np.ndarray
    """(N,) after any step it was."""
    strict: np.ndarray | None
    """(N,) it is after the last step, and stays so under the push; None where there was none."""


def goal_verdicts(distances: np.ndarray, config: GoalConfig) -> GoalVerdicts:
    """By the distances of objects to their targets.

    Args:
        distances: (T, N) m, after each step of the episode, and of the hold where there was one.
            NaN of unstable physics is no success.
        config: of the task.

    Raises:
        ValueError: the episode isn't over, or the hold has begun and isn't.
    """
    steps, horizon = len(distances), config.horizon
    if steps not in (horizon, horizon + config.hold_steps):
        raise ValueError(
            f"{steps} steps are no episode: it has {horizon}, and {config.hold_steps} of a hold"
        )
    there: np.ndarray = np.asarray(distances) < config.tolerance
    return GoalVerdicts(
        paper=there[horizon - 1],
        latched=np.any(there[:horizon], axis=0),
        strict=np.all(there[horizon - 1 :], axis=0) if steps > horizon else None,
    )


class Lost(StrEnum):
    """In which phase an episode was lost, in the order of a grasp."""

    NOWHERE = "nowhere"
    """It was not lost."""
    REACH = "reach"
    """The hand never came to the grasp."""
    GRIP = "grip"
    """It did, and the object never left the table."""
    LIFT = "lift"
    """The object left the table, and was lost on its way up."""
    LATE = "late"
    """It still was in the rising hand when the steps were over."""
    HOLD = "hold"
    """It was at its target, and didn't stay there."""


def lost_in(
    success: np.ndarray, latched: np.ndarray, keypoint_errors: np.ndarray, rises: np.ndarray
) -> list[Lost]:
    """In which phase N episodes were lost.

    Args:
        success: (N,) by the paper's rule.
        latched: (N,) whether the object was ever at its target.
        keypoint_errors: (T, N) of `mean_position_errors` after each step, m.
        rises: (T, N) by which the object is above its start then, m.
    """
    reached = (keypoint_errors < REACHED).any(axis=0)
    raised = (rises > RAISED).any(axis=0)
    kept = rises[-1] > np.maximum(RAISED, rises.max(axis=0) - SLACK)
    found = np.select(
        [success, latched, raised & kept, raised, reached],
        [Lost.NOWHERE, Lost.HOLD, Lost.LATE, Lost.LIFT, Lost.GRIP],
        Lost.REACH,
    )
    return [Lost(str(each)) for each in found]


def mean_position_errors(keypoints: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """MPE (Eq. 11): (N,) m, mean distance of the hand's joints to the goal's.

    Args:
        keypoints: (N, J, 3) of the hand in the object's frame, m.
        goals: (N, J, 3) of the goal, likewise.
    """
    return np.linalg.norm(keypoints - goals, axis=2).mean(axis=1)
