"""Settings of the controller ``graspgf``, and what closes the fingers by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dexgrasp_models.control.grip_watch import GripConfig
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.parameters import choice, parameter, text
from dexgrasp_models.tasks.assist_action import auto_closed
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_policy import AssistPolicy
from dexgrasp_models.tasks.planned_close import OpenHand, closed_by_plan
from dexgrasp_models.tasks.wrist_stream import WristStreamConfig


@dataclass(frozen=True)
class AssistControllerConfig(GripConfig, WristStreamConfig):
    """Settings of the controller; those of the task itself are `AssistConfig`'s."""

    policy: str = choice(
        "gated",
        ("gated", "gradient", "learned", "planned"),
        "what closes the fingers: the primitive slowed down by a gate, the bare primitive,"
        " a trained policy, or one fixed motion once the wrist rests",
    )
    weights: str = text(
        "", "file of the trained policy, or of the primitive where that is alone; empty: what comes"
        " with the package"
    )  # fmt: skip
    lift: str = choice(
        "person",
        ("person", "itself"),
        "whether the person raises the hand, or it rises by itself once it has closed; in /assist"
        " it does that also once the person begins to",
    )
    reach: float = parameter(
        0.25, 0.02, 1.0, "m", "from the palm to the object, from where on the policy acts"
    )
    open_speed: float = parameter(1.8, 0.1, 6.0, "rad/s", "of the fingers before that")
    near: float = parameter(
        0.15, 0.01, 1.0, "m", "from the palm to the object, within which rest or rise count"
    )
    rest_time: float = parameter(
        0.5, 0.05, 10.0, "s", "for which the person's wrist rests before the hand closes by itself"
    )
    rest_fingers: float = parameter(
        0.1, 0.0, 3.0, "rad", "by which an actuator of fingers at rest moves in that time"
    )
    most_rest: float = parameter(
        3.0, 0.05, 60.0, "s", "of the wrist's rest, after which fingers that move on don't count"
    )
    rest_distance: float = parameter(0.004, 0.0005, 0.05, "m", "by which a resting wrist moves")
    rest_angle: float = parameter(0.05, 0.005, 0.5, "rad", "by which it turns")
    auto_close: float = parameter(
        0.3, 0.0, 1.0, "rad", "by which the hand closes by itself; 0.1 in the task (4.1), which"
        " presses too little where the primitive is alone"
    )  # fmt: skip
    raised: float = parameter(
        0.02, 0.002, 0.2, "m", "rise of the person's wrist at the object that says: lift"
    )
    lift_height: float = parameter(
        0.15, 0.03, 0.5, "m", "rise of the robot's wrist at which the object counts as up"
    )
    lift_speed: float = parameter(0.2, 0.01, 0.5, "m/s", "of a hand that rises by itself")
    lift_acceleration: float = parameter(0.6, 0.05, 3.0, "m/s^2", "likewise")
    hold_time: float = parameter(2.0, 0.0, 60.0, "s", "how long the object is held up")
    time_limit: float = parameter(
        120.0, 1.0, 3600.0, "s", "after which an object that isn't up is given up"
    )


PolicyMaker = Callable[[AssistControllerConfig, AssistConfig, HandSpec], AssistPolicy]
Closing = Callable[[np.ndarray, float], np.ndarray]
"""(22,) finger targets, rad, from those at which the hand began to close, and a share in [0, 1]."""


def make_policy(config: AssistControllerConfig, task: AssistConfig, hand: HandSpec) -> AssistPolicy:
    """What closes the fingers.

    Raises:
        WeightsError: its weights are missing, or of another hand or network.
        ValueError: a trained policy is asked for, and none comes with the package nor is named, or
            it needs to be told what nobody knows here.
    """
    if config.policy == "planned":
        return OpenHand(hand, task)
    # PyTorch comes with these; a control node that grasps otherwise has no use for it.
    if config.policy == "learned":
        from dexgrasp_models.tasks.learned_assist import ASSIST_WEIGHTS, LearnedAssist

        if not config.weights and not ASSIST_WEIGHTS.exists():
            raise ValueError(
                "graspgf.policy is learned, and no trained one comes with this package: "
                "name its file in graspgf.weights"
            )
        learned = LearnedAssist(config.weights or ASSIST_WEIGHTS)
        if learned.network.config.hint:
            raise ValueError(
                f"{config.weights}: this policy has to be told a posture of the object, which "
                "nobody does here: it is a baseline for dexgrasp eval assist"
            )
        return learned
    from dexgrasp_models.tasks.primitive_assist import GateConfig, PrimitiveAssist

    gate = GateConfig() if config.policy == "gated" else None
    own = (config.weights,) if config.weights else ()
    return PrimitiveAssist(gate, task, *own)


def make_closing(config: AssistControllerConfig, task: AssistConfig, hand: HandSpec) -> Closing:
    """How the hand closes by itself: after a policy as in the task (4.1), else all the way."""
    if config.policy == "planned":
        return closed_by_plan(hand)

    def closed(start: np.ndarray, share: float) -> np.ndarray:
        return auto_closed(start[None], np.array([share]), hand, task)[0]

    return closed
