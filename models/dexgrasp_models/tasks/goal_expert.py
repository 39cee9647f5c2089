"""An expert of the goal-conditioned task: the planned executor as a function of the present state.

What the executor does by the clock is done here by where wrist and fingers are, so that it can tell
what is to be done in states that it would not have come to. It remembers nothing but the plan,
whose grasp is where the object was at first: a goal that follows the object runs away from a hand
that pushes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.approach_plan import ApproachPlan
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.goal_action import wrist_leads
from dexgrasp_models.tasks.goal_observation import GoalState


class Doing(IntEnum):
    """What the expert is about."""

    OPEN = 0
    """The hand is not on its way, and opens before it leaves."""
    RISE = 1
    ACROSS = 2
    DOWN = 3
    APPROACH = 4
    CLOSE = 5
    SQUEEZE = 6
    LIFT = 7


@dataclass(frozen=True)
class ExpertConfig(Parameters):
    """Speeds as the planned executor's, and what counts as there."""

    transit_speed: float = parameter(0.45, 0.02, 1.0, "m/s", "wrist, far from the object")
    transit_acceleration: float = parameter(1.5, 0.1, 5.0, "m/s^2", "likewise")
    angular_speed: float = parameter(2.0, 0.1, 4.0, "rad/s", "turning of the wrist")
    angular_acceleration: float = parameter(8.0, 0.5, 30.0, "rad/s^2", "likewise")
    approach_speed: float = parameter(0.2, 0.01, 0.5, "m/s", "wrist, near the object")
    approach_acceleration: float = parameter(0.8, 0.05, 3.0, "m/s^2", "likewise")
    close_time: float = parameter(1.0, 0.1, 5.0, "s", "from open hand to grasp")
    squeeze_time: float = parameter(0.7, 0.1, 5.0, "s", "from grasp to squeeze")
    lift_speed: float = parameter(0.15, 0.01, 0.5, "m/s", "wrist, with the object")
    lift_acceleration: float = parameter(0.4, 0.05, 3.0, "m/s^2", "likewise")

    way_share: float = parameter(
        1.0,
        0.01,
        1.0,
        "",
        "of the way that is left, the most that the wrist makes in a step; one whose commands are "
        "late by a step swings about the waypoint with more than a quarter",
    )
    arrival_distance: float = parameter(
        0.004, 0.0005, 0.02, "m", "wrist error at the grasp below which the fingers close"
    )
    arrival_angle: float = parameter(0.04, 0.002, 0.2, "rad", "likewise")
    kept_distance: float = parameter(
        0.02, 0.001, 0.1, "m", "wrist error above which a hand that has begun to close opens again"
    )
    kept_angle: float = parameter(0.3, 0.01, 1.0, "rad", "likewise")
    way_distance: float = parameter(
        0.015, 0.001, 0.1, "m", "from a waypoint, or beside the way, within which the hand is there"
    )
    way_angle: float = parameter(0.1, 0.01, 1.0, "rad", "likewise")
    way_spread: float = parameter(
        0.0, 0.0, 2.0, "", "by how much wider the way is, for each m that is left of it"
    )
    above_distance: float = parameter(
        0.015, 0.001, 0.3, "m", "beside the pre-grasp, within which the hand may come down to it"
    )
    begun_share: float = parameter(
        0.05,
        0.0,
        0.95,
        "",
        "of the way from open to grasp, beyond which fingers began to close",
    )
    closed_share: float = parameter(0.98, 0.5, 1.0, "", "likewise, beyond which they have closed")
    pressed_share: float = parameter(
        0.98, 0.5, 1.0, "", "of the way from grasp to press, beyond which they press"
    )
    lifting_share: float = parameter(
        0.98, 0.0, 1.0, "", "likewise, of a hand that is above the grasp, below which it lets go"
    )
    lifting_height: float = parameter(
        0.005, 0.001, 0.1, "m", "above the grasp, from where on that counts"
    )
    joints_there: float = parameter(
        0.05, 0.001, 0.5, "rad", "actuator error at the grasp below which the fingers press"
    )
    still: float = parameter(0.01, 0.0001, 0.1, "m/s", "speed below which the wrist has stopped")
    joints_still: float = parameter(0.1, 0.001, 1.0, "rad/s", "likewise of the fingers")


