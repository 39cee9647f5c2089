"""Episodes of the human-assisting task, drawn whole before they begin.

What happens in an episode but for the policy is here: the grasp that the person means, where the
object lies, how the wrist comes, and the cloud that is seen. So policies are compared on the same
episodes, and what an environment does depends on its episode and the actions alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

import numpy as np

from dexgrasp_models.data.cloud_set import Scene, placed_at_random
from dexgrasp_models.data.grasps import GraspDataError, Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.wrist_paths import fingertip_centers, wrist_paths
from dexgrasp_models.tasks.wrist_patterns import WristPatterns


class Clouds(Protocol):
    """Where the clouds of objects come from."""

    def __call__(
        self,
        name: str,
        scale: float,
        plane: np.ndarray,
        object_pose: np.ndarray,
        points: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """A cloud of an object on the table.

        Args:
            name: of the object, as in `Grasps.names`.
            scale: factor on its mesh.
            plane: (4,) table in the frame of the scaled object, see `Grasps.planes`.
            object_pose: (4, 4) of that frame in `world`.
            points: P.
            rng: draws what is left open.

        Returns:
            (P, 3) in `world`, m.

        Raises:
            MeshError: the object can't be used.
            PerceptionError: too little of it is seen.
        """


@dataclass(frozen=True, eq=False)
class AssistEpisodes:
    """N episodes.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """

    goals: Grasps
    """N grasps of objects on a table."""
    object_poses: np.ndarray
    """(N, 4, 4) of the scaled objects' frames in `world`, at the start."""
    paths: np.ndarray
    """(N, T, 4, 4) of `rh_palm` in `world`, a pose each step; the last is the goal's."""
    clouds: np.ndarray
    """(N, P, 3) of the objects in `world`, m, as they are seen at the start."""
    hints: np.ndarray | None = None
    """(N, 22) joints, rad, that a policy may be told: never the goal's (`tasks/hints.py`)."""

    def __post_init__(self) -> None:
        count = len(self.goals)
        for name, shape in (
            ("object_poses", (4, 4)),
            ("paths", (None, 4, 4)),
            ("clouds", (None, 3)),
        ):
            object.__setattr__(self, name, batch(name, getattr(self, name), count, *shape))
        if self.hints is not None:
            joints = self.goals.joints.shape[1]
            object.__setattr__(self, "hints", batch("hints", self.hints, count, joints))

    def __len__(self) -> int:
        return len(self.goals)

    def __getitem__(self, rows: np.ndarray | slice) -> Self:
        """The episodes of a slice, of a (N,) mask or of (M,) indices."""
        values: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        chosen: dict[str, Any] = {k: None if v is None else v[rows] for k, v in values.items()}
        return type(self)(**chosen)

    @property
    def names(self) -> list[str]:
        """Of each one's object."""
        return [self.goals.names[index] for index in self.goals.objects]


EpisodeSource = Callable[[np.random.Generator], AssistEpisodes]
"""Draws episodes, as many each time."""


def scenes_on_tables(goals: Grasps) -> list[Scene]:
    """The scene of each of N goals.

    Raises:
        GraspDataError: a goal has no table.
    """
    if not goals.has_table.all():
        raise GraspDataError(
            f"goal {np.argmin(goals.has_table)} has no table: the task needs objects on one"
        )
    return [
        Scene(goals.names[index], float(scale), tuple(plane.tolist()))
        for index, scale, plane in zip(goals.objects, goals.scales, goals.planes, strict=True)
    ]


def draw_episodes(
    goals: Grasps,
    patterns: WristPatterns,
    clouds: Clouds,
    rng: np.random.Generator,
    config: AssistConfig,
    *,
    blended: bool,
    placement_radius: float = 0.02,
) -> AssistEpisodes:
    """One episode for each goal (GraspGF, A.1).

    Args:
        goals: N grasps of objects on a table.
        patterns: those to draw from, of `WristPatterns.training` or `held_out`.
        clouds: gives each episode's cloud.
        rng: draws places, paths and clouds.
        config: of the task: its horizon and points.
        blended: two patterns in each path, for training; else one as it is, for evaluation.
        placement_radius: m, by up to which the object is off the table's centre; its yaw is any.

    Raises:
        GraspDataError: a goal has no table.
        PatternError: there are no patterns.
        MeshError, PerceptionError: as `Clouds`.
    """
    hand, count = load_hand(), len(goals)
    scenes = scenes_on_tables(goals)
    object_poses = np.empty((count, 4, 4))
    for pose, scene in zip(object_poses, scenes, strict=True):
        pose[:] = placed_at_random(scene, placement_radius, rng)

    wrists = object_poses @ goals.palm_poses
    joints = goals.joints.astype(float)
    drawn = patterns.blended(count, rng) if blended else patterns.drawn(count, rng)
    paths = wrist_paths(drawn, wrists, fingertip_centers(hand, wrists, joints), rng, config.horizon)

    seen = np.empty((count, config.points, 3))
    for cloud, scene, pose in zip(seen, scenes, object_poses, strict=True):
        plane = np.array(scene.plane)
        cloud[:] = clouds(scene.name, scene.scale, plane, pose, config.points, rng)
    return AssistEpisodes(goals, object_poses, paths, seen)
