"""Files of wrist patterns, and of the recorded reaches that patterns are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.grasps import GraspDataError
from dexgrasp_models.data.object_arrays import read_npy, read_npz, write_npz
from dexgrasp_models.files import written_whole
from dexgrasp_models.geometry.poses import to_quaternion
from dexgrasp_models.tasks.wrist_patterns import PatternError, Reach, WristPatterns

FORMAT = "dexgrasp wrist patterns 1"
RECORDED = ("t", "x", "y", "z", "qx", "qy", "qz", "qw")
"""Columns of a recording: time, s, position, m, and unit quaternion of the wrist; z is up."""

_POSITIONS = ("x_pos", "y_pos", "z_pos")
_ANGLES = ("roll_pos", "pitch_pos", "yaw_pos")
_AXES = _POSITIONS + _ANGLES
_UNIT_TOLERANCE = 0.01  # of a quaternion's length, as text rounds it


def save_patterns(path: Path, patterns: WristPatterns) -> None:
    """Write patterns into a `.npz` file, whole or not at all.

    Raises:
        OSError: it can't be written.
    """
    arrays = {item.name: getattr(patterns, item.name) for item in fields(patterns)}
    with written_whole(path) as temporary:
        write_npz(temporary, {"format": np.array(FORMAT), **arrays})


def load_patterns(path: Path) -> WristPatterns:
    """The patterns in a file of `save_patterns`.

    Raises:
        PatternError: the file is cut short, is none, or its patterns make no sense.
        OSError: it can't be opened.
    """
    arrays = _arrays(path)
    if "format" not in arrays:
        raise PatternError(f"{path}: holds no wrist patterns; `dexgrasp assist import` makes them")
    if str(arrays["format"]) != FORMAT:
        raise PatternError(f"{path}: its format is {arrays['format']}, not {FORMAT}")
    names = [item.name for item in fields(WristPatterns)]
    if missing := [name for name in names if name not in arrays]:
        raise PatternError(f"{path}: has no {' and no '.join(missing)}")
    try:
        return WristPatterns(**{name: arrays[name] for name in names})
    except (PatternError, TypeError, ValueError) as error:
        raise PatternError(f"{path}: {error}") from error


def read_reaches(path: Path) -> list[Reach]:
    """The reaches in a file, or in all files of a folder, by their names.

    Raises:
        PatternError: there are none, a file is damaged or foreign, or a number in it makes no
            sense.
        OSError: a file can't be opened.
    """
    if not path.exists():
        raise PatternError(f"{path}: no such file or folder")
    readers: dict[str, Callable[[Path], list[Reach]]] = {
        ".npy": read_handover,
        ".npz": read_recordings,
        ".csv": lambda file: [read_recording(file)],
    }
    endings = ", ".join(readers)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in readers)
        if not files:
            raise PatternError(f"{path}: has no files of reaches ({endings})")
        return [reach for file in files for reach in read_reaches(file)]
    if path.suffix.lower() not in readers:
        raise PatternError(f"{path}: reaches are read from {endings}")
    return readers[path.suffix.lower()](path)


def read_handover(path: Path) -> list[Reach]:
    """Reaches in the layout of GraspGF's extract of HandoverSim.

    That is a `.npy` file with one dict: of a dict for each trajectory, with lists of numbers
    `x_pos`, `y_pos`, `z_pos`, m, and `roll_pos`, `pitch_pos`, `yaw_pos`, rad, about fixed axes in
    this order; or of these six with a list for each trajectory. Files that hold more than data are
    refused, and nothing in them is run.

    Raises:
        PatternError: the file is cut short or foreign, or a trajectory makes no sense.
        OSError: it can't be opened.
    """
    try:
        array = read_npy(path)
    except GraspDataError as error:
        raise PatternError(str(error)) from error
    content = array.item() if array.dtype == object and array.size == 1 else None
    if not isinstance(content, dict) or not content:
        raise PatternError(f"{path}: holds no dict of trajectories but {array.dtype} {array.shape}")
    reaches = []
    for name, trajectory in _trajectories(path, content).items():
        try:
            reaches.append(_reach_of_angles(trajectory))
        except PatternError as error:
            raise PatternError(f"{path}: trajectory {name} {error}") from error
    return reaches


def read_recordings(path: Path) -> list[Reach]:
    """Our own recordings in a `.npz` file: an array (M, 8) of the columns `RECORDED` for each.

    Raises:
        PatternError: the file is cut short or foreign, or a recording makes no sense.
        OSError: it can't be opened.
    """
    arrays = _arrays(path)
    if "format" in arrays:
        raise PatternError(f"{path}: holds patterns already, not recordings")
    if not arrays:
        raise PatternError(f"{path}: holds no recording")
    reaches = []
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu" or array.ndim != 2 or array.shape[1] != len(RECORDED):
            raise PatternError(
                f"{path}: {name} is {array.dtype} {array.shape}, and not numbers (M, 8): "
                f"{','.join(RECORDED)}"
            )
        try:
            reaches.append(_reach_of_stamped(array.astype(float)))
        except PatternError as error:
            raise PatternError(f"{path}: {name}: {error}") from error
    return reaches


def read_recording(path: Path) -> Reach:
    """Our own recording in a `.csv` file: the line `t,x,y,z,qx,qy,qz,qw`, then a pose a line.

    Raises:
        PatternError: the file is cut short or foreign, or a pose makes no sense.
        OSError: it can't be opened.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PatternError(f"{path}: is no text ({error})") from error
    lines = text.splitlines()
    if not lines or tuple(name.strip() for name in lines[0].split(",")) != RECORDED:
        raise PatternError(f"{path}: its first line is not {','.join(RECORDED)}")
    if not text.endswith("\n"):
        raise PatternError(f"{path}: is cut short: its last line has no end")
    poses = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            poses.append([float(value) for value in line.split(",")])
        except ValueError as error:
            raise PatternError(f"{path}: line {number}: {error}") from None
        if len(poses[-1]) != len(RECORDED):
            raise PatternError(
                f"{path}: line {number} has {len(poses[-1])} numbers, not {len(RECORDED)}"
            )
    try:
        return _reach_of_stamped(np.array(poses).reshape(-1, len(RECORDED)))
    except PatternError as error:
        raise PatternError(f"{path}: {error}") from error


