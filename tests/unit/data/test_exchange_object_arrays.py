"""Files with Python objects are read as data only."""

from __future__ import annotations

import io
import os
import pickle
import subprocess

import numpy as np
import pytest
from numpy.lib import format as npy

from dexgrasp_models.data.grasps import GraspDataError
from dexgrasp_models.data.object_arrays import npy_bytes, read_npy, read_npz, write_npz

VALUES = [
    {"a": 1.5, "b": np.float64(2.5), "c": np.arange(3, dtype=np.float32), "d": ["x", (1, None)]},
    {"a": True, "b": np.int64(3), "c": np.array("text"), "d": {"e": b"bytes"}},
]


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_containers_numbers_and_text_are_read(tmp_path, protocol):
    path = tmp_path / "a.npy"
    array = np.array(VALUES, dtype=object)
    path.write_bytes(_header((2,)) + pickle.dumps(array, protocol=protocol))
    found = read_npy(path)
    assert repr(found.tolist()) == repr(VALUES)
    assert found[0]["c"].dtype == np.float32


def test_plain_arrays_are_read(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(3))
    assert np.array_equal(read_npy(tmp_path / "a.npy"), np.eye(3))


@pytest.mark.parametrize("array", [np.eye(3), np.float32(2), np.array(VALUES, dtype=object)])
def test_what_is_written_numpy_reads(tmp_path, array):
    array = np.asarray(array)
    write_npz(tmp_path / "a.npz", {"x": array})
    with np.load(tmp_path / "a.npz", allow_pickle=True) as found:
        assert found["x"].dtype == array.dtype
        assert repr(found["x"].tolist()) == repr(array.tolist())
    assert repr(read_npz(tmp_path / "a.npz")["x"].tolist()) == repr(array.tolist())


class Caller:
    """Unpickled, it calls a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "posix.system"),
        (eval, "builtins.eval"),
        (getattr, "builtins.getattr"),
        (subprocess.Popen, "subprocess.Popen"),
        (np.load, "numpy.load"),
        (np.fromfile, "fromfile"),
    ],
)
def test_files_that_call_anything_are_refused_unrun(tmp_path, function, name):
    trace = tmp_path / "trace"
    array = np.array([{"qpos": Caller(function, f"touch {trace}")}], dtype=object)
    (tmp_path / "a.npy").write_bytes(_header((1,)) + pickle.dumps(array, protocol=3))
    with pytest.raises(GraspDataError, match=rf"it names .*{name.split('.')[-1]}, and only arrays"):
        read_npy(tmp_path / "a.npy")
    assert not trace.exists()


def test_a_nested_name_does_not_slip_through(tmp_path):
    # Protocol 4 may name attributes of what is allowed.
    content = b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93."
    (tmp_path / "a.npy").write_bytes(_header((1,)) + content)
    with pytest.raises(GraspDataError, match=r"it names numpy.ndarray.__init__"):
        read_npy(tmp_path / "a.npy")


def test_content_that_is_not_what_the_header_says(tmp_path):
    (tmp_path / "a.npy").write_bytes(_header((3,)) + pickle.dumps(np.empty(2, dtype=object)))
    with pytest.raises(GraspDataError, match="not the array that its header tells of"):
        read_npy(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(_header((3,)) + pickle.dumps([1, 2, 3]))
    with pytest.raises(GraspDataError, match="not the array that its header tells of"):
        read_npy(tmp_path / "a.npy")


def test_the_same_content_gives_the_same_bytes(tmp_path):
    array = np.array(VALUES, dtype=object)
    assert npy_bytes(array) == npy_bytes(array)
    write_npz(tmp_path / "a.npz", {"x": array})
    write_npz(tmp_path / "b.npz", {"x": array})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_damaged_compression_is_told(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=500))
    content = path.read_bytes()
    for place in range(100, 2000, 10):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        with pytest.raises(GraspDataError, match=r"a\.npz: is cut short or no \.npz file"):
            read_npz(path)


def _header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": shape})
    return file.getvalue()
