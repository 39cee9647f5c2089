"""Settings of training; `config/training/` has them as named files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dexgrasp_models.config import load_config
from dexgrasp_models.nets.clouds import CloudConfig
from dexgrasp_models.parameters import Parameters, choice, flag, parameter


@dataclass(frozen=True)
class TrainingConfig(Parameters):
    """How a network is trained, by Adam; the rate and batches of UniDexGrasp are in its C.2.

    Raises:
        ValueError: a value is out of range or not among the choices.
    """

    steps: int = parameter(20_000, 1, 100_000_000, "", "updates of the weights")
    batch: int = parameter(16, 1, 65_536, "", "clouds of a step, over all processes")
    grasps: int = parameter(1, 1, 1024, "", "grasps of each cloud")
    samples: int = parameter(8, 1, 1024, "", "grasps drawn for each cloud, end-to-end (C.2)")
    learning_rate: float = parameter(1e-3, 1e-8, 1, "", "of Adam")
    schedule: Literal["constant", "cosine"] = choice(
        "constant",
        ("constant", "cosine"),
        "of the learning rate over the steps; `cosine` ends at a hundredth",
    )
    clip: float = parameter(10.0, 0, 1e9, "", "longest gradient; 0 doesn't clip")
    quality_from: float = parameter(
        0.5, 0, 1, "", "part of the steps before the losses of physical quality come in, if ever"
    )
    turn: bool = flag(True, "clouds with their grasps about the vertical")
    jitter: float = parameter(0.0005, 0, 0.05, "m", "deviation of noise on the object's points")
    flaw_translation: float = parameter(
        0.03, 0, 1, "m", "deviation of the palm's place in what ContactNet sees (3.2.3)"
    )
    flaw_joints: float = parameter(0.1, 0, 3, "rad", "likewise, of each joint")
    wrist_translation: float = parameter(
        0.0, 0, 1, "m", "deviation of the wrist's place from that of the grasp in what GraspGF sees"
    )
    wrist_rotation: float = parameter(0.0, 0, 3, "rad", "likewise, of its rotation vector")
    ema: float = parameter(
        0.0,
        0,
        0.999999,
        "",
        "share that the running mean of the weights keeps in a step; 0: no mean",
    )
    validate_every: int = parameter(500, 1, 100_000_000, "", "steps")
    validation_clouds: int = parameter(128, 1, 1_000_000, "", "clouds for validation")
    validation_grasps: int = parameter(8, 1, 1024, "", "grasps of each")
    cloud: CloudConfig = field(default_factory=CloudConfig)


class RecipeSettings(NamedTuple):
    """What a configuration file says of one recipe."""

    training: TrainingConfig
    network: Any
    """`small` or `paper`, or a mapping with one of them under `size` and what is different."""


def load_training(recipe: str, name: str = "small", **overrides: Any) -> RecipeSettings:
    """The settings of a recipe in a file of `config/training/`, or in any YAML file by its path.

    Such a file has a mapping for each recipe: `network`, and parameters of `TrainingConfig`.
    `overrides` that are not None replace parameters.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it doesn't have the recipe, or has an unknown name or a bad value.
    """
    values = recipe_values(recipe, name)
    network = values.pop("network", "small")
    training = TrainingConfig.from_mapping(values)
    given = {key: value for key, value in overrides.items() if value is not None}
    return RecipeSettings(dataclasses.replace(training, **given), network)


def recipe_values(recipe: str, name: str) -> dict[str, Any]:
    """What a file says of a recipe; see `load_training`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it doesn't have the recipe.
    """
    # A path is meant from here; configuration folders have the named files.
    is_path = name.endswith((".yaml", ".yml"))
    file = str(Path(name).resolve()) if is_path else f"training/{name}.yaml"
    recipes = load_config(file)
    if not isinstance(recipes.get(recipe), Mapping):
        raise ValueError(f"{file} has no settings of {recipe!r}; it has {', '.join(recipes)}")
    return dict(recipes[recipe])


def network_config(config_type: type[Any], network: Any) -> Any:
    """The network's configuration that `RecipeSettings.network` means.

    Raises:
        ValueError: it is neither a size nor a mapping that fits the configuration.
    """
    values = dict(network) if isinstance(network, Mapping) else {"size": network}
    size = values.pop("size", "small")
    if size not in ("small", "paper"):
        raise ValueError(f"the size of a network is small or paper, not {size!r}")
    base = dataclasses.asdict(getattr(config_type, size)())
    return config_type.from_mapping(_merged(base, values))


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return dict(base) | {
        name: _merged(base[name], value)
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
        else value
        for name, value in changes.items()
    }
