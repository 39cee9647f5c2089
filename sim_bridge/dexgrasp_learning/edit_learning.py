"""Edits of plans, learned over objects from what was tried: advantage-weighted regression.

(Peng et al., 2019.) What lifted counts more than what didn't, of the same goal: an edit's weight is
exp(advantage / temperature), where the advantage is by how much its reward, lifted or not, is above
the mean of all tries of that goal. Goals that nothing lifted say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dexgrasp_learning.edit_search import EditSearchConfig
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.nets.posture_net import PostureNet, PostureNetConfig, fitted
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.learned_edits import EditNetConfig, seen_for_edits
from dexgrasp_models.training.config import recipe_values

RECIPE = "edits"
"""Its name in the files of `config/training/`."""


@dataclass(frozen=True)
class EditLearningConfig(Parameters):
    """How it is learned."""

    temperature: float = parameter(
        0.2, 0.01, 100.0, "", "advantage by which an edit counts e times as much"
    )
    net: PostureNetConfig = field(default_factory=PostureNetConfig)


@dataclass(frozen=True)
class EditTraining(Parameters):
    """Settings of search and learning."""

    search: EditSearchConfig = field(default_factory=EditSearchConfig)
    learning: EditLearningConfig = field(default_factory=EditLearningConfig)

    @property
    def net(self) -> EditNetConfig:
        """Of the network that comes out."""
        return EditNetConfig(self.learning.net, self.search.edit)


def load_edit_training(name: str) -> EditTraining:
    """The settings in a file of `config/training/`, or in any YAML file by its path.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it doesn't have the recipe, or has an unknown name or a bad value.
    """
    return EditTraining.from_mapping(recipe_values(RECIPE, name))


class TriedBatch(NamedTuple):
    """All tries of some goals."""

    seen: Tensor
    """(M, K + 18) of `seen_for_edits`."""
    edits: Tensor
    """(M, 24)."""
    lifted: Tensor
    """(M,) 1 or 0."""
    goal: Tensor
    """(M,) number of the goal that each is of."""


def tried_batch(found: Iterable[Mapping[str, Any]], config: PostureNetConfig) -> TriedBatch:
    """What `run_edit_job` found of some objects.

    Raises:
        ValueError: of none of them anything was tried.
    """
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for each in found:
        for goal in each["goals"]:
            tries = len(goal["lifted"])
            grasp = _grasp(goal)
            seen = seen_for_edits(np.array([each["cloud"]]), grasp, config)
            parts.append(
                (
                    seen.expand(tries, -1),
                    torch.tensor(goal["edits"]).float(),
                    torch.tensor(goal["lifted"]).float(),
                    torch.full((tries,), len(parts)),
                )
            )
    if not parts:
        raise ValueError("nothing was tried of any object, so there is nothing to learn")
    return TriedBatch(*(torch.cat(column) for column in zip(*parts, strict=True)))


def advantage_weights(lifted: Tensor, goal: Tensor, temperature: float) -> Tensor:
    """(M,) of tries; each goal's sum up to 1, or are 0 where nothing lifted.

    Args:
        lifted: (M,) 1 or 0.
        goal: (M,) numbers of the goals from 0.
        temperature: see `EditLearningConfig`.
    """
    count = int(goal.max()) + 1
    # Within a goal the mean of the rewards, which the advantage is above, cancels out.
    weights = torch.exp(lifted / temperature)
    totals = torch.zeros(count).index_add(0, goal, weights)
    successes = torch.zeros(count).index_add(0, goal, lifted)
    return weights / totals[goal] * (successes[goal] > 0)


def learned_edits(tried: TriedBatch, config: EditLearningConfig, seed: int = 0) -> PostureNet:
    """A network that gives the edits that lifted, in evaluation mode.

    Raises:
        ValueError: no edit lifted anything.
    """
    weights = advantage_weights(tried.lifted, tried.goal, config.temperature)
    if not bool(weights.any()):
        raise ValueError("no edit of any plan lifted its object, so there is nothing to learn")
    return fitted(tried.seen[None], tried.edits, config.net, seed, weights)


def _grasp(goal: Mapping[str, Any]) -> Grasps:
    """That of a result, of an object that doesn't count."""
    return Grasps(
        names=("tried",),
        objects=np.zeros(1),
        numbers=np.zeros(1),
        scales=np.ones(1),
        planes=np.full((1, 4), np.nan),
        translations=np.array([goal["translation"]]),
        rotations=np.array([goal["rotation"]]),
        joints=np.array([goal["joints"]]),
    )
