"""Options that commands with proposals have in common."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dexgrasp_models.control.controllers import CONTROLLERS
from dexgrasp_models.proposals.proposer import PROPOSERS

if TYPE_CHECKING:
    from dexgrasp_models.proposals.learned import LearnedConfig

ProposerName = StrEnum("ProposerName", [(name.upper(), name) for name in PROPOSERS.names])
"""What proposes."""
DEFAULT_PROPOSER = ProposerName(PROPOSERS.default)

Proposer = Annotated[ProposerName, typer.Option(help="What proposes.")]
Weights = Annotated[
    Path | None, typer.Option(help="Of the learned proposer: folder of its networks.")
]
ControllerName = StrEnum("ControllerName", [(name.upper(), name) for name in CONTROLLERS.names])
"""What carries grasps out."""
DEFAULT_CONTROLLER = ControllerName(CONTROLLERS.default)

Controller = Annotated[ControllerName, typer.Option(help="What carries grasps out.")]
Learned = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Setting of the learned proposer, as samples_per_grasp=16; may be repeated.",
    ),
]
Control = Annotated[
    str,
    typer.Option(help="Negative control: none, reversed_squeeze, shuffled_joints or wrist_moved."),
]


def learned_config(settings: Sequence[str] | None) -> LearnedConfig:
    """What `Learned` says.

    Raises:
        ValueError: a setting is not of the form NAME=VALUE, is unknown, named twice or out of its
            range, or has an option of its own.
    """
    from dexgrasp_models.proposals.learned import LearnedConfig

    values = {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"--learned {setting}: expected NAME=VALUE, as samples_per_grasp=16")
        if name in ("weights", "batch"):
            raise ValueError(f"--learned {setting}: {name} has an option of its own")
        if name in values:
            raise ValueError(f"--learned names {name} twice")
        values[name] = _number(value)
    return LearnedConfig.from_mapping(values)


def _number(text: str) -> float | str:
    """A whole number, or any other, or the text itself."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