@dataclass(frozen=True, eq=False)
class ToldPlans:
    """The plans of N episodes in arrays; where there is none, the hand stays where it begins."""

    planned: np.ndarray
    """(N,) whether there is a plan."""
    grasps: np.ndarray
    """(N, 4, 4) of `rh_palm` in `world`."""
    pregrasps: np.ndarray
    """(N, 4, 4) from which the hand moves straight to the grasp."""
    heights: np.ndarray
    """(N,) m, of the palm, above which it may move and turn freely."""
    opened: np.ndarray
    """(N, 18) actuator angles on the way, rad."""
    closed: np.ndarray
    """(N, 18) of the grasp."""
    pressed: np.ndarray
    """(N, 18) targets that press."""

    @classmethod
    def of(
        cls, plans: Sequence[ApproachPlan | None], hands: np.ndarray, hand: HandSpec
    ) -> ToldPlans:
        """Those of `plan_told`.

        Args:
            plans: N.
            hands: (N, 4, 4) where the hands begin.
            hand: whose joints these are.
        """

        def actuated(joints: list[np.ndarray]) -> np.ndarray:
            angles = np.array(joints) @ hand.reduction.T
            return np.clip(angles, *hand.actuator_limits.T)

        none = np.zeros(len(hand.joints))
        each = list(zip(plans, hands, strict=True))
        return cls(
            np.array([plan is not None for plan in plans]),
            np.array([plan.grasp.palm_pose if plan else start for plan, start in each]),
            np.array([plan.pregrasp_pose if plan else start for plan, start in each]),
            np.array([plan.travel_height if plan else start[2, 3] for plan, start in each]),
            actuated([plan.open_joints if plan else none for plan in plans]),
            actuated([plan.grasp.joints if plan else none for plan in plans]),
            actuated([plan.grasp.squeeze_joints if plan else none for plan in plans]),
        )


@dataclass(frozen=True, eq=False)
class Wanted:
    """What the expert wants next in N environments."""

    wrists: np.ndarray
    """(N, 4, 4) target of `rh_palm` in `world`."""
    joints: np.ndarray
    """(N, 22) joint targets, rad."""
    velocities: np.ndarray
    """(N, 6) m/s and rad/s in `world`, at which the wrist is to go once it has sped up."""
    postures: np.ndarray
    """(N, 18) actuator angles to which the fingers are on their way, rad."""
    doing: np.ndarray
    """(N,) of `Doing`."""


def wanted_next(
    state: GoalState,
    targets: np.ndarray,
    plans: ToldPlans,
    lift: float,
    rate: float,
    hand: HandSpec,
    config: ExpertConfig,
) -> Wanted:
    """What the expert wants next, whatever was done before.

    Args:
        state: measured.
        targets: (N, 22) present joint targets, rad.
        plans: of the N episodes.
        lift: m, how far the object is to be raised.
        rate: steps a second.
        hand: whose joints these are.
        config: speeds and thresholds.
    """
    closing, pressing = _progress(targets @ hand.reduction.T, plans)
    doing = _doing(state, closing, pressing, plans, hand, config)

    waypoints, speeds, accelerations = _ways(state, doing, plans, lift, config)
    wrists, velocities = _stepped(state, waypoints, speeds, accelerations, rate, config)
    postures = np.where(
        (doing < Doing.CLOSE)[:, None],
        plans.opened,
        np.where((doing == Doing.CLOSE)[:, None], plans.closed, plans.pressed),
    )

    closing = np.where(doing == Doing.CLOSE, closing + 1.0 / (config.close_time * rate), closing)
    closing = np.where(doing < Doing.CLOSE, 0.0, np.where(doing > Doing.CLOSE, 1.0, closing))
    pressing = np.where(
        doing == Doing.SQUEEZE, pressing + 1.0 / (config.squeeze_time * rate), pressing
    )
    pressing = np.where(doing < Doing.SQUEEZE, 0.0, np.where(doing > Doing.SQUEEZE, 1.0, pressing))
    closing, pressing = (np.clip(each, 0.0, 1.0)[:, None] for each in (closing, pressing))
    angles = (
        plans.opened
        + closing * (plans.closed - plans.opened)
        + pressing * (plans.pressed - plans.closed)
    )
    joints = angles @ hand.expansion.T
    planned = plans.planned
    return Wanted(
        np.where(planned[:, None, None], wrists, state.wrist_targets),
        np.where(planned[:, None], joints, targets),
        np.where(planned[:, None], velocities, 0.0),
        np.where(planned[:, None], postures, targets @ hand.reduction.T),
        doing,
    )


