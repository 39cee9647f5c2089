"""Whole episodes of the human-assisting task with a policy."""

from __future__ import annotations

from dexgrasp_learning.assist_environments import AssistEnvironments, EpisodeResults
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes
from dexgrasp_models.tasks.assist_policy import AssistPolicy


def run_episodes(
    environments: AssistEnvironments,
    episodes: AssistEpisodes,
    policy: AssistPolicy,
    seed: int = 0,
    *,
    unhindered: bool = False,
) -> EpisodeResults:
    """How N episodes end with a policy.

    Args:
        environments: that the episodes are of.
        episodes: N.
        policy: begins anew. An expert that knows more than is seen looks at the environments.
        seed: of all that is random in the environments.
        unhindered: see `AssistEnvironments.begin`.

    Raises:
        ValueError, MeshError: as `AssistEnvironments`.
    """
    seen = environments.begin(episodes, seed, unhindered=unhindered)
    policy.begin(len(episodes))
    while environments.steps < environments.config.horizon:
        seen = environments.step(policy.actions(seen))
    return environments.finish()
