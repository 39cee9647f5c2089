"""A film of `dexgrasp eval policy`: the same episodes with each row beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_learning.goal_evaluation import GoalJob, prepare
from dexgrasp_learning.goal_policy import GoalPolicy
from dexgrasp_learning.task_scenes import objects_of
from dexgrasp_models.tasks.goal_observation import GoalObservation
from dexgrasp_models.tasks.goal_success import Lost
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.cameras.render import Renderer, save_video, viewpoint
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.interface import Snapshot
from dexgrasp_sim.pictures.contact_sheet import captioned, in_rows

RATE = 10.0
"""Pictures a second."""
SPEED = 2.0
"""The film shows this many simulated seconds in a second."""
_SIZE = (320, 240)  # px, of one picture


@dataclass(frozen=True)
class Shot:
    """One episode, which each row of its job is shown in."""

    job: GoalJob
    episode: int
    """Of the job."""


def chosen_shots(found: Sequence[tuple[GoalJob, Mapping[str, Any]]]) -> list[Shot]:
    """Episodes that tell the rows apart: first one in which all lift the object, where there is
    one, then for each row one in which it does not, and as many others as possible do.

    Args:
        found: jobs of the same rows, and what `run_goal_job` gave for each.

    Returns:
        At most one more than there are rows; none twice.
    """
    shots, lifted = [], []
    for job, result in found:
        rows = [result["rows"][row] for row in job.settings.rows]
        for episode, ended in enumerate(zip(*rows, strict=True)):
            shots.append(Shot(job, episode))
            lifted.append([one["paper"] for one in ended])
    if not shots:
        return []
    lifts = np.array(lifted, dtype=bool)
    count = lifts.sum(axis=1)
    taken = np.flatnonzero(lifts.all(axis=1))[:1].tolist()
    for row in range(lifts.shape[1]):
        if not lifts[:, row].all():
            taken.append(int(np.argmax(np.where(lifts[:, row], -1, count))))
    return [shots[index] for index in dict.fromkeys(taken)]


def write_film(path: Path, shots: Sequence[Shot]) -> None:
    """Run the shots' jobs again, and draw these episodes: a line for each, a row in each column.

    Args:
        path: of the video, see `save_video`.
        shots: at least one, of jobs with the same rows and task.

    Raises:
        ValueError: there are none, or the file's suffix is of no video.
        GraspDataError, MeshError: something can't be used.
    """
    if not shots:
        raise ValueError("there are no episodes to show")
    reels: dict[tuple[Shot, str], Iterator[np.ndarray]] = {}
    for job in dict.fromkeys(shot.job for shot in shots):
        reels |= _reels(job, [shot.episode for shot in shots if shot.job == job])
    rows = shots[0].job.settings.rows
    strips = [reels[shot, row] for shot in shots for row in rows]
    # All episodes have the same length.
    save_video(path, (in_rows(tiles, len(rows)) for tiles in zip(*strips, strict=True)), RATE)


def _reels(job: GoalJob, episodes: Sequence[int]) -> dict[tuple[Shot, str], Iterator[np.ndarray]]:
    """Pictures of some episodes with each row, drawn as they are asked for."""
    prepared = prepare(job)
    now = prepared.environments
    every = max(round(now.config.rate * SPEED / RATE), 1)
    goals = prepared.true.goals[np.array(episodes)]
    view = viewpoint("floating", *_SIZE)
    renderers = [
        Renderer(DepthCameras(now.scene, item), view) for item in objects_of(goals, library_object)
    ]
    found = {}
    for row in job.settings.rows:
        kept: list[list[Snapshot]] = [[] for _ in episodes]
        ended = prepared.run(row, partial(_Watched, now, episodes, every, kept))
        for renderer, episode, snapshots in zip(renderers, episodes, kept, strict=True):
            snapshots.append(now.physics.snapshot(episode))
            lost = ended.lost[episode]
            how = "lifted" if lost is Lost.NOWHERE else f"lost: {lost}"
            caption = f"{prepared.told.names[episode]}, {row}: {how}"
            found[Shot(job, episode), row] = _drawn(renderer, snapshots, caption)
    return found


def _drawn(renderer: Renderer, snapshots: Sequence[Snapshot], caption: str) -> Iterator[np.ndarray]:
    return (captioned(picture, caption) for picture in renderer.pictures(snapshots))


class _Watched:
    """A policy, and where everything is in some of its episodes at every so many steps."""

    def __init__(
        self,
        environments: GoalEnvironments,
        episodes: Sequence[int],
        every: int,
        kept: Sequence[list[Snapshot]],
        policy: GoalPolicy,
    ) -> None:
        self._policy, self._environments = policy, environments
        self._episodes, self._every, self._kept = episodes, every, kept

    def begin(self, count: int) -> None:
        self._policy.begin(count)

    def actions(self, seen: GoalObservation) -> np.ndarray:
        if self._environments.steps % self._every == 0:
            for episode, snapshots in zip(self._episodes, self._kept, strict=True):
                snapshots.append(self._environments.physics.snapshot(episode))
        return self._policy.actions(seen)
