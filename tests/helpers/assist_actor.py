"""An actor of rsl_rl on the human-assisting task, and states that it is shown."""

from __future__ import annotations

from dataclasses import replace

import torch
from assist_toys import JOINTS, TINY, TINY_BASIS
from tensordict import TensorDict

from dexgrasp_learning.assist_training import actor_critic
from dexgrasp_learning.labelled_states import LabelledStates
from dexgrasp_learning.ppo import NetworkModel
from dexgrasp_models.nets.assist_network import AssistNetwork

DIRECT = replace(TINY, outputs="direct")
_STATE, _CLOUD = 57, TINY_BASIS.points


def actor() -> NetworkModel:
    """Always the same."""
    torch.manual_seed(0)
    seen = TensorDict({"state": torch.zeros(1, _STATE), "cloud": torch.zeros(1, _CLOUD)}, [1])
    distribution = {"init_std": 0.5, "std_type": "log"}
    groups = {"actor": ["state", "cloud"]}
    parts = actor_critic(AssistNetwork(DIRECT), None)
    return NetworkModel(seen, groups, "actor", JOINTS, parts, distribution)


def demonstrated(seed: int = 1) -> LabelledStates:
    """The same state three times, so that any batch is the same."""
    torch.manual_seed(seed)
    inputs = {"states": torch.randn(1, _STATE), "clouds": torch.rand(1, _CLOUD)}
    return LabelledStates.of(inputs, torch.randn(1, JOINTS)).rows(torch.zeros(3, dtype=torch.long))
