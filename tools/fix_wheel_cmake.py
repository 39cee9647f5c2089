"""Makes the CMake files of the ros-* wheels usable in this environment.

The message wheels export, beside their libraries, the include folders of Python and NumPy of the
machine that built them (/opt/python/cp3XX-cp3XX/...). CMake refuses a target whose include folder
does not exist, so no interface package could be built against them. They are replaced by this
environment's folders. Running it again changes nothing.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from pathlib import Path

import numpy

BUILDERS_NUMPY = re.compile(r"/opt/python/[^;\"]*/numpy/(?:_core|core)/include")
BUILDERS_PYTHON = re.compile(r"/opt/python/[^;\"]*/include/python3\.\d+")


def fix_exports(prefix: Path) -> int:
    """Rewrites the exports under `prefix`/share/*/cmake and returns how many files changed."""
    changed = 0
    for file in sorted(prefix.glob("share/*/cmake/*.cmake")):
        text = file.read_text(encoding="utf-8")
        fixed = BUILDERS_NUMPY.sub(numpy.get_include(), text)
        fixed = BUILDERS_PYTHON.sub(sysconfig.get_path("include"), fixed)
        if fixed != text:
            # A new file instead of a changed one: pip may have hard-linked it from its cache.
            temporary = file.with_suffix(".tmp")
            temporary.write_text(fixed, encoding="utf-8")
            os.replace(temporary, file)
            changed += 1
    return changed


if __name__ == "__main__":
    print(f"CMake exports of the ROS wheels: {fix_exports(Path(sys.prefix))} adapted")
