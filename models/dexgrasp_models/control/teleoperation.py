"""A person's hand moves the robot's wrist, as long as a clutch is held.

The clutch is a dead man's: once it is let go, or anything on the way from the hand to the wrist
fails, the wrist comes to rest within its bounds, and goes on only when the clutch has been seen
released and pressed again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.limits import SafetyLimits, is_pose
from dexgrasp_models.control.pose_motion import PoseMotion
from dexgrasp_models.control.trajectory import MotionBounds, pose_distance
from dexgrasp_models.parameters import Parameters, flag, parameter

_LONGEST_STEP = 0.04
"""Seconds by which one measured wrist advances the motion at most."""
_SHORTEST_FRAME = 0.005
"""Seconds that two frames of a tracker count as apart at least: noise is no speed."""


class TeleoperationState(StrEnum):
    """What the wrist does."""

    RELEASED = "released"
    """It stands, and pressing the clutch engages it."""
    ENGAGED = "engaged"
    """It follows the hand."""
    STOPPING = "stopping"
    """It comes to rest."""
    LOST = "lost"
    """It stands, and the clutch has to be released before it can be pressed."""


@dataclass(frozen=True)
class TeleoperationConfig(Parameters):
    """How a hand moves the wrist, and what ends it."""

    scale: float = parameter(1.0, 0.05, 2.0, "", "the wrist's way for one of the hand's")
    tracker_roll: float = parameter(
        0.0, -3.1416, 3.1416, "rad", "about x, from the axes of the world to those of the tracker"
    )
    tracker_pitch: float = parameter(0.0, -1.5708, 1.5708, "rad", "then about the world's y")
    tracker_yaw: float = parameter(0.0, -3.1416, 3.1416, "rad", "then about the world's z")
    orientation: bool = flag(True, "Whether the wrist turns with the hand.")
    speed: float = parameter(0.5, 0.01, 2.0, "m/s", "greatest speed of the wrist")
    acceleration: float = parameter(3.0, 0.1, 20.0, "m/s^2", "greatest acceleration of the wrist")
    angular_speed: float = parameter(2.0, 0.05, 6.0, "rad/s", "greatest turning speed of the wrist")
    angular_acceleration: float = parameter(
        12.0, 0.5, 100.0, "rad/s^2", "greatest turning acceleration of the wrist"
    )
    hand_timeout: float = parameter(0.1, 0.02, 1.0, "s", "a hand seen longer ago stops the wrist")
    clutch_timeout: float = parameter(
        0.25, 0.05, 1.0, "s", "a clutch heard longer ago stops the wrist"
    )
    state_timeout: float = parameter(
        0.2, 0.04, 2.0, "s", "a longer gap between measured wrists stops it"
    )
    hand_speed: float = parameter(
        3.0, 0.2, 20.0, "m/s", "a hand that is faster from frame to frame has jumped"
    )
    hand_angular_speed: float = parameter(20.0, 1.0, 200.0, "rad/s", "likewise")
    following_distance: float = parameter(
        0.075, 0.01, 0.5, "m", "a robot whose wrist is farther from its target does not follow"
    )
    following_angle: float = parameter(0.45, 0.05, 3.0, "rad", "likewise")
    standing_distance: float = parameter(
        0.03, 0.001, 0.2, "m", "a wrist that stands stays at its target while it is measured nearer"
    )
    standing_angle: float = parameter(0.15, 0.01, 1.0, "rad", "likewise")


@dataclass(frozen=True, eq=False)
class SeenHand:
    """A hand in one frame of a tracker."""

    pose: np.ndarray
    """(4, 4) of the person's wrist in the tracker's frame."""
    time: float
    """When it was seen, s on the tracker's clock."""
    identity: int
    """Another one where it was lost and found again."""
    tracked: bool = True
    """Whether it is in sight."""


@dataclass(frozen=True, eq=False)
class _Engagement:
    """Where hand and wrist were when the clutch was pressed."""

    hand: np.ndarray  # (4, 4) in the tracker's frame
    wrist: np.ndarray  # (4, 4) in `world`
    low: np.ndarray  # (3,) of the box that the wrist stays in
    high: np.ndarray


