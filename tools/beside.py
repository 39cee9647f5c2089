"""Runs a command beside N busy processes of normal priority, as on a user's busy machine.

    python tools/beside.py 4 make demo

Each busy process has a session of its own: Linux shares processor time between sessions first, so
that busy loops in one session would hardly slow the nodes, which have their own.
"""

from __future__ import annotations

import os
import subprocess
import sys

BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
"""Ends with the process that started it, however that ends."""


def main(arguments: list[str]) -> int:
    """The command's exit status."""
    if len(arguments) < 2 or not arguments[0].isdecimal():
        print(__doc__, file=sys.stderr)
        return 2
    count, command = int(arguments[0]), arguments[1:]
    busy = [
        subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True) for _ in range(count)
    ]
    print(f"{command[0]} beside {count} busy processes on {os.cpu_count()} cores", file=sys.stderr)
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        for process in busy:
            process.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
