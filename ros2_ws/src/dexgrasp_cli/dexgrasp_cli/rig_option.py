"""The option that names a camera rig, of every command that has one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Rig = Annotated[str, typer.Option(help="Camera rig: a file in config/ or a path.")]
RIG = "cameras/four_d415.yaml"


def rig_file(rig: str) -> Path:
    """The file that the option names.

    Raises:
        FileNotFoundError: there is none.
    """
    from dexgrasp_models.config import find_config

    path = Path(rig)
    return path.resolve() if path.is_file() else find_config(rig)
