"""Makes Isaac Gym's published type stubs such that mypy reads them, for `make lint`.

    python tools/isaac_gym_stubs.py FOLDER OUT

FOLDER has the package isaacgym-stubs, as `pip install --target` leaves it. Two of its properties
have a name that Python keeps for itself, its own types are not all right, and it leaves out the
module gymtorch.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

GYMTORCH = """\
from typing import Any

import torch

def wrap_tensor(gym_tensor: Any, offsets: Any = ..., counts: Any = ...) -> torch.Tensor: ...
def unwrap_tensor(torch_tensor: torch.Tensor) -> Any: ...
"""


def mend(stubs: Path, out: Path) -> None:
    """Write the package `isaacgym` to a folder for mypy.

    Args:
        stubs: where `isaacgym-stubs` is installed.
        out: of packages; made where it is not there.

    Raises:
        FileNotFoundError: the stubs are not there.
    """
    text = (stubs / "isaacgym-stubs" / "gymapi.pyi").read_text(encoding="utf-8")
    package = out / "isaacgym"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.pyi").write_text("")
    text = re.sub(r"\bdef lambda\(", "def lambda_(", text)
    (package / "gymapi.pyi").write_text("# mypy: ignore-errors\n" + text, encoding="utf-8")
    (package / "gymtorch.pyi").write_text(GYMTORCH)


if __name__ == "__main__":
    mend(*map(Path, sys.argv[1:]))
