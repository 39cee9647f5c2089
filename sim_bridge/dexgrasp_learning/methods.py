"""The two ways in which policies learn, and how long a training by each is."""

from __future__ import annotations

import dataclasses
from typing import Protocol, TypeVar

from dexgrasp_learning.dagger import DaggerConfig
from dexgrasp_learning.ppo import PPOConfig

METHODS = ("dagger", "ppo")
"""From an expert, and by reward."""


class Task(Protocol):
    """What counts of a task."""

    @property
    def horizon(self) -> int:
        """Steps of an episode."""


class Settings(Protocol):
    """Settings of a training by either."""

    @property
    def ppo(self) -> PPOConfig: ...

    @property
    def dagger(self) -> DaggerConfig: ...

    @property
    def task(self) -> Task: ...


AnySettings = TypeVar("AnySettings", bound=Settings)


def check_method(method: str, what: str) -> None:
    """See that there is such a way.

    Raises:
        ValueError: there isn't.
    """
    if method not in METHODS:
        raise ValueError(f"a {what} is trained by {' or '.join(METHODS)}, not {method!r}")


def planned_rounds(method: str, settings: Settings) -> int:
    """How many rounds a training has in all."""
    if method == "dagger":
        return settings.dagger.rounds
    return max(1, settings.ppo.steps // (settings.task.horizon * settings.ppo.environments))


def resized(settings: AnySettings, rounds: int | None, episodes: int | None) -> AnySettings:
    """Settings with other numbers of rounds, and of episodes side by side, where they are given."""
    ppo, dagger = settings.ppo, settings.dagger
    if episodes is not None:
        ppo = dataclasses.replace(ppo, environments=episodes)
        dagger = dataclasses.replace(dagger, episodes=episodes)
    if rounds is not None:
        steps = rounds * settings.task.horizon * ppo.environments
        ppo = dataclasses.replace(ppo, steps=steps)
        dagger = dataclasses.replace(dagger, rounds=rounds)
    return dataclasses.replace(settings, ppo=ppo, dagger=dagger)  # type: ignore[type-var]
