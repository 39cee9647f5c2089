"""A person's wrist where nobody is at hand: to where a reach starts, the reach, rest, and up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Slerp

from dexgrasp_models.control.moves import way_home
from dexgrasp_models.control.trajectory import MotionBounds, PosePath, interpolate_pose
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.pattern_files import read_recording
from dexgrasp_models.tasks.wrist_paths import fingertip_centers, wrist_paths
from dexgrasp_models.tasks.wrist_patterns import PatternError, WristPatterns


@dataclass(frozen=True)
class PlayConfig(Parameters):
    """How fast what is played, and when the wrist is raised."""

    speed: float = parameter(1.0, 0.1, 3.0, "", "of the reach; 1: that of the task")
    wait: float = parameter(0.5, 0.0, 10.0, "s", "at rest before it moves")
    travel_speed: float = parameter(0.3, 0.02, 0.6, "m/s", "to where the reach starts")
    travel_acceleration: float = parameter(1.0, 0.1, 5.0, "m/s^2", "likewise")
    turning_speed: float = parameter(1.5, 0.1, 2.5, "rad/s", "of the wrist before the reach")
    travel_margin: float = parameter(
        0.03, 0.0, 0.2, "m", "clearance of the travelling hand above all that stands on the table"
    )
    rest: float = parameter(
        6.0, 0.0, 60.0, "s", "at the grasp: longer than the hand takes to close"
    )
    rise: float = parameter(0.25, 0.0, 0.5, "m", "by which the wrist is raised then")
    rise_speed: float = parameter(0.2, 0.01, 0.5, "m/s", "at which it is")


class PlayedWrist:
    """Poses of the wrist over time; rests where it starts, and where it ends.

    Args:
        start: (4, 4) of `rh_palm` in `world`, where the robot has it now.
        reach: (T, 4, 4) at the task's steps, as of `wrist_paths`.
        obstacles: (N, 3) points of what stands on the table, in `world`, m.
        config: how fast, and how long.
        task: whose rate the reach has.
        highest: height that the palm must not exceed on the way to the reach, m.
    """

    def __init__(
        self,
        start: np.ndarray,
        reach: np.ndarray,
        obstacles: np.ndarray,
        config: PlayConfig,
        task: AssistConfig,
        highest: float,
    ) -> None:
        travel = MotionBounds(
            config.travel_speed, config.travel_acceleration, config.turning_speed, 6.0
        )
        way = way_home(start, reach[0], obstacles, config.travel_margin, highest)
        up = reach[-1].copy()
        up[2, 3] += config.rise
        rising = MotionBounds(config.rise_speed, config.travel_acceleration, 1.0, 1.0)
        self._travel = PosePath(way, travel)
        self._reach = reach
        self._step = 1.0 / (task.rate * config.speed)
        self._rise = PosePath([reach[-1], up], rising)
        self._begins = config.wait
        self._reaches = self._begins + self._travel.duration
        self._arrives = self._reaches + self._step * (len(reach) - 1)
        self._rises = self._arrives + config.rest

    @property
    def waypoints(self) -> Sequence[np.ndarray]:
        """(4, 4) poses between which it moves straight, in order."""
        return [*self._travel.waypoints, *self._reach, *self._rise.waypoints]

    @property
    def arrives(self) -> float:
        """Seconds from the start to the grasp."""
        return self._arrives

    @property
    def duration(self) -> float:
        """Seconds from the start until it is up."""
        return self._rises + self._rise.duration

    def pose(self, time: float) -> np.ndarray:
        """(4, 4) of `rh_palm` in `world`, `time` s after the start."""
        if time < self._reaches:
            return self._travel.pose(time - self._begins)
        if time >= self._rises:
            return self._rise.pose(time - self._rises)
        last = len(self._reach) - 1
        place = min((time - self._reaches) / self._step, float(last))
        before = min(int(place), last - 1)
        return interpolate_pose(self._reach[before], self._reach[before + 1], place - before)


def reach_to(
    grasp: Grasp,
    patterns: WristPatterns,
    hand: HandSpec,
    task: AssistConfig,
    rng: np.random.Generator,
) -> np.ndarray:
    """(T, 4, 4) poses of a reach to a grasp, drawn of patterns as they are; T is the horizon."""
    goals, joints = grasp.palm_pose[None], grasp.joints[None]
    fingertips = fingertip_centers(hand, goals, joints)
    return wrist_paths(patterns.drawn(1, rng), goals, fingertips, rng, task.horizon)[0]


def recorded_reach(path: Path, task: AssistConfig) -> np.ndarray:
    """(T, 4, 4) poses of a recording in `world`, at the task's steps; the last one is its last.

    Raises:
        PatternError: the file is cut short or foreign, a pose makes no sense, or there is one only.
        OSError: it can't be opened.
    """
    reach = read_recording(path)
    if len(reach.times) < 2:
        raise PatternError(f"{path}: holds a single pose")
    elapsed = reach.times - reach.times[0]
    steps = max(2, int(np.ceil(elapsed[-1] * task.rate - 1e-6)) + 1)
    times = np.minimum(np.arange(steps) / task.rate, elapsed[-1])
    poses = np.tile(np.eye(4), (steps, 1, 1))
    poses[:, :3, :3] = Slerp(elapsed, reach.rotations)(times).as_matrix()
    poses[:, :3, 3] = np.stack(
        [np.interp(times, elapsed, column) for column in reach.positions.T], axis=1
    )
    return poses
