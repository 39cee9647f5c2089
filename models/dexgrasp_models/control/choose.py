"""From ranked proposals to the one that is carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dexgrasp_models.control.approach_plan import ApproachPlan, NoApproach
from dexgrasp_models.synthesis.types import Grasp


def plan_best(grasps: Sequence[Grasp], plan: Callable[[Grasp], ApproachPlan]) -> ApproachPlan:
    """The plan for the best-ranked grasp that can be approached.

    Args:
        grasps: proposals, best first.
        plan: plans the approach of one grasp; raises `NoApproach` where there is none.

    Raises:
        NoApproach: none can be approached; the message has the reason of the best-ranked.
    """
    if not grasps:
        raise NoApproach("there is no proposal to plan for")
    refusals = []
    for grasp in grasps:
        try:
            return plan(grasp)
        except NoApproach as refusal:
            refusals.append(str(refusal))
    raise NoApproach(
        f"none of {len(grasps)} proposals can be approached; the best-ranked: {refusals[0]}"
    )
