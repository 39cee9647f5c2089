"""An expert of the human-assisting task who knows the grasp that is meant and when it is reached.

It sets the ceiling, and teaches policies that don't know. The fingers stay wide open while the
wrist comes, then close together so that they are at the grasp's joints shortly after it has come,
and press. So what the expert does can be told from what is seen, once one knows where the wrist
goes; by the clock of the episode, which shows nowhere once the wrist rests, it can't.
GraspGF (Wu et al., NeurIPS 2023) has no such expert.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.parameters import Parameters, choice, parameter
from dexgrasp_models.tasks.assist_action import closing_directions
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.wrist_paths import arrivals

CLOCKS = ("wrist", "time")
"""What moments are counted from: when the wrist comes to rest, or the episode's beginning."""


@dataclass(frozen=True)
class OracleConfig(Parameters):
    """When the fingers are where. Steps are counted as made: after the first it is 1."""

    clock: str = choice(
        "wrist", CLOCKS, "whether all is earlier or later as the wrist is, or at the same steps"
    )
    arrival: int = parameter(
        40, 1, 1000, "", "step at which a wrist comes to rest for which the moments below are right"
    )
    opening: float = parameter(
        1.0, 0.0, 2.0, "rad", "by which the flexors are more open than in the grasp, at first"
    )
    open_until: int = parameter(23, 0, 1000, "", "steps until they begin to close")
    preshape: float = parameter(0.4, 0.0, 2.0, "rad", "of that opening left at `preshape_at`")
    preshape_at: int = parameter(35, 0, 1000, "", "steps")
    goal_at: int = parameter(43, 1, 1000, "", "steps made when the joints are the grasp's")
    squeeze: float = parameter(
        1.25, 0.0, 10.0, "", "share of the way from the grasp to its squeeze that they press with"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.open_until < self.preshape_at < self.goal_at:
            raise ValueError(
                "OracleConfig: open_until, preshape_at and goal_at have to follow each other, not "
                f"{self.open_until}, {self.preshape_at} and {self.goal_at}"
            )


STATIC = OracleConfig(opening=0.0, preshape=0.0)
"""For a hand that is put at the grasp: it waits there, and presses."""


def steps_ahead(paths: np.ndarray, config: OracleConfig) -> np.ndarray:
    """(N,) steps by which the expert is ahead of the moments of its configuration.

    A wrist may rest too late to wait for: then it is at the grasp one step before the end.

    Args:
        paths: (N, T, 4, 4) of the wrists.
        config: how it counts.

    Raises:
        ValueError: the shape does not fit, or a number isn't finite.
    """
    if config.clock == "time":
        return np.zeros(len(paths), dtype=int)
    most_behind = max(paths.shape[1] - 1 - config.goal_at, 0)
    return np.maximum(config.arrival - arrivals(paths), -most_behind)


def oracle_actions(
    steps: np.ndarray,
    targets: np.ndarray,
    joints: np.ndarray,
    squeezes: np.ndarray,
    hand: HandSpec,
    task: AssistConfig,
    config: OracleConfig,
) -> np.ndarray:
    """What the expert does, whatever was done before.

    Args:
        steps: (N,) the step about to be made, counted from 0, on the expert's clock: with
            `steps_ahead`.
        targets: (N, 22) present joint targets, rad.
        joints: (N, 22) of the grasp that is meant, rad.
        squeezes: (N, 22) joint targets that press from it, `Grasps.squeezes`, rad.
        hand: whose joints these are.
        task: whose actions these are.
        config: when what happens.

    Returns:
        (N, 18) in [-1, 1], as of `acted`.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    return np.clip(wanted_actions(steps, targets, joints, squeezes, hand, task, config), -1.0, 1.0)


def wanted_actions(
    steps: np.ndarray,
    targets: np.ndarray,
    joints: np.ndarray,
    squeezes: np.ndarray,
    hand: HandSpec,
    task: AssistConfig,
    config: OracleConfig,
) -> np.ndarray:
    """(N, 18) of `oracle_actions`, but not clipped: how far the targets are from the expert's.

    Arguments and errors as there.
    """
    steps = batch("step", steps, None)
    targets = batch("targets", targets, len(steps), len(hand.joints))
    wanted = expert_targets(steps + 1, joints, squeezes, hand, config)
    return (wanted - targets) @ hand.reduction.T / task.max_change


def interpolating_actions(
    steps: np.ndarray,
    targets: np.ndarray,
    joints: np.ndarray,
    hand: HandSpec,
    task: AssistConfig,
) -> np.ndarray:
    """Straight to the grasp's joints, which are reached with the last step: demonstrations (C).

    They are not good ones, as the fingers close while the wrist comes, and don't press.

    Args:
        steps, targets, joints: as of `oracle_actions`.
        hand, task: likewise.

    Returns:
        (N, 18) in [-1, 1].

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    steps = batch("step", steps, None)
    targets = batch("targets", targets, len(steps), len(hand.joints))
    joints = batch("joints of the grasp", joints, *targets.shape)
    left = np.maximum(task.horizon - steps, 1.0)[:, None]
    changes = (joints - targets) @ hand.reduction.T / left
    return np.clip(changes / task.max_change, -1.0, 1.0)


def expert_targets(
    steps: np.ndarray,
    joints: np.ndarray,
    squeezes: np.ndarray,
    hand: HandSpec,
    config: OracleConfig,
) -> np.ndarray:
    """(N, 22) joint targets, rad, that the expert wants when so many steps (N,) are made.

    Within the joints' limits, and no matter how soon they can be reached. The other arguments and
    the errors are those of `oracle_actions`.
    """
    steps = batch("step", steps, None)
    joints = batch("joints of the grasp", joints, len(steps), len(hand.joints))
    squeezes = batch("squeeze", squeezes, len(steps), len(hand.joints))
    moments = (config.open_until, config.preshape_at, config.goal_at)
    opening = np.interp(steps, moments, (config.opening, config.preshape, 0.0))
    pressing = np.where(steps > config.goal_at, config.squeeze, 0.0)
    actuated = (joints + pressing[:, None] * (squeezes - joints)) @ hand.reduction.T
    actuated -= opening[:, None] * closing_directions(hand, "flexors")
    return np.clip(actuated, *hand.actuator_limits.T) @ hand.expansion.T
