"""A student that needs no weights: the expert, with a way straight down to what it is told."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_action import closing_directions
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_expert import ExpertConfig, ToldPlans, wanted_next
from dexgrasp_models.tasks.goal_observation import GoalState
from dexgrasp_models.tasks.goal_student import StudentView, moves_of, moves_to_actions

HAND = load_hand()
TASK = GoalConfig()
EXPERT = ExpertConfig(
    way_spread=0.6,
    above_distance=0.08,
    begun_share=0.3,
    closed_share=0.8,
    pressed_share=0.6,
    lifting_share=0.2,
)


class PlainStudent:
    """Made as `make_student` makes one."""

    def __init__(self, *_: object) -> None:
        self._opening = 0.5 * closing_directions(HAND, "flexors")

    def actions(self, view: StudentView) -> np.ndarray:
        count = len(view)
        pregrasps = view.goals.copy()
        pregrasps[:, 2, 3] += 0.12
        closed, pressed = (each @ HAND.reduction.T for each in (view.goal_joints, view.pressed))
        low, high = HAND.actuator_limits.T
        plans = ToldPlans(
            np.ones(count, dtype=bool),
            view.goals,
            pregrasps,
            view.clouds[..., 2].max(axis=1) + 0.2,
            np.clip(closed - self._opening, low, high),
            np.clip(closed, low, high),
            np.clip(pressed, low, high),
        )
        speeds = view.actions[:, :6] * ([TASK.wrist_speed] * 3 + [TASK.wrist_angular_speed] * 3)
        velocities = speeds.reshape(-1, 2, 3) @ view.frames[:, :3, :3].swapaxes(1, 2)
        nothing = np.zeros((count, 6))
        state = GoalState(
            view.joints,
            view.joint_velocities,
            0.0 * view.joints,
            view.wrists,
            velocities.reshape(-1, 6),
            view.wrist_targets,
            np.zeros((count, 5)),
            view.goals,
            nothing,
        )
        wanted = wanted_next(state, view.targets, plans, TASK.lift, TASK.rate, HAND, EXPERT)
        moves = moves_of(wanted.velocities, wanted.postures, view, HAND, TASK)
        return moves_to_actions(moves, view, HAND, TASK)
