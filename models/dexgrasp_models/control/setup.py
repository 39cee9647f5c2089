"""What a controller is made for."""

from __future__ import annotations

from dataclasses import dataclass, field

from dexgrasp_models.control.approach_plan import ApproachPlan
from dexgrasp_models.control.carry import CarryPlanner
from dexgrasp_models.control.following import Following
from dexgrasp_models.control.lift_check import LiftCheckConfig, Sight
from dexgrasp_models.hand.spec import HandSpec, load_hand


@dataclass(frozen=True)
class ControllerSetup:
    """One grasp, as its controller is told of it."""

    period: float
    """Seconds from one observation to the next."""
    plan: ApproachPlan | None = None
    """The grasp and the way to it, where the controller needs one."""
    hand: HandSpec = field(default_factory=load_hand)
    """The hand it moves."""
    coupled: bool = True
    """Whether tendons couple the outer joints of the fingers."""
    place: bool = True
    """Whether the object is set down after the hold; else the grasp ends, and succeeds, with it."""
    carry: CarryPlanner | None = None
    """Finds the way over the box where the object is carried there and released after the hold. A
    controller that follows a person's wrist then raises it by itself, once the person begins to."""
    following: Following | None = None
    """Where the object is, if the goal goes along with it; None: it stays."""
    lift_check: LiftCheckConfig = field(default_factory=LiftCheckConfig)
    """When the object counts as lifted."""
    sight: Sight | None = None
    """Where the cameras' word on the lift will be; None: the controller tells by itself."""
