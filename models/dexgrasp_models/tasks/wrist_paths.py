"""Wrist paths of an episode: patterns put between a start near a grasp and the grasp.

GraspGF (Wu et al., NeurIPS 2023), A.1. The wrist is `rh_palm`; z of all frames is up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.wrist_patterns import WristPatterns, way_frame


@dataclass(frozen=True)
class PathConfig(Parameters):
    """Where paths start; what is between two numbers is equally likely."""

    distance: tuple[float, float] = parameter(
        (0.15, 0.20), 0.01, 1.0, "m", "between start and grasp"
    )
    deviation: tuple[float, float] = parameter(
        (0.0, np.radians(20.0)), 0.0, np.pi, "rad", "from the line of fingertips and wrist"
    )
    most_turn: float = parameter(np.radians(60.0), 0.0, np.pi, "rad", "longer turns are cut to it")


def fingertip_centers(spec: HandSpec, palm_poses: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(N, 3) mean of the five `fingertips`."""
    return fingertips(spec, palm_poses, joints).mean(axis=1)


def fingertips(spec: HandSpec, palm_poses: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(N, 5, 3) where the hand's fingers end, in the frame of the palms' poses.

    Args:
        spec: the hand.
        palm_poses: (N, 4, 4).
        joints: (N, 22) finger joint angles, rad.

    Raises:
        ValueError: a shape does not fit.
    """
    kinematics = HandKinematics(spec, dtype=torch.float64)
    links = [spec.link_index(name) for name in spec.distal_links]
    poses = kinematics.link_poses(torch.as_tensor(palm_poses), torch.as_tensor(joints)).numpy()
    poses = poses[:, links]
    tips = np.array([spec.links[link].primitives[0].segment[1] for link in links])
    return np.einsum("nlij,lj->nli", poses[..., :3, :3], tips) + poses[..., :3, 3]


def wrist_paths(
    patterns: WristPatterns,
    goals: np.ndarray,
    fingertips: np.ndarray,
    rng: np.random.Generator,
    horizon: int = 50,
    config: PathConfig | None = None,
) -> np.ndarray:
    """Poses of the wrist at each step of N episodes (A.1).

    A start is `distance` from the grasp, away from the fingertips by an angle of up to `deviation`,
    and turned by the pattern's turn. From there position and rotation follow the pattern.

    Args:
        patterns: N, of `WristPatterns.blended` for training or of `drawn` for evaluation.
        goals: (N, 4, 4) poses of the wrist in the grasp.
        fingertips: (N, 3) centres of the fingertips in the grasp, as of `fingertip_centers`.
        rng: draws the starts.
        horizon: T, two steps or more.

    Returns:
        (N, T, 4, 4); the last pose is the goal, to the bit.

    Raises:
        ValueError: a shape does not fit, a number isn't finite, or fingertips are in the wrist.
    """
    config = config or PathConfig()
    goals, fingertips = np.asarray(goals, float), np.asarray(fingertips, float)
    count = len(patterns)
    if goals.shape != (count, 4, 4) or fingertips.shape != (count, 3) or horizon < 2:
        raise ValueError(
            f"{count} patterns need goals ({count}, 4, 4), fingertips ({count}, 3) and a horizon "
            f"of 2 or more, not {goals.shape}, {fingertips.shape} and {horizon}"
        )
    outward = goals[:, :3, 3] - fingertips
    if not (np.isfinite(goals).all() and (np.linalg.norm(outward, axis=1) > 0).all()):
        raise ValueError("goals and fingertips have to be finite and apart from each other")

    along, lateral, turning = _at_steps(patterns, horizon)
    length = rng.uniform(*config.distance, count)
    ways = -_within_cone(outward, rng.uniform(*config.deviation, count), rng)
    # Counted from the grasp, so that its end is exact.
    shares = np.concatenate((along[:, :, None] - 1.0, lateral), axis=2)
    steps = length[:, None, None] * np.einsum("nij,ntj->nti", way_frame(ways), shares)

    size = np.linalg.norm(patterns.turns, axis=1, keepdims=True)
    turns = patterns.turns * np.minimum(1.0, config.most_turn / np.maximum(size, 1e-12))
    left = ((1.0 - turning)[:, :, None] * turns[:, None, :]).reshape(-1, 3)
    rotations = Rotation.from_rotvec(left).as_matrix().reshape(count, horizon, 3, 3)

    paths = np.tile(np.eye(4), (count, horizon, 1, 1))
    paths[..., :3, :3] = goals[:, None, :3, :3] @ rotations
    paths[..., :3, 3] = goals[:, None, :3, 3] + steps
    return paths


def arrivals(paths: np.ndarray, distance: float = 0.003, turn: float = 0.05) -> np.ndarray:
    """(N,) first step from which on wrists stay where their paths (N, T, 4, 4) end.

    Args:
        paths: of the wrists, lengths in m.
        distance: from the last place, m, that counts as there.
        turn: from the last rotation, rad, likewise.

    Raises:
        ValueError: the shape does not fit, or a number isn't finite.
    """
    paths = batch("path", paths, len(paths), None, 4, 4)
    apart = np.linalg.norm(paths[:, :, :3, 3] - paths[:, -1:, :3, 3], axis=2)
    # The trace of the rotation from each to the last, without making it.
    cosines = (np.einsum("ntij,nij->nt", paths[..., :3, :3], paths[:, -1, :3, :3]) - 1.0) / 2.0
    away = (apart > distance) | (cosines < np.cos(turn))
    return np.where(away.any(axis=1), away.shape[1] - np.argmax(away[:, ::-1], axis=1), 0)


def _at_steps(patterns: WristPatterns, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`along`, `lateral` and `turning` at T steps, between a pattern's moments along lines."""
    last = patterns.along.shape[1] - 1
    place = np.linspace(0.0, last, horizon)
    before = np.minimum(place.astype(int), last - 1)
    weight = place - before

    def between(values: np.ndarray) -> np.ndarray:
        after = weight.reshape(-1, *(1,) * (values.ndim - 2))
        return (1.0 - after) * values[:, before] + after * values[:, before + 1]

    return between(patterns.along), between(patterns.lateral), between(patterns.turning)


def _within_cone(axes: np.ndarray, angles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, 3) unit vectors at angles (N,) from axes (N, 3), anywhere about them."""
    frame = way_frame(axes)
    about = rng.uniform(0.0, 2.0 * np.pi, len(axes))
    sine = np.sin(angles)
    local = np.stack((np.cos(angles), sine * np.cos(about), sine * np.sin(about)), axis=1)
    return np.einsum("nij,nj->ni", frame, local)
