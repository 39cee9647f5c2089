"""The grip from the closing to the verdict, alike for all controllers that lift an object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dexgrasp_models.control.grip import Grip
from dexgrasp_models.control.lift_check import LiftVerdict, felt_lift
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import Outcome, OutcomeKind, Phase, RobotState
from dexgrasp_models.parameters import Parameters, parameter


@dataclass(frozen=True)
class GripConfig(Parameters):
    """How hard the fingers press at most, and when nothing is in the hand any more."""

    target_lead: float = parameter(
        0.35, 0.05, 1.0, "rad", "most that a finger target runs ahead of its measured joint"
    )
    empty_grip: float = parameter(
        0.1, 0.0, 2.0, "rad", "grip after the squeeze below which nothing is in the hand"
    )
    lost_fraction: float = parameter(
        0.3, 0.0, 0.95, "", "part of the grip after the squeeze below which the object is lost"
    )
    lost_time: float = parameter(0.1, 0.0, 1.0, "s", "how long the grip must seem lost")


class GripWatch:
    """Bounds the fingers' press, watches the grip (see `Grip`), and says whether it lifted.

    Load and lead are those of the actuators, of which the coupled hand has 18 and the independent
    one 22.

    Args:
        config: thresholds.
        setup: the hand, and what counts as lifted.
    """

    def __init__(self, config: GripConfig, setup: ControllerSetup) -> None:
        self._config = config
        self._lift_check = setup.lift_check
        self._sight = setup.sight
        hand, coupled = setup.hand, setup.coupled
        independent = np.eye(len(hand.finger_joints))
        self._joint_limits = hand.limits
        self._to_actuators = hand.reduction if coupled else independent
        self._to_joints = hand.expansion if coupled else independent
        actuators = hand.actuators if coupled else hand.finger_joints
        self._grip = Grip(self._to_actuators, np.array(["TH" in name for name in actuators]))
        self._lifted_grip = (np.inf, np.inf)
        self._lost_since: float | None = None

    def bounded(self, targets: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """(22,) targets within the joint limits and at most `target_lead` ahead of the actuators.

        The lead bounds the force. A target beyond a limit would look like a load at that limit.
        """
        lead = self._to_actuators @ (targets - joints)
        bounded = np.clip(lead, -self._config.target_lead, self._config.target_lead)
        targets = targets - self._to_joints @ (lead - bounded)
        return np.clip(targets, *self._joint_limits.T)

    def begin(self, targets: np.ndarray, joints: np.ndarray) -> None:
        """The squeeze begins: what the (22,) joints are short of their targets now is no grip."""
        self._grip.begin(targets, joints)

    def complete(self, targets: np.ndarray, joints: np.ndarray) -> Outcome | None:
        """The hand has closed: what the grip is now, it has to stay. The end, where it is none."""
        self._grip.complete(targets, joints)
        if self._grip.full < self._config.empty_grip:
            return Outcome(OutcomeKind.SLIPPED, "the fingers closed on nothing")
        return None

    def lifted(self, targets: np.ndarray, joints: np.ndarray) -> None:
        """The lift has ended."""
        self._lifted_grip = self._now(targets, joints)

    def loss(
        self, targets: np.ndarray, state: RobotState, phase: Phase, stage: str
    ) -> Outcome | None:
        """The end of a grasp whose squeeze has gone from the fingers while the object is up."""
        if phase not in (Phase.LIFT, Phase.HOLD, Phase.CARRY):
            return None
        grip = self._grip.now(targets, state.joints)
        if grip >= self._config.lost_fraction * self._grip.full:
            self._lost_since = None
            return None
        if self._lost_since is None:
            self._lost_since = state.time
        if state.time - self._lost_since < self._config.lost_time:
            return None
        return Outcome(
            OutcomeKind.SLIPPED if phase is Phase.LIFT else OutcomeKind.DROPPED,
            f"the grip was lost during {stage}: the fingers' errors under the squeeze "
            f"fell from {self._grip.full:.2f} to {max(grip, 0.0):.2f} rad",
        )

    @property
    def awaits_sight(self) -> bool:
        """Whether the cameras' word is still to come; to be asked when the hold is over."""
        if self._sight is None:
            return False
        self._sight.due = True
        return self._sight.pending

    def verdict(self, targets: np.ndarray, joints: np.ndarray) -> LiftVerdict:
        """At the end of the hold: the cameras', or where they gave none, that of the grip."""
        if self._sight is not None and self._sight.verdict is not None:
            return self._sight.verdict
        grip, thumb = np.minimum(self._lifted_grip, self._now(targets, joints)).tolist()
        closing = self._grip.closed_since(joints)
        return felt_lift(grip, thumb, self._grip.full, closing, self._lift_check)

    def _now(self, targets: np.ndarray, joints: np.ndarray) -> tuple[float, float]:
        """The grip and the thumb's part of it, rad."""
        return self._grip.now(targets, joints), self._grip.of_thumb(targets, joints)
