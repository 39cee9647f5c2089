"""Networks in the folder that `dexgrasp train` leaves them in, for inference."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dexgrasp_models.files import files_digest
from dexgrasp_models.nets.clouds import CloudConfig
from dexgrasp_models.nets.weights import (
    WeightsError,
    load_network,
)
from dexgrasp_models.training.config import TrainingConfig
from dexgrasp_models.training.objectives import RECIPES

_BUILT_AS = {"joint": "glow"}  # networks that end-to-end training only goes on with


class NetworkFolder:
    """A folder of weights, each network of which is read once.

    Args:
        path: the folder; it may lack any of them, see `missing`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loaded: dict[str, tuple[nn.Module, CloudConfig]] = {}

    def missing(self, recipes: Iterable[str]) -> list[str]:
        """Those of some recipes' names that have no weights here."""
        return [name for name in recipes if not self._file(name).is_file()]

    def load(self, recipes: Iterable[str]) -> tuple[dict[str, Any], CloudConfig]:
        """Networks by their recipes' names, and the cloud that all of them were trained on.

        Raises:
            WeightsError: a file is missing or can't be used, or their clouds differ.
        """
        found = {name: self._network(name) for name in recipes}
        clouds = [cloud for _, cloud in found.values()]
        if any(cloud != clouds[0] for cloud in clouds):
            raise WeightsError(
                f"{self.path}: {', '.join(found)} were trained on different clouds; train them "
                "with the same settings of the cloud"
            )
        return {name: network for name, (network, _) in found.items()}, clouds[0]

    def digest(self, recipes: Iterable[str]) -> str:
        """Differs where weights do."""
        return files_digest({name: self._file(name) for name in recipes})

    def _network(self, name: str) -> tuple[nn.Module, CloudConfig]:
        if name not in self._loaded:
            recipe = RECIPES[_BUILT_AS.get(name, name)]
            network, metadata = load_network(
                self._file(name),
                recipe.network_config,
                lambda config: (
                    recipe.build(config, TrainingConfig(), torch.device("cpu"), {}).network
                ),
            )
            cloud = CloudConfig.from_mapping(metadata.get("training", {}).get("cloud", {}))
            self._loaded[name] = network.eval().requires_grad_(False), cloud
        return self._loaded[name]

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.safetensors"
