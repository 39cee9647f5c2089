"""The command `dexgrasp`."""

from __future__ import annotations

import typer

from dexgrasp_bringup.bench_command import bench

app = typer.Typer(help="Dexterous grasping with a Shadow Hand on a UR10e.", no_args_is_help=True)

app.add_typer(bench, name="bench")


@app.callback()
def main_help() -> None:
    """Dexterous grasping with a Shadow Hand on a UR10e."""


def main() -> None:
    """Entry point of the console script."""
    app()