def _doing(
    state: GoalState,
    closing: np.ndarray,
    pressing: np.ndarray,
    plans: ToldPlans,
    hand: HandSpec,
    config: ExpertConfig,
) -> np.ndarray:
    """(N,) of `Doing`: the farthest that the state allows."""
    wrists = state.wrists
    way, turn = (np.linalg.norm(each, axis=1) for each in wrist_leads(plans.grasps, wrists))
    off = wrists[:, :3, 3] - plans.grasps[:, :3, 3]
    side = np.hypot(off[:, 0], off[:, 1])
    commanded, _ = wrist_leads(plans.grasps, state.wrist_targets)
    stopped = (np.linalg.norm(commanded, axis=1) < 1e-3) & (
        np.linalg.norm(state.wrist_velocities[:, :3], axis=1) < config.still
    )
    kept = (way < config.kept_distance) & (turn < config.kept_angle)
    arrived = kept & (((way < config.arrival_distance) & (turn < config.arrival_angle)) | stopped)
    begun = kept & (closing > config.begun_share)

    angles = state.joints @ hand.reduction.T
    there = np.abs(angles - plans.closed).max(axis=1) < config.joints_there
    still = np.abs(state.joint_velocities @ hand.reduction.T).max(axis=1) < config.joints_still
    held = kept & (closing > config.closed_share) & (there | still | (pressing > 0.02))
    above_grasp = off[:, 2] > config.lifting_height
    raised = (
        (pressing > np.where(above_grasp, config.lifting_share, config.pressed_share))
        & (side < config.kept_distance)
        & (off[:, 2] > -config.kept_distance)
        & (turn < config.kept_angle)
    )

    # Along the straight way from the pre-grasp to the grasp.
    span = plans.grasps[:, :3, 3] - plans.pregrasps[:, :3, 3]
    length = np.maximum(np.linalg.norm(span, axis=1), 1e-9)
    from_pregrasp = wrists[:, :3, 3] - plans.pregrasps[:, :3, 3]
    along = np.einsum("ni,ni->n", from_pregrasp, span) / length
    beside = np.linalg.norm(from_pregrasp - (along / length)[:, None] * span, axis=1)
    turned = turn < config.way_angle
    width = config.way_distance + config.way_spread * np.maximum(length - along, 0.0)
    on_way = turned & (beside < width) & (along > -config.way_distance)

    above = np.hypot(from_pregrasp[:, 0], from_pregrasp[:, 1]) < config.above_distance
    high = wrists[:, 2, 3] > _travel_heights(plans) - config.way_distance
    near = (way < length) & (closing > config.begun_share)
    return np.select(
        [raised, held, arrived | begun, on_way, above & turned & (from_pregrasp[:, 2] > 0.0), near],
        [Doing.LIFT, Doing.SQUEEZE, Doing.CLOSE, Doing.APPROACH, Doing.DOWN, Doing.OPEN],
        np.where(high, Doing.ACROSS, Doing.RISE),
    )


def _travel_heights(plans: ToldPlans) -> np.ndarray:
    return np.maximum(plans.heights, plans.pregrasps[:, 2, 3])


