"""Reaches whose patterns are known, and the files that hold them."""

from __future__ import annotations

import io
import pickle

import numpy as np
from numpy.lib import format as npy
from scipy.spatial.transform import Rotation

from dexgrasp_models.tasks.wrist_patterns import Reach, WristPatterns, way_frame

AXES = ("x_pos", "y_pos", "z_pos", "roll_pos", "pitch_pos", "yaw_pos")
HEADER = "t,x,y,z,qx,qy,qz,qw\n"


def reaches_of(patterns: WristPatterns, rng: np.random.Generator, length: float = 0.17):
    """Reaches of a length (m), anywhere in a room and in any direction, that go as patterns do."""
    reaches = []
    for row in range(len(patterns)):
        frame = way_frame(rng.normal(size=(1, 3)))[0]
        shares = np.column_stack((patterns.along[row], patterns.lateral[row]))
        last = Rotation.random(random_state=rng)
        left = (1.0 - patterns.turning[row])[:, None] * patterns.turns[row]
        reaches.append(
            Reach(
                np.linspace(0.0, 1.5, len(shares)),
                rng.uniform(-1.0, 1.0, 3) + length * shares @ frame.T,
                last * Rotation.from_rotvec(left),
            )
        )
    return reaches


def trajectory(reach: Reach) -> dict[str, list[float]]:
    """A reach as GraspGF's extract of HandoverSim has it."""
    columns = np.column_stack((reach.positions, reach.rotations.as_euler("xyz")))
    return {axis: column.tolist() for axis, column in zip(AXES, columns.T, strict=True)}


def stamped(reach: Reach) -> np.ndarray:
    """(M, 8) a reach as our own recordings have it."""
    return np.column_stack((reach.times, reach.positions, reach.rotations.as_quat()))


def csv_text(reach: Reach) -> str:
    rows = (",".join(map(repr, row)) for row in stamped(reach).tolist())
    return HEADER + "".join(f"{row}\n" for row in rows)


def pickled(content: object) -> bytes:
    """What `numpy.save` makes of an object."""
    array = np.empty((), dtype=object)
    array[()] = content
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    return file.getvalue() + pickle.dumps(array, protocol=3)
