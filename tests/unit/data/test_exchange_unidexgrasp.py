"""UniDexGrasp's files go in and out without a loss, and damaged ones are named."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from grasp_samples import assert_same, sample_grasps
from hypothesis import given
from hypothesis import strategies as st

from dexgrasp_models.data import unidexgrasp
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError, concatenate
from dexgrasp_models.data.qpos import NAMES
from dexgrasp_models.data.unidexgrasp import export_unidexgrasp, import_unidexgrasp

DATA = Path(os.environ.get("DEXGRASP_DATA") or Path(__file__).parents[4] / "shared" / "data")
PUBLISHED = DATA / "unidexgrasp" / "datasetv4.1"


def entry(seed: int = 0) -> dict:
    """A file's content, in the layout of the published ones."""
    generator = np.random.default_rng(seed)
    normal = generator.normal(size=3)
    plane = [*normal / np.linalg.norm(normal), generator.uniform(0, 0.1)]
    return {
        "qpos": dict(zip(NAMES, generator.uniform(-1, 1, len(NAMES)).tolist(), strict=True)),
        "scale": np.float32(generator.choice([1 / 0.06, 12.5, 10.0, 1 / 0.12, 1 / 0.15])),
        "plane": np.array(plane, dtype=np.float32),
    }


def test_a_file_comes_back_as_it_was(tmp_path):
    originals = {"sem/Car-1": (3, 5, 40000), "core/mug": (0,)}
    for name, numbers in originals.items():
        (tmp_path / "in" / name).mkdir(parents=True)
        for number in numbers:
            np.savez(tmp_path / "in" / name / f"{number:05d}.npz", **entry(number))
    through_a_set(tmp_path / "in", tmp_path)
    assert_equal_folders(tmp_path / "out", tmp_path / "in", count=4)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"needs UniDexGrasp's data in {PUBLISHED}")
def test_published_files_come_back_byte_by_byte(tmp_path):
    through_a_set(PUBLISHED, tmp_path)
    files = sorted(PUBLISHED.rglob("*.npz"))
    assert_equal_folders(tmp_path / "out", PUBLISHED, count=len(files))
    for file in files:
        # The archives' own headers depend on the version of Python that wrote them.
        with (
            zipfile.ZipFile(tmp_path / "out" / file.relative_to(PUBLISHED)) as found,
            zipfile.ZipFile(file) as expected,
        ):
            assert found.namelist() == expected.namelist()
            assert all(found.read(name) == expected.read(name) for name in found.namelist())


@given(st.floats(2**-10, 2**10, width=32))
def test_inverse_scales_come_back_exactly(scale):
    assert np.float32(1.0 / (1.0 / float(np.float32(scale)))) == np.float32(scale)


def test_a_set_in_single_precision_comes_back_but_for_the_last_bit_of_scales(tmp_path):
    parts = [
        sample_grasps(5, name="sem/Bottle-1").astype(np.float32),
        sample_grasps(3, seed=1, name="can").astype(np.float32),
    ]
    export_unidexgrasp(concatenate(parts), tmp_path / "out")
    found = import_unidexgrasp(tmp_path / "out").astype(np.float32)
    for part in parts:
        part = part[np.argsort(part.numbers)]
        again = found[found.objects == found.names.index(part.names[0])]
        assert again.scales == pytest.approx(part.scales, rel=2e-7)
        assert_same(replace(again, scales=part.scales), part)


def test_one_object_is_named_as_its_folder(tmp_path):
    (tmp_path / "Car-1").mkdir()
    np.savez(tmp_path / "Car-1" / "00007.npz", **entry())
    found = import_unidexgrasp(tmp_path / "Car-1")
    assert found.names == ("Car-1",)
    assert found.numbers.tolist() == [7]


def test_grasps_with_the_same_number_all_stay(tmp_path):
    grasps = concatenate([sample_grasps(3), sample_grasps(3)])
    export_unidexgrasp(grasps, tmp_path / "out")
    found = import_unidexgrasp(tmp_path / "out")
    assert found.numbers.tolist() == list(range(6))
    assert np.array_equal(found.joints, grasps.joints)


