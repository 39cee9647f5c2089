"""What `dexgrasp eval assist` compares, by name: policies, experts that know more, and controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.evaluation_jobs import others_of
from dexgrasp_learning.open_loop import OpenLoop
from dexgrasp_learning.oracle_policy import OraclePolicy
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes
from dexgrasp_models.tasks.assist_observation import AssistObservation
from dexgrasp_models.tasks.assist_policy import AssistPolicy
from dexgrasp_models.tasks.learned_assist import LearnedAssist
from dexgrasp_models.tasks.primitive_assist import GateConfig, PrimitiveAssist


@dataclass(frozen=True)
class AssistRow:
    """How a row acts.

    Attributes:
        title: as the tables have it.
        make: the policy, from the environments that it acts in, a file of weights, and a seed.
        learned: whether it needs that file.
        unhindered: whether the hand can't touch the object before the wrist has come.
    """

    title: str
    make: Callable[[AssistEnvironments, str, int], AssistPolicy]
    learned: bool = False
    unhindered: bool = False


class Control(StrEnum):
    """What is done to episodes; with either of the others no policy may do as well."""

    NONE = "none"
    SHUFFLED_CLOUDS = "shuffled_clouds"
    """Each is seen with the cloud of another object."""
    OTHER_WRIST = "other_wrist"
    """The wrist comes to the grasp of another object."""


class _Still:
    """Never moves a finger."""

    def begin(self, count: int) -> None:
        """It remembers nothing."""

    def actions(self, seen: AssistObservation) -> np.ndarray:
        """(N, 18) zeros."""
        return np.zeros_like(seen.actuated)


ROWS: Mapping[str, AssistRow] = {
    "learned": AssistRow(
        "ours, a^p * a^s + a^r", lambda now, weights, seed: LearnedAssist(weights), learned=True
    ),
    "scaled": AssistRow(
        "a^p * a^s",
        lambda now, weights, seed: LearnedAssist(weights, residuals=False),
        learned=True,
    ),
    "primitive": AssistRow(
        "a^p (w/o RL)", lambda now, weights, seed: PrimitiveAssist(None, now.config)
    ),
    "unhindered": AssistRow(
        "a^p w/o collision",
        lambda now, weights, seed: PrimitiveAssist(None, now.config),
        unhindered=True,
    ),
    "gated": AssistRow(
        "a^p, slowed by a rule",
        lambda now, weights, seed: PrimitiveAssist(GateConfig(), now.config),
    ),
    "open_loop": AssistRow("open loop to a sample", lambda now, weights, seed: OpenLoop(now, seed)),
    "oracle": AssistRow("oracle (knows the goal)", lambda now, weights, seed: OraclePolicy(now)),
    "still": AssistRow("no policy", lambda now, weights, seed: _Still()),
}
"""By the names that `--rows` takes."""


def row_named(name: str) -> AssistRow:
    """One of `ROWS`; by any other name a learned one, which is called so in tables."""
    own = AssistRow(name, lambda now, weights, seed: LearnedAssist(weights), learned=True)
    return ROWS.get(name, own)


def controlled(episodes: AssistEpisodes, control: Control) -> AssistEpisodes:
    """The episodes that are run in the place of some.

    Raises:
        ValueError: they are of one object, where another's is asked for.
    """
    if control is Control.NONE:
        return episodes
    others = others_of(episodes.names)
    name = "clouds" if control is Control.SHUFFLED_CLOUDS else "paths"
    return replace(episodes, **{name: getattr(episodes, name)[others]})
