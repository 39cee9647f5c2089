"""``dexgrasp assist``: how the wrist moves that a policy is to assist, and to which goals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dexgrasp_cli.assist_agree_command import agree
from dexgrasp_cli.assist_goals_command import goals
from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.set_options import problems_told

_PICTURES = (".png", ".jpg", ".jpeg")

assist = typer.Typer(help="Assisting a moving wrist.", no_args_is_help=True)


@assist.callback()
def _assist() -> None:
    """Assisting a moving wrist: its patterns and goals."""


assist.command()(agree)
assist.command()(goals)


@assist.command("show")
def show(
    patterns: Annotated[
        Path | None, typer.Option(help="File of `assist import`; by default they are generated.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of generated patterns, and of where the paths start.")
    ] = 0,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Only those that are never trained with.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Picture to write.", callback=file_to_write)] = Path(
        "out/patterns.png"
    ),
) -> None:
    """A picture of wrist patterns: progress, speed, turns, bows, and paths to a grasp."""
    import numpy as np

    from dexgrasp_models.tasks.pattern_files import load_patterns
    from dexgrasp_models.tasks.pattern_generator import generate
    from dexgrasp_models.tasks.pattern_picture import draw_patterns
    from dexgrasp_sim.cameras.render import save_picture

    with problems_told() as console:
        if out.suffix.lower() not in _PICTURES:
            raise ValueError(f"{out}: a picture is one of *{', *'.join(_PICTURES)}")
        rng = np.random.default_rng(seed)
        found = load_patterns(patterns) if patterns else generate(rng)
        shown = found.held_out if held_out else found
        save_picture(out, draw_patterns(shown, rng))
        console.print(
            f"{len(shown)} of {len(found)} patterns, written to {escape(str(out))}", soft_wrap=True
        )


@assist.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            help="A HandoverSim-like .npy, recordings as .csv or .npz, or a folder of these."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write.", callback=file_to_write)] = Path(
        "out/patterns.npz"
    ),
) -> None:
    """Make patterns of recorded reaches, as GraspGF does (A.2).

    Reaches that are too short are told and left out; then it ends with status 1.
    """
    from dexgrasp_models.tasks.pattern_files import read_reaches, save_patterns
    from dexgrasp_models.tasks.wrist_patterns import processed

    problems: list[str] = []
    with problems_told() as console:
        if out.suffix != ".npz":
            raise ValueError(f"{out}: patterns are kept in *.npz")
        reaches = read_reaches(source)
        found = processed(reaches, problems)
        save_patterns(out, found)
        for problem in problems:
            console.print(f"[red]left out: {escape(problem)}", soft_wrap=True)
        console.print(
            f"{len(found)} patterns of {len(reaches)} reaches, written to {escape(str(out))}",
            soft_wrap=True,
        )
    if problems:
        raise typer.Exit(1)