def _ways(
    state: GoalState, doing: np.ndarray, plans: ToldPlans, lift: float, config: ExpertConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, 4, 4) where wrists go, and (N,) the greatest speed and acceleration there."""
    heights = _travel_heights(plans)
    up = state.wrist_targets.copy()
    up[:, 2, 3] = heights
    across = plans.pregrasps.copy()
    across[:, 2, 3] = np.maximum(heights, state.wrist_targets[:, 2, 3])
    lifted = plans.grasps.copy()
    lifted[:, 2, 3] += lift
    choices = {
        Doing.OPEN: (state.wrist_targets, config.transit_speed, config.transit_acceleration),
        Doing.RISE: (up, config.transit_speed, config.transit_acceleration),
        Doing.ACROSS: (across, config.transit_speed, config.transit_acceleration),
        Doing.DOWN: (plans.pregrasps, config.transit_speed, config.transit_acceleration),
        Doing.APPROACH: (plans.grasps, config.approach_speed, config.approach_acceleration),
        Doing.CLOSE: (plans.grasps, config.approach_speed, config.approach_acceleration),
        Doing.SQUEEZE: (plans.grasps, config.approach_speed, config.approach_acceleration),
        Doing.LIFT: (lifted, config.lift_speed, config.lift_acceleration),
    }
    rows = np.arange(len(doing))
    poses = np.array([choices[each][0] for each in Doing])[doing, rows]
    bounds = np.array([choices[each][1:] for each in Doing])[doing]
    return poses, bounds[:, 0], bounds[:, 1]


def _stepped(
    state: GoalState,
    waypoints: np.ndarray,
    speeds: np.ndarray,
    accelerations: np.ndarray,
    rate: float,
    config: ExpertConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """(N, 4, 4) the next targets of wrists: straight to where they go, no faster than they may; and
    (N, 6) the velocities at which they would go if they needn't speed up first."""
    left, turn = wrist_leads(waypoints, state.wrist_targets)
    count = len(waypoints)
    turning = np.full(count, config.angular_speed), np.full(count, config.angular_acceleration)
    wanted = (
        _wanted(left, speeds, accelerations, rate, config.way_share),
        _wanted(turn, *turning, rate, config.way_share),
    )
    move = _sped_up(wanted[0], state.wrist_velocities[:, :3], accelerations, rate) / rate
    turned = _sped_up(wanted[1], state.wrist_velocities[:, 3:], turning[1], rate) / rate
    stepped = state.wrist_targets.copy()
    stepped[:, :3, 3] += move
    stepped[:, :3, :3] = Rotation.from_rotvec(turned).as_matrix() @ stepped[:, :3, :3]
    return stepped, np.concatenate(wanted, axis=1)


def _wanted(
    left: np.ndarray, speeds: np.ndarray, accelerations: np.ndarray, rate: float, share: float
) -> np.ndarray:
    """(N, 3) velocities along ways that are left: no faster than allowed, braking at their ends,
    and in a step no more than a share of the way."""
    distances = np.linalg.norm(left, axis=1)
    # In steps of 1 / rate the speed that still stops there: v^2 / (2 a) + v / (2 rate) = distance.
    half = 0.5 * accelerations / rate
    stopping = -half + np.sqrt(half**2 + 2.0 * accelerations * distances)
    speed = np.minimum(np.minimum(speeds, stopping), share * rate * distances)
    return (speed / np.maximum(distances, 1e-12))[:, None] * left


def _sped_up(
    wanted: np.ndarray, velocities: np.ndarray, accelerations: np.ndarray, rate: float
) -> np.ndarray:
    """(N, 3) next velocities: those that are wanted, as far as one can speed up to them."""
    speeds = np.linalg.norm(wanted, axis=1)
    directions = wanted / np.maximum(speeds, 1e-12)[:, None]
    present = np.maximum(np.einsum("ni,ni->n", velocities, directions), 0.0)
    return np.minimum(speeds, present + accelerations / rate)[:, None] * directions


def _progress(commanded: np.ndarray, plans: ToldPlans) -> tuple[np.ndarray, np.ndarray]:
    """(N,) shares in [0, 1] of the ways from the open hand to the grasp, and on to the press.

    Of the place on these two ways that is nearest to the actuators' targets (N, 18).
    """
    closing, beside = _share(commanded, plans.opened, plans.closed)
    pressing, beyond = _share(commanded, plans.closed, plans.pressed)
    pressed = (beyond < beside) & (pressing > 0.0)
    return np.where(pressed, 1.0, closing), np.where(pressed, pressing, 0.0)


def _share(angles: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) share of the way from start to end that angles (N, A) have made, 1 of no way; and (N,)
    how far they are beside it, rad."""
    way = end - start
    squared = np.einsum("na,na->n", way, way)
    made = np.einsum("na,na->n", angles - start, way)
    share = np.where(squared > 1e-12, made / np.maximum(squared, 1e-12), 1.0)
    share = np.clip(share, 0.0, 1.0)
    return share, np.linalg.norm(angles - start - share[:, None] * way, axis=1)
