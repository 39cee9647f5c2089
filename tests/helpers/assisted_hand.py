"""A hand that follows the controller `graspgf` at once, an object in it, and a person's wrist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import Command, Observation, RobotState
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_controller import AssistController
from dexgrasp_models.tasks.assist_controller_config import AssistControllerConfig
from dexgrasp_models.tasks.assist_observation import AssistObservation

PERIOD = 0.02
HAND = load_hand()
BALL = np.array([0.0, 0.0, 0.05])
"""Centre of the object, m."""
START = np.array([-0.3, 0.0, 0.3])
AT_BALL = np.array([-0.08, 0.0, 0.1])


def ball(points: int = 300, seed: int = 0) -> np.ndarray:
    """(N, 3) on a sphere of 3 cm."""
    found = np.random.default_rng(seed).normal(size=(points, 3))
    return BALL + 0.03 * found / np.linalg.norm(found, axis=1, keepdims=True)


def pose(position: np.ndarray) -> np.ndarray:
    """(4, 4), not turned."""
    found = np.eye(4)
    found[:3, 3] = position
    return found


class Closing:
    """A policy that closes all actuators as fast as it may, and remembers what it saw."""

    def __init__(self, action: float = 1.0) -> None:
        self.action = action
        self.begun = 0
        self.seen: list[AssistObservation] = []

    def begin(self, count: int) -> None:
        assert count == 1
        self.begun += 1

    def actions(self, seen: AssistObservation) -> np.ndarray:
        self.seen.append(seen)
        return np.full((1, len(HAND.actuators)), self.action)


def reach(time: float) -> np.ndarray:
    """(4, 4) of a person's wrist: to the ball in 2 s, at rest until 5 s, up by 0.3 m until 7 s."""
    there, up = np.clip(time / 2.0, 0.0, 1.0), np.clip((time - 5.0) / 2.0, 0.0, 1.0)
    return pose(START + there * (AT_BALL - START) + [0.0, 0.0, 0.3 * up])


class AssistedHand:
    """Steps a controller, tick by tick.

    Attributes:
        policy: its policy.
        change: makes another observation of one, to spoil it.
        close_wanted: a button is pressed that closes the hand.
        stops: (22,) joints at which the object stops the fingers, rad; None: there is none.
        log: stage, time and command of each tick.
    """

    def __init__(
        self,
        policy: Any = None,
        person: Callable[[float], np.ndarray] = reach,
        setup: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        **config: Any,
    ) -> None:
        self.policy = policy or Closing()
        self.controller = AssistController(
            AssistControllerConfig(**(settings or {}), **config),
            ControllerSetup(PERIOD, **(setup or {})),
            policy=lambda *_: self.policy,
        )
        self.person = person
        self.change: Callable[[Observation], Observation] = lambda observation: observation
        self.stops: np.ndarray | None = np.full(22, 0.5)
        self.time, self.wrist, self.joints = 0.0, pose(START), np.zeros(22)
        self.close_wanted = False
        self.log: list[tuple[str, float, Command]] = []

    def tick(self) -> Command:
        state = RobotState(3.0 + self.time, self.wrist, self.joints, np.zeros(22))
        seen = Observation(
            state,
            object_points=ball(),
            wrist_wanted=self.person(self.time),
            wrist_time=state.time,
            close_wanted=self.close_wanted,
        )
        command = self.controller.step(self.change(seen))
        self.log.append((self.controller.stage, self.time, command))
        self.wrist = command.wrist_target
        stops = np.full(22, np.inf) if self.stops is None else self.stops
        self.joints = np.minimum(command.finger_targets, stops)
        self.time += PERIOD
        return command

    def until(self, time: float) -> None:
        """Ticks up to a time, s, or the outcome."""
        while self.time < time - 1e-9 and self.controller.outcome is None:
            self.tick()

    def finish(self) -> None:
        """Ticks up to the outcome."""
        self.until(60.0)
        assert self.controller.outcome is not None, self.controller.stage

    def began(self, stage: str) -> float:
        """When a stage began, s."""
        return next(time for each, time, _ in self.log if each == stage)


def late(seconds: float) -> Callable[[Observation], Observation]:
    """Observations whose wrist is older by some seconds than the person's clock says."""

    def change(observation: Observation) -> Observation:
        assert observation.wrist_time is not None
        return replace(observation, wrist_time=observation.wrist_time - seconds)

    return change
