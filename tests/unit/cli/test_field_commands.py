"""Commands over folders as the field has them: what is bad is told, the rest goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from full_disk import full_disk
from grasp_samples import sample_grasps
from mesh_samples import block, obj_text
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.data.dexgraspnet import export_dexgraspnet
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps, concatenate
from dexgrasp_models.data.unidexgrasp import export_unidexgrasp
from dexgrasp_sim.episodes import bench_grasp

BOX = block((0, 0, 0), (0.05, 0.04, 0.09))


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(app, [*map(str, arguments)])
    assert result.exit_code == status, (result.output, result.exception)
    return " ".join(result.output.split())


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DEXGRASP_CACHE", str(folder))
    return folder


BAD = {
    "bad_cut.obj": obj_text(BOX.vertices, BOX.faces)[:100],
    "bad_far.obj": obj_text(BOX.vertices, BOX.faces).replace("v 0.05", "v 1e30", 1),
    "bad_index.obj": obj_text(BOX.vertices, BOX.faces) + "f 1 2 99\n",
    "bad_empty.ply": "",
    "bad_text.stl": "no mesh",
    "bad_open.stl": trimesh.Trimesh(BOX.vertices, BOX.faces[1:]).export(file_type="stl"),
    "bad.glb": "glTF",
    "bad.urdf": "<robot>",
}


@pytest.fixture
def meshes(tmp_path) -> Path:
    """Two good objects among bad ones of each kind."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    for name in ("a.stl", "杯子.obj"):
        BOX.export(folder / name)
    for name, content in BAD.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


class TestObjects:
    def test_build(self, meshes):
        told = run("objects", "build", meshes, "--workers", 1, status=1)
        assert "2 objects, 2 pieces" in told
        for name in BAD:
            assert f"{name}: " in told

    def test_list_and_show(self, meshes, tmp_path):
        told = run("objects", "list", meshes, status=1)
        assert told.count("0.05 x 0.04 x 0.09") == 2
        assert all(f"{name}: " in told for name in BAD)
        told = run("objects", "show", meshes, "--out", tmp_path / "sheet.png", status=1)
        assert "2 of 10 objects, written to" in told
        assert (tmp_path / "sheet.png").is_file()

    def test_nothing_but_bad_ones(self, tmp_path):
        (tmp_path / "a.obj").write_text("v 0 0")
        assert "line 1: a vertex of 2 numbers" in run("objects", "list", tmp_path, status=2)
        (tmp_path / "b.obj").write_text("v 0 0")
        assert "no object can be used" in run("objects", "list", tmp_path, status=2)

    @pytest.mark.parametrize("name", ["vases.stl", "mugs/cup.obj", "thing.urdf"])
    def test_a_missing_file_is_called_missing(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        for item in (name, tmp_path / name):
            told = run("objects", "build", item, status=2)
            assert told == f"{item}: no such mesh file or folder"
        assert "did you mean vase?" in run("objects", "build", "vases", status=2)

    def test_kept_pieces_are_found_again_and_a_full_disk_is_a_sentence(self, tmp_path, cache):
        corner = trimesh.boolean.union([BOX, block((0, 0, 0), (0.2, 0.04, 0.02))])
        corner.export(tmp_path / "l.stl")
        BOX.export(tmp_path / "box.stl")
        build = ("objects", "build", tmp_path, "--workers", 1)
        with full_disk(100):
            told = run(*build, status=2)
        assert "[Errno 27] File too large" in told
        assert not list(cache.rglob("*.*"))
        run(*build)
        (kept,) = (cache / "pieces").iterdir()
        kept.write_bytes(kept.read_bytes()[:-30])  # as a disk that failed leaves it
        assert "2 objects, 3 pieces" in run(*build)


def test_the_bench_leaves_out_what_is_bad_in_a_folder(meshes, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        bench_grasp, "run_bench", lambda settings, **_: asked.extend(settings) or []
    )
    monkeypatch.setattr(
        bench_grasp,
        "summarise",
        lambda *_: (
            {"objects": {}, "attempts": 0, "success_rate": 0.0, "failures": {}}
            | {key: {"successes": 0, "attempts": 0} for key in ("flat", "not_flat")}
        ),
    )
    told = run(
        "bench", "grasp", "--objects", meshes, "--poses", 1, "--proposer", "analytic", status=1
    )
    assert [Path(one.object).name for one in asked] == ["a.stl", "杯子.obj"]
    assert told.count("left out: ") == len(BAD)
    told = run("bench", "grasp", "--objects", meshes / "bad_cut.obj", status=2)
    assert "can't be read as a mesh" in told


class TestImport:
    @pytest.fixture
    def source(self, tmp_path):
        """Three objects of DexGraspNet, one of them without success, and files that are none."""
        folder = tmp_path / "dataset"
        parts = [sample_grasps(4, seed=i, name=name) for i, name in enumerate(("sem/a", "sem/b"))]
        export_dexgraspnet(concatenate(parts), folder)
        np.save(folder / "sem" / "none.npy", [])
        return folder

    def test_an_object_without_success_is_no_fault(self, source, tmp_path):
        told = run("data", "import", source, tmp_path / "set", "--format", "dexgraspnet")
        assert "8 grasps of 2 objects written to" in told
        assert "1 more without any" in told
        assert GraspSet.open(tmp_path / "set").names == ("sem/a", "sem/b")
        only = ("data", "import", source / "sem" / "none.npy", tmp_path / "set")
        assert "none of its objects has any" in run(*only, "--format", "dexgraspnet", status=2)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (np.zeros(3, dtype=[("x", "f4"), ("y", "f4")]), "an array (3,) of [('x'"),
            (np.zeros(3, dtype=[("x", object)]), "holds no DexGraspNet grasps"),
            (np.zeros((2, 0)), "an array (2, 0) of float64"),
            (np.zeros((4, 28)), "an array (4, 28) of float64"),
            (np.array({"qpos": {}}, dtype=object), "an array () of object"),
            (np.array([{"qpos": {}}], dtype=object), "number 0 of 1 has no scale"),
            (b"\x93NUMPY\x01\x00", "is cut short or no NumPy file"),
            (b"", "is cut short or no NumPy file"),
        ],
    )
    def test_a_bad_file_is_left_out(self, source, tmp_path, content, reason):
        bad = source / "sem" / "bad.npy"
        if isinstance(content, bytes):
            bad.write_bytes(content)
        else:
            np.save(bad, content, allow_pickle=True)
        told = run("data", "import", source, tmp_path / "set", "--format", "dexgraspnet", status=1)
        assert f"left out: {bad}: " in told
        assert reason in told
        assert "8 grasps of 2 objects" in told

    def test_a_bad_grasp_of_unidexgrasp_is_left_out(self, tmp_path):
        export_unidexgrasp(sample_grasps(4, name="sem/a"), tmp_path / "uni")
        files = sorted((tmp_path / "uni" / "sem" / "a").iterdir())
        files[2].write_bytes(files[2].read_bytes()[:-30])
        (tmp_path / "uni" / "sem" / "b").mkdir()
        (tmp_path / "uni" / "sem" / "b" / "best.npz").write_bytes(b"")
        told = run(
            "data",
            "import",
            tmp_path / "uni",
            tmp_path / "set",
            "--format",
            "unidexgrasp",
            status=1,
        )
        assert told.count("left out: ") == 2
        assert "3 grasps of 1 objects" in told
        numbers = [int(file.stem) for file in files if file != files[2]]
        assert GraspSet.open(tmp_path / "set").column("numbers").tolist() == numbers

    @pytest.mark.parametrize("format", ["dexgraspnet", "unidexgrasp"])
    def test_a_missing_path_is_called_missing(self, tmp_path, format):
        told = run(
            "data", "import", tmp_path / "gone", tmp_path / "set", "--format", format, status=2
        )
        assert told == f"{tmp_path}/gone: no such file or folder"
        assert not (tmp_path / "set").exists()


