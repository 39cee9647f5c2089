"""Published grasps into a grasp set, and what can be asked of it then.

    python examples/import_a_data_set.py [FOLDER_OR_FILE]

Takes DexGraspNet's files, an array of dicts each; without an argument it writes a tiny one first.
docs/data_format.md has the formats, and `dexgrasp data import` does the same.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from dexgrasp_models.data.dexgraspnet import import_dexgraspnet
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.qpos import NAMES


def write_sample(path: Path) -> None:
    """Three open hands above a mug, as DexGraspNet's files have them."""
    entries = np.empty(3, dtype=object)
    for row in range(3):
        qpos = dict.fromkeys(NAMES, 0.0) | {"WRJTz": 0.2 + 0.01 * row}
        entries[row] = {"qpos": qpos, "scale": 0.08}
    np.save(path, entries)


def main(source: str | None = None) -> None:
    """Imports, and prints what the set holds."""
    folder = Path(tempfile.mkdtemp(prefix="dexgrasp-"))
    if source is None:
        source = str(folder / "mug.npy")
        write_sample(Path(source))
    found = import_dexgraspnet(Path(source))
    GraspSet.open(folder / "set", create=True).append(
        found, Provenance(notes={"format": "dexgraspnet", "source": Path(source).name})
    )
    grasps = GraspSet.open(folder / "set")
    print(f"{len(grasps)} grasps of {', '.join(grasps.names)} in {grasps.path}")
    first = grasps[:3]
    for position, joints in zip(first.palm_poses[:, :3, 3], first.joints, strict=True):
        print(f"palm at {np.round(position, 3)} m, fingers bent by {np.abs(joints).max():.2f} rad")


if __name__ == "__main__":
    main(*sys.argv[1:2])
