"""Folders of untrained networks, for tests of the evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import torch
from training_samples import tiny_objective

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.clouds import CloudConfig
from dexgrasp_models.nets.glow import GraspGlow
from dexgrasp_models.nets.weights import save_weights
from dexgrasp_models.training.objectives import RECIPES

CLOUD = CloudConfig(object_points=96, table_points=16)


def write_weights(
    folder: Path, recipes: Iterable[str] = tuple(RECIPES), cloud: CloudConfig = CLOUD
) -> Path:
    """The folder, with tiny networks of some recipes; those of `joint` aren't those of `glow`."""
    for seed, recipe in enumerate(recipes):
        kind = "glow" if recipe == "joint" else recipe
        network = tiny_objective(kind, seed=seed).network
        if isinstance(network, GraspGlow):
            # About where hands are: behind the object, fingers half bent.
            middle = load_hand().limits.mean(1)
            network.flow.mean.copy_(torch.tensor([0.0, 0.05, -0.09, *middle]))
            network.flow.deviation.fill_(0.02)
        metadata = {"training": {"cloud": asdict(cloud)}}
        save_weights(folder / f"{recipe}.safetensors", network, network.config, metadata)
    return folder
