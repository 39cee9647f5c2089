"""DexGraspBench's input (Chen et al., BODex, ICRA 2025): one `.npy` dict a grasp.

The benchmark moves a hand through three configurations, `pregrasp_qpos`, `grasp_qpos` and
`squeeze_qpos`, around the object `obj_path` scaled by `obj_scale` at `obj_pose`, and pulls at the
object. Its hand is MuJoCo Menagerie's Shadow Hand without the forearm: qpos is the position and the
quaternion (w, x, y, z) of a root frame 34 mm below `rh_palm`, then the 22 joints in our order but
with the hardware's signs.

Objects come along in the layout that it expects: `urdf/meshes/*.obj`, the convex pieces, and
`info/simplified.json`, which it sets the mass by.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.closing import closing_joints
from dexgrasp_models.data.grasps import GraspDataError, Grasps, table_pose
from dexgrasp_models.data.object_arrays import npy_bytes
from dexgrasp_models.files import folder_written_whole
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel, load_object

PALM_OFFSET = 0.034
"""Height (m) of `rh_palm` above the root frame of the benchmark's hand, along z of both."""

_MESHES = (
    "{}/coacd/decomposed.obj",
    "{}",
    *("{}" + suffix for suffix in (".obj", ".stl", ".ply", ".off", ".glb", ".urdf")),
)


def export_dexgraspbench(
    grasps: Grasps,
    folder: Path,
    load: Callable[[str, float], ObjectModel],
    object_root: str | None = None,
) -> None:
    """Write a new folder with `graspdata/<object>/<scale>/<row>.npy` and `objects/<object>/`.

    A grasp with a table is set on the floor z = 0 (the benchmark's setting `tabletop`), one without
    has the object at the origin (`fc`). The squeeze is `closing_joints`; before the grasp the hand
    is as much further open, within the joint limits.

    Args:
        grasps: what to write.
        folder: is made.
        load: the object of a name and scale, as `find_object` gives it.
        object_root: how the benchmark will find `objects`; by default its absolute path.

    Raises:
        MeshError: an object can't be loaded.
        FileExistsError: the folder is not empty.
        OSError: something can't be written; then there is no folder.
    """
    root = object_root or str(folder.resolve() / "objects")
    poses = grasps.palm_poses
    pairs = zip(grasps.objects.tolist(), grasps.scales.tolist(), strict=True)
    with folder_written_whole(folder) as temporary:
        written: set[str] = set()
        for index, scale in sorted(set(pairs)):
            name = grasps.names[index]
            rows = np.flatnonzero((grasps.objects == index) & (grasps.scales == scale))
            model = load(name, scale)
            if name not in written:
                written.add(name)
                _write_object(model, temporary / "objects" / name)
            closing = closing_joints(model, poses[rows], grasps.joints[rows])
            target = temporary / "graspdata" / name / f"scale{1000 * scale:03.0f}"
            # Scales of several sources may differ by less than the name tells.
            target.mkdir(parents=True, exist_ok=True)
            for row, change in zip(rows.tolist(), closing, strict=True):
                entry = _entry(grasps, row, poses[row], change)
                entry |= {"obj_scale": scale, "obj_path": f"{root}/{name}"}
                (target / f"{row:06d}.npy").write_bytes(npy_bytes(np.array(entry, dtype=object)))


def find_object(meshes: Path, name: str, scale: float) -> ObjectModel:
    """The object of a name below a folder of meshes.

    Raises:
        GraspDataError: there is none.
        MeshError: it can't be used.
    """
    return load_object(find_mesh(meshes, name), scale)


def find_mesh(meshes: Path, name: str) -> Path:
    """Where the object of a name is, below a folder of meshes.

    It is `<name>/coacd/decomposed.obj` as in the field's data sets, a folder `<name>` as
    `load_object` takes it, or a file `<name>`.obj, .stl, .ply, .off, .glb or .urdf.

    Raises:
        GraspDataError: there is none.
    """
    if not meshes.is_dir():
        raise GraspDataError(f"{meshes}: no such folder of meshes")
    for pattern in _MESHES:
        path = meshes / pattern.format(name)
        if path.exists():
            return path
    raise GraspDataError(
        f"no mesh of {name} in {meshes}: expected " + " or ".join(p.format(name) for p in _MESHES)
    )


def hand_qpos(world_T_palm: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(29,) configuration of the benchmark's hand.

    Args:
        world_T_palm: (4, 4) pose of `rh_palm`.
        joints: (22,) in our signs, rad.
    """
    rotation = world_T_palm[:3, :3]
    position = world_T_palm[:3, 3] - PALM_OFFSET * rotation[:, 2]
    return np.concatenate(
        [
            position,
            Rotation.from_matrix(rotation).as_quat(scalar_first=True),
            load_hand().hardware_sign * joints,
        ]
    )


def _entry(
    grasps: Grasps, row: int, object_T_palm: np.ndarray, closing: np.ndarray
) -> dict[str, object]:
    world_T_object = table_pose(grasps.planes[row]) if grasps.has_table[row] else np.eye(4)
    palm = world_T_object @ object_T_palm
    joints = grasps.joints[row].astype(np.float64)
    opened = np.clip(joints - closing, *load_hand().limits.T)
    quaternion = Rotation.from_matrix(world_T_object[:3, :3]).as_quat(scalar_first=True)
    return {
        "pregrasp_qpos": hand_qpos(palm, opened),
        "grasp_qpos": hand_qpos(palm, joints),
        "squeeze_qpos": hand_qpos(palm, joints + closing),
        "obj_pose": np.concatenate([world_T_object[:3, 3], quaternion]),
    }


def _write_object(model: ObjectModel, folder: Path) -> None:
    """The object at scale 1, once; all its scales share it."""
    (folder / "info").mkdir(parents=True)
    (folder / "urdf" / "meshes").mkdir(parents=True)
    for number, piece in enumerate(model.pieces):
        piece.copy().apply_scale(1.0 / model.scale).export(
            folder / "urdf" / "meshes" / f"convex_piece_{number:03d}.obj"
        )
    volume = sum(piece.volume for piece in model.pieces) / model.scale**3
    info = {"mass": volume, "density": 1.0, "scale": 1.0}
    (folder / "info" / "simplified.json").write_text(json.dumps(info) + "\n")
