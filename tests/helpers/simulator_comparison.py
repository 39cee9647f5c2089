"""The same commands in several simulators, and how far apart they end."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import make_batch_physics
from dexgrasp_sim.interface import BatchPhysics
from dexgrasp_sim.scene import SceneConfig

OBJECTS = [load_object(name) for name in ("can", "box")]


def grope(backend: str, **values) -> tuple[BatchPhysics, np.ndarray]:
    """200 ticks: down to `OBJECTS`, fingers around them, and there; and (2,) the ticks in which a
    hand pressed on its object."""
    batch = make_batch_physics(SceneConfig(backend=backend, **values), OBJECTS)
    batch.reset(range(len(OBJECTS)), [5, 6])
    home = batch.wrist_poses()
    below = home.copy()
    below[:, :3, 3] = (-0.1, 0.0, 0.08), (-0.12, 0.02, 0.1)
    pressed = np.zeros(len(OBJECTS), dtype=int)
    for tick in range(200):
        part = min(1.0, (tick + 1) / 50)
        fingers = np.array([0.3, 0.5])[:, None] * np.full(22, max(0.0, part - 0.4))
        batch.set_targets(home + part * (below - home), fingers)
        batch.step()
        pressed += batch.hand_contacts().any(axis=1)
    assert not batch.faults
    return batch, pressed


def differences(first: BatchPhysics, second: BatchPhysics) -> tuple[float, float]:
    """Greatest shift of an object (m), and difference of joints (rad) or in rotation matrices."""
    poses = np.abs(first.object_poses() - second.object_poses())
    joints = np.abs(first.joints() - second.joints()).max()
    return poses[:, :3, 3].max(), max(joints, poses[:, :3, :3].max())
