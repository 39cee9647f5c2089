"""Options that many commands have alike."""

from __future__ import annotations

from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(min=0, help="Of all that is drawn.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")]
