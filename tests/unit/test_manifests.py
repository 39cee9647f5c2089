"""package.xml and setup.py of each package name what its modules import or start, and no more."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "models", ROOT / "sim_bridge", *sorted((ROOT / "ros2_ws" / "src").iterdir())]
FOLDERS = [folder for folder in FOLDERS if (folder / "setup.py").exists()]
ROS = re.compile(r"rclpy|launch(_ros)?|tf_transformations|dexgrasp_\w+|\w+_(msgs|srvs|interfaces)")
OPTIONAL = {"isaacgym", "leap", "mujoco_warp", "ray", "rosbag2_py", "warp"}
"""Imported where they are installed."""
UNUSUAL = {
    "pinocchio": "pin",
    "cv2": "opencv-python-headless",
    "rtde_control": "ur-rtde",
    "rtde_receive": "ur-rtde",
}
"""Distributions that don't say which modules are theirs, or share them with others."""
FOR_OTHERS = {"tensorboard"}
"""Distributions that another one imports for us."""
ROSDEP = {
    "python3-numpy": "numpy",
    "python3-scipy": "scipy",
    "python3-transforms3d": "transforms3d",
    "python3-yaml": "pyyaml",
}


def package_of(folder: Path) -> str:
    return ElementTree.parse(folder / "package.xml").findtext("name") or ""


def modules_of(folder: Path) -> set[str]:
    """Top-level names of the package's modules."""
    return {init.parent.name for init in folder.glob("*/__init__.py")}


def sources(folder: Path) -> list[ast.Module]:
    """The package's modules; launch files are installed with the bring-up."""
    files = [file for name in modules_of(folder) for file in (folder / name).rglob("*.py")]
    if (folder / "launch").exists():
        files += (folder / "launch").resolve().glob("*.py")
    return [ast.parse(path.read_text(encoding="utf-8")) for path in files]


def imported(tree: ast.Module) -> Iterator[str]:
    """Top-level names of the packages that a module imports, late imports included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def needed(folder: Path) -> tuple[set[str], set[str]]:
    """Packages of ROS or this workspace, and distributions of PyPI, that are imported."""
    names = {name for tree in sources(folder) for name in imported(tree)}
    owners = {name: package_of(other) for other in FOLDERS for name in modules_of(other)}
    names = {owners.get(name, name) for name in names}
    names -= {package_of(folder), "__future__", "_typeshed", *sys.stdlib_module_names, *OPTIONAL}
    ros = {name for name in names if ROS.fullmatch(name)}
    known = packages_distributions()
    return ros, {UNUSUAL.get(name) or known.get(name, [name])[0].lower() for name in names - ros}


def in_package_xml(folder: Path) -> set[str]:
    tree = ElementTree.parse(folder / "package.xml")
    return {(found.text or "").strip() for found in tree.findall("exec_depend")}


def in_setup(folder: Path) -> set[str]:
    """`install_requires`, without what only the build needs."""
    tree = ast.parse((folder / "setup.py").read_text(encoding="utf-8"))
    (found,) = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "install_requires"
    )
    return set(ast.literal_eval(found)) - {"setuptools"}


@pytest.mark.parametrize("folder", FOLDERS, ids=package_of)
def test_package_xml_names_the_packages_of_ros(folder):
    ros, python = needed(folder)
    declared = in_package_xml(folder)
    assert sorted(ros - declared) == []
    named = {text for tree in sources(folder) for text in texts(tree)}
    assert sorted(declared - ROSDEP.keys() - ros - named) == [], "neither imported nor started"
    assert {ROSDEP[name] for name in declared & ROSDEP.keys()} <= python


@pytest.mark.parametrize("folder", FOLDERS, ids=package_of)
def test_setup_names_the_distributions_of_pypi(folder):
    _, python = needed(folder)
    declared = in_setup(folder)
    assert sorted(python - declared) == []
    assert sorted(declared - python - FOR_OTHERS) == []
