"""A person's wrist as it comes, pose by pose: which to follow, and when to stop following."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dexgrasp_models.control.limits import is_pose
from dexgrasp_models.control.trajectory import pose_distance
from dexgrasp_models.control.types import Observation
from dexgrasp_models.parameters import Parameters, parameter


@dataclass(frozen=True)
class WristStreamConfig(Parameters):
    """Which poses of a person's wrist are followed."""

    hold_after: float = parameter(
        0.1, 0.02, 5.0, "s", "hand and wrist hold while the newest pose is older"
    )
    lost_after: float = parameter(
        1.0, 0.05, 60.0, "s", "the grasp ends where no pose could be followed for so long"
    )
    ahead: float = parameter(
        0.1, 0.0, 5.0, "s", "a pose stamped farther ahead of the measured state is refused"
    )
    most_jump: float = parameter(
        0.08, 0.001, 1.0, "m", "a pose farther from the last one is refused; the first one from"
        " the robot's wrist"
    )  # fmt: skip
    most_turn: float = parameter(0.5, 0.01, 3.2, "rad", "one that is turned by more, likewise")
    tracking_distance: float = parameter(
        0.25, 0.02, 1.0, "m", "the grasp ends where the robot's wrist is farther behind"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hold_after < self.lost_after:
            raise ValueError(
                f"WristStreamConfig.lost_after = {self.lost_after} s has to be more than"
                f" hold_after = {self.hold_after} s"
            )


class WristStream:
    """Takes the pose of each observation, and refuses what no wrist does.

    A refused pose is not followed; where none can be followed for `lost_after`, `lost` tells why.

    Args:
        config: which poses are followed.

    Attributes:
        pose: (4, 4) of `rh_palm` in `world`, the last one that may be followed; the robot's own
            before the first.
        fresh: whether it is to be followed now; else hand and wrist hold.
        remark: why not, in words; empty while it is.
    """

    def __init__(self, config: WristStreamConfig) -> None:
        self._config = config
        self._time: float | None = None  # of the pose
        self._followed: float | None = None  # the last state at which it was fresh
        self.pose = np.eye(4)
        self.fresh = False
        self.remark = ""

    def take(self, observation: Observation) -> None:
        """Takes in the wrist that is wanted at this tick, if it may be followed."""
        now = observation.state.time
        if self._followed is None:
            self.pose, self._followed = observation.state.wrist_pose.copy(), now
        refusal = self._refusal(observation)
        if refusal is None and observation.wrist_wanted is not None:
            self.pose = np.array(observation.wrist_wanted, dtype=float)
            self._time = _stamp(observation)
        age = np.inf if self._time is None else now - self._time
        self.fresh = age <= self._config.hold_after
        if self.fresh:
            self._followed, self.remark = now, ""
        else:
            self.remark = refusal or (
                "no pose of the person's wrist has come"
                if self._time is None
                else f"the person's wrist is {age:.2f} s old"
            )

    def lost(self, observation: Observation) -> str | None:
        """Why the person can't be followed any more, or None."""
        state = observation.state
        if self._followed is None:
            return None
        silence = state.time - self._followed
        if silence > self._config.lost_after:
            return f"the person's wrist could not be followed for {silence:.2f} s: {self.remark}"
        distance, _ = pose_distance(self.pose, state.wrist_pose)
        if distance > self._config.tracking_distance:
            return (
                f"the robot's wrist is {distance:.3f} m behind the person's; "
                "something is in its way or the arm does not follow"
            )
        return None

    def _refusal(self, observation: Observation) -> str | None:
        """Why the wrist wanted of an observation is not followed, or None; an old one may come."""
        wanted = observation.wrist_wanted
        if wanted is None:
            return None
        if not is_pose(wanted):
            return "the person's wrist is no finite rigid transform"
        stamp = _stamp(observation)
        if not np.isfinite(stamp):
            return "the time of the person's wrist is not finite"
        ahead = stamp - observation.state.time
        if ahead > self._config.ahead:
            return f"the person's wrist is stamped {ahead:.2f} s ahead of the measured state"
        if self._time is not None and stamp < self._time:
            return f"the person's wrist is out of order: {self._time - stamp:.3f} s before the last"
        distance, angle = pose_distance(self.pose, wanted)
        if distance > self._config.most_jump or angle > self._config.most_turn:
            origin = "is off the robot's" if self._time is None else "jumped"
            return f"the person's wrist {origin} by {distance:.3f} m and {angle:.2f} rad"
        return None


def _stamp(observation: Observation) -> float:
    """When the wrist wanted was there, s; as of now where that is not told."""
    stamp = observation.wrist_time
    return observation.state.time if stamp is None else stamp
