"""What a user's shell tells ROS 2, and whether ROS 2 can start with it.

Checked before anything imports rclpy, which ends the process, or raises, where it can't.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from dexgrasp_models.files import check_folder

_MAX_DOMAIN = 232
"""Higher ones have no ports (DDSI-RTPS 2.3, section 9.6.1)."""


def environment_problems() -> dict[str, str]:
    """By the environment variable that causes each: what is wrong, and what to do."""
    problems = {
        "ROS_DOMAIN_ID": _domain_problem(),
        "RMW_IMPLEMENTATION": _middleware_problem(),
        _log_variable(): _log_problem(),
    }
    return {name: problem for name, problem in problems.items() if problem}


def require_ros(console: Console) -> None:
    """End the command with status 2, and say why, where ROS 2 can't start."""
    if problems := environment_problems():
        console.print(f"[red]{escape('; '.join(problems.values()))}", soft_wrap=True)
        raise typer.Exit(2)


def install_prefixes() -> list[str]:
    """Folders that colcon or pip installed to, the first one first."""
    named = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return list(dict.fromkeys([*filter(None, named), sys.prefix]))


def _domain_problem() -> str:
    value = os.environ.get("ROS_DOMAIN_ID", "")
    if not value or (value.isascii() and value.isdigit() and int(value) <= _MAX_DOMAIN):
        return ""
    return (
        f"ROS_DOMAIN_ID is {value!r}, not a whole number from 0 to {_MAX_DOMAIN}: set or unset it"
    )


def _middleware_problem() -> str:
    wanted = os.environ.get("RMW_IMPLEMENTATION", "")
    index = Path("share", "ament_index", "resource_index", "rmw_typesupport")
    found = {file.name for prefix in install_prefixes() for file in Path(prefix, index).glob("*")}
    found.discard("rmw_implementation")  # which only loads another
    if not wanted or not found or wanted in found:
        return ""
    return (
        f"RMW_IMPLEMENTATION is {wanted!r}, which is not installed here; there is "
        f"{', '.join(sorted(found))}: unset it, or install that"
    )


def _log_variable() -> str:
    """Which variable says where rcl writes its logs."""
    given = (name for name in ("ROS_LOG_DIR", "ROS_HOME") if os.environ.get(name))
    return next(given, "HOME")


def _log_problem() -> str:
    name = _log_variable()
    value = os.environ.get(name, "")
    folder = Path(value, *{"ROS_HOME": ["log"], "HOME": [".ros", "log"]}.get(name, []))
    try:
        check_folder(folder.expanduser())
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        return (
            f"{name} is {value!r}, and ROS 2 can't write its logs to {folder} ({reason}): set "
            "ROS_LOG_DIR to a folder that can be written"
        )
    return ""
