"""Parameters of the control node beside those of approach, executor, lift check and limits."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_models.control.controllers import CONTROLLERS
from dexgrasp_ros import contract
from dexgrasp_ros.parameters import parameter


@dataclass(frozen=True)
class ControlParameters:
    """What the node does, with whom, and how long it waits for them."""

    controller: str = parameter(
        CONTROLLERS.default, "what carries grasps out", choices=CONTROLLERS.names
    )
    scene: str = parameter(
        "floating",
        "whether the hand is free, or an arm carries it",
        choices=("floating", "arm"),
    )
    hand: str = parameter(
        "coupled", "whether tendons couple the outer joints", choices=("coupled", "independent")
    )
    lock_step: bool = parameter(
        False,
        "time stands still until a state is answered: the cameras' word on the lift is waited for"
        " so, and not by holding longer",
    )
    proposals: int = parameter(8, "ranked grasps to ask for and to choose from", low=1, high=256)
    seed: int = parameter(0, "of the proposals", low=0, high=2**31 - 1)
    control_period: float = parameter(
        1.0 / contract.CONTROL_RATE,
        "from one measured state to the next",
        unit="s",
        low=0.001,
        high=0.1,
    )
    state_timeout: float = parameter(
        0.5,
        "without a measured state for this long the motion stops",
        unit="s of wall time",
        low=0.02,
        high=60.0,
    )
    stamp_tolerance: float = parameter(
        0.005,
        "greatest difference between the stamps of joints and wrist",
        unit="s",
        low=0.0,
        high=0.1,
    )
    capture_timeout: float = parameter(
        10.0,
        "without a sign of life of the perception node for this long, its answer is given up",
        unit="s of wall time",
        low=0.1,
        high=600.0,
    )
    proposal_timeout: float = parameter(
        60.0,
        "without a sign of life of the proposal node for this long, its answer is given up",
        unit="s of wall time",
        low=0.1,
        high=600.0,
    )
    answer_timeout: float = parameter(
        600.0,
        "an answer is given up after this long, even if its node gives signs of life",
        unit="s of wall time",
        low=0.1,
        high=36000.0,
    )
    sight_timeout: float = parameter(
        10.0,
        "without a sign of life of the perception node for this long, the object is no longer held"
        " up for the cameras' word on the lift, and the grip tells",
        unit="s of wall time",
        low=0.0,
        high=600.0,
    )
