"""States of the goal-conditioned task drawn by a seed, and turned and moved as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import assist_samples as samples
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.tasks.goal_frame import first_hands, reference_frames
from dexgrasp_models.tasks.goal_observation import GoalObservation, GoalState, goal_observation

HAND = samples.HAND


@dataclass(frozen=True)
class Sample:
    """All that an observation is made of."""

    state: GoalState
    actions: np.ndarray
    hands: np.ndarray
    first_goals: np.ndarray
    goals: np.ndarray
    goal_joints: np.ndarray
    clouds: np.ndarray

    def seen(self) -> GoalObservation:
        return goal_observation(
            self.state,
            self.actions,
            reference_frames(self.hands),
            self.first_goals,
            self.goals,
            self.goal_joints,
            self.clouds,
            HAND,
        )


def sample(count: int = 3, seed: int = 0) -> Sample:
    """Of no sense, but for the hand at first."""
    rng = np.random.default_rng(seed)
    wrists, objects, goals, first_goals = (samples.poses(count, rng) for _ in range(4))
    targets = wrists.copy()
    targets[:, :3, 3] += rng.uniform(-0.02, 0.02, (count, 3))
    state = GoalState(
        joints=samples.joints(count, rng),
        joint_velocities=rng.normal(size=(count, 22)),
        efforts=rng.normal(size=(count, 22)),
        wrists=wrists,
        wrist_velocities=rng.normal(size=(count, 6)),
        wrist_targets=targets,
        fingertip_forces=rng.uniform(0.0, 3.0, (count, 5)),
        objects=objects,
        object_velocities=rng.normal(size=(count, 6)),
    )
    return Sample(
        state,
        rng.uniform(-1.0, 1.0, (count, 24)),
        first_hands(rng.uniform(-3.0, 3.0, count), 0.35),
        first_goals,
        goals,
        samples.joints(count, rng),
        samples.clouds(count, 7, rng),
    )


def turned(given: Sample, angle: float, shift: tuple[float, float] = (0.0, 0.0)) -> Sample:
    """The whole scene turned about z and moved on the table."""
    move = motion(angle, shift)
    state = given.state

    def velocities(values: np.ndarray) -> np.ndarray:
        return (values.reshape(-1, 2, 3) @ move[:3, :3].T).reshape(-1, 6)

    return replace(
        given,
        state=replace(
            state,
            wrists=move @ state.wrists,
            wrist_targets=move @ state.wrist_targets,
            objects=move @ state.objects,
            wrist_velocities=velocities(state.wrist_velocities),
            object_velocities=velocities(state.object_velocities),
        ),
        hands=move @ given.hands,
        first_goals=move @ given.first_goals,
    )


def motion(angle: float, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """(4, 4) turn about z, rad, and shift on the table, m."""
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("z", angle).as_matrix()
    move[:2, 3] = shift
    return move
