"""Poses in which an object comes to rest on the table, found by dropping it."""

from __future__ import annotations

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.objects import ObjectModel
from dexgrasp_models.objects.meshes import cache_folder, content_hash, save_arrays
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco.mujoco_model import add_object, add_table, new_spec
from dexgrasp_sim.interface import SimulatorError
from dexgrasp_sim.placement import StablePose

_DROPS = 32
_DROP_HEIGHT = 0.01  # m between table and the lowest point
_TIMESTEP = 0.005
_SETTLE_LIMIT = 4.0  # s; what still moves then is left out
_AT_REST = 2e-3  # m/s and, times 10, rad/s
_REST_STEPS = 20
_ROLLING = 2e-2  # m/s; what still rolls as slowly as this counts where nothing comes to rest
_SAME_TILT = np.deg2rad(10.0)
_VERSION = 1  # raise when poses change for the same object


def find_stable_poses(object_model: ObjectModel) -> tuple[StablePose, ...]:
    """Distinct resting poses, the most frequent first; kept in the cache folder.

    Raises:
        RuntimeError: the object came to rest in no drop.
    """
    parts = [array for piece in object_model.pieces for array in (piece.vertices, piece.faces)]
    key = content_hash(_VERSION, *parts, object_model.center_of_mass, object_model.unit_inertia)
    path = cache_folder() / "stable_poses" / f"{key}.npz"
    if not path.is_file():
        rotations, heights, frequencies = _distinct(*_drop(object_model))
        save_arrays(path, rotations=rotations, heights=heights, frequencies=frequencies)
    with np.load(path) as stored:
        rows = zip(stored["rotations"], stored["heights"], stored["frequencies"], strict=True)
        return tuple(
            StablePose(
                r, float(h), float(f), float((object_model.visual.vertices @ r[2]).max() + h)
            )
            for r, h, f in rows
        )


def _drop(object_model: ObjectModel) -> tuple[np.ndarray, np.ndarray]:
    """Attitudes (N, 3, 3) and heights (N,) of an object dropped from random attitudes."""
    spec = new_spec(_TIMESTEP)
    add_table(spec, friction=1.0, size=(2.0, 2.0))
    add_object(spec, object_model, mass=0.1, friction=1.0)
    model = spec.compile()
    data = mujoco.MjData(model)
    points = np.concatenate([piece.vertices for piece in object_model.pieces])
    rotations, heights, speeds = [], [], []
    for start in Rotation.random(_DROPS, random_state=np.random.default_rng(0)):
        mujoco.mj_resetData(model, data)
        data.qpos[2] = _DROP_HEIGHT - (points @ start.as_matrix()[2]).min()
        data.qpos[3:7] = start.as_quat(scalar_first=True)
        try:
            speeds.append(_final_speed(model, data))
        except SimulatorError:
            continue  # nothing comes to rest there
        rotations.append(Rotation.from_quat(data.qpos[3:7], scalar_first=True).as_matrix())
        heights.append(data.qpos[2])
    settled = np.array(speeds) == 0.0
    kept = settled if settled.any() else np.array(speeds) < _ROLLING
    if not kept.any():
        raise RuntimeError(f"{object_model.name} came to rest in none of {_DROPS} drops")
    return np.array(rotations)[kept], np.array(heights)[kept]


def _final_speed(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """m/s and, times 10, rad/s at the end of the drop; zero if it comes to rest."""
    still, speed = 0, np.inf
    for _ in range(int(_SETTLE_LIMIT / _TIMESTEP)):
        physics.step(model, data)
        speed = max(np.abs(data.qvel[:3]).max(), 0.1 * np.abs(data.qvel[3:6]).max())
        still = still + 1 if speed < _AT_REST else 0
        if still >= _REST_STEPS:
            return 0.0
    return speed


def _distinct(
    rotations: np.ndarray, heights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One of each group of poses that differ by less than a tilt, and the groups' frequencies."""
    kept: list[int] = []
    counts: list[int] = []
    for index, up in enumerate(rotations[:, 2]):
        tilts = [np.arccos(np.clip(up @ rotations[k, 2], -1.0, 1.0)) for k in kept]
        if tilts and min(tilts) < _SAME_TILT:
            counts[int(np.argmin(tilts))] += 1
        else:
            kept.append(index)
            counts.append(1)
    order = np.argsort(-np.array(counts), kind="stable")
    chosen = np.array(kept)[order]
    return rotations[chosen], heights[chosen], np.array(counts)[order] / len(rotations)
