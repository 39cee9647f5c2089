"""Parameters of the control node beside those of approach, executor, lift check and limits."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_models.control.controllers import CONTROLLERS
from dexgrasp_models.parameters import Parameters, choice, flag, parameter
from dexgrasp_ros import contract


@dataclass(frozen=True)
class ControlParameters(Parameters):
    """What the node does, with whom, and how long it waits for them."""

    controller: str = choice(
        CONTROLLERS.default, lambda: CONTROLLERS.names, "what carries grasps out"
    )
    scene: str = choice(
        "floating", ("floating", "arm"), "whether the hand is free, or an arm carries it"
    )
    hand: str = choice(
        "coupled", ("coupled", "independent"), "whether tendons couple the outer joints"
    )
    lock_step: bool = flag(
        False,
        "time stands still until a state is answered: the cameras' word on the lift is waited for"
        " so, and not by holding longer",
    )
    proposals: int = parameter(8, 1, 256, "", "ranked grasps to ask for and to choose from")
    seed: int = parameter(0, 0, 2**31 - 1, "", "of the proposals")
    control_period: float = parameter(
        1.0 / contract.CONTROL_RATE, 0.001, 0.1, "s", "from one measured state to the next"
    )
    state_timeout: float = parameter(
        0.5, 0.02, 60.0, "s of wall time", "without a measured state for this long the motion stops"
    )
    stamp_tolerance: float = parameter(
        # Two drivers at 50 Hz each may be half a period apart, and their stamps uneven.
        0.015,
        0.0,
        0.1,
        "s",
        "greatest difference between the stamps of joints and wrist",
    )
    capture_timeout: float = parameter(
        10.0,
        0.1,
        600.0,
        "s of wall time",
        "without a sign of life of the perception node for this long, its answer is given up",
    )
    proposal_timeout: float = parameter(
        60.0,
        0.1,
        600.0,
        "s of wall time",
        "without a sign of life of the proposal node for this long, its answer is given up",
    )
    answer_timeout: float = parameter(
        600.0,
        0.1,
        36000.0,
        "s of wall time",
        "an answer is given up after this long, even if its node gives signs of life",
    )
    wrist_timeout: float = parameter(
        30.0,
        0.1,
        3600.0,
        "s of wall time",
        "a controller that follows a person's wrist waits so long for its first pose",
    )
    close_button: int = parameter(
        1, 0, 63, "", "that closes the hand at a person's wrist, among those on teleop/clutch"
    )
    assisting: str = choice(
        "graspgf",
        lambda: CONTROLLERS.names,
        "what carries /assist out: a controller that follows a person's wrist",
    )
    sight_timeout: float = parameter(
        10.0,
        0.0,
        600.0,
        "s of wall time",
        "without a sign of life of the perception node for this long, the object is no longer held"
        " up for the cameras' word on the lift, and the grip tells",
    )
