"""What is installed, what is missing, and what that costs."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dexgrasp_bringup.environment import environment_problems
from dexgrasp_bringup.graph import (
    GraphError,
    SimulationOptions,
    executable_path,
    simulation_graph,
)
from dexgrasp_sim.scene import BACKENDS


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        found: whether it is there and works.
        detail: its version or place, or why it does not work.
        cost: what does not work without it, and how to get it.
        needed: whether `dexgrasp demo` needs it.
    """

    what: str
    found: bool
    detail: str
    cost: str = ""
    needed: bool = False


def examine(console: Console | None = None) -> bool:
    """Prints all findings; returns whether everything that the demo needs is there."""
    console = console or Console()
    complete = all(f.found or not f.needed for f in told(findings(), "dexgrasp doctor", console))
    console.print(
        "Everything the demo needs is there."
        if complete
        else "[red]The demo can't run: see the lines marked 'no'."
    )
    return complete


def told(found: Iterable[Finding], title: str, console: Console) -> list[Finding]:
    """Prints findings as a table; returns them."""
    table, all_of_them = Table("", "what", "found", "without it", title=title), []
    with console.status("looking") as status:
        for finding in found:
            status.update(finding.what)
            mark = "[green]yes" if finding.found else "[red]no" if finding.needed else "[yellow]-"
            table.add_row(mark, finding.what, finding.detail, "" if finding.found else finding.cost)
            all_of_them.append(finding)
    console.print(table)
    return all_of_them


def findings() -> Iterator[Finding]:
    """Everything that is looked for, in the order of a newcomer's questions."""
    yield _python()
    yield from _environment()
    yield from _required()
    yield _nodes()
    yield _compiler()
    yield from _optional()
    yield _gpu()
    yield from _devices()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    supported = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return Finding(
        "Python", supported, version, "3.11 or 3.12: make PYTHON=/path/to/python3.12", needed=True
    )


def _environment() -> Iterator[Finding]:
    what, cost = "environment of ROS 2", "no command that starts the graph runs"
    problems = environment_problems()
    for name, problem in problems.items():
        yield Finding(what, False, problem, cost, needed=True)
        # It may end the process that imports rclpy: the rest is looked at without it.
        os.environ.pop(name)
    if not problems:
        yield _check(what, _ros_starts, cost, needed=True)


def _ros_starts() -> str:
    """Started in a process of its own: where it can't, ROS 2 may end it."""
    start = "import rclpy; rclpy.init(); rclpy.create_node('dexgrasp_doctor'); rclpy.shutdown()"
    run = subprocess.run(
        [sys.executable, "-c", start], capture_output=True, text=True, errors="replace", timeout=60
    )
    if run.returncode != 0:
        told = [line for line in run.stderr.splitlines() if line.strip()]
        raise RuntimeError(told[-1] if told else f"ended with status {run.returncode}")
    return f"ROS_DOMAIN_ID={os.environ.get('ROS_DOMAIN_ID') or 0}"


def _required() -> Iterator[Finding]:
    reinstall = "the demo does not run: make setup"
    ros = f" ({os.environ['ROS_DISTRO']}, installed)" if "ROS_DISTRO" in os.environ else " (wheels)"
    yield _module("rclpy", "ROS 2" + ros, reinstall, needed=True)
    yield _module("dexgrasp_interfaces.action", "dexgrasp's interfaces", reinstall, needed=True)
    yield _module("tf2_msgs.msg", "tf2_msgs", reinstall, needed=True)
    for name in ("mujoco", "torch", "pinocchio", "trimesh", "coacd"):
        yield _module(name, name, reinstall, needed=True)
    yield _check("Open3D", _open3d, reinstall, needed=True)


def _nodes() -> Finding:
    graph = simulation_graph(SimulationOptions(viewer=True))
    try:
        for node in graph:
            executable_path(node.package, node.executable)
    except GraphError as error:
        return Finding("nodes", False, str(error), "the demo does not run", needed=True)
    return Finding("nodes", True, ", ".join(node.name for node in graph), needed=True)


