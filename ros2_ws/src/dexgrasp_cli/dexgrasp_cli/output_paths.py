"""Whether results can be written where they are wanted, told before the work and not after it."""

from __future__ import annotations

from pathlib import Path

import typer

from dexgrasp_models.files import check_folder


def file_to_write(path: Path | None) -> Path | None:
    """Callback of an option that names a file: ends the command with status 2 where it can't be."""
    return path and _checked(path, path.parent)


def folder_to_write(path: Path | None) -> Path | None:
    """Callback of an option that names a folder: ends the command with status 2 where it can't
    be."""
    return path and _checked(path, path)


def _checked(path: Path, folder: Path) -> Path:
    from rich.console import Console
    from rich.markup import escape

    try:
        if path is not folder and path.is_dir():
            raise IsADirectoryError("is a folder; name a file")
        check_folder(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        text = escape(f"{path}: nothing can be written there: {reason}")
        Console().print(f"[red]{text}", soft_wrap=True)
        raise typer.Exit(2) from error
    return path
