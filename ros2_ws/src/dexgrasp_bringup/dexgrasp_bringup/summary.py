"""What came of a grasp, by the simulator's true poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dexgrasp_bringup.graph import SimulationOptions
from dexgrasp_bringup.recording import Moment, at_wall_time

MOTION = (
    *("pregrasp", "approach", "close", "squeeze", "lift", "hold", "place", "release"),
    *("follow", "assist", "carry"),
)
"""The stages in which the robot moves; the last three where it follows a person's wrist."""


@dataclass(frozen=True)
class Interval:
    """When a stage was; seconds of wall time, of the monotonic clock."""

    stage: str
    start: float
    end: float


def motion_of(intervals: Sequence[Interval]) -> tuple[float, float] | None:
    """Start and end of the motion, None if there was none."""
    moving = [interval for interval in intervals if interval.stage in MOTION]
    return (moving[0].start, moving[-1].end) if moving else None


def summarise(
    options: SimulationOptions,
    intervals: Sequence[Interval],
    moments: Sequence[Moment],
    outcome: str,
    reason: str,
) -> dict[str, Any]:
    """The content of ``result.json``.

    ``success`` needs all: the object is raised by `LIFTED_HEIGHT` at the end of the hold, comes to
    rest in the box where there is one, and the control node was content to the end.
    """
    from dexgrasp_models.metrics.grasp_execution import LIFTED_HEIGHT

    lift = _lift_height(intervals, moments)
    in_box = _is_in_box(options, moments) if options.assist else None
    last_pose = moments[-1].snapshot.object_pose.ravel().tolist() if moments else None
    return {
        "success": lift >= LIFTED_HEIGHT and in_box is not False and outcome == "succeeded",
        "outcome": outcome,
        "reason": reason,
        "object": options.object,
        "scale": options.scale,
        "seed": options.seed,
        "scene": options.scene,
        "mode": options.mode,
        "lift_height_m": round(lift, 4),
        "in_box": in_box,
        "stages": [
            {"stage": interval.stage, "seconds": round(interval.end - interval.start, 3)}
            for interval in intervals
        ],
        "real_time_factor": _real_time_factor(intervals, moments),
        "final_object_pose": last_pose,
    }


def _lift_height(intervals: Sequence[Interval], moments: Sequence[Moment]) -> float:
    """How far (m) the object was above its first place at the end of the hold, or at last."""
    if not intervals or not moments:
        return 0.0
    holds = [interval.end for interval in intervals if interval.stage == "hold"]
    judged = moments[at_wall_time(moments, holds[0] if holds else intervals[-1].end)]
    return judged.object_height - moments[0].object_height


def _is_in_box(options: SimulationOptions, moments: Sequence[Moment]) -> bool:
    """Whether the object lies in the box at last, and has come to rest."""
    from dexgrasp_models.objects import load_object
    from dexgrasp_sim.box import AT_REST, is_in_box

    if len(moments) < 2:
        return False
    before, last = (moment.snapshot for moment in moments[-2:])
    way = np.linalg.norm(last.object_pose[:3, 3] - before.object_pose[:3, 3])
    at_rest = bool(way <= AT_REST * (last.time - before.time))
    return at_rest and is_in_box(load_object(options.object, options.scale), last.object_pose)


def _real_time_factor(intervals: Sequence[Interval], moments: Sequence[Moment]) -> float | None:
    """Simulated by wall time from the first motion to the last; None without motion."""
    motion = motion_of(intervals)
    if motion is None or not moments:
        return None
    first, last = (moments[at_wall_time(moments, time)] for time in motion)
    if last.wall_time <= first.wall_time:
        return None
    simulated = last.snapshot.time - first.snapshot.time
    return round(simulated / (last.wall_time - first.wall_time), 3)
