"""Isaac Gym's published stubs, made such that mypy reads them."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "isaac_gym_stubs.py"
PUBLISHED = """\
class RigidContact:
    @property
    def lambda(self) -> float:
        ''' property lambda '''
class Gym:
    def simulate(self, arg0: Sim) -> None: ...
"""


@pytest.fixture
def mend():
    spec = importlib.util.spec_from_file_location(TOOL.stem, TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.mend


def test_what_python_cannot_read_gets_another_name_and_the_rest_stays(mend, tmp_path):
    with pytest.raises(SyntaxError):
        ast.parse(PUBLISHED)
    published = tmp_path / "isaacgym-stubs"
    published.mkdir()
    (published / "gymapi.pyi").write_text(PUBLISHED)
    mend(tmp_path, tmp_path / "mended")
    mended = (tmp_path / "mended" / "isaacgym" / "gymapi.pyi").read_text()
    assert mended.splitlines()[1:] == PUBLISHED.replace("def lambda", "def lambda_").splitlines()
    for file in (tmp_path / "mended").rglob("*.pyi"):
        ast.parse(file.read_text())


def test_stubs_that_are_not_there_are_told(mend, tmp_path):
    with pytest.raises(FileNotFoundError, match="isaacgym-stubs"):
        mend(tmp_path, tmp_path / "mended")
