"""`dexgrasp assist`: patterns shown and imported."""

from __future__ import annotations

import imageio.v3 as imageio
import numpy as np
import pytest
from reach_samples import csv_text, pickled, reaches_of, trajectory
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.tasks.pattern_files import load_patterns, save_patterns
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.tasks.pattern_picture import draw_patterns

PATTERNS = generate(np.random.default_rng(7), 20)
REACHES = reaches_of(PATTERNS, np.random.default_rng(1))


def told(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["assist", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.output.replace("\n", "")


class TestShow:
    def test_generated_patterns(self, tmp_path):
        out = tmp_path / "new" / "all.png"
        assert "200 of 200 patterns, written to" in told("show", "--out", out)
        picture = imageio.imread(out)
        assert picture.shape == (720, 1080, 3)
        told("show", "--out", tmp_path / "again.png")
        assert np.array_equal(imageio.imread(tmp_path / "again.png"), picture)
        told("show", "--seed", 1, "--out", tmp_path / "other.png")
        assert not np.array_equal(imageio.imread(tmp_path / "other.png"), picture)
        assert "50 of 200 patterns" in told("show", "--held-out", "--out", tmp_path / "held.png")
        assert not np.array_equal(imageio.imread(tmp_path / "held.png"), picture)

    def test_patterns_of_a_file(self, tmp_path):
        save_patterns(tmp_path / "p.npz", PATTERNS)
        out = tmp_path / "p.png"
        assert "20 of 20" in told("show", "--patterns", tmp_path / "p.npz", "--out", out)
        expected = draw_patterns(PATTERNS, np.random.default_rng(0))
        assert np.array_equal(imageio.imread(out), expected)

    def test_bad_input(self, tmp_path):
        assert "*.png" in told("show", "--out", tmp_path / "p.txt", status=2)
        missing = tmp_path / "absent.npz"
        output = told("show", "--patterns", missing, "--out", tmp_path / "p.png", status=2)
        assert "absent.npz" in output
        save_patterns(tmp_path / "p.npz", PATTERNS)
        content = (tmp_path / "p.npz").read_bytes()
        (tmp_path / "p.npz").write_bytes(content[: len(content) // 2])
        output = told("show", "--patterns", tmp_path / "p.npz", "--out", tmp_path / "p", status=2)
        assert "a picture is one of" in output
        out = tmp_path / "p.png"
        output = told("show", "--patterns", tmp_path / "p.npz", "--out", out, status=2)
        assert "p.npz: is cut short" in output
        save_patterns(tmp_path / "few.npz", PATTERNS[:3])
        few = ("show", "--patterns", tmp_path / "few.npz", "--held-out", "--out", out)
        assert "3 patterns are too few to hold out any" in told(*few, status=2)
        assert not out.exists()


class TestImport:
    def test_a_file_in_the_layout_of_graspgf(self, tmp_path):
        source, out = tmp_path / "h.npy", tmp_path / "p.npz"
        source.write_bytes(pickled({str(row): trajectory(r) for row, r in enumerate(REACHES)}))
        assert "20 patterns of 20 reaches, written to" in told("import", source, "--out", out)
        assert load_patterns(out).along == pytest.approx(PATTERNS.along, abs=1e-9)

    def test_what_is_too_short_is_told_and_left_out(self, tmp_path):
        (tmp_path / "in").mkdir()
        for row, reach in enumerate(REACHES[:3]):
            (tmp_path / "in" / f"{row}.csv").write_text(csv_text(reach))
        lines = csv_text(REACHES[3]).splitlines(keepends=True)
        (tmp_path / "in" / "3.csv").write_text("".join(lines[:6]))
        out = tmp_path / "p.npz"
        output = told("import", tmp_path / "in", "--out", out, status=1)
        assert "left out: reach 3 of 4: only 5 of its 5 moments" in output
        assert "3 patterns of 4 reaches" in output
        assert len(load_patterns(out)) == 3

    def test_bad_input_writes_nothing(self, tmp_path):
        out = tmp_path / "p.npz"
        assert "no such file" in told("import", tmp_path / "absent.npy", "--out", out, status=2)
        (tmp_path / "h.npy").write_bytes(pickled({"a": {"x_pos": [0.0]}}))
        assert "has no y_pos" in told("import", tmp_path / "h.npy", "--out", out, status=2)
        bad = ("import", tmp_path / "h.npy", "--out", tmp_path / "p.npy")
        assert "kept in *.npz" in told(*bad, status=2)
        assert [each.name for each in tmp_path.iterdir()] == ["h.npy"]
