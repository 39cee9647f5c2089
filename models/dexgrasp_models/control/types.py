"""What the controller sees each tick, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class RobotState:
    """Measured state of hand and wrist at one control tick."""

    time: float
    """Seconds on the clock of the run."""
    wrist_pose: np.ndarray
    """(4, 4) pose of `rh_palm` in `world`."""
    joints: np.ndarray
    """(22,) finger joint angles in rad, in the order of `HandSpec.finger_joints`."""
    joint_velocities: np.ndarray
    """(22,) finger joint velocities in rad/s."""


@dataclass(frozen=True)
class Command:
    """Targets for one control tick."""

    wrist_target: np.ndarray
    """(4, 4) wanted pose of `rh_palm` in `world`."""
    finger_targets: np.ndarray
    """(22,) position targets of the finger joints in rad."""


class OutcomeKind(StrEnum):
    """How a grasp can end."""

    SUCCEEDED = "succeeded"
    NO_CLOUD = "no_cloud"
    NO_PROPOSAL = "no_proposal"
    NO_APPROACH = "no_approach"
    SLIPPED = "slipped"
    DROPPED = "dropped"
    ABORTED = "aborted"
    STALE_INPUT = "stale_input"


@dataclass(frozen=True)
class Outcome:
    """The end of a grasp."""

    kind: OutcomeKind
    """What happened."""
    reason: str
    """Why, in words for a person to read."""
    lifted_by: str = ""
    """What saw the object leave the table, `cameras` or `grip`; empty where nothing did."""


class Controller(Protocol):
    """A closed-loop grasp controller: one command for each measured state, no clock of its own."""

    @property
    def stage(self) -> str:
        """Name of the present stage."""

    @property
    def progress(self) -> float:
        """Fraction of the present stage that is done, in [0, 1]."""

    @property
    def outcome(self) -> Outcome | None:
        """None while the grasp goes on."""

    def step(self, state: RobotState) -> Command:
        """The command for this tick; after the outcome is known, one that holds still."""

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        """End the grasp now; the hand is held where it is."""
