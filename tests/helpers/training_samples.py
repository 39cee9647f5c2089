"""A small grasp set with clouds, for tests of training: boxes, and hands scattered about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.cloud_set import CloudSet, ObjectClouds, scenes_of
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps, table_pose
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.clouds import CloudConfig
from dexgrasp_models.objects.library import split_names
from dexgrasp_models.training.config import TrainingConfig, network_config
from dexgrasp_models.training.data import TRAINING, VALIDATION, GraspScenes, split_objects
from dexgrasp_models.training.objectives import RECIPES, Objective

POINTS = 48
TINY = {
    "ipdf": {
        "encoder": {
            "levels": [
                {"centres": 8, "radius": 0.1, "neighbours": 4, "widths": [8]},
                {"centres": 4, "radius": 0.2, "neighbours": 4, "widths": [8]},
            ],
            "pooled": [16],
            "head": [8],
        },
        "widths": [16],
        "grid_level": 0,
    },
    "glow": {"encoder": {"widths": [16, 16]}, "flow": {"blocks": 2, "hidden": 8}},
    "graspgf": {
        "basis_points": {"points": 16, "widths": [8]},
        "joint_features": 8,
        "time_features": 8,
        "widths": [16],
    },
    "contact": {"encoder": {"widths": [8, 16]}, "widths": [16]},
    "cvae": {
        "encoder": {"widths": [8, 16]},
        "latents": 4,
        "encoder_widths": [16],
        "decoder_widths": [16],
    },
    "ddg": {"encoder": {"widths": [8, 16]}, "widths": [16]},
}
TINY["cvae_given_rotation"] = TINY["cvae"]
TINY["joint"] = TINY["decoupled"] = TINY["relie"] = TINY["prohmr"] = TINY["glow"]

TRAINING_CONFIG = TrainingConfig(
    steps=6,
    batch=4,
    grasps=2,
    samples=2,
    validate_every=3,
    validation_clouds=4,
    validation_grasps=2,
    cloud=CloudConfig(object_points=32, table_points=8),
)


def write_sets(folder: Path, seed: int = 0) -> tuple[GraspSet, CloudSet]:
    """A set of 5 objects (3 to train on) and its clouds, in `folder`."""
    generator = np.random.default_rng(seed)
    grasps = GraspSet.open(folder / "set", create=True)
    for name in (*split_names(TRAINING)[:3], *split_names(VALIDATION)[:2]):
        grasps.append(box_grasps(name, generator), Provenance(seed=seed))
    clouds = CloudSet.open(folder / "clouds", create=True)
    for name in grasps.names:
        clouds.append(box_clouds(grasps, name, generator), Provenance(seed=seed))
    return grasps, clouds


def box_grasps(name: str, generator: np.random.Generator, count: int = 6) -> Grasps:
    """Hands of one object, half of the grasps for each of two scenes; figure `lifted`."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.random(count, rng=generator).as_matrix()
    poses[:, :3, 3] = generator.normal(scale=0.08, size=(count, 3))
    joints = generator.uniform(*load_hand().limits.T, (count, 22))
    figures = {"lifted": np.arange(count) % 3 < 2}
    found = Grasps.of_object(name, 0.1, poses, joints.astype(np.float32), None, figures)
    planes = np.zeros((count, 4))
    planes[: count // 2] = (0, 0, 1, 0.05)
    planes[count // 2 :] = (0.6, 0, 0.8, 0.07)
    return replace(found, planes=planes)


def box_clouds(
    grasps: GraspSet, name: str, generator: np.random.Generator, views: int = 2
) -> ObjectClouds:
    """Clouds of all scenes of an object, which is a box about its origin."""
    scenes = [scene for scene in scenes_of(grasps).scenes if scene.name == name] * views
    points, poses = [], []
    for scene in scenes:
        pose = table_pose(np.array(scene.plane))
        turn = Rotation.from_euler("z", generator.uniform(0, 2 * np.pi)).as_matrix()
        pose[:3, :3] = turn @ pose[:3, :3]
        points.append(box_points(POINTS, generator) @ pose[:3, :3].T + pose[:3, 3])
        poses.append(pose)
    return ObjectClouds(
        name,
        np.array([scene.scale for scene in scenes]),
        np.array([scene.plane for scene in scenes]),
        np.array(points, dtype=np.float16),
        np.full(len(scenes), POINTS, dtype=np.int32),
        np.array(poses),
    )


def box_points(count: int, generator: np.random.Generator) -> np.ndarray:
    """(N, 3) points on a box of 8 x 6 x 4 cm."""
    points = generator.uniform(-1, 1, (count, 3))
    axis = generator.integers(0, 3, count)
    points[np.arange(count), axis] = np.sign(points[np.arange(count), axis])
    return points * (0.04, 0.03, 0.02)


def loaded(folder: Path) -> tuple[GraspScenes, GraspScenes]:
    """The training and the validation scenes of what `write_sets` wrote."""
    grasps, clouds = GraspSet.open(folder / "set"), CloudSet.open(folder / "clouds")
    found = [
        GraspScenes.load(grasps, clouds, split_objects(grasps.names, split))
        for split in (TRAINING, VALIDATION)
    ]
    return found[0], found[1]


def tiny_objective(
    recipe: str, config: TrainingConfig = TRAINING_CONFIG, seed: int = 0, **weights: Path
) -> Objective:
    """An objective with a network that trains in milliseconds a step."""
    torch.manual_seed(seed)
    found = RECIPES[recipe]
    network = network_config(found.network_config, TINY[recipe])
    return found.build(network, config, torch.device("cpu"), weights)


def config_file(folder: Path, **changes: Any) -> Path:
    """A file for `dexgrasp train --config` with what is tiny here."""
    import yaml

    training = {
        "steps": 6,
        "batch": 4,
        "grasps": 2,
        "samples": 2,
        "validate_every": 3,
        "validation_clouds": 4,
        "validation_grasps": 2,
        "cloud": {"object_points": 32, "table_points": 8},
    }
    path = folder / "tiny.yaml"
    path.write_text(
        yaml.safe_dump({name: {"network": TINY[name]} | training | changes for name in TINY})
    )
    return path