def _compiler() -> Finding:
    header = Path(sysconfig.get_path("include")) / "Python.h"
    compiler = shutil.which("c++")
    detail = "; ".join([compiler or "no c++", "Python.h" if header.is_file() else "no Python.h"])
    return Finding(
        "C++ compiler and Python's headers",
        bool(compiler) and header.is_file(),
        detail,
        "changed interfaces can't be built: apt install g++ python3-dev",
    )


def _optional() -> Iterator[Finding]:
    yield _check(
        "ffmpeg", _ffmpeg, "no video of the demo: pip install imageio-ffmpeg, or apt install ffmpeg"
    )
    yield _check(
        "OpenGL for MuJoCo (EGL)",
        _egl,
        "MuJoCo's own renderer; depth images are ray cast without it:"
        " apt install libegl1 libgl1-mesa-dri",
    )
    yield _module("viser", "viser", "no viewer in the browser: make setup")
    for backend in BACKENDS:
        yield _simulator(backend)
    yield _program(
        ("chromium", "chromium-browser", "google-chrome"),
        "Chromium",
        "the viewer's browser test is skipped: apt install chromium",
    )
    yield _program(
        ("ros2",), "ros2 launch", "the demo starts the same graph by itself; needs ROS 2 from apt"
    )
    yield _program(("rviz2",), "rviz2", "launch/viz.launch.py: apt install ros-jazzy-rviz2")


def _simulator(backend: str) -> Finding:
    def look() -> str:
        from dexgrasp_sim.backends import check_backend

        return check_backend(backend)

    return _check(f"simulator {backend}", look, f"backend: {backend}, an option")


def _gpu() -> Finding:
    cost = "everything runs on the CPU"
    try:
        import torch
    except ImportError as error:
        return Finding("CUDA", False, str(error), cost)
    if not torch.cuda.is_available():
        return Finding("CUDA", False, f"torch {torch.__version__} sees no GPU", cost)
    return Finding("CUDA", True, torch.cuda.get_device_name())


def _devices() -> Iterator[Finding]:
    cost = "hardware only: apt install ros-jazzy-realsense2-camera"
    try:
        path = executable_path("realsense2_camera", "realsense2_camera_node")
        yield Finding("RealSense driver", True, str(path))
    except GraphError:
        yield Finding("RealSense driver", False, "realsense2_camera is not installed", cost)
    cameras = [device for device in _usb_devices() if device.startswith("8086:0a")]
    yield Finding(
        "RealSense cameras",
        bool(cameras),
        f"{len(cameras)} on USB" if cameras else "none on USB",
        "hardware only: the simulator has its own cameras",
    )


def _usb_devices() -> Iterator[str]:
    """``vendor:product`` of every USB device."""
    for vendor in Path("/sys/bus/usb/devices").glob("*/idVendor"):
        product = vendor.with_name("idProduct")
        yield f"{vendor.read_text().strip()}:{product.read_text().strip()}"


def _module(name: str, what: str, cost: str, needed: bool = False) -> Finding:
    def version() -> str:
        module = importlib.import_module(name)
        try:
            return importlib.metadata.version(name.split(".")[0])
        except importlib.metadata.PackageNotFoundError:
            return getattr(module, "__version__", "found")

    return _check(what, version, cost, needed)


def _program(names: tuple[str, ...], what: str, cost: str) -> Finding:
    path = next(filter(None, map(shutil.which, names)), None)
    return Finding(what, path is not None, path or f"no {names[0]} on the PATH", cost)


def _check(what: str, look: Callable[[], str], cost: str, needed: bool = False) -> Finding:
    try:
        return Finding(what, True, look(), cost, needed)
    except Exception as error:  # whatever a broken installation raises is the finding
        return Finding(what, False, f"{type(error).__name__}: {error}", cost, needed)


def _open3d() -> str:
    from dexgrasp_models.open3d_import import import_open3d

    return import_open3d().__version__


def _ffmpeg() -> str:
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


def _egl() -> str:
    import ctypes
    import ctypes.util

    library = ctypes.util.find_library("EGL")
    if library is None:
        raise OSError("libEGL is not installed")
    ctypes.CDLL(library)
    return library
