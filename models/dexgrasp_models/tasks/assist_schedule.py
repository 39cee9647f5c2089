"""When what happens in an episode of the human-assisting task: functions of its steps alone.

The policy acts while the wrist comes; then the hand closes by itself, settles, and is raised
(GraspGF, 4.1). The strict variant goes on: the hand holds the object while it is pushed.
Environments need not be at the same step.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.strict_hold import pushes_in_hold


class Stage(IntEnum):
    """Stages of an episode, in their order."""

    APPROACH = 0
    CLOSE = 1
    SETTLE = 2
    LIFT = 3
    HOLD = 4
    OVER = 5


def stage_ends(config: AssistConfig) -> np.ndarray:
    """(5,) steps made when each stage but the last has ended; the policy's horizon first."""
    lengths = (
        config.horizon,
        config.close_steps,
        config.settle_steps,
        config.lift_steps,
        config.hold_steps,
    )
    return np.cumsum(lengths)


def stages(steps: np.ndarray, config: AssistConfig) -> np.ndarray:
    """(N,) `Stage` that step k belongs to, for steps (N,) counted from 0.

    The policy acts in `Stage.APPROACH` only.
    """
    return np.searchsorted(stage_ends(config), _steps(steps), side="right")


def close_shares(steps: np.ndarray, config: AssistConfig) -> np.ndarray:
    """(N,) of `auto_close` commanded in step k: 0 in the approach, 1 once the hand has closed.

    Args:
        steps: (N,) counted from 0.
        config: of the task.
    """
    return _share(steps, Stage.CLOSE, config)


def wrist_targets(paths: np.ndarray, steps: np.ndarray, config: AssistConfig) -> np.ndarray:
    """Where the wrist goes in step k: along its path, pose k in step k, then straight up (2, 4.1).

    Args:
        paths: (N, T, 4, 4) poses of `rh_palm` in `world`, T the horizon, as of `wrist_paths`.
        steps: (N,) counted from 0.
        config: of the task.

    Returns:
        (N, 4, 4) in `world`.

    Raises:
        ValueError: a shape does not fit, a number isn't finite, or a step isn't whole, or below 0.
    """
    steps = _steps(steps)
    paths = batch("path", paths, len(steps), config.horizon, 4, 4)
    targets = paths[np.arange(len(steps)), np.minimum(steps, config.horizon - 1)]
    targets[:, 2, 3] += config.lift_height * _share(steps, Stage.LIFT, config)
    return targets


def pushes(steps: np.ndarray, config: AssistConfig) -> np.ndarray:
    """Forces on the objects' centres of mass in step k of the strict variant.

    In the hold each of `PUSH_DIRECTIONS` has its turn, of equal length; elsewhere there is none.

    Args:
        steps: (N,) counted from 0.
        config: of the task.

    Returns:
        (N, 3) N, in `world`.
    """
    steps = _steps(steps)
    since = steps - stage_ends(config)[Stage.LIFT]
    return pushes_in_hold(since, config.hold_steps, config.push)


def _share(steps: np.ndarray, stage: Stage, config: AssistConfig) -> np.ndarray:
    """(N,) of a stage that has passed once step k is made, from 0 to 1."""
    ends = stage_ends(config)
    begin, end = ends[stage - 1], ends[stage]
    return np.clip((_steps(steps) + 1 - begin) / (end - begin), 0.0, 1.0)


def _steps(steps: np.ndarray) -> np.ndarray:
    steps = np.asarray(steps)
    if steps.ndim != 1 or steps.dtype.kind not in "iu" or (steps < 0).any():
        raise ValueError(f"steps have to be whole numbers (N,) from 0 on, not {steps}")
    return steps
