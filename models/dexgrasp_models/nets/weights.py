"""Weights of a network in one `safetensors` file, with its configuration in the header."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from dexgrasp_models.files import written_whole
from dexgrasp_models.hand.file_header import check_hand, hand_header
from dexgrasp_models.parameters import Parameters

FORMAT = "dexgrasp weights 1"
WEIGHTS = Path(__file__).parents[1] / "weights"
"""Folder of the weights that come with the package."""

ConfigType = TypeVar("ConfigType", bound=Parameters)
NetworkType = TypeVar("NetworkType", bound=nn.Module)


class WeightsError(ValueError):
    """A file that isn't there, or isn't what it should be."""


class Weights(NamedTuple):
    """What a file of weights holds."""

    config: Any
    """Of the type that was asked for."""
    state: dict[str, Tensor]
    """For `load_state_dict`; on the CPU."""
    metadata: dict[str, Any]
    """What was saved along: where the weights come from, their figures."""


def save_weights(
    path: str | os.PathLike[str],
    module: nn.Module,
    config: Parameters,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write the module's parameters and buffers, whole or not at all.

    Args:
        path: of the file; its folder is made.
        module: whose state is saved.
        config: that it was built from.
        metadata: anything that JSON can hold.
    """
    header = {
        "format": FORMAT,
        **hand_header(),
        "config_type": type(config).__name__,
        "config": json.dumps(dataclasses.asdict(config)),
        "metadata": json.dumps(dict(metadata or {})),
    }
    state = {
        name: values.detach().cpu().contiguous() for name, values in module.state_dict().items()
    }
    with written_whole(path) as temporary:
        temporary.write_bytes(save(state, header))


def load_weights(path: str | os.PathLike[str], config_type: type[ConfigType]) -> Weights:
    """Read what `save_weights` wrote.

    Args:
        path: of the file.
        config_type: of the configuration that it must hold.

    Raises:
        WeightsError: there is no such file, it is no file of weights or is cut short, it is
            for another hand, or its configuration is of another type, has unknown parameters or
            values out of range.
    """
    if not Path(path).is_file():
        raise WeightsError(f"{path}: there is no such file of weights")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: is cut short or no file of weights ({error})") from error
    if header.get("format") != FORMAT:
        raise WeightsError(f"{path}: its format is {header.get('format')!r}, not {FORMAT!r}")
    check_hand(path, header, WeightsError)
    if header.get("config_type") != config_type.__name__:
        raise WeightsError(
            f"{path}: holds weights for {header.get('config_type')}, not {config_type.__name__}"
        )
    try:
        config = config_type.from_mapping(json.loads(header["config"]))
        metadata = json.loads(header["metadata"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: its header can't be used ({error})") from error
    return Weights(config, state, metadata)


def load_network(
    path: str | os.PathLike[str],
    config_type: type[ConfigType],
    build: Callable[[ConfigType], NetworkType],
) -> tuple[NetworkType, dict[str, Any]]:
    """The network in a file that `save_weights` wrote, and what was saved along::

        network, metadata = load_network(path, GraspGlowConfig, GraspGlow)

    Args:
        path, config_type: as of `load_weights`.
        build: gives a network of a configuration.

    Raises:
        WeightsError: as `load_weights`, or the weights don't fit the network.
    """
    config, state, metadata = load_weights(path, config_type)
    network = build(config)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{path}: doesn't fit its network: {error}") from None
    return network, metadata
