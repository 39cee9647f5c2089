"""Files and folders that are either complete or not there, and what tells their content apart."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without an error.

    The folder is made where it is missing. Until the end, and after an error, whatever stood at
    ``path`` before stays as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # The same suffix, since many writers choose the format by it.
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            error.filename = str(target)  # open files don't say which disk is full
        raise


@contextmanager
def folder_written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes it when the block ends without an error.

    After an error nothing is left of it.

    Raises:
        FileExistsError: something that is no empty folder is there already.
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target}: is there already; name a new or an empty folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".part-"))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.replace(target)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            error.filename = str(target)
        raise


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


def files_digest(files: Mapping[str, Path]) -> str:
    """Differs where names or content of files do, wherever they lie.

    Raises:
        OSError: one can't be read.
    """
    content = hashlib.sha256()
    for name in sorted(files):
        content.update(name.encode())
        content.update(hashlib.sha256(files[name].read_bytes()).digest())
    return content.hexdigest()[:16]
