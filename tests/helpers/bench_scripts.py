"""Scripts of bench/ as modules: they are peers that the packages are compared with."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

_BENCH = str(Path(__file__).parents[2] / "bench")


def bench_script(name: str) -> ModuleType:
    """The script; those that it imports are beside it."""
    if _BENCH not in sys.path:
        sys.path.append(_BENCH)
    return importlib.import_module(name)
