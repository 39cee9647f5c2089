"""An interpreter in which Isaac Gym's counterpart is installed, for `$DEXGRASP_ISAACGYM_PYTHON`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from dexgrasp_sim.backends.isaac_gym.settings import INTERPRETER_VARIABLE as INTERPRETER_VARIABLE

PYTHON_VARIABLE = "DEXGRASP_COUNTERPART_PYTHON"
"""Names another Python for the counterpart, as a 3.8 with MuJoCo, PyTorch and NumPy."""

COUNTERPARTS = Path(__file__).resolve().parents[1] / "counterparts"


def counterpart_interpreter(folder: Path, *, before: str = "") -> Path:
    """A program that is started as Python with a script, written to a folder.

    Args:
        folder: an existing one.
        before: lines of Python that run before the script.
    """
    start = folder / "start.py"
    start.write_text(
        "import runpy, sys\n"
        f"{before}\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    path = folder / "python"
    python = os.environ.get(PYTHON_VARIABLE) or sys.executable
    path.write_text(
        "#!/bin/sh\n"
        f"export PYTHONPATH={shlex.quote(str(COUNTERPARTS))}\n"
        f'exec {shlex.quote(python)} {shlex.quote(str(start))} "$@"\n'
    )
    path.chmod(0o755)
    return path
