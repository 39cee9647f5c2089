"""`dexgrasp data synth | validate | controls | squeeze`: what they say, and how they end."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from typer.testing import CliRunner

from dexgrasp_cli.budget import seconds
from dexgrasp_cli.cli import app
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_sim.datasets import synthesis_run


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["data", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.output


def refused(*arguments: object) -> str:
    """The one line that a command ends with at once."""
    lines = run(*arguments, status=2).splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def grasps_of(name: str, count: int) -> Grasps:
    """Hands that grasp nothing."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 1, 3] = 1.0
    return Grasps.of_object(name, 1.0, poses, np.zeros((count, 22)), (0.0, 0.0, 1.0, 0.5))


@pytest.fixture
def stubbed(monkeypatch):
    """Jobs that find three grasps of any object but those called bad."""

    def synthesise(job):
        if "bad" in job.name:
            raise RuntimeError("came to rest in no drop")
        return grasps_of(job.name, 3)

    monkeypatch.setitem(synthesis_run.run.__kwdefaults__, "synthesise", synthesise)


@pytest.fixture
def meshes(tmp_path) -> Path:
    folder = tmp_path / "meshes"
    for name in ("good/a.stl", "good/b.stl", "bad.stl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        trimesh.creation.box((0.05, 0.05, 0.05)).export(folder / name)
    return folder


@pytest.mark.usefixtures("stubbed")
class TestSynth:
    def test_a_folder_of_meshes_one_of_which_is_bad(self, tmp_path, meshes):
        synth = ("synth", tmp_path / "set", meshes, "--scale", 1, "--workers", 1)
        told = run(*synth, status=1)
        assert "seed 0: 3 objects, 0 of them done" in told
        assert "bad: came to rest in no drop" in told
        assert "6 grasps of 2 objects" in told
        assert GraspSet.open(tmp_path / "set").names == ("good/a", "good/b")
        told = run(*synth, status=1)
        assert "3 objects, 2 of them done" in told
        assert "0 grasps of 0 objects" in told

    def test_objects_of_the_library_by_name_and_category(self, tmp_path):
        run("synth", tmp_path, "mug/1", "library:can/2", "--workers", 1, "--seed", 7)
        source = GraspSet.open(tmp_path)
        assert source.names == ("can/2", "mug/1")
        assert {shard.provenance.seed for shard in source.shards} == {7}
        assert source.shards[0].provenance.notes["source"] == "library:can/2"

    def test_other_settings_are_refused(self, tmp_path):
        synth = ("synth", tmp_path, "mug/1", "--workers", 1)
        run(*synth)
        for other in (("--seed", 1), ("--scale", 0.1), ("--grasps", 5), ("--keep", "all")):
            assert "mug-1 was made with other settings" in refused(*synth, *other)

    def test_a_budget_leaves_objects_for_later(self, tmp_path):
        told = run("synth", tmp_path, "mug/1", "can/1", "--workers", 1, "--budget", "0s")
        assert "2 objects are left: run the same command again" in told

    def test_a_configuration_by_its_path(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("my.yaml").write_text("energy: {batch: 9}")
        run("synth", "set", "mug/1", "--workers", 1, "--config", "my.yaml")
        notes = GraspSet.open("set").shards[0].provenance.notes
        assert notes["synthesis"]["energy"]["batch"] == 9

    def test_an_interruption(self, tmp_path, monkeypatch):
        def interrupted(_):
            raise KeyboardInterrupt

        monkeypatch.setitem(synthesis_run.run.__kwdefaults__, "synthesise", interrupted)
        told = run("synth", tmp_path / "set", "mug/1", "--workers", 1, status=130)
        assert "interrupted: run the same command again to go on" in told

    def test_a_full_disk(self, tmp_path, monkeypatch):
        def full(_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            told = run("synth", tmp_path / "set", "mug/1", "--workers", 1, status=2)
        assert f"No space left on device: '{tmp_path}/set/mug-1.safetensors'" in told
        assert list((tmp_path / "set").iterdir()) == []
        assert "3 grasps of 1 objects" in run("synth", tmp_path / "set", "mug/1", "--workers", 1)

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            (("--scale", 0), "scale must be a positive number, not 0.0"),
            (("--scale", "nan"), "scale must be a positive number, not nan"),
            (("--scale", "-0.1"), "scale must be a positive number, not -0.1"),
            (("--config", "slow"), "no configuration file 'synthesis/slow.yaml'"),
            (("--config", "nowhere.yaml"), "no configuration file 'nowhere.yaml'"),
            (("--grasps", 100_000), "EnergyConfig.batch = 100000: expected 1 to 1024"),
            (("--sim", "bullet"), "expected one of: isaac_gym, mujoco"),
            (("--budget", "soon"), "'soon' is no time: expected a number and s, m or h"),
        ],
    )
    def test_bad_options_are_named_in_one_line(self, tmp_path, options, reason):
        assert reason in refused("synth", tmp_path / "set", "mug/1", *options)
        assert not (tmp_path / "set").exists()

    def test_bad_settings_in_a_file(self, tmp_path):
        (tmp_path / "my.yaml").write_text("energy: {bath: 9}")
        options = ("--config", tmp_path / "my.yaml")
        assert "has no parameter bath" in refused("synth", tmp_path / "set", "mug/1", *options)

    @pytest.mark.parametrize("selection", ["mug/x", "tree", "tree.obj"])
    def test_unknown_objects(self, tmp_path, selection):
        assert selection in refused("synth", tmp_path / "set", selection)

    def test_two_objects_of_one_name(self, tmp_path, meshes):
        files = (meshes / "good" / "a.stl", meshes / "a.stl")
        files[1].write_bytes(files[0].read_bytes())
        assert "would both be called a" in refused("synth", tmp_path / "set", *files)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
    def test_no_gpu(self, tmp_path):
        told = refused("synth", tmp_path / "set", "mug/1", "--device", "cuda")
        assert "PyTorch finds no GPU; use cpu" in told

    def test_no_ray(self, tmp_path, monkeypatch):
        monkeypatch.setattr("dexgrasp_models.jobs.ray_cluster.find_spec", lambda _: None)
        told = refused("synth", tmp_path / "set", "mug/1", "--ray")
        assert "pip install -r requirements-ray.txt" in told


class TestTrials:
    @pytest.fixture
    def grasp_set(self, tmp_path, meshes) -> Path:
        folder = tmp_path / "set"
        GraspSet.open(folder, create=True).append(grasps_of("bad", 3), Provenance())
        return folder

    def test_grasps_of_nothing_fail(self, tmp_path, grasp_set, meshes):
        trial = ("--meshes", meshes, "--workers", 1, "--count", 2)
        told = run("validate", grasp_set, "--out", tmp_path / "tried", *trial)
        assert "shares of 2 grasps" in told
        tried = GraspSet.open(tmp_path / "tried")
        assert len(tried) == 2
        assert tried.figure("lifted").tolist() == tried.figure("stable").tolist() == [0.0, 0.0]
        assert np.array_equal(tried.column("squeezes"), tried.column("joints"))  # nothing is near
        told = run("controls", grasp_set, *trial, "--hand", "published")
        for control in ("none", "shuffled_joints", "wrist_4cm", "reversed_squeeze"):
            assert control in told

    def test_squeezes_are_filled_in(self, tmp_path, grasp_set, meshes):
        GraspSet.open(grasp_set).append(grasps_of("missing", 2), Provenance())
        squeeze = ("squeeze", grasp_set, "--meshes", meshes, "--workers", 1)
        told = run(*squeeze, status=1)
        assert "5 of 5 grasps lack squeezes, of 2 objects" in told
        assert "missing" in told
        assert "3 filled in" in told
        filled = GraspSet.open(grasp_set)
        rows = filled.select(objects=["bad"])
        assert np.array_equal(filled[rows].squeezes, filled[rows].joints)
        trimesh.creation.box((0.05, 0.05, 0.05)).export(meshes / "missing.stl")
        told = run(*squeeze, "--budget", "0s")
        assert "2 of 5 grasps lack squeezes, of 1 objects" in told
        assert "1 objects are left: run the same command again" in told
        run(*squeeze)
        assert GraspSet.open(grasp_set)[:].has_squeeze.all()
        assert "no grasps of cup" in refused(*squeeze, "--object", "cup")
        assert "no set of grasps" in refused("squeeze", tmp_path / "none")

    def test_bad_input(self, tmp_path, grasp_set, meshes):
        for command in ("validate", "controls"):
            assert "no set of grasps" in refused(command, tmp_path / "none")
            assert "bad" in refused(command, grasp_set, "--workers", 1)  # not in the library
            told = refused(command, grasp_set, "--meshes", tmp_path / "none", "--workers", 1)
            assert "bad" in told
            assert "no grasps of cup" in refused(command, grasp_set, "--object", "cup")
            assert "no condition" in refused(command, grasp_set, "--where", "lifted")
        into_itself = ("--meshes", meshes, "--out", grasp_set)
        assert "holds a set already" in refused("validate", grasp_set, *into_itself)


@pytest.mark.parametrize("command", ["synth", "validate", "controls", "squeeze"])
def test_every_command_explains_itself(command):
    assert "Usage" in run(command, "--help")


@pytest.mark.parametrize(
    ("text", "expected"), [("45s", 45), ("90m", 5400), ("1.5h", 5400), (" 2 h ", 7200)]
)
def test_times(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1d", "nanh", "1h30m"])
def test_no_times(text):
    with pytest.raises(ValueError, match="is no time"):
        seconds(text)
