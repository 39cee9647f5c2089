"""DexGraspNet's files go in and out without a loss, and damaged ones are named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from grasp_samples import assert_same, sample_grasps

from dexgrasp_models.data.dexgraspnet import (
    export_dexgraspnet,
    import_dexgraspnet,
    read_dexgraspnet,
)
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError, concatenate
from dexgrasp_models.data.object_arrays import npy_bytes
from dexgrasp_models.data.qpos import NAMES

DATA = Path(os.environ.get("DEXGRASP_DATA") or Path(__file__).parents[4] / "shared" / "data")
PUBLISHED = DATA / "dexgraspnet" / "dataset"


def entries(count: int, seed: int = 0) -> np.ndarray:
    """A file's content, in the layout of the published ones."""
    generator = np.random.default_rng(seed)
    array = np.empty(count, dtype=object)
    for row in range(count):
        numbers = generator.uniform(-1, 1, len(NAMES)).tolist()
        scale = np.float64(generator.choice([0.06, 0.08, 0.1]))
        array[row] = {"qpos": dict(zip(NAMES, numbers, strict=True)), "scale": scale}
    return array


def test_the_names_are_those_of_the_field():
    assert NAMES[:4] == ("robot0:FFJ3", "robot0:FFJ2", "robot0:FFJ1", "robot0:FFJ0")
    assert NAMES[12:17] == tuple(f"robot0:LFJ{i}" for i in (4, 3, 2, 1, 0))
    assert NAMES[17:22] == tuple(f"robot0:THJ{i}" for i in (4, 3, 2, 1, 0))
    assert NAMES[22:] == ("WRJRx", "WRJRy", "WRJRz", "WRJTx", "WRJTy", "WRJTz")


def test_a_file_comes_back_as_it_was(tmp_path):
    (tmp_path / "in").mkdir()
    originals = {"mug": entries(5), "plate": entries(3, seed=1)}
    for name, content in originals.items():
        np.save(tmp_path / "in" / f"{name}.npy", content)
    through_a_set(tmp_path / "in", tmp_path)
    for name, content in originals.items():
        assert_equal(tmp_path / "out" / f"{name}.npy", content)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"needs DexGraspNet's data in {PUBLISHED}")
def test_published_files_come_back_as_they_were(tmp_path):
    through_a_set(PUBLISHED, tmp_path)
    files = sorted(PUBLISHED.glob("*.npy"))
    assert len(files) == len(list((tmp_path / "out").iterdir()))
    for file in files:
        assert_equal(tmp_path / "out" / file.name, np.load(file, allow_pickle=True))


def test_a_set_comes_back_with_tables_figures_and_objects_in_folders(tmp_path):
    first = sample_grasps(6, name="sem/Bottle-1")
    second = sample_grasps(4, seed=1, name="can", table=False)
    second = replace(second, figures={"lifted": [1.0, np.nan, 0.0, 1.0]})
    export_dexgraspnet(concatenate([first, second]), tmp_path / "out")
    assert (tmp_path / "out" / "sem" / "Bottle-1.npy").is_file()
    found = import_dexgraspnet(tmp_path / "out")
    for part, name in ((first, "sem/Bottle-1"), (second, "can")):
        part = part[np.argsort(part.numbers)]
        again = found[found.objects == found.names.index(name)]
        again = replace(again, figures={key: again.figures[key] for key in part.figures})
        assert_same(again, replace(part, numbers=np.arange(len(part))))


def test_numpy_1_finds_its_own_names_in_the_files(tmp_path):
    export_dexgraspnet(sample_grasps(2), tmp_path / "out")
    content = (tmp_path / "out" / "bottle.npy").read_bytes()
    assert b"cnumpy.core.multiarray\n" in content
    assert b"numpy._core" not in content


