"""What the controller sees each tick, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from dexgrasp_models.synthesis.types import Grasp


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
    efforts: np.ndarray | None = None
    """(22,) torques of the finger joints in N m, where they are measured."""


@dataclass(frozen=True)
class Observation:
    """What a controller sees at one control tick: the state, and what else its source offers."""

    state: RobotState
    """Measured."""
    goal: Grasp | None = None
    """The grasp that is wanted, in `world`."""
    object_points: np.ndarray | None = None
    """(N, 3) newest cloud of the object in `world`, m; it may be of before the grasp began."""
    wrist_wanted: np.ndarray | None = None
    """(4, 4) pose in `world` to which a person moves `rh_palm`, the newest there is."""
    wrist_time: float | None = None
    """When it was there, s on the clock of the state's `time`; None: at this tick."""
    close_wanted: bool = False
    """A person has pressed the button that says: close the hand."""
    tactile: Mapping[str, float] | None = None
    """Normal force, N, by the name of the hand's link, for the links that touch something."""


@dataclass(frozen=True)
class Command:
    """Targets for one control tick."""

    wrist_target: np.ndarray
    """(4, 4) wanted pose of `rh_palm` in `world`."""
    finger_targets: np.ndarray
    """(22,) position targets of the finger joints in rad."""


class Phase(StrEnum):
    """What a controller is about, whatever stages of its own it has, in the order of a grasp.

    Where an object is in the hand, and when the cameras look, is told by it.
    """

    REACH = "reach"
    CLOSE = "close"
    LIFT = "lift"
    HOLD = "hold"
    CARRY = "carry"
    PLACE = "place"
    RELEASE = "release"


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
    BAD_GOAL = "bad_goal"


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
    """A closed-loop grasp controller: one command for each observation, no clock of its own."""

    @property
    def phase(self) -> Phase:
        """What it is about; where the grasp has ended, what it was about last."""

    @property
    def stage(self) -> str:
        """Name of the present stage, finer than the phase where it has such; for people."""

    @property
    def progress(self) -> float:
        """Fraction of the present stage that is done, in [0, 1]."""

    @property
    def outcome(self) -> Outcome | None:
        """None while the grasp goes on."""

    def step(self, observation: Observation) -> Command:
        """The command for this tick; after the outcome is known, one that holds still."""

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        """End the grasp now; the hand is held where it is."""
