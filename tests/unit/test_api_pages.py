"""`make docs`: pages of the packages' docstrings, where pdoc is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("pdoc", reason="`make docs` installs it")


@pytest.mark.slow
def test_every_module_has_a_page_and_every_guide_a_link(tmp_path):
    made = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "api_pages.py"), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    assert not made.stderr
    for folder in (
        "models/dexgrasp_models",
        "sim_bridge/dexgrasp_sim",
        "sim_bridge/dexgrasp_learning",
    ):
        package = ROOT / folder
        for module in package.rglob("[!_]*.py"):
            page = module.relative_to(package.parent).with_suffix(".html")
            assert (tmp_path / page).is_file(), page
    links = re.findall(r'href="([^"]*\.md)"', (tmp_path / "index.html").read_text())
    targets = {(tmp_path / link).resolve() for link in links}
    assert targets == set((ROOT / "docs").glob("*.md"))
