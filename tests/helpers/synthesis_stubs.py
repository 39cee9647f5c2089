"""Synthesis jobs that take no time, importable in other processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from zlib import crc32

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import MeshError
from dexgrasp_sim.datasets.grasp_synthesis import SynthesisJob


def job(name: str, **settings) -> SynthesisJob:
    return SynthesisJob(name, f"library:{name}", **{"scales": (0.06,), **settings})


def drawn_grasps(task: SynthesisJob) -> Grasps:
    """Random grasps, as many as 1 to 5, that depend on the job alone."""
    generator = np.random.default_rng([crc32(task.name.encode()), task.seed])
    count = int(generator.integers(1, 6))
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.random(count, random_state=generator).as_matrix()
    joints = generator.uniform(*load_hand().limits.T, (count, 22)).astype(np.float32)
    return Grasps.of_object(task.name, task.scales[0], poses, joints)


def slow_grasps(task: SynthesisJob) -> Grasps:
    time.sleep(0.2)
    return drawn_grasps(task)


def no_grasps(task: SynthesisJob) -> Grasps:
    return drawn_grasps(task)[:0]


def some_fail(task: SynthesisJob) -> Grasps:
    """Objects called bad can't be used, each for another reason."""
    reasons = {
        "bad/mesh": MeshError("the mesh is not closed"),
        "bad/rest": RuntimeError("came to rest in no drop"),
        "bad/model": ValueError("mesh volume is too small"),
    }
    if task.name in reasons:
        raise reasons[task.name]
    return drawn_grasps(task)


def some_are_killed(task: SynthesisJob) -> Grasps:
    """As when memory runs out."""
    if task.name.startswith("bad/"):
        os.kill(os.getpid(), signal.SIGKILL)
    return drawn_grasps(task)


def killed_once(task: SynthesisJob) -> Grasps:
    """Whose process is killed in the first attempt; the source names a file that tells of it."""
    told = Path(task.source)
    if told.is_absolute() and not told.exists():
        told.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return drawn_grasps(task)


def full_disk(task: SynthesisJob) -> Grasps:
    raise OSError(28, "No space left on device", "/cache")