def test_one_object_of_two_sources_is_exported(tmp_path):
    """Their scales differ by rounding."""
    grasps = GraspSet.open(tmp_path / "set", create=True)
    for scale in (0.06, 1.0 / float(np.float32(1.0 / 0.06))):
        part = sample_grasps(3, name="sem/box")
        poses, joints = part.palm_poses, part.joints
        grasps.append(Grasps.of_object("sem/box", scale, poses, joints), Provenance())
    (tmp_path / "meshes" / "sem").mkdir(parents=True)
    trimesh.creation.box((1, 1, 1)).export(tmp_path / "meshes" / "sem" / "box.obj")
    export = ("data", "export", tmp_path / "set", tmp_path / "out", "--format", "dexgraspbench")
    run(*export, "--meshes", tmp_path / "meshes")
    files = sorted((tmp_path / "out" / "graspdata").rglob("*.npy"))
    assert len(files) == 6
    scales = {np.load(file, allow_pickle=True).item()["obj_scale"] for file in files}
    assert scales == set(grasps.column("scales").tolist())
    told = run(*export, "--meshes", tmp_path / "gone", status=2)
    assert "no such folder of meshes" in told or "is there already" in told


def test_what_was_exported_for_the_benchmark_is_one_object_again(tmp_path):
    GraspSet.open(tmp_path / "set", create=True).append(sample_grasps(3, name="bar"), Provenance())
    (tmp_path / "meshes").mkdir()
    beside = block((0.05, 0, 0), (0.09, 0.04, 0.02))
    text = "o a\n" + obj_text(10 * BOX.vertices, BOX.faces)
    text += "o b\n" + obj_text(10 * beside.vertices, beside.faces, first=9)
    (tmp_path / "meshes" / "bar.obj").write_text(text)
    export = ("data", "export", tmp_path / "set", tmp_path / "out", "--format", "dexgraspbench")
    run(*export, "--meshes", tmp_path / "meshes")
    assert len(list((tmp_path / "out" / "objects").rglob("convex_piece_*.obj"))) == 2
    assert "1 objects, 2 pieces" in run("objects", "build", tmp_path / "out" / "objects")


def test_trials_leave_out_an_object_that_can_t_be_used(meshes, tmp_path):
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[:, 1, 3] = 1.0
    parts = [
        Grasps.of_object(name, 1.0, poses, np.zeros((2, 22)), (0.0, 0.0, 1.0, 0.5))
        for name in ("a", "bad_open", "gone")
    ]
    GraspSet.open(tmp_path / "set", create=True).append(concatenate(parts), Provenance())
    options = ("--meshes", meshes, "--workers", 1)
    told = run(
        "data", "validate", tmp_path / "set", "--out", tmp_path / "tried", *options, status=1
    )
    assert "not closed" in told
    assert "no mesh of gone" in told
    assert "shares of 2 grasps" in told
    assert GraspSet.open(tmp_path / "tried").names == ("a",)
