"""Whether results can be written where they are wanted, told before the work and not after it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer


def file_to_write(path: Path | None) -> Path | None:
    """Callback of an option that names a file: ends the command with status 2 where it can't be."""
    return path and _checked(path, path.parent)


def folder_to_write(path: Path | None) -> Path | None:
    """Callback of an option that names a folder: ends the command with status 2 where it can't
    be."""
    return path and _checked(path, path)


def check_folder(folder: Path) -> None:
    """Check that a folder is there or can be made, and can be written to; nothing is left in it.

    Raises:
        OSError: it can't, and why.
    """
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(f"{nearest} is a file, not a folder")
    # Tried, since permissions don't tell of read-only file systems, nor of what root may do.
    with tempfile.TemporaryDirectory(dir=nearest, prefix=".part-"):
        pass


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