class TestBadInput:
    def test_cut_short_at_any_place(self, tmp_path):
        path = tmp_path / "00000.npz"
        np.savez(path, **entry())
        content = path.read_bytes()
        for length in (0, 30, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:length])
            with pytest.raises(GraspDataError, match=r"00000.npz: is cut short or no .npz file"):
                import_unidexgrasp(tmp_path)

    def test_a_flipped_byte_is_noticed(self, tmp_path):
        path = tmp_path / "00000.npz"
        np.savez(path, **entry())
        content = bytearray(path.read_bytes())
        content[400] ^= 1
        path.write_bytes(content)
        with pytest.raises(GraspDataError, match="Bad CRC"):
            import_unidexgrasp(tmp_path)

    def test_foreign_files(self, tmp_path):
        with pytest.raises(GraspDataError, match=r"expected <number>\.npz"):
            import_unidexgrasp(tmp_path)
        np.savez(tmp_path / "00000.npz", weights=np.zeros(3))
        with pytest.raises(GraspDataError, match="has no qpos and no scale and no plane"):
            import_unidexgrasp(tmp_path)

    def test_a_name_that_is_no_number(self, tmp_path):
        np.savez(tmp_path / "best.npz", **entry())
        with pytest.raises(GraspDataError, match="its name is not a number"):
            import_unidexgrasp(tmp_path)

    def test_a_name_that_is_too_great_a_number(self, tmp_path):
        np.savez(tmp_path / f"{2**31}.npz", **entry())
        with pytest.raises(GraspDataError, match="is beyond 2147483647: rename it"):
            import_unidexgrasp(tmp_path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"qpos": np.zeros(28)}, r"qpos is an array \(28,\), not one dict"),
            ({"qpos": {"WRJTx": 0.0}}, "qpos has no robot0:FFJ3"),
            ({"scale": np.float32(0)}, "scale is 0, not positive"),
            ({"scale": np.zeros(3)}, "scale is a ndarray, not a finite number"),
            ({"plane": np.zeros(3)}, "plane is not four finite numbers"),
            ({"plane": np.array([np.nan, 0, 1, 0])}, "plane is not four finite numbers"),
            ({"plane": np.zeros(4)}, "a table plane without a unit normal"),
            ({"points": np.zeros((5, 3))}, "leave points out by naming it as ignored"),
        ],
    )
    def test_grasps_that_make_no_sense(self, tmp_path, change, message):
        np.savez(tmp_path / "00000.npz", **entry() | change)
        with pytest.raises(GraspDataError, match=message):
            import_unidexgrasp(tmp_path)

    def test_grasps_without_a_table_are_refused(self, tmp_path):
        with pytest.raises(GraspDataError, match="3 of 3 grasps have no table"):
            export_unidexgrasp(sample_grasps(3, table=False), tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_failing_disk_leaves_nothing(self, tmp_path, monkeypatch):
        written = []

        def full(path, arrays):
            if len(written) == 2:
                raise OSError(28, "No space left on device")
            path.touch()
            written.append(path)

        monkeypatch.setattr(unidexgrasp, "write_npz", full)
        with pytest.raises(OSError, match="No space left"):
            export_unidexgrasp(sample_grasps(3), tmp_path / "out")
        assert len(written) == 2
        assert not list(tmp_path.iterdir())


def through_a_set(source: Path, work: Path) -> None:
    """Import into a set, open that anew, and export to `out`."""
    GraspSet.open(work / "set", create=True).append(import_unidexgrasp(source), Provenance())
    export_unidexgrasp(GraspSet.open(work / "set")[:], work / "out")


def assert_equal_folders(found: Path, expected: Path, count: int) -> None:
    """The same files, equal to the bit and in types, as NumPy reads them."""
    files = {path.relative_to(expected) for path in expected.rglob("*.npz")}
    assert len(files) == count
    assert {path.relative_to(found) for path in found.rglob("*.npz")} == files
    for file in files:
        with (
            np.load(found / file, allow_pickle=True) as one,
            np.load(expected / file, allow_pickle=True) as other,
        ):
            assert one.files == other.files
            assert one["qpos"].item() == other["qpos"].item()
            for name in ("scale", "plane"):
                assert one[name].dtype == other[name].dtype
                assert one[name].tobytes() == other[name].tobytes()
