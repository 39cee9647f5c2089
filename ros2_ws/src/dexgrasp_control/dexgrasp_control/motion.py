"""A motion that the control node is carrying out: a grasp, or a move of wrist and fingers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dexgrasp_control.wrist_input import WristInput
from dexgrasp_models.control.lift_check import Sight
from dexgrasp_models.control.limits import GuardedController
from dexgrasp_models.control.types import Command, Observation, Phase, RobotState


class Motion:
    """What belongs to one motion, from its first command to letting go.

    Args:
        controller: steps with the measured states.
        sight: where the cameras' word on the lift is awaited; None: it isn't.
        held_targets: (22,) finger targets, rad, that grip an object: the motion starts from these,
            as the measured angles do not press. None: from the measured angles.
        observe: makes the controller's observation of a measured state.
        told: called with each state after the controller has been stepped with it.
        wrist: a person's, where the controller follows one.

    Attributes:
        controller: steps with the measured states.
        sight: where the cameras' word on the lift is awaited; None: it isn't.
        answered_ns: stamp of the last state that was answered.
        withheld: stamp and state whose answer waits for the cameras' word, in lock-step.
        palm_before_lift: (4, 4) measured when the lift began.
        ended: set once the robot has been let go.
    """

    def __init__(
        self,
        controller: GuardedController,
        sight: Sight | None = None,
        held_targets: np.ndarray | None = None,
        observe: Callable[[RobotState], Observation] = Observation,
        told: Callable[[RobotState], None] = lambda state: None,
        wrist: WristInput | None = None,
    ) -> None:
        self._held_targets = held_targets
        self._observe = observe
        self._told = told
        self._wrist = wrist
        self.controller = controller
        self.sight = sight
        self.answered_ns = -1
        self.withheld: tuple[int, RobotState] | None = None
        self.palm_before_lift: np.ndarray | None = None
        self.ended = threading.Event()

    @property
    def waits_for_sight(self) -> bool:
        """Whether the hold is over but for the cameras' word."""
        return self.sight is not None and self.sight.due and self.sight.pending

    def lacks_wrist(self, ns: int) -> bool:
        """Whether the wrist that a person makes of the measured one of a stamp is still to come."""
        wrist = self._wrist if self.controller.follows_wrist else None
        return wrist is not None and wrist.stamp < ns

    def step(self, state: RobotState, now: float) -> Command | None:
        """The command for a measured state, at ``now`` on the clock of its stamp, s."""
        if self._held_targets is not None:
            state, self._held_targets = replace(state, joints=self._held_targets), None
        command = self.controller.step(self._observe(state), now)
        if self.palm_before_lift is None and self.controller.phase is Phase.LIFT:
            self.palm_before_lift = state.wrist_pose
        self._told(state)
        return command
