"""The command `dexgrasp`."""

from __future__ import annotations

import typer

app = typer.Typer(help="Dexterous grasping with a Shadow Hand on a UR10e.", no_args_is_help=True)


@app.callback()
def main_help() -> None:
    """Dexterous grasping with a Shadow Hand on a UR10e."""


def main() -> None:
    """Entry point of the console script."""
    app()
