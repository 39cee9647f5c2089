"""A package of one's own, as CONTRIBUTING.md tells to make one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from dexgrasp_models.registry import Registry

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


def code_of(section: str) -> str:
    """The first block of Python code in a section of CONTRIBUTING.md."""
    text = CONTRIBUTING.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def write_package(folder: Path, name: str, code: str, group: str, offers: Sequence[str]) -> None:
    """A module, and what pip writes of the package that it is in.

    Args:
        folder: to be put on the path.
        name: of the module, and of the package.
        code: the module.
        group: of the entry points.
        offers: the entry points, as ``name = module:attribute``.
    """
    (folder / f"{name}.py").write_text(code)
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("\n".join([f"[{group}]", *offers]) + "\n")


def look_again(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a registry see the path as it is now, until the test's end."""
    monkeypatch.setitem(registry.__dict__, "_sources", None)
    del registry.__dict__["_sources"]
