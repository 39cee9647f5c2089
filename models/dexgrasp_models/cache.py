"""Where results that are slow to find are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$DEXGRASP_CACHE` or `~/.cache/dexgrasp`; it need not exist yet."""
    return Path(os.environ.get("DEXGRASP_CACHE") or Path.home() / ".cache" / "dexgrasp")
