"""Pages of the public interfaces, made of their docstrings: `make docs`, into build/docs."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import warnings
from pathlib import Path

import mujoco  # noqa: F401  runs a program when it is imported, which pdoc doesn't let modules do
import pdoc

PACKAGES = ("dexgrasp_models", "dexgrasp_sim", "dexgrasp_learning", "dexgrasp_ros")
ROOT = Path(__file__).resolve().parents[1]


def main(out: Path) -> None:
    """Writes the pages, and `index.html` that leads to them and to the guides in docs/.

    Raises:
        RuntimeError: a module can't be imported.
    """
    # It says of each named tuple that it can't follow the types of what tuples are made by.
    warnings.filterwarnings("ignore", "Error parsing type annotation", UserWarning)
    # A module is named by itself and found in its package.
    warnings.filterwarnings("ignore", "The module specification", UserWarning)
    guides = {path.stem: path for path in sorted((ROOT / "docs").glob("*.md"))}
    pdoc.render.configure(docformat="google", template_directory=ROOT / "tools" / "api_pages")
    pdoc.render.env.globals["guides"] = {
        name.replace("_", " "): Path(os.path.relpath(path, out)).as_posix()
        for name, path in guides.items()
    }
    pdoc.pdoc(*_modules(), output_directory=out)


def _modules() -> list[str]:
    """All of them: by itself pdoc passes over those that a package's `__all__` doesn't name."""
    names = list(PACKAGES)
    for package in map(importlib.import_module, PACKAGES):
        found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        names += [module.name for module in found]
    return names


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
