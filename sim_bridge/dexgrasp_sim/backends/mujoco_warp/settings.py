"""How mujoco-warp is run: `config/mujoco_warp.yaml`."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_models.config import load_config
from dexgrasp_models.parameters import Parameters, choice, parameter


@dataclass(frozen=True)
class MujocoWarpSettings(Parameters):
    """What a scene's configuration does not say."""

    device: str = choice("auto", ("auto", "cpu", "cuda"), "where it runs; auto: a GPU, if any")
    contacts: int = parameter(
        0, 0, 100_000, "", "room for contacts of each environment; 0: what the largest object needs"
    )


def load_settings(name: str = "mujoco_warp.yaml") -> MujocoWarpSettings:
    """The settings in a configuration file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has an unknown name or a value out of range.
    """
    return MujocoWarpSettings.from_mapping(load_config(name))
