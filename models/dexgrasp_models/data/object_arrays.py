"""NumPy files that hold Python objects, read without running what they hold.

The field keeps grasps as pickled dicts inside `.npy` and `.npz` files. Unpickling may call any
function that a file names, so `numpy.load(allow_pickle=True)` runs whatever a stranger wrote. Here
a file may build NumPy arrays and scalars, and Python's own containers, numbers and text; it is
refused when it names anything else.
"""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.lib import format as npy

from dexgrasp_models.data.grasps import GraspDataError

Read = TypeVar("Read")

_ALLOWED = {
    (module, name)
    for core in ("numpy.core", "numpy._core")
    for module, name in (
        (f"{core}.multiarray", "_reconstruct"),
        (f"{core}.multiarray", "scalar"),
        (f"{core}.numeric", "_frombuffer"),
    )
} | {("numpy", "ndarray"), ("numpy", "dtype")}

_PROTOCOL = 3  # of the field's files; module names are lines of text in it
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise GraspDataError(
                f"it names {module}.{name}, and only arrays, numbers and text are accepted"
            )
        return super().find_class(module, name)


def read_npy(path: Path) -> np.ndarray:
    """The array of a `.npy` file.

    Raises:
        GraspDataError: the file is cut short, no `.npy` file, or holds more than data.
        OSError: it can't be opened.
    """
    with path.open("rb") as file:
        return _read(file, str(path))


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` file by name.

    Raises:
        GraspDataError: the file is cut short, no `.npz` file, or holds more than data.
        OSError: it can't be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name.removesuffix(".npy"): _read(io.BytesIO(archive.read(name)), f"{path}: {name}")
                for name in archive.namelist()
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise GraspDataError(f"{path}: is cut short or no .npz file ({error})") from error


def check_is_there(path: Path) -> None:
    """Whether there is a file or folder to import from.

    Raises:
        GraspDataError: there is none.
    """
    if not path.exists():
        raise GraspDataError(f"{path}: no such file or folder")


def each_read(
    read: Callable[[Path], Read], paths: Sequence[Path], problems: list[str] | None
) -> list[Read]:
    """What is read of each path; of those that can't be read, `problems` takes the reason.

    Raises:
        GraspDataError, OSError: what `read` raises, where there are no `problems` or nothing else.
    """
    found, first = [], None
    for path in paths:
        try:
            found.append(read(path))
        except (GraspDataError, OSError) as error:
            if problems is None:
                raise
            first = first or error
            problems.append(str(error))
    if first is not None and not found:
        raise first
    return found


def npy_bytes(array: np.ndarray) -> bytes:
    """Content of a `.npy` file, which NumPy 1 can read as well."""
    file = io.BytesIO()
    if not array.dtype.hasobject:
        npy.write_array(file, array, version=(1, 0))
        return file.getvalue()
    header = {"descr": "|O", "fortran_order": False, "shape": array.shape}
    npy.write_array_header_1_0(file, header)
    # NumPy 2 calls its own package numpy._core; the field's older versions know numpy.core only.
    content = pickle.dumps(array, protocol=_PROTOCOL)
    file.write(content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    return file.getvalue()


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a `.npz` file, uncompressed, which NumPy 1 can read as well."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_TIME), npy_bytes(array))


def _read(file: BinaryIO, what: str) -> np.ndarray:
    try:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if not dtype.hasobject:
            file.seek(0)
            return npy.read_array(file, allow_pickle=False)
        array = _ArrayUnpickler(file).load()
    except GraspDataError as error:
        raise GraspDataError(f"{what}: {error}") from None
    # Damaged pickles raise anything.
    except Exception as error:
        raise GraspDataError(
            f"{what}: is cut short or no NumPy file ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise GraspDataError(f"{what}: its content is not the array that its header tells of")
    return array
