"""The choice of a simulator."""

from __future__ import annotations

from typing import Annotated

import typer

Sim = Annotated[
    str | None,
    typer.Option("--sim", "--backend", help="The simulator; by default as config/scene.yaml says."),
]


def simulator(name: str | None) -> str:
    """The simulator that is asked for, or else configured.

    Raises:
        ValueError: there is none of that name, or it lacks something.
    """
    from dexgrasp_sim.backends import check_backend
    from dexgrasp_sim.scene import load_scene

    scene = load_scene() if name is None else load_scene(backend=name)
    try:
        check_backend(scene.backend)
    except ImportError as error:
        raise ValueError(str(error)) from error
    return scene.backend
