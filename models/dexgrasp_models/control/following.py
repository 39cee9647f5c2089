"""A grasp goes along with its object, if that is moved before the hand closes.

An object that is pushed along the table is, with its goal and the way there, the same scene turned
about the vertical and moved. So its controller is left in the scene of the first look: what it is
told of the wrist is brought there, and what it commands from there to where the object is. It plans
nothing anew, and any controller will do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dexgrasp_models.control.types import (
    Command,
    Controller,
    Observation,
    Outcome,
    OutcomeKind,
    Phase,
)
from dexgrasp_models.control.wrapped import WrappedController
from dexgrasp_models.parameters import flag, parameter
from dexgrasp_models.perception.object_tracker import ObjectTracker, Track, TrackerConfig

_LONGEST_STEP = 0.1
"""Seconds by which one state advances the motion at most."""


@dataclass(frozen=True)
class FollowConfig(TrackerConfig):
    """When and how a goal goes along; what is believed of the object is `TrackerConfig`'s."""

    enabled: bool = flag(
        False,
        "take the goal along where the object is moved before the hand closes; perception has to"
        " stream clouds (stream_rate)",
    )
    until: float = parameter(
        0.05, 0.0, 0.5, "m", "of the palm from the grasp, from where on the goal stays"
    )
    threshold: float = parameter(
        0.002, 0.0, 0.05, "m", "that the object must have moved for the goal to go along"
    )
    threshold_angle: float = parameter(0.03, 0.0, 0.5, "rad", "likewise")
    speed: float = parameter(0.2, 0.01, 0.6, "m/s", "of the goal at most")
    angular_speed: float = parameter(0.8, 0.05, 2.5, "rad/s", "of the goal at most")


class Following:
    """Where the goal is, by what is seen of the object.

    `see` may be called from another thread than the rest.

    Args:
        cloud: (N, 3) m in `world`, of the object when the goal was chosen.
        goal: (4, 4) of `rh_palm` in `world`, as it was chosen.
        config: when and how.

    Raises:
        ValueError: as of `ObjectTracker`.
    """

    def __init__(
        self, cloud: np.ndarray, goal: np.ndarray, config: FollowConfig | None = None
    ) -> None:
        self._config = config or FollowConfig()
        self._tracker = ObjectTracker(cloud, self._config)
        self._goal = goal
        self._wanted = self._present = np.zeros(3)
        self._over = False
        self._motion = np.eye(4)
        self.problem = ""
        """Why the goal can't be followed; empty where it can."""
        self.doubt = ""
        """Why the newest cloud was not believed; empty where it was."""

    @property
    def motion(self) -> np.ndarray:
        """(4, 4) in `world`, by which the goal has moved by now."""
        return self._motion.copy()

    @property
    def over(self) -> bool:
        """Whether the goal stays from now on."""
        return self._over

    def moved(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) of the object in `world` as the goal was chosen, where they are now."""
        return points @ self._motion[:3, :3].T + self._motion[:3, 3]

    def miss(self, reason: str) -> None:
        """No cloud comes, and why."""
        if not self._over:
            self.doubt = reason

    def explained(self, outcome: Outcome) -> Outcome:
        """A failure, whose reason says so where the goal could not go along at the end."""
        if outcome.kind is OutcomeKind.SUCCEEDED or self.problem or not self.doubt:
            return outcome
        return replace(outcome, reason=f"{outcome.reason}; the goal had stayed: {self.doubt}")

    def see(self, points: np.ndarray) -> Track | None:
        """What a cloud (M, 3) m in `world` of what stands on the table tells; None once the goal
        stays."""
        if self._over:
            return None
        track = self._tracker.update(points)
        if track.too_far:
            self.problem = track.reason
        self.doubt = track.reason
        way = track.moved - self._wanted
        if (
            np.hypot(*way[:2]) > self._config.threshold
            or abs(way[2]) > self._config.threshold_angle
        ):
            self._wanted = track.moved
        return track

    def advance(self, elapsed: float, wrist: np.ndarray, *, stays: bool = False) -> np.ndarray:
        """The goal's motion, (4, 4), some seconds later.

        Args:
            elapsed: s since the last time.
            wrist: (4, 4) of `rh_palm` in `world`, measured.
            stays: whether the hand has begun to close.
        """
        here = self._motion @ self._goal
        near = np.linalg.norm(wrist[:3, 3] - here[:3, 3]) < self._config.until
        self._over = self._over or stays or bool(near)
        if not self._over:
            way = self._wanted - self._present
            allowed = np.array([self._config.speed, self._config.angular_speed]) * elapsed
            needed = np.array([np.hypot(*way[:2]), abs(way[2])])
            shares = np.minimum(1.0, allowed / np.maximum(needed, 1e-12))
            self._present = self._present + way * shares[[0, 0, 1]]
            self._motion = self._tracker.motion(self._present)
        return self.motion


class FollowedObject(WrappedController):
    """Another controller's grasp, of an object that may be moved; a `Controller`.

    Args:
        controller: of the scene as it was at first.
        following: where the object is now.
    """

    def __init__(self, controller: Controller, following: Following) -> None:
        super().__init__(controller)
        self._following = following
        self._latest: float | None = None

    def step(self, observation: Observation) -> Command:
        """The command for this tick, where the object is now."""
        state, following = observation.state, self._following
        elapsed = 0.0 if self._latest is None else state.time - self._latest
        self._latest = state.time
        if following.problem and not following.over:
            self.abort(following.problem)
        closes = self.phase is not Phase.REACH
        motion = following.advance(
            float(np.clip(elapsed, 0.0, _LONGEST_STEP)), state.wrist_pose, stays=closes
        )
        at_first = replace(state, wrist_pose=np.linalg.inv(motion) @ state.wrist_pose)
        command = self._controller.step(replace(observation, state=at_first))
        return replace(command, wrist_target=motion @ command.wrist_target)
