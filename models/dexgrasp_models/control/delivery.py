"""What another controller has lifted is carried over a box, and released there."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np

from dexgrasp_models.control.approach_plan import NoApproach, at_height
from dexgrasp_models.control.carry import CarryPlanner, HeldObject, opened
from dexgrasp_models.control.executor import ExecutorConfig
from dexgrasp_models.control.grip_watch import GripWatch
from dexgrasp_models.control.moves import PlannedMove
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import (
    Command,
    Controller,
    Observation,
    Outcome,
    OutcomeKind,
    Phase,
    RobotState,
)


class Stage(StrEnum):
    """What follows the stages of the controller that lifts."""

    CARRY = "carry"
    """The wrist goes up, across and down over the box."""
    RELEASE = "release"
    """The hand opens, and is raised a little."""


_PHASES = {Stage.CARRY: Phase.CARRY, Stage.RELEASE: Phase.RELEASE}


class Delivery:
    """A grasp, and once it has succeeded: carry, release; a `Controller`.

    A grasp that ends otherwise ends this one alike. On the way the grip is watched, against what it
    was at the end of the hold.

    Args:
        grasp: lifts, and holds until it has succeeded.
        planner: finds the way.
        config: of the moves; the carrying is as fast as the planner's settings say.
        setup: of the grasp.
    """

    def __init__(
        self,
        grasp: Controller,
        planner: CarryPlanner,
        config: ExecutorConfig,
        setup: ControllerSetup,
    ) -> None:
        self.grasp = grasp
        self._planner = planner
        self._config = config
        self._hand = setup.hand
        self._grip = GripWatch(config, setup)
        self._begun = False
        self._points: np.ndarray | None = None  # the object before the lift
        self._held: HeldObject | None = None
        self._stage: Stage | None = None  # None while the grasp goes on
        self._moves: list[PlannedMove] = []
        self._done = 0  # of them
        self._lifted_by = ""
        self._command: Command  # from the first step on
        self._outcome: Outcome | None = None

    @property
    def phase(self) -> Phase:
        """What the present stage is about."""
        return self.grasp.phase if self._stage is None else _PHASES[self._stage]

    @property
    def stage(self) -> str:
        """Name of the present stage; the last one reached when it has ended."""
        return self.grasp.stage if self._stage is None else self._stage.value

    @property
    def progress(self) -> float:
        """Fraction of the present stage that is done, in [0, 1]."""
        if self._stage is None:
            return self.grasp.progress
        if self._done == len(self._moves):
            return 1.0
        return (self._done + self._moves[self._done].progress) / len(self._moves)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended and why; None while it goes on."""
        return self._outcome

    @property
    def follows_wrist(self) -> bool:
        """Whether a person's wrist is followed, where the grasp does that at all."""
        return self._stage is None and getattr(self.grasp, "follows_wrist", True)

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        """End it now; later steps repeat the last command. The first outcome stands."""
        self._outcome = self._outcome or Outcome(kind, reason)
        self.grasp.abort(reason, kind)

    def step(self, observation: Observation) -> Command:
        """The command for this tick; after the outcome is known, one that holds still."""
        if not self._begun:
            state, self._begun = observation.state, True
            self._command = Command(state.wrist_pose.copy(), state.joints.copy())
            self._points = observation.object_points
        if self._outcome is None and self._stage is None:
            self._step_grasp(observation)
        if self._outcome is None and self._stage is not None:
            self._step_moves(observation)
        return self._command

    # The grasp

    def _step_grasp(self, observation: Observation) -> None:
        state = observation.state
        self._command = self.grasp.step(observation)
        if self._held is None and self._points is not None and self.phase is Phase.LIFT:
            self._held = HeldObject.gripped(self._points, state.wrist_pose)
        outcome = self.grasp.outcome
        if outcome is None:
            return
        if outcome.kind is not OutcomeKind.SUCCEEDED:
            self._outcome = outcome
            return
        self._lifted_by = outcome.lifted_by
        self._begin_to_carry(state)

    def _begin_to_carry(self, state: RobotState) -> None:
        command = self._command
        if self._held is None:
            self.abort("where the object is in the hand is not known: it is held where it is")
            return
        try:
            way = self._planner.way(command.wrist_target, state.joints, self._held)
        except NoApproach as error:
            self.abort(f"the object is held where it is: {error}", OutcomeKind.NO_APPROACH)
            return
        self._grip.complete(command.finger_targets, state.joints)
        c = self._planner.config
        gently = replace(
            self._config,
            transit_speed=c.speed,
            transit_acceleration=c.acceleration,
            angular_speed=c.angular_speed,
            angular_acceleration=c.angular_acceleration,
        )
        self._enter(Stage.CARRY, PlannedMove(Stage.CARRY, way, None, gently, self._hand.limits))

    # The moves

    def _enter(self, stage: Stage, *moves: PlannedMove) -> None:
        self._stage, self._moves, self._done = stage, list(moves), 0

    def _step_moves(self, observation: Observation) -> None:
        state, targets = observation.state, self._command.finger_targets
        self._outcome = self._grip.loss(targets, state, self.phase, self.stage)
        if self._outcome is not None:
            return
        move = self._moves[self._done]
        if move.progress == 0.0:  # from what is commanded: the measured fingers do not press
            joints, pose = targets, self._command.wrist_target
            observation = replace(observation, state=replace(state, joints=joints, wrist_pose=pose))
        command = move.step(observation)
        if self._stage is Stage.CARRY:
            command = replace(
                command, finger_targets=self._grip.bounded(command.finger_targets, state.joints)
            )
        self._command = command
        if move.outcome is None:
            return
        if move.outcome.kind is not OutcomeKind.SUCCEEDED:
            self._outcome = move.outcome
            return
        self._done += 1
        if self._done == len(self._moves):
            self._advance()

    def _advance(self) -> None:
        if self._stage is Stage.RELEASE:
            reason = (
                "the object was lifted, carried over the box and released; nobody looked whether it"
                " lies in there"
            )
            self._outcome = Outcome(OutcomeKind.SUCCEEDED, reason, self._lifted_by)
            return
        over = self._command.wrist_target
        up = at_height(over, self._planner.height_of_retreat(over))
        limits, fingers = self._hand.limits, opened(self._hand, self._command.finger_targets)
        self._enter(
            Stage.RELEASE,
            PlannedMove(Stage.RELEASE, [over], fingers, self._config, limits),
            PlannedMove(Stage.RELEASE, [over, up], None, self._config, limits),
        )
