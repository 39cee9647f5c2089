"""Options of every command that looks for the ChArUco board."""

from __future__ import annotations

from typing import Annotated

import typer

Columns = Annotated[int, typer.Option(help="Squares of the board along its x axis.")]
Rows = Annotated[int, typer.Option(help="Squares of the board along its y axis.")]
Square = Annotated[float, typer.Option(help="Side of a square, m.")]
Marker = Annotated[float, typer.Option(help="Side of a marker, m.")]
Dictionary = Annotated[str, typer.Option(help="OpenCV's marker dictionary.")]
MaxError = Annotated[float, typer.Option(help="Greatest reprojection error, px.")]
