"""What is found once of an object and kept between runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from dexgrasp_models.files import written_whole


def cache_folder() -> Path:
    """Where decompositions and stable poses are kept between runs."""
    return Path(os.environ.get("DEXGRASP_CACHE") or Path.home() / ".cache" / "dexgrasp")


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz file that is either complete or not there."""
    with written_whole(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]  # taken for allow_pickle


def content_hash(*parts: object) -> str:
    """A short hash of arrays and printable values."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(
            np.ascontiguousarray(part).tobytes()
            if isinstance(part, np.ndarray)
            else repr(part).encode()
        )
    return digest.hexdigest()[:20]
