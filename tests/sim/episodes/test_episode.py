"""Whole episodes in process: look, propose, plan, grasp and lift."""

from __future__ import annotations

from dexgrasp_sim.episodes.episode import EpisodeSettings, run_episode
from dexgrasp_sim.episodes.perturbation import Perturbation


def test_the_networks_that_come_along_lift_a_can():
    settings = EpisodeSettings("can", seed=0, proposer="learned")
    episode = run_episode(settings)
    assert episode.success, (episode.lost_at, episode.reason)
    # As it must not: the hand opens where it should squeeze.
    spoiled = EpisodeSettings(
        "can", seed=0, proposer="learned", perturbation=Perturbation.REVERSED_SQUEEZE
    )
    assert not run_episode(spoiled).success
