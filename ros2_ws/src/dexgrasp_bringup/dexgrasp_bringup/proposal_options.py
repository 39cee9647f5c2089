"""Options that commands with proposals have in common."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dexgrasp_models.grasp.config import PROPOSERS

ProposerName = StrEnum("ProposerName", [(name.upper(), name) for name in PROPOSERS])
"""What proposes."""
DEFAULT_PROPOSER = ProposerName(PROPOSERS[0])

Proposer = Annotated[ProposerName, typer.Option(help="What proposes.")]
Weights = Annotated[
    Path | None, typer.Option(help="Of the learned proposer: folder of its networks.")
]
Control = Annotated[
    str,
    typer.Option(help="Negative control: none, reversed_squeeze, shuffled_joints or wrist_moved."),
]