class WristTeleoperation:
    """Tells where the wrist is to be, from what is seen of a hand and heard of a clutch.

    The wrist moves as the hand has moved since the clutch was pressed: its translation scaled, its
    turn about the same axes. Both are turned from the tracker's axes to the world's.

    A standing wrist stands at its last target, and so an engagement starts there: were it the
    measured one each time, a wrist that sags or lags a little would creep from clutch to clutch.
    Only where it is measured farther away than `standing_distance`, so that somebody else moves
    the robot, the measured wrist takes the target's place.

    Times named `now` are of one clock that never stands still, s.

    Args:
        config: how.
        limits: the box that the wrist stays in; one that stands outside may come back, but go no
            farther.

    Attributes:
        fault: why the last engagement ended by itself, or could not begin; empty otherwise.

    Raises:
        ValueError: the wrist may be faster than the limits allow.
    """

    def __init__(self, config: TeleoperationConfig, limits: SafetyLimits) -> None:
        for name, speed, greatest in (
            ("speed", config.speed, limits.wrist_speed),
            ("angular_speed", config.angular_speed, limits.wrist_angular_speed),
        ):
            if speed > greatest:
                raise ValueError(f"{name} {speed:g} is above the limit of {greatest:g}")
        self._config, self._limits = config, limits
        angles = [config.tracker_roll, config.tracker_pitch, config.tracker_yaw]
        self._to_world = Rotation.from_euler("xyz", angles).as_matrix()
        self._motion: PoseMotion | None = None
        self._time = -math.inf  # of the last measured wrist
        self._hand: SeenHand | None = None  # None while it is out of sight
        self._hand_at = -math.inf  # when it was heard of
        self._clutch_at = -math.inf
        self._pressed = False
        self._armed = False  # the clutch was seen released since the last engagement
        self._engagement: _Engagement | None = None
        self._at_edge = False
        self.fault = ""

    # What is told

    @property
    def state(self) -> TeleoperationState:
        """What the wrist does."""
        if self._engagement is not None:
            return TeleoperationState.ENGAGED
        if self._motion is not None and self._motion.moves:
            return TeleoperationState.STOPPING
        if self.fault and not self._armed:
            return TeleoperationState.LOST
        return TeleoperationState.RELEASED

    @property
    def reason(self) -> str:
        """Why it does that, in a line; empty where there is nothing to say."""
        match self.state:
            case TeleoperationState.ENGAGED:
                return "held at the edge of the workspace" if self._at_edge else ""
            case TeleoperationState.STOPPING:
                return self.fault or "the clutch was released"
            case TeleoperationState.LOST:
                return f"{self.fault}; release the clutch, then press it again"
        if self._clutch_at == -math.inf:
            return "no clutch has been heard"
        return "release the clutch first" if self._pressed and not self._armed else ""

    # What is seen and heard

    def see_hand(self, hand: SeenHand, now: float) -> None:
        """Take in a frame of the tracker; one that comes again counts once."""
        if self._hand is not None and hand.time == self._hand.time:
            return
        if not hand.tracked:
            self.lose("the hand is out of sight")
            self._hand = None
            return
        if not is_pose(hand.pose) or not math.isfinite(hand.time):
            self.lose("the hand's pose or time is not finite, or no rotation")
            self._hand = None
            return
        if self._hand is not None and (fault := self._jump(self._hand, hand)):
            self.lose(fault)
        self._hand, self._hand_at = hand, now

    def see_clutch(self, pressed: bool, now: float) -> None:
        """Take in what the clutch says."""
        self._clutch_at, self._pressed = now, pressed
        if not pressed:
            self._engagement, self._armed = None, True

    def lose(self, reason: str) -> None:
        """End the engagement, where there is one, for something that the caller has noticed."""
        if self._engagement is not None:
            self._disarm(reason)

    # The tick

    def step(self, measured: np.ndarray, time: float, now: float) -> np.ndarray:
        """Where the wrist is to be when it was measured; to be called for each measured wrist.

        Args:
            measured: (4, 4) of `rh_palm` in `world`.
            time: when, s on the robot's clock; the motion goes by it. The same may come again.
            now: of the hand's and the clutch's silence.

        Returns:
            (4, 4) of `rh_palm` in `world`.

        Raises:
            ValueError: `measured` or `time` is not finite, or no rotation.
        """
        if not is_pose(measured) or not math.isfinite(time):
            raise ValueError("the measured wrist or its time is not finite, or no rotation")
        period = self._advance(measured, time)
        assert self._motion is not None
        self._watch(measured, now)
        if self._engagement is None and not self._motion.moves:
            if _is_apart(
                measured,
                self._motion.pose,
                self._config.standing_distance,
                self._config.standing_angle,
            ):
                self._motion.rest_at(measured)
            if self._pressed and self._armed:
                self._engage(now)
        if self._engagement is not None:
            self._motion.follow(self._target(self._engagement), period)
        else:
            self._motion.brake(period)
        return self._motion.pose

    def _advance(self, measured: np.ndarray, time: float) -> float:
        """Seconds by which the motion goes on; begins it where there is none to go on with."""
        elapsed, self._time = time - self._time, time
        if self._motion is None or elapsed < 0.0:
            self.lose("the time of the measured wrist went back")
            config = self._config
            bounds = MotionBounds(
                config.speed, config.acceleration, config.angular_speed, config.angular_acceleration
            )
            self._motion = PoseMotion(bounds, measured)
            return 0.0
        if elapsed > self._config.state_timeout:
            self.lose(f"no wrist was measured for {elapsed:.2f} s")
        return min(elapsed, _LONGEST_STEP)

    def _watch(self, measured: np.ndarray, now: float) -> None:
        """End an engagement whose clutch, hand or robot has failed."""
        assert self._motion is not None
        config = self._config
        silence = now - self._clutch_at
        if silence > config.clutch_timeout:
            self._pressed = False
            if self._armed or self._engagement is not None:
                self._disarm(f"the clutch was silent for {silence:.2f} s")
        if now - self._hand_at > config.hand_timeout:
            self.lose(f"the tracker was silent for {now - self._hand_at:.2f} s")
        if _is_apart(
            measured, self._motion.pose, config.following_distance, config.following_angle
        ):
            self.lose("the robot's wrist does not follow")

    def _engage(self, now: float) -> None:
        assert self._motion is not None
        if self._hand is None or now - self._hand_at > self._config.hand_timeout:
            self._disarm("no hand was in sight when the clutch was pressed")
            return
        wrist = self._motion.pose
        self._engagement = _Engagement(
            self._hand.pose,
            wrist,
            np.minimum(self._limits.workspace_low, wrist[:3, 3]),
            np.maximum(self._limits.workspace_high, wrist[:3, 3]),
        )
        self._armed, self.fault = False, ""

    def _disarm(self, reason: str) -> None:
        self._engagement, self._armed, self.fault = None, False, reason

    def _target(self, engagement: _Engagement) -> np.ndarray:
        """(4, 4) where the hand wants the wrist, inside the box."""
        assert self._hand is not None
        hand, before, wrist = self._hand.pose, engagement.hand, engagement.wrist
        way = self._config.scale * self._to_world @ (hand[:3, 3] - before[:3, 3])
        wanted = wrist[:3, 3] + way
        target = wrist.copy()
        target[:3, 3] = np.clip(wanted, engagement.low, engagement.high)
        self._at_edge = not np.array_equal(target[:3, 3], wanted)
        if self._config.orientation:
            turn = hand[:3, :3] @ before[:3, :3].T
            target[:3, :3] = self._to_world @ turn @ self._to_world.T @ wrist[:3, :3]
        return target

    def _jump(self, before: SeenHand, hand: SeenHand) -> str | None:
        """Why a hand can't have become another, or None."""
        if hand.identity != before.identity:
            return "another hand is seen than before"
        if hand.time < before.time:
            return "the tracker's time went back"
        period = max(hand.time - before.time, _SHORTEST_FRAME)
        distance, angle = pose_distance(before.pose, hand.pose)
        if distance > self._config.hand_speed * period:
            return f"the hand jumped by {distance:.3f} m in {period:.3f} s"
        if angle > self._config.hand_angular_speed * period:
            return f"the hand jumped by {angle:.2f} rad in {period:.3f} s"
        return None


def _is_apart(first: np.ndarray, second: np.ndarray, distance: float, angle: float) -> bool:
    """Whether two (4, 4) poses are farther from each other than m or rad."""
    way, turn = pose_distance(first, second)
    return way > distance or turn > angle