class TestBadInput:
    def test_cut_short_at_any_place(self, tmp_path):
        content = npy_bytes(entries(4))
        for length in (0, 5, 60, 128, 200, len(content) // 2, len(content) - 1):
            (tmp_path / "mug.npy").write_bytes(content[:length])
            with pytest.raises(GraspDataError, match=r"mug.npy: is cut short or no NumPy file"):
                read_dexgraspnet(tmp_path / "mug.npy")

    def test_foreign_files(self, tmp_path):
        path = tmp_path / "a.npy"
        with pytest.raises(GraspDataError, match=r"expected <object>\.npy"):
            import_dexgraspnet(tmp_path)
        path.write_text("not an array")
        with pytest.raises(GraspDataError, match="no NumPy file"):
            read_dexgraspnet(path)
        np.save(path, np.zeros((3, 28)))
        with pytest.raises(GraspDataError, match=r"holds no DexGraspNet grasps \(an array"):
            read_dexgraspnet(path)
        np.save(path, np.array([{"a": 1}, 3.0], dtype=object))
        with pytest.raises(GraspDataError, match="number 0 of 2 has no qpos and no scale"):
            read_dexgraspnet(path)

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("qpos", None, "qpos is a NoneType, not a dict of 28 names"),
            ("qpos", {}, "qpos has no robot0:FFJ3, "),
            ("scale", "0.1", "scale is '0.1', not a finite number"),
            ("scale", np.nan, "scale is nan, not a finite number"),
            ("scale", 0.0, "a scale that is not positive"),
            ("qpos.WRJTx", np.inf, "qpos WRJTx is inf, not a finite number"),
            ("qpos.robot0:FFJ3", [0.0], "qpos robot0:FFJ3 is a list, not a finite number"),
            ("qpos.elbow", 0.0, "qpos has elbow, which no Shadow Hand has"),
            ("plane", [0, 0, 1], "plane is not four finite numbers"),
            ("plane", [0, 0, 3, 0], "a table plane without a unit normal"),
            ("energy", np.inf, "energy is inf"),
            ("qpos_st", {}, "leave qpos_st out by naming it as ignored"),
        ],
    )
    def test_grasps_that_make_no_sense(self, tmp_path, key, value, message):
        array = entries(3)
        key, _, inner = key.partition(".")
        if inner:
            array[1][key][inner] = value
        else:
            array[1][key] = value
        np.save(tmp_path / "mug.npy", array)
        with pytest.raises(GraspDataError, match=message):
            read_dexgraspnet(tmp_path / "mug.npy")

    def test_ignored_keys(self, tmp_path):
        array = entries(3)
        array[1]["qpos_st"] = {}
        np.save(tmp_path / "mug.npy", array)
        assert len(read_dexgraspnet(tmp_path / "mug.npy", ignore=["qpos_st"])) == 3

    def test_a_failing_disk_leaves_nothing(self, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            export_dexgraspnet(sample_grasps(3), tmp_path / "out")
        assert not list(tmp_path.iterdir())

    def test_a_folder_in_use_is_left_alone(self, tmp_path):
        (tmp_path / "mine").touch()
        with pytest.raises(FileExistsError, match="is there already"):
            export_dexgraspnet(sample_grasps(3), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def through_a_set(source: Path, work: Path) -> None:
    """Import into a set, open that anew, and export to `out`."""
    GraspSet.open(work / "set", create=True).append(import_dexgraspnet(source), Provenance())
    export_dexgraspnet(GraspSet.open(work / "set")[:], work / "out")


def assert_equal(file: Path, expected: np.ndarray) -> None:
    """Equal to the bit, with the same types and the same order of keys, as NumPy reads it."""
    found = np.load(file, allow_pickle=True)
    assert found.dtype == expected.dtype
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert list(one) == list(other)
        assert one == other
        assert type(one["scale"]) is type(other["scale"])
        assert list(one["qpos"]) == list(other["qpos"])
        assert [type(v) for v in one["qpos"].values()] == [type(v) for v in other["qpos"].values()]
