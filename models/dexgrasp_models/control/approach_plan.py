"""What is tried for the way to a grasp, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.synthesis.types import Grasp


class NoApproach(Exception):
    """There is no way to the grasp; the message says what is in the way."""


@dataclass(frozen=True)
class ApproachConfig(Parameters):
    """What is tried, and what clearance is asked for."""

    directions: int = parameter(60, 1, 1000, "", "directions tried, over the upper half sphere")
    distance: float = parameter(0.12, 0.02, 0.4, "m", "from the pre-grasp to the grasp")
    deeper: float = parameter(
        0.0,
        0.0,
        0.03,
        "m",
        "by which the palm goes on from a grasp, as it faces, or less where the way is blocked",
    )
    steps: int = parameter(11, 2, 100, "", "distances checked on the way")
    openings: tuple[float, ...] = parameter(
        (0.6, 1.2, 2.0),
        0.0,
        5.0,
        "",
        "openings tried, in units of the proposal's own",
        any_length=True,
    )
    points: int = parameter(
        96, 8, 4096, "", "points of the object, and of the scene, to which all ways are judged"
    )
    fine_points: int = parameter(512, 8, 4096, "", "points to which the best ways are judged again")
    margin: float = parameter(0.012, 0.0, 0.1, "m", "clearance wanted far from the grasp")
    margin_slope: float = parameter(
        0.3, 0.0, 5.0, "", "clearance wanted near the grasp, for each metre from it"
    )
    touch_depth: float = parameter(
        0.005, 0.0, 0.03, "m", "deepest overlap with the noisy cloud that is tolerated"
    )
    table_margin: float = parameter(0.004, 0.0, 0.05, "m", "clearance wanted from the table")
    table_depth: float = parameter(0.005, 0.0, 0.02, "m", "overlap with the table tolerated")
    palm_preference: float = parameter(
        0.002, 0.0, 0.1, "m", "cost of coming from elsewhere than behind palm and fingers"
    )
    top_preference: float = parameter(
        0.002, 0.0, 0.1, "m", "cost of coming from the side instead of from above"
    )
    travel_margin: float = parameter(
        0.03, 0.0, 0.2, "m", "clearance of the travelling hand above all that stands on the table"
    )
    attempts: int = parameter(
        16, 1, 10000, "", "best ways that are judged again, and tried before giving up"
    )


@dataclass(frozen=True)
class ApproachPlan:
    """A grasp with a checked way to it and away from it."""

    grasp: Grasp
    open_joints: np.ndarray
    """(22,) finger joint angles on the way, rad."""
    pregrasp_pose: np.ndarray
    """(4, 4) palm pose in `world` from which the hand moves straight to the grasp."""
    travel_height: float
    """Palm height, m, above which the hand may move and turn freely."""
    clearance: float
    """Least signed distance from the open hand to the object's points on the way, m."""
    cost: float
    """What the way was chosen by, m; comparable between grasps."""

    def transit(self, start: np.ndarray) -> list[np.ndarray]:
        """Palm poses from ``start`` to the pre-grasp: up, across while turning, down."""
        height = max(self.travel_height, start[2, 3], self.pregrasp_pose[2, 3])
        above = at_height(self.pregrasp_pose, height)
        return [start, at_height(start, height), above, self.pregrasp_pose]

    def retreat(self, start: np.ndarray) -> list[np.ndarray]:
        """Palm poses from ``start`` at the grasp back along the approach, and up."""
        back = start.copy()
        back[:3, 3] += self.pregrasp_pose[:3, 3] - self.grasp.palm_pose[:3, 3]
        return [start, back, at_height(back, max(self.travel_height, back[2, 3]))]


def at_height(pose: np.ndarray, height: float) -> np.ndarray:
    raised = pose.copy()
    raised[2, 3] = height
    return raised
