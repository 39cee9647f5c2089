"""`dexgrasp data`: files into a set and out again, and what is said about bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from grasp_samples import sample_grasps
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_cli.set_options import parse_bounds
from dexgrasp_models.data.dexgraspnet import export_dexgraspnet, import_dexgraspnet
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.unidexgrasp import export_unidexgrasp


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["data", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.output


@pytest.mark.parametrize("name", ["dexgraspnet", "unidexgrasp"])
def test_in_and_out_again(tmp_path, name):
    write = {"dexgraspnet": export_dexgraspnet, "unidexgrasp": export_unidexgrasp}[name]
    write(sample_grasps(5, name="sem/Mug-1"), tmp_path / "in")
    told = run("import", tmp_path / "in", tmp_path / "set", "--format", name)
    assert "5 grasps of 1 objects" in told
    run("export", tmp_path / "set", tmp_path / "out", "--format", name)
    files = [path for path in (tmp_path / "in").rglob("*") if path.is_file()]
    assert files
    for file in files:
        assert (tmp_path / "out" / file.relative_to(tmp_path / "in")).read_bytes() == (
            file.read_bytes()
        )
    made = GraspSet.open(tmp_path / "set").shards[0].provenance
    assert made.notes == {"format": name, "source": "in"}


def test_export_of_a_selection(tmp_path):
    grasps = GraspSet.open(tmp_path / "set", create=True)
    grasps.append(sample_grasps(20, name="mug"), Provenance())
    grasps.append(sample_grasps(20, name="can"), Provenance())
    lifted = int(sample_grasps(20).figures["lifted"].sum())
    told = run(
        "export", tmp_path / "set", tmp_path / "out", "--format", "dexgraspnet",
        "--where", "lifted >= 1", "--object", "can",
    )  # fmt: skip
    assert f"{lifted} of 40 grasps" in told
    found = import_dexgraspnet(tmp_path / "out")
    assert found.names == ("can",)
    assert found.figures["lifted"].tolist() == [1.0] * lifted


def test_export_for_the_benchmark(tmp_path):
    GraspSet.open(tmp_path / "set", create=True).append(sample_grasps(3, name="box"), Provenance())
    trimesh.creation.box((1, 1, 1)).export(tmp_path / "box.obj")
    export = ("export", tmp_path / "set", tmp_path / "out", "--format", "dexgraspbench")
    assert "'box' is no object of the library" in run(*export, status=2)
    run(*export, "--meshes", tmp_path, "--object-root", "assets/ours")
    (file, *_) = sorted((tmp_path / "out" / "graspdata").rglob("*.npy"))
    assert np.load(file, allow_pickle=True).item()["obj_path"] == "assets/ours/box"


def test_export_for_the_benchmark_takes_objects_from_the_library(tmp_path):
    grasps = sample_grasps(3, name="ball/0")
    GraspSet.open(tmp_path / "set", create=True).append(grasps, Provenance())
    run("export", tmp_path / "set", tmp_path / "out", "--format", "dexgraspbench")
    assert list((tmp_path / "out" / "objects" / "ball" / "0" / "urdf" / "meshes").iterdir())
    assert len(list((tmp_path / "out" / "graspdata" / "ball" / "0").rglob("*.npy"))) == 3


def test_stats(tmp_path):
    GraspSet.open(tmp_path, create=True).append(sample_grasps(8), Provenance(3, "made", "1.0"))
    told = run("stats", tmp_path)
    assert "8 grasps by made (1.0, 1 seeds)" in told
    assert "penetration" in told
    assert json.loads(run("stats", tmp_path, "--json"))["grasps"] == 8


@pytest.mark.parametrize("command", ["import", "export", "stats"])
def test_every_command_explains_itself(command):
    assert "Usage" in run(command, "--help")


class TestBadInput:
    def test_files_and_folders(self, tmp_path):
        (tmp_path / "a.npy").write_text("x")
        bad = ("import", tmp_path / "a.npy", tmp_path / "set", "--format")
        assert "no NumPy file" in run(*bad, "dexgraspnet", status=2)
        assert "expected <number>.npz" in run(*bad, "unidexgrasp", status=2)
        assert "is a benchmark's input" in run(*bad, "dexgraspbench", status=2)
        assert not (tmp_path / "set").exists()
        assert "no set of grasps" in run("stats", tmp_path, status=2)

    def test_a_full_disk(self, tmp_path, monkeypatch):
        GraspSet.open(tmp_path / "set", create=True).append(sample_grasps(3), Provenance())

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        export = ("export", tmp_path / "set", tmp_path / "out", "--format", "dexgraspnet")
        assert "No space left on device" in run(*export, status=2)
        assert [path.name for path in tmp_path.iterdir()] == ["set"]

    def test_selections(self, tmp_path):
        GraspSet.open(tmp_path / "set", create=True).append(sample_grasps(3), Provenance())
        export = ("export", tmp_path / "set", tmp_path / "out", "--format", "dexgraspnet")
        assert "none of its 3 grasps" in run(*export, "--where", "lifted>=2", status=2)
        assert "no figure 'height'" in run(*export, "--where", "height>=2", status=2)
        assert "'lifted' is no condition" in run(*export, "--where", "lifted", status=2)
        assert "no grasps of cup" in run(*export, "--object", "cup", status=2)


def test_conditions_become_bounds():
    infinity = float("inf")
    assert parse_bounds(["a>=1", "b <= 2e-3", "c=0", "a<=4"]) == {
        "a": (1.0, 4.0),
        "b": (-infinity, 0.002),
        "c": (0.0, 0.0),
    }
