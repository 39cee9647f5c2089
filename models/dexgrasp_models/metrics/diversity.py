"""Spread of a set of grasps: UniDexGrasp, C.3.1 and Table 1.

The paper calls all of these standard deviations and leaves open how several coordinates make one
figure; each function says which reading it takes. All divide by the number of samples.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation


def rotation_deviation(rotations: np.ndarray) -> float:
    """sigma_R: spread of rotations about their chordal L2 mean.

    The mean minimises the sum of squared Frobenius distances; the deviation is read as the root
    mean square of the angles between samples and mean. Rotations spread evenly over SO(3) have
    sqrt(pi^2 / 3 + 2) rad = 131.8 degrees, just above the largest figures of Table 1.

    Args:
        rotations: (N, 3, 3).

    Returns:
        rad.
    """
    samples = Rotation.from_matrix(_filled(rotations, "rotations", (3, 3), grouped=False))
    angles = (samples.mean().inv() * samples).magnitude()
    return float(np.sqrt(np.mean(angles**2)))


def translation_deviation(translations: np.ndarray) -> float:
    """sigma_T|R: spread of the translations proposed for one rotation.

    Read as the root mean square distance to the mean, averaged over the rotations.

    Args:
        translations: (N, 3) for one rotation, or (R, N, 3) for several, m.

    Returns:
        m.
    """
    return float(_distance_deviation(_filled(translations, "translations", (3,)), -2).mean())


def joint_deviation(joints: np.ndarray) -> float:
    """sigma_theta|R: spread of the joint angles proposed for one rotation.

    Read as the standard deviation of each joint, averaged over joints and rotations.

    Args:
        joints: (N, J) for one rotation, or (R, N, J) for several, rad.

    Returns:
        rad.
    """
    joints = np.asarray(joints, dtype=float)
    return float(_filled(joints, "joints", joints.shape[-1:]).std(axis=-2).mean())


def keypoint_deviation(keypoints: np.ndarray) -> float:
    """sigma_keypoints: spread of the hand's keypoints over grasps of one object.

    Read as the root mean square distance of each keypoint to its mean, averaged over keypoints
    ("the average standard deviation of 15 joint positions").

    Args:
        keypoints: (N, K, 3) in the object's frame, m.

    Returns:
        m.
    """
    keypoints = np.asarray(keypoints, dtype=float)
    keypoints = _filled(keypoints, "keypoints", (*keypoints.shape[1:2], 3), grouped=False)
    return float(_distance_deviation(keypoints, 0).mean())


def explained_variance(grasps: np.ndarray) -> np.ndarray:
    """Share of the variance in the first 1, 2, ... principal components: DexGraspBench's diversity.

    The more even the growth, the more diverse the set.

    Args:
        grasps: (N, D) hand translation, rotation vector and joint angles in the object's frame.

    Returns:
        (D,), rising to one; all ones where the grasps don't differ.
    """
    grasps = np.asarray(grasps, dtype=float)
    grasps = _filled(grasps, "grasps", grasps.shape[1:2], grouped=False)
    variances = np.square(np.linalg.svd(grasps - grasps.mean(0), compute_uv=False))
    padded = np.zeros(grasps.shape[1])
    padded[: len(variances)] = variances[: len(padded)]
    total = padded.sum()
    return np.cumsum(padded) / total if total > 0 else np.ones(len(padded))


def _distance_deviation(points: np.ndarray, samples: int) -> np.ndarray:
    """Root mean square distance to the mean along the axis `samples` of (..., 3) points."""
    return np.sqrt(points.var(axis=samples).sum(axis=-1))


def _filled(
    values: np.ndarray, what: str, shape: tuple[int, ...], grouped: bool = True
) -> np.ndarray:
    """`values` as finite floats (N, *shape), or (R, N, *shape) where `grouped`, none of them empty.

    Raises:
        ValueError: names `what` isn't so.
    """
    values = np.asarray(values, dtype=float)
    leading = values.ndim - len(shape)
    fits = leading == 1 or (leading == 2 and grouped)
    if not fits or values.shape[leading:] != shape or not values.size:
        raise ValueError(
            f"expected {what} (N, {', '.join(map(str, shape))}) with N > 0, got {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"the {what} must be finite")
    return values
