"""The joint targets that a hand presses with, kept beside each grasp where they are known."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from grasp_samples import assert_same, sample_grasps
from safetensors import safe_open
from safetensors.numpy import load_file

from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError, Grasps, concatenate
from dexgrasp_models.data.statistics import summarise
from dexgrasp_models.data.unidexgrasp import export_unidexgrasp, import_unidexgrasp

MADE = Provenance(seed=7, command="test", version="0", notes={"steps": 150})


def squeezed(grasps: Grasps) -> Grasps:
    """Pressing with a tenth of a radian."""
    return replace(grasps, squeezes=grasps.joints + 0.1)


def test_they_go_with_their_grasps():
    first, second = squeezed(sample_grasps(5)), sample_grasps(3, seed=1, name="mug")
    whole = concatenate([first, second])
    assert whole.has_squeeze.tolist() == [True] * 5 + [False] * 3
    some = whole[[4, 7]].astype(np.float32)
    assert some.squeezes.dtype == np.float32
    assert np.array_equal(some.squeezes[0], first.squeezes[4].astype(np.float32))
    assert np.isnan(some.squeezes[1]).all()


def test_a_set_keeps_them_and_files_without_them_are_as_before(tmp_path):
    grasps = GraspSet.open(tmp_path, create=True)
    plain, pressed = sample_grasps(4, name="mug"), squeezed(sample_grasps(5, seed=1))
    without = grasps.append(plain, MADE, shard="a")
    grasps.append(pressed, MADE, shard="b")
    assert "squeezes" not in load_file(without)
    again = GraspSet.open(tmp_path)
    assert_same(again[:], concatenate([plain, pressed]))
    assert_same(again[[8, 0]], concatenate([pressed[4:], plain[:1]]))
    assert np.isnan(again.column("squeezes")[:, 0]).tolist() == [True] * 4 + [False] * 5
    assert summarise(again)["squeezes"] == 5


@pytest.mark.parametrize("bad", [(0, 3, np.nan), (slice(None), 3, np.nan), (1, 2, np.inf)])
def test_a_row_is_known_or_not(bad):
    grasps = sample_grasps(3)
    squeezes = grasps.joints.copy()
    squeezes[bad[:2]] = bad[2]
    with pytest.raises(GraspDataError, match="squeezes that are"):
        replace(grasps, squeezes=squeezes)
    with pytest.raises(GraspDataError, match="shape"):
        replace(grasps, squeezes=squeezes[:, :18])


def test_files_of_others_have_no_place_for_them(tmp_path):
    grasps = squeezed(sample_grasps(4))
    export_unidexgrasp(grasps, tmp_path / "out")
    assert not import_unidexgrasp(tmp_path / "out").has_squeeze.any()


class TestFillingIn:
    @pytest.fixture
    def grasps(self, tmp_path) -> GraspSet:
        grasps = GraspSet.open(tmp_path, create=True)
        grasps.append(sample_grasps(4).astype(np.float32), MADE, shard="a")
        grasps.append(sample_grasps(3, seed=1), MADE, shard="b")
        return grasps

    def test_nothing_else_changes(self, grasps):
        shard = grasps.shards[0]
        before, header = load_file(shard.path), metadata(shard.path)
        squeezes = shard.column("joints") + np.float32(0.1)
        squeezes[2] = np.nan
        grasps.fill_in_squeezes(shard, squeezes)
        after = load_file(shard.path)
        assert np.array_equal(after.pop("squeezes"), squeezes, equal_nan=True)
        assert {name: array.tobytes() for name, array in after.items()} == {
            name: array.tobytes() for name, array in before.items()
        }
        assert metadata(shard.path) == header
        assert not shard.grasps().has_squeeze.any()  # who had it open goes on with it
        for one in (grasps, GraspSet.open(grasps.path)):
            assert one[:].has_squeeze.tolist() == [True, True, False, True] + [False] * 3

    def test_a_full_disk_leaves_the_set_as_it_was(self, grasps, monkeypatch):
        def full(_):
            raise OSError(28, "No space left on device")

        before = {path: path.read_bytes() for path in grasps.path.iterdir()}
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space left"):
                grasps.fill_in_squeezes(grasps.shards[1], grasps.shards[1].column("joints"))
        assert {path: path.read_bytes() for path in grasps.path.iterdir()} == before

    def test_of_another_number_of_grasps(self, grasps):
        with pytest.raises(GraspDataError, match="squeezes have the shape"):
            grasps.fill_in_squeezes(grasps.shards[0], np.zeros((3, 22)))


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="np") as file:
        return file.metadata()
