"""A set of grasps: what is appended is read back, is found again, and survives interruptions."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from grasp_samples import assert_same, sample_grasps
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch.utils.data import DataLoader

from dexgrasp_models.data.grasp_set import FORMAT, GraspSet, Provenance
from dexgrasp_models.data.grasps import (
    GraspDataError,
    Grasps,
    concatenate,
    table_plane,
    table_pose,
)
from dexgrasp_models.data.statistics import summarise
from dexgrasp_models.data.torch_data import GraspDataset
from dexgrasp_models.hand.spec import load_hand

MADE = Provenance(seed=7, command="test", version="0", notes={"steps": 150})


def test_what_is_appended_is_read_back_to_the_bit(tmp_path):
    first, second = sample_grasps(5, seed=0), sample_grasps(3, seed=1, name="sem/Mug-1")
    grasps = GraspSet.open(tmp_path / "set", create=True)
    grasps.append(first, MADE)
    grasps.append(second, MADE)
    again = GraspSet.open(tmp_path / "set")
    assert len(again) == 8
    assert_same(again[:], concatenate([first, second]))
    assert_same(again[[6, 1]], concatenate([second[1:2], first[1:2]]))
    assert again[-1:].joints == pytest.approx(second.joints[-1:], abs=0)
    assert again.shards[0].provenance == MADE
    assert again.names == ("bottle", "sem/Mug-1")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_any_rows_are_those_of_the_parts_in_sequence(tmp_path_factory, seed, sizes):
    generator = np.random.default_rng(seed)
    parts = [sample_grasps(size, seed=seed + i, name=f"o{i}") for i, size in enumerate(sizes)]
    grasps = GraspSet.open(tmp_path_factory.mktemp("set"), create=True)
    for part in parts:
        grasps.append(part, MADE)
    whole = concatenate(parts)
    rows = generator.integers(0, len(whole), size=generator.integers(0, 10))
    assert np.array_equal(grasps[rows].joints, whole[rows].joints)
    assert [grasps[rows].names[i] for i in grasps[rows].objects] == [
        whole.names[i] for i in whole.objects[rows]
    ]


def test_columns_are_mapped_not_copied(tmp_path):
    grasps = GraspSet.open(tmp_path / "set", create=True)
    path = grasps.append(sample_grasps(2000), MADE)
    column = GraspSet.open(tmp_path / "set").shards[0].column("joints")
    address = column.__array_interface__["data"][0]
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    areas = [line[0].split("-") for line in maps if line[-1] == str(path)]
    assert any(int(low, 16) <= address < int(high, 16) for low, high in areas)


def test_single_precision_halves_the_size(tmp_path):
    grasps = sample_grasps(1000)
    double = GraspSet.open(tmp_path / "double", create=True).append(grasps, MADE)
    single = GraspSet.open(tmp_path / "single", create=True).append(grasps.astype(np.float32), MADE)
    assert single.stat().st_size < 0.55 * double.stat().st_size
    assert single.stat().st_size < 200 * len(grasps)
    read = GraspSet.open(tmp_path / "single")[:]
    assert read.joints.dtype == read.planes.dtype == read.figures["lifted"].dtype == np.float32
    assert read.palm_poses == pytest.approx(grasps.palm_poses, abs=1e-6)


def test_selection_by_figures_and_objects(tmp_path):
    grasps = GraspSet.open(tmp_path, create=True)
    mugs = sample_grasps(4, name="mug")
    grasps.append(replace(mugs, figures={"lifted": [1, 0, 1, np.nan], "depth": [0, 1, 2, 3]}), MADE)
    cans = sample_grasps(2, name="can")
    grasps.append(replace(cans, figures={"depth": [1.5, 9.0]}), MADE)
    assert grasps.figures == ("depth", "lifted")
    assert grasps.select({"lifted": (1, 1)}).tolist() == [0, 2]
    assert grasps.select({"lifted": (1, 1), "depth": (-np.inf, 1)}).tolist() == [0]
    assert grasps.select(objects=["can"]).tolist() == [4, 5]
    assert grasps.select({"depth": (1, 2)}, ["mug"]).tolist() == [1, 2]
    assert np.isnan(grasps.figure("lifted")[3:]).all()
    assert len(grasps[grasps.select({"depth": (100, 200)})]) == 0
    with pytest.raises(GraspDataError, match=r"no figure 'height'; there are depth, lifted"):
        grasps.select({"height": (0, 1)})
    with pytest.raises(GraspDataError, match="no grasps of cup"):
        grasps.select(objects=["cup"])


class TestInterruption:
    def test_a_failing_disk_leaves_the_set_as_it_was(self, tmp_path, monkeypatch):
        grasps = GraspSet.open(tmp_path / "set", create=True)
        grasps.append(sample_grasps(3), MADE)

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            grasps.append(sample_grasps(3, seed=1), MADE)
        assert len(grasps) == len(GraspSet.open(tmp_path / "set")) == 3
        assert len(list((tmp_path / "set").iterdir())) == 1

    def test_a_file_size_limit_leaves_the_set_as_it_was(self, tmp_path):
        script = (
            "import resource, signal, sys; from grasp_samples import sample_grasps\n"
            "from dexgrasp_models.data.grasp_set import GraspSet, Provenance\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "grasps = GraspSet.open(sys.argv[1], create=True)\n"
            "grasps.append(sample_grasps(3), Provenance())\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
            "try: grasps.append(sample_grasps(500), Provenance())\n"
            "except OSError as error: print(error)\n"
        )
        run = _python(script, tmp_path / "set")
        assert "File too large" in run.communicate()[0]
        assert len(GraspSet.open(tmp_path / "set")) == 3
        assert len(list((tmp_path / "set").iterdir())) == 1

    def test_killed_at_random_only_whole_shards_are_there(self, tmp_path):
        script = (
            "import sys; from grasp_samples import sample_grasps\n"
            "from dexgrasp_models.data.grasp_set import GraspSet, Provenance\n"
            "grasps = GraspSet.open(sys.argv[1], create=True)\n"
            "for seed in range(100_000):\n"
            "    if not grasps.has_shard(f'{seed:06d}'):\n"
            "        part = sample_grasps(40, seed)\n"
            "        grasps.append(part, Provenance(seed, 'test', '0'), f'{seed:06d}')\n"
            "        print(seed, flush=True)\n"
        )
        finished = 0
        for lines in (3, 5):
            run = _python(script, tmp_path / "set")
            for _ in range(lines):
                finished = int(run.stdout.readline()) + 1
            run.send_signal(signal.SIGKILL)
            run.wait()
        grasps = GraspSet.open(tmp_path / "set")
        assert finished == 8 <= len(grasps.shards)
        for shard in grasps.shards:
            assert_same(shard.grasps(), sample_grasps(40, shard.provenance.seed))

    def test_unfinished_files_are_not_seen(self, tmp_path):
        grasps = GraspSet.open(tmp_path, create=True)
        path = grasps.append(sample_grasps(3), MADE)
        (tmp_path / ".part-abc.safetensors").write_bytes(path.read_bytes()[:100])
        assert len(GraspSet.open(tmp_path)) == 3

    def test_finished_shards_are_not_changed(self, tmp_path):
        grasps = GraspSet.open(tmp_path, create=True)
        grasps.append(sample_grasps(3), MADE, "can_0")
        other = GraspSet.open(tmp_path)
        assert other.has_shard("can_0")
        with pytest.raises(GraspDataError, match="finished shards are not changed"):
            other.append(sample_grasps(2), MADE, "can_0")

    def test_two_that_append_at_once_both_keep_their_shard(self, tmp_path):
        one, two = (GraspSet.open(tmp_path, create=True) for _ in range(2))
        one.append(sample_grasps(3, seed=0), MADE)
        two.append(sample_grasps(3, seed=1), MADE)
        assert len(GraspSet.open(tmp_path)) == 6


class TestBadInput:
    def test_no_set(self, tmp_path):
        with pytest.raises(GraspDataError, match="no set of grasps"):
            GraspSet.open(tmp_path / "nothing")
        (tmp_path / "file").touch()
        with pytest.raises(GraspDataError, match="a set of grasps is a folder"):
            GraspSet.open(tmp_path / "file")

    def test_cut_short_at_any_place(self, tmp_path):
        path = GraspSet.open(tmp_path, create=True).append(sample_grasps(3), MADE)
        content = path.read_bytes()
        for length in (0, 4, 100, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:length])
            with pytest.raises(GraspDataError, match="is cut short or no shard"):
                GraspSet.open(tmp_path)

    def test_the_hand_is_named_and_another_one_refused(self, tmp_path):
        from safetensors import safe_open
        from safetensors.numpy import load, save

        path = GraspSet.open(tmp_path, create=True).append(sample_grasps(3), MADE)
        with safe_open(path, framework="np") as file:
            header = file.metadata()
        assert header.pop("hand") == load_hand().name
        arrays = load(path.read_bytes())
        path.write_bytes(save(arrays, header))  # as before hands were named
        assert len(GraspSet.open(tmp_path)) == 3
        path.write_bytes(save(arrays, header | {"hand": "left_claw"}))
        with pytest.raises(GraspDataError, match=r"hand left_claw, .* is shadow_hand_right"):
            GraspSet.open(tmp_path)

    def test_foreign_files(self, tmp_path):
        from safetensors.numpy import save

        path = tmp_path / "a.safetensors"
        path.write_bytes(save({"weights": np.zeros(3)}))
        with pytest.raises(GraspDataError, match=r"its format is None, not 'dexgrasp grasps 1'"):
            GraspSet.open(tmp_path)
        header = {"format": FORMAT, "objects": '["a"]', "provenance": "{}"}
        path.write_bytes(save({"joints": np.zeros((3, 22))}, header))
        with pytest.raises(GraspDataError, match="has no numbers, objects"):
            GraspSet.open(tmp_path)
        path.write_bytes(save({"joints": np.zeros((3, 22))}, header | {"objects": "["}))
        with pytest.raises(GraspDataError, match="its header is incomplete"):
            GraspSet.open(tmp_path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"joints": np.zeros((3, 18))}, r"joints have the shape \(3, 18\), expected \(3, 22\)"),
            ({"joints": np.full((3, 22), np.nan)}, "3 of 3 grasps have joints that are NaN"),
            ({"translations": [[0, 0, 0], [0, np.inf, 0], [0] * 3]}, "1 of 3 .* translations"),
            ({"scales": [0.1, 0.0, 0.1]}, "a scale that is not positive; first 1"),
            ({"planes": [[0, 0, 2, 0]] * 3}, "a table plane without a unit normal"),
            ({"planes": [[0, 0, 1, np.nan]] * 3}, "a table plane without a unit normal"),
            ({"figures": {"lifted": [1.0]}}, "figure lifted have the shape"),
            ({"figures": {"lifted": [1.0, np.inf, 0.0]}}, "a figure lifted that is infinite"),
            ({"figures": {"scale": [1.0] * 3}}, "'scale' is no figure's name"),
            ({"figures": {"a b": [1.0] * 3}}, "'a b' is no figure's name"),
            ({"names": ("../../etc",)}, "is no object's name"),
            ({"names": ("/etc/x",)}, "is no object's name"),
            ({"objects": [0, 0, 1]}, "an object's index is not in 0 to 0"),
            ({"scales": ["a", "b", "c"]}, "scales: not numbers"),
        ],
    )
    def test_grasps_that_make_no_sense(self, change, message):
        with pytest.raises(GraspDataError, match=message):
            replace(sample_grasps(3), **change)

    def test_nothing_to_append_and_names_that_lead_out(self, tmp_path):
        grasps = GraspSet.open(tmp_path, create=True)
        with pytest.raises(GraspDataError, match="no grasps to append"):
            grasps.append(sample_grasps(3)[:0], MADE)
        with pytest.raises(GraspDataError, match="is no shard's name"):
            grasps.append(sample_grasps(3), MADE, "../x")
        with pytest.raises(GraspDataError, match="the set is empty"):
            summarise(grasps)


def test_palm_poses_are_kept():
    generator = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (50, 1, 1))
    poses[:, :3, :3] = Rotation.random(50, rng=generator).as_matrix()
    poses[0, :3, :3] = Rotation.from_euler("y", 90, degrees=True).as_matrix()  # gimbal lock
    poses[:, :3, 3] = generator.normal(size=(50, 3))
    grasps = Grasps.of_object("can", 0.1, poses, np.zeros((50, 22)))
    assert grasps.palm_poses == pytest.approx(poses, abs=1e-9)
    assert not grasps.has_table.any()


@pytest.mark.parametrize("turn", [[0, 0, 0.3], [1.2, -0.4, 2.0], [np.pi, 0, 0]])
def test_a_table_plane_tells_how_an_object_lies(turn):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    pose[:3, 3] = (0.3, -0.2, 0.05)
    plane = table_plane(pose)
    points = np.random.default_rng(0).normal(size=(20, 3))
    heights = (points @ pose[:3, :3].T + pose[:3, 3])[:, 2]
    assert points @ plane[:3] + plane[3] == pytest.approx(heights)
    again = table_pose(plane)
    assert table_plane(again) == pytest.approx(plane)
    assert np.linalg.det(again[:3, :3]) == pytest.approx(1.0)
    assert again[:2, 3] == pytest.approx(0.0)


def test_torch_loads_batches_of_a_selection(tmp_path):
    grasps = GraspSet.open(tmp_path, create=True)
    grasps.append(sample_grasps(6, name="b"), MADE)
    grasps.append(sample_grasps(4, seed=1, name="a"), MADE)
    data = GraspDataset(grasps, rows=np.arange(2, 10), figures=["lifted"])
    item = data[7]
    assert item["palm_pose"].shape == (4, 4)
    assert item["joints"].dtype == torch.float32
    assert item["object"] == grasps.names.index("a")
    assert item["joints"].numpy() == pytest.approx(grasps[9:10].joints[0], abs=1e-6)
    batches = list(DataLoader(data, batch_size=3))
    assert [len(batch["scale"]) for batch in batches] == [3, 3, 2]
    assert torch.cat([batch["object"] for batch in batches]).tolist() == [1] * 4 + [0] * 4
    with pytest.raises(GraspDataError, match="no figure"):
        GraspDataset(grasps, figures=["height"])


def test_other_processes_map_the_files_themselves(tmp_path):
    grasps = GraspSet.open(tmp_path, create=True)
    grasps.append(sample_grasps(6), MADE)
    content = pickle.dumps(grasps)
    assert len(content) < 1000
    assert_same(pickle.loads(content)[:], grasps[:])


def test_summary_counts(tmp_path):
    grasps = GraspSet.open(tmp_path, create=True)
    with pytest.raises(GraspDataError, match="the set is empty"):
        summarise(grasps)
    down = np.eye(4)
    down[:3, :3] = Rotation.from_euler("x", 90, degrees=True).as_matrix()  # palm's -y faces -z
    poses = np.stack([down, np.eye(4), np.eye(4)])
    joints = np.zeros((3, 22))
    joints[2, 0] = 0.4
    lifted = {"lifted": [1.0, 0.0, np.nan]}
    grasps.append(Grasps.of_object("can", 0.1, poses, joints, (0, 0, 1, 0.05), lifted), MADE)
    grasps.append(Grasps.of_object("cup", 0.06, poses[:1], joints[:1]), replace(MADE, seed=8))
    summary = summarise(GraspSet.open(tmp_path))
    assert json.loads(json.dumps(summary)) == summary
    assert summary["grasps"] == 4
    assert summary["objects"] == summary["shards"] == 2
    assert summary["bytes"] == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert summary["grasps_per_object"] == {"least": 1, "median": 2.0, "greatest": 3}
    assert summary["scales"] == {"0.06": 1, "0.1": 3}
    assert summary["on_table"] == 3
    assert summary["from_above"] == pytest.approx(1 / 3)
    assert summary["beyond_limits"] == 0.25
    assert summary["figures"]["lifted"] == {
        "known": 2, "mean": 0.5, "least": 0.0, "median": 0.5, "greatest": 1.0,
    }  # fmt: skip
    assert summary["provenance"] == [
        {"command": "test", "version": "0", "grasps": 4, "seeds": [7, 8]}
    ]


def _python(script: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
