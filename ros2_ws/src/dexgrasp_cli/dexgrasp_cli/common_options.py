"""Options that many commands have alike."""

from __future__ import annotations

from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(min=0, help="Of all that is drawn.")]
Ray = Annotated[
    bool, typer.Option("--ray", help="Run on Ray: on the cluster of RAY_ADDRESS, or here.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")]