def save_recording(path: Path, times: Sequence[float], poses: Sequence[np.ndarray]) -> None:
    """Write a reach for `read_recording`, whole or not at all.

    Args:
        path: of the `.csv` file.
        times: M of the poses, s, rising.
        poses: M of the wrist, (4, 4), in a frame whose z is up.

    Raises:
        OSError: it can't be written.
    """
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(",".join(RECORDED) + "\n")
        for time, pose in zip(times, poses, strict=True):
            position, quaternion = to_quaternion(pose)
            numbers = [*position.tolist(), *quaternion.tolist()]
            file.write(",".join([f"{time:.6f}", *(f"{each:.7f}" for each in numbers)]) + "\n")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        return read_npz(path)
    except GraspDataError as error:
        raise PatternError(str(error)) from error


def _trajectories(path: Path, content: Mapping[object, object]) -> dict[object, object]:
    """The dict of each trajectory by its name, or by its number where the six have lists."""
    if not any(axis in content for axis in _AXES):
        return dict(content)
    lists = _six(content, f"{path}: ")
    for axis, values in lists.items():
        if not isinstance(values, list | tuple | np.ndarray):
            raise PatternError(f"{path}: {axis} is a {type(values).__name__}, and no list")
    counts = {axis: len(values) for axis, values in lists.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{axis} {count}" for axis, count in counts.items())
        raise PatternError(f"{path}: the six have different numbers of trajectories: {told}")
    if not counts["x_pos"]:
        raise PatternError(f"{path}: holds no trajectory")
    rows = zip(*lists.values(), strict=True)
    return {number: dict(zip(_AXES, row, strict=True)) for number, row in enumerate(rows)}


def _six(content: Mapping[object, object], where: str = "") -> dict[str, list[object]]:
    if missing := [axis for axis in _AXES if axis not in content]:
        raise PatternError(f"{where}has no {' and no '.join(missing)}")
    return {axis: content[axis] for axis in _AXES}  # type: ignore[misc]  # checked by who uses them


def _reach_of_angles(trajectory: object) -> Reach:
    if not isinstance(trajectory, dict):
        raise PatternError(f"is a {type(trajectory).__name__}, and no dict of {', '.join(_AXES)}")
    columns = {}
    for axis, values in _six(trajectory).items():
        try:
            column = np.asarray(values, dtype=float)
        except (TypeError, ValueError) as error:
            raise PatternError(f"has a {axis} that is no list of numbers ({error})") from error
        if column.ndim != 1:
            raise PatternError(f"has a {axis} of shape {column.shape}, and no list of numbers")
        if not np.isfinite(column).all():
            moment = np.argmin(np.isfinite(column))
            raise PatternError(f"has a {axis} that is {column[moment]} at moment {moment}")
        columns[axis] = column
    lengths = {axis: len(column) for axis, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{axis} {length}" for axis, length in lengths.items())
        raise PatternError(f"is cut short: its lists have different lengths ({told})")
    if not lengths["x_pos"]:
        raise PatternError("is empty")
    return Reach(
        np.arange(lengths["x_pos"], dtype=float),
        np.stack([columns[axis] for axis in _POSITIONS], axis=1),
        Rotation.from_euler("xyz", np.stack([columns[axis] for axis in _ANGLES], axis=1)),
    )


def _reach_of_stamped(poses: np.ndarray) -> Reach:
    """Of (M, 8) poses with the columns `RECORDED`."""
    if not len(poses):
        raise PatternError("holds no pose")
    finite = np.isfinite(poses)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise PatternError(f"pose {row}: {RECORDED[column]} is {poses[row, column]}")
    times, positions, quaternions = poses[:, 0], poses[:, 1:4], poses[:, 4:]
    if not (np.diff(times) > 0).all():
        row = int(np.argmin(np.diff(times) > 0)) + 1
        raise PatternError(f"pose {row}: its time {times[row]} is not after {times[row - 1]}")
    lengths = np.linalg.norm(quaternions, axis=1)
    unit = np.abs(lengths - 1.0) <= _UNIT_TOLERANCE
    if not unit.all():
        row = int(np.argmin(unit))
        raise PatternError(f"pose {row}: its quaternion's length is {lengths[row]:.3g}, not 1")
    return Reach(times, positions, Rotation.from_quat(quaternions))
