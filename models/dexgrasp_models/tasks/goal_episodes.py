"""Episodes of the goal-conditioned task, drawn whole before they begin.

What happens in an episode but for the policy is here: the grasp that is wanted, where the object
lies, where the hand begins, and the object's points. So policies are compared on the same episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from dexgrasp_models.data.cloud_set import placed_at_random
from dexgrasp_models.data.grasps import Grasps, concatenate, to_angles
from dexgrasp_models.tasks.assist_episodes import Clouds, scenes_on_tables
from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_frame import first_hands, inverses


@dataclass(frozen=True, eq=False)
class ToldEpisodes:
    """N episodes, each with the grasp that is told.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """

    goals: Grasps
    """N grasps of objects on a table."""
    object_poses: np.ndarray
    """(N, 4, 4) of the scaled objects' frames in `world`, at the start."""
    hands: np.ndarray
    """(N, 4, 4) of `rh_palm` in `world`, at the start."""
    clouds: np.ndarray
    """(N, P, 3) of the objects in `world`, m, at the start."""
    looks: np.ndarray | None = None
    """(N, Q, 3) likewise, as the cameras saw them; None where nobody looked."""

    def __post_init__(self) -> None:
        shapes = {"object_poses": (4, 4), "hands": (4, 4), "clouds": (None, 3)}
        for name, shape in shapes.items():
            values = batch(name, getattr(self, name), len(self.goals), *shape)
            object.__setattr__(self, name, values)
        if self.looks is not None:
            object.__setattr__(self, "looks", batch("looks", self.looks, len(self), None, 3))

    def __len__(self) -> int:
        return len(self.goals)

    def __getitem__(self, rows: np.ndarray | slice) -> Self:
        """The episodes of a slice, of a (N,) mask or of (M,) indices."""
        held = {item.name: getattr(self, item.name) for item in fields(self)}
        chosen: dict[str, Any] = {n: v if v is None else v[rows] for n, v in held.items()}
        return type(self)(**chosen)

    @property
    def names(self) -> list[str]:
        """Of each one's object."""
        return [self.goals.names[index] for index in self.goals.objects]

    @property
    def goal_wrists(self) -> np.ndarray:
        """(N, 4, 4) of `rh_palm` in `world`, where the grasp is wanted at first."""
        return self.object_poses @ self.goals.palm_poses

    @property
    def object_clouds(self) -> np.ndarray:
        """(N, P, 3) of the objects in their own frames, m."""
        inverse = inverses(self.object_poses)
        turned = self.clouds @ inverse[:, :3, :3].swapaxes(1, 2)
        return turned + inverse[:, None, :3, 3]

    def aimed(self, palms: np.ndarray) -> Self:
        """The same with palms (N, 4, 4) in `world` wanted at first, otherwise told as before."""
        poses = inverses(self.object_poses) @ palms
        turns = to_angles(poses[:, :3, :3])
        goals = replace(self.goals, translations=poses[:, :3, 3], rotations=turns)
        return replace(self, goals=goals)


def together(parts: Sequence[ToldEpisodes]) -> ToldEpisodes:
    """All episodes in order; of what the cameras saw only where it is known of all.

    Raises:
        GraspDataError: there is no part.
        ValueError: clouds differ in how many points they have.
    """
    looks = [part.looks for part in parts if part.looks is not None]
    return ToldEpisodes(
        concatenate([part.goals for part in parts]),
        np.concatenate([part.object_poses for part in parts]),
        np.concatenate([part.hands for part in parts]),
        np.concatenate([part.clouds for part in parts]),
        np.concatenate(looks) if len(looks) == len(parts) else None,
    )


def draw_told_episodes(
    goals: Grasps,
    clouds: Clouds,
    rng: np.random.Generator,
    config: GoalConfig,
    *,
    placement_radius: float = 0.02,
    looks: Clouds | None = None,
    look_points: int = 256,
) -> ToldEpisodes:
    """One episode for each goal.

    Args:
        goals: N grasps of objects on a table.
        clouds: gives each object's points.
        rng: draws places, the hands' turns and clouds.
        config: of the task.
        placement_radius: m, by up to which the object is off the table's centre; its yaw is any.
        looks: gives what the cameras see, where it is asked for.
        look_points: how many points of it.

    Raises:
        GraspDataError: a goal has no table.
        MeshError, PerceptionError: as `Clouds`.
    """
    scenes = scenes_on_tables(goals)
    poses = np.array([placed_at_random(scene, placement_radius, rng) for scene in scenes])
    hands = first_hands(rng.uniform(-np.pi, np.pi, len(goals)), config.start_height)

    def drawn(source: Clouds, count: int) -> np.ndarray:
        points = [
            source(scene.name, scene.scale, np.array(scene.plane), pose, count, rng)
            for scene, pose in zip(scenes, poses, strict=True)
        ]
        return np.reshape(points, (len(goals), count, 3))

    return ToldEpisodes(
        goals,
        poses.reshape(len(goals), 4, 4),
        hands,
        drawn(clouds, config.points),
        # Drawn last, so that the episodes are the same with and without.
        None if looks is None else drawn(looks, look_points),
    )
