"""Object curriculum (UniDexGrasp, 3.3.1 and B.2.1): one object, its category, three, then all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.training.data import derived_seed

REPRESENTATIVE = 3
"""Categories of the stage before all (4.3)."""


@dataclass(frozen=True)
class CurriculumConfig(Parameters):
    """How long each stage is; what comes after them is with all objects."""

    object_rounds: int = parameter(0, 0, 1_000_000, "", "with one object; 0: no such stage")
    category_rounds: int = parameter(0, 0, 1_000_000, "", "with the objects of its category")
    categories_rounds: int = parameter(0, 0, 1_000_000, "", "with those of three categories")

    def with_stages(self, count: int) -> CurriculumConfig:
        """The first ones of these alone, as in the ablations (4.3).

        Raises:
            ValueError: there are at most three.
        """
        if not 0 <= count <= 3:
            raise ValueError(f"a curriculum has 0 to 3 stages before all objects, not {count}")
        rounds = (self.object_rounds, self.category_rounds, self.categories_rounds)
        return CurriculumConfig(*rounds[:count])


@dataclass(frozen=True)
class Stage:
    """Some rounds with the same objects."""

    title: str
    begin: int
    """The first round."""
    objects: tuple[str, ...]
    """Names, sorted."""


def category_of(name: str) -> str:
    """Of an object: what its name has before its instance."""
    return name.partition("/")[0]


def stages_of(config: CurriculumConfig, names: Sequence[str], seed: int) -> list[Stage]:
    """The stages in their order; the last one is with all objects.

    Args:
        config: how long they are.
        names: of the objects that there are goals of.
        seed: draws the categories, as the first of which counts the object's, and the object.

    Raises:
        ValueError: there are no objects.
    """
    everything = tuple(sorted(set(names)))
    if not everything:
        raise ValueError("there are no objects to learn with")
    rng = np.random.default_rng(derived_seed(seed, "curriculum"))
    categories = rng.permutation(sorted({category_of(name) for name in everything})).tolist()

    def among(chosen: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in everything if category_of(name) in chosen)

    first = among(categories[:1])
    several = ", ".join(categories[:REPRESENTATIVE])
    only = str(rng.choice(first))
    planned = [
        (f"one object: {only}", config.object_rounds, (only,)),
        (f"its category: {categories[0]}", config.category_rounds, first),
        (f"categories: {several}", config.categories_rounds, among(categories[:REPRESENTATIVE])),
        ("all objects", None, everything),
    ]
    stages, begin = [], 0
    for title, rounds, objects in planned:
        if rounds != 0:
            stages.append(Stage(title, begin, objects))
        begin += rounds or 0
    return stages


def stage_at(stages: Sequence[Stage], number: int) -> Stage:
    """The stage that a round is in, the first round being 0."""
    return next(stage for stage in reversed(stages) if stage.begin <= number)
