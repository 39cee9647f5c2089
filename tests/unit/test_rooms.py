"""One direction of imports, by the contracts in pyproject.toml; planted violations are found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SIMULATORS = "Simulators are known to their rooms alone"
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """What `lint-imports` says of the packages, those in `folder` before the project's own."""
    return subprocess.run(
        [sys.executable, "-P", "-c", LINT, "--no-cache", "--config", ROOT / "pyproject.toml"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def plant(folder: Path, package: str, module: str, text: str) -> None:
    """A copy of a package with more in one of its modules, which may be new."""
    copy = folder / Path(package).name
    shutil.copytree(ROOT / package, copy, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    planted = copy / module
    planted.parent.mkdir(exist_ok=True)
    planted.write_text((planted.read_text() if planted.exists() else "") + "\n\n" + text)


def test_all_contracts_are_kept(tmp_path):
    result = lint(tmp_path)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("package", "module", "line", "contract"),
    [
        (
            "models/dexgrasp_models",
            "hand/spec.py",
            "def late():\n    from dexgrasp_models.proposals import rank\n",
            "Rooms of the models",
        ),
        (
            "models/dexgrasp_models",
            "control/grip.py",
            "from dexgrasp_models.proposals import rank\n",
            "Rooms of the models",
        ),
        ("models/dexgrasp_models", "attic/__init__.py", "", "Rooms of the models"),
        ("models/dexgrasp_models", "arm/spec.py", "import mujoco\n", SIMULATORS),
        ("sim_bridge/dexgrasp_sim", "datasets/squeezes.py", "import mujoco\n", SIMULATORS),
        (
            "sim_bridge/dexgrasp_learning",
            "rollout.py",
            "from dexgrasp_sim.backends.mujoco_warp import batch\n",
            SIMULATORS,
        ),
        (
            "ros2_ws/src/dexgrasp_cli/dexgrasp_cli",
            "rates.py",
            "def late():\n    from dexgrasp_sim.backends.environments import Environments\n",
            SIMULATORS,
        ),
        (
            "sim_bridge/dexgrasp_sim",
            "scene.py",
            "from dexgrasp_sim import backends\n",
            "Rooms of the simulators",
        ),
        (
            "sim_bridge/dexgrasp_sim",
            "scene.py",
            "import rclpy\n",
            "No ROS in models and simulators",
        ),
        (
            "ros2_ws/src/dexgrasp_control/dexgrasp_control",
            "motion.py",
            "import dexgrasp_bringup\n",
            "Packages",
        ),
    ],
)
def test_a_planted_violation_is_found(tmp_path, package, module, line, contract):
    plant(tmp_path, package, module, line)
    result = lint(tmp_path)
    assert result.returncode != 0
    assert f"{contract} BROKEN" in result.stdout or "attic" in result.stdout + result.stderr


FOURTH = """
from dexgrasp_sim.backends.mujoco.batch import MujocoBatch

class FourthBatch(MujocoBatch):
    pass

make_batch = FourthBatch
"""

USE_OF_FOURTH = """
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import check_backend, make_physics
from dexgrasp_sim.scene import BACKENDS, SceneConfig

assert "fourth" in BACKENDS
assert check_backend("fourth") == "ready"
physics = make_physics(SceneConfig(backend="fourth"), load_object("can"))
physics.reset(0)
print(type(physics.batch).__name__)
"""


def test_another_simulator_is_one_folder(tmp_path):
    plant(tmp_path, "sim_bridge/dexgrasp_sim", "backends/fourth/batch.py", FOURTH)
    (tmp_path / "dexgrasp_sim/backends/fourth/__init__.py").touch()
    assert lint(tmp_path).returncode == 0
    used = subprocess.run(
        [sys.executable, "-P", "-c", USE_OF_FOURTH],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert used.stdout.split() == ["FourthBatch"], used.stderr


def test_no_module_is_longer_than_a_reader_follows():
    folders = ("models", "sim_bridge", "ros2_ws/src", "bench", "tools", "examples", "launch")
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        if "build" not in file.relative_to(ROOT).parts
    }
    assert len(lengths) > 300
    # One script each on purpose: what is timed against the synthesis stands in one place, and what
    # runs under Isaac Gym's Python has nothing of dexgrasp beside it.
    too_long = {name for name, length in lengths.items() if length > 400}
    worker = "sim_bridge/dexgrasp_sim/backends/isaac_gym/worker.py"
    assert too_long <= {"bench/paper_synthesis.py", worker}
