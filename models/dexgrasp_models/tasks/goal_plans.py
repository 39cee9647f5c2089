"""Plans for the grasps that are told: how the planned executor would come to each, and lift it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dexgrasp_models.control.approach import plan_approach
from dexgrasp_models.control.approach_plan import ApproachConfig, ApproachPlan, NoApproach
from dexgrasp_models.data.grasps import GraspDataError
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks.assist_action import closing_directions
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes


@dataclass(frozen=True)
class TellingConfig(Parameters):
    """How a grasp of a set becomes one that is carried out."""

    opening: float = parameter(
        0.5, 0.0, 2.0, "rad", "of the flexors before the grasp; the planner tries shares of it"
    )
    squeeze: float = parameter(
        1.5, 0.0, 10.0, "", "share of the way from the grasp to its squeeze that is pressed with"
    )


def told_grasps(episodes: ToldEpisodes, hand: HandSpec, config: TellingConfig) -> list[Grasp]:
    """The grasps of N episodes in `world`, as the planner takes them.

    Args:
        episodes: N.
        hand: whose joints these are.
        config: how it opens and presses.

    Raises:
        GraspDataError: how the hand presses from a grasp is not known.
    """
    goals = episodes.goals
    if not goals.has_squeeze.all():
        raise GraspDataError(
            f"how the hand presses from grasp {int(np.argmin(goals.has_squeeze))} is not known: "
            "dexgrasp data squeeze fills it in"
        )
    joints, squeezes = goals.joints.astype(float), goals.squeezes.astype(float)
    opened = joints - config.opening * closing_directions(hand, "flexors") @ hand.expansion.T
    pressed = joints + config.squeeze * (squeezes - joints)
    return [
        Grasp(*each, score=0.0, figures={}, proposer="told")
        for each in zip(
            episodes.goal_wrists, joints, np.clip(opened, *hand.limits.T), pressed, strict=True
        )
    ]


def plan_told(
    grasps: Sequence[Grasp],
    episodes: ToldEpisodes,
    hand: HandSpec,
    lift: float,
    config: ApproachConfig,
) -> list[ApproachPlan | None]:
    """The way to each of N grasps; None where there is none.

    Args:
        grasps: of `told_grasps`.
        episodes: theirs, whose clouds are planned with.
        hand: whose joints these are.
        lift: m, how far the object is to be raised.
        config: of the planner.
    """
    distance = HandDistance(HandKinematics(hand))

    def planned(grasp: Grasp, cloud: np.ndarray, start: np.ndarray) -> ApproachPlan | None:
        try:
            return plan_approach(
                grasp,
                cloud,
                np.zeros((0, 3)),
                distance,
                config,
                start_pose=start,
                lift_height=lift,
            )
        except NoApproach:
            return None

    return [planned(*each) for each in zip(grasps, episodes.clouds, episodes.hands, strict=True)]
