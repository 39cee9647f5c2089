"""Goals that the learned proposer gives of what the cameras see (UniDexGrasp, Table 4: "pred")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache

import numpy as np

from dexgrasp_learning.goal_rows import CarryingOut, plans_of
from dexgrasp_models.objects import load_surface
from dexgrasp_models.perception.fusion import FusedCloud, PerceptionError, load_fusion_config
from dexgrasp_models.proposals.proposer import Proposer, make_proposer
from dexgrasp_models.proposals.reachability import NoProposalError
from dexgrasp_models.synthesis.object_surface import CloudError
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks.assist_observation import as_many
from dexgrasp_models.tasks.full_clouds import library_source
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes, together
from dexgrasp_sim.datasets.cloud_data import TableView
from dexgrasp_sim.scene import load_scene

PROPOSALS = 32
"""Asked for in each episode."""


class Proposed(StrEnum):
    """Which of the proposals are told."""

    BEST = "best"
    """The first, in the proposer's order, to which there is a way; as `/grasp` takes them."""
    SINGLE = "single"
    """Any one."""


def proposed(
    episodes: ToldEpisodes,
    which: Proposed,
    task: GoalConfig,
    settings: CarryingOut,
    rng: np.random.Generator,
) -> ToldEpisodes:
    """The episodes with proposals for goals, of clouds that all is known by then.

    Where there is no proposal, or no way to one, the hand is told to stay where it begins: nobody
    lifts anything there.

    Args:
        episodes: with goals whose objects, scales and tables count.
        which: of the proposals.
        task: whose episodes these are.
        settings: how goals are carried out; it has to press.
        rng: draws the cameras' noise, the proposals, and which.

    Raises:
        ValueError: nothing is to be pressed with.
        MeshError, WeightsError: an object, or the proposer, can't be used.
    """
    if not settings.telling.squeeze:
        raise ValueError("proposals say how to press, so a squeeze of 0 can't carry them out")

    def found(episode: ToldEpisodes) -> ToldEpisodes:
        seen, grasps = looked(episode, task, rng)
        if not grasps:
            return _staying(seen)
        if which is Proposed.SINGLE:
            return told_to(seen, grasps[int(rng.integers(len(grasps)))], settings)
        every = (told_to(seen, grasp, settings) for grasp in grasps)
        return next((each for each in every if plans_of(each, task, settings)[0]), _staying(seen))

    every = together([found(episodes[row : row + 1]) for row in range(len(episodes))])
    goals = episodes.goals.held_as(every.goals)
    return replace(episodes, goals=goals, clouds=every.clouds, looks=every.looks)


def looked(
    episode: ToldEpisodes, task: GoalConfig, rng: np.random.Generator
) -> tuple[ToldEpisodes, Sequence[Grasp]]:
    """One episode as the cameras see it, and what is proposed of that, in the proposer's order.

    Args:
        episode: one.
        task: whose it is.
        rng: draws the cameras' noise and the proposals.

    Returns:
        The episode with clouds of what was seen, and grasps in `world`; where nothing is seen, or
        proposed, as it was and none.

    Raises:
        MeshError, WeightsError: the object, or the proposer, can't be used.
    """
    try:
        cloud = _look(episode, rng)
        grasps = _proposer().propose(cloud, PROPOSALS, int(rng.integers(2**31)))
    except (PerceptionError, CloudError, NoProposalError):
        return episode, ()
    points = cloud.object_points.astype(float)
    looks = None if episode.looks is None else as_many(points, episode.looks.shape[1])[None]
    return replace(episode, clouds=as_many(points, task.points)[None], looks=looks), grasps


def told_to(episode: ToldEpisodes, grasp: Grasp, settings: CarryingOut) -> ToldEpisodes:
    """One episode, with a grasp in `world` for its goal."""
    episode = episode.aimed(grasp.palm_pose[None])
    pressed = (grasp.squeeze_joints - grasp.joints) / settings.telling.squeeze
    goals = replace(
        episode.goals, joints=grasp.joints[None], squeezes=(grasp.joints + pressed)[None]
    )
    return replace(episode, goals=goals)


def _staying(episode: ToldEpisodes) -> ToldEpisodes:
    """One episode, whose goal is where the hand begins, with straight fingers."""
    straight = np.zeros(episode.goals.joints.shape[1])
    stays = Grasp(episode.hands[0], straight, straight, straight, 0.0, {}, "none")
    return told_to(episode, stays, CarryingOut())


def _look(episode: ToldEpisodes, rng: np.random.Generator) -> FusedCloud:
    (name,), (pose,), (scale,) = episode.names, episode.object_poses, episode.goals.scales
    return _view(name).look(pose, float(scale), rng)


@lru_cache(4)
def _view(name: str) -> TableView:
    return TableView(load_surface(library_source(name)), load_scene(), load_fusion_config())


@lru_cache(1)
def _proposer() -> Proposer:
    return make_proposer("learned")
