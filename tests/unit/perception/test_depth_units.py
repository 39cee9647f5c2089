"""Depth images in other units, and bent by a lens: the right cloud, or why there is none."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from depth_scenes import Box, Table, render

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import DepthFrame, RigError, load_rig, save_rig
from dexgrasp_models.perception.distortion import Distortion
from dexgrasp_models.perception.fusion import FusionConfig, PerceptionError, fuse

CARTON = Box((0.0, 0.0, 0.05), (0.07, 0.05, 0.10))
CONFIG = FusionConfig()
UNITS = (1e-4, 2e-4, 2.5e-4, 5e-4)  # D405, TUM, PrimeSense, and what fits the range


@pytest.fixture(scope="module")
def rig():
    return load_rig(find_config("cameras/four_d415.yaml"))


@pytest.fixture(scope="module")
def millimetres(rig):
    return [render(camera, [CARTON, Table()]) for camera in rig]


def surface_error(cloud) -> float:
    return float(np.abs(CARTON.surface_distance(cloud.object_points.astype(float))).max())


@pytest.mark.parametrize("unit", UNITS)
def test_counts_of_another_unit(rig, millimetres, unit) -> None:
    counts = [np.round(depth * (0.001 / unit)).astype(np.uint16) for depth in millimetres]
    right = [
        DepthFrame(replace(camera, depth_unit=unit), depth, 0.0)
        for camera, depth in zip(rig, counts, strict=True)
    ]
    assert surface_error(fuse(right, CONFIG)) < 0.003
    wrong = [DepthFrame(camera, depth, 0.0) for camera, depth in zip(rig, counts, strict=True)]
    with pytest.raises(PerceptionError, match=f"say 'depth_unit: {unit:g}' for this camera"):
        fuse(wrong, CONFIG)
    # One such camera among others is left out and named.
    mixed = [
        wrong[0],
        *(DepthFrame(c, d, 0.0) for c, d in zip(rig[1:], millimetres[1:], strict=True)),
    ]
    cloud = fuse(mixed, CONFIG)
    assert cloud.cameras_used == tuple(camera.name for camera in rig[1:])
    assert "depth_unit" in cloud.warnings[0]


def test_millimetres_taken_for_tenths(rig, millimetres) -> None:
    frames = [
        DepthFrame(replace(camera, depth_unit=1e-4), depth, 0.0)
        for camera, depth in zip(rig, millimetres, strict=True)
    ]
    with pytest.raises(PerceptionError, match=r"say 'depth_unit: 0\.001'"):
        fuse(frames, CONFIG)


def test_floating_point_images_are_in_metres(rig, millimetres) -> None:
    frames = [
        DepthFrame(replace(camera, depth_unit=1e-4), (1e-3 * depth).astype(np.float32), 0.0)
        for camera, depth in zip(rig, millimetres, strict=True)
    ]
    assert surface_error(fuse(frames, CONFIG)) < 0.003
    frames = [replace(frame, depth=frame.depth * 1000) for frame in frames]
    with pytest.raises(PerceptionError, match="floating-point images have to be in metres"):
        fuse(frames, CONFIG)


def test_millimetres_are_the_default_to_the_bit(rig, millimetres) -> None:
    frames = [
        DepthFrame(camera, depth, 0.0) for camera, depth in zip(rig, millimetres, strict=True)
    ]
    same = [replace(f, camera=replace(f.camera, depth_unit=0.001)) for f in frames]
    assert np.array_equal(fuse(frames, CONFIG).object_points, fuse(same, CONFIG).object_points)


def test_a_rig_keeps_unit_and_lens(rig, tmp_path) -> None:
    changed = [replace(rig[0], depth_unit=1e-4, rectified=False), *rig[1:]]
    save_rig(changed, tmp_path / "rig.yaml")
    found = load_rig(tmp_path / "rig.yaml")
    assert [camera.depth_unit for camera in found] == [1e-4, 0.001, 0.001, 0.001]
    assert [camera.rectified for camera in found] == [False, None, None, None]


@pytest.mark.parametrize("changes", [{"depth_unit": 1.0}, {"depth_unit": 0}, {"rectified": "no"}])
def test_units_and_lenses_that_are_none(rig, changes) -> None:
    with pytest.raises(RigError, match=next(iter(changes))):
        replace(rig[0], **changes)


LENSES = {
    "plumb_bob": (-0.35, 0.2, 0.002, -0.001, 0.05),
    "rational_polynomial": (-0.5, 0.1, 0.001, 0.0005, 0.02, -0.2, 0.05, 0.01),
    "equidistant": (0.05, -0.02, 0.01, -0.003),
}


def bent(depth: np.ndarray, camera, distortion: Distortion) -> np.ndarray:
    """What a camera with such a lens takes where one without takes `depth`."""
    rows, columns = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
    coefficients = np.array(distortion.coefficients)
    if distortion.model == "equidistant":
        rays = cv2.fisheye.undistortPoints(pixels, camera.matrix, coefficients)
    else:
        rays = cv2.undistortPoints(pixels, camera.matrix, coefficients)
    ideal = rays.reshape(-1, 2) * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    found = np.rint(ideal).astype(int)
    inside = ((found >= 0) & (found < (camera.width, camera.height))).all(1)
    image = np.zeros(len(found), depth.dtype)
    image[inside] = depth[found[inside, 1], found[inside, 0]]
    return image.reshape(depth.shape)


@pytest.mark.parametrize("model", LENSES)
def test_distortion_of_raw_images_is_undone(rig, model) -> None:
    distortion = Distortion(model, LENSES[model])
    aside = Box((0.18, -0.15, 0.05), (0.07, 0.05, 0.10))  # where a lens bends more
    raw = [bent(render(camera, [aside, Table()]), camera, distortion) for camera in rig]

    def error(images) -> float:
        frames = [DepthFrame(*each, 0.0) for each in zip(rig, images, strict=True)]
        points = fuse(frames, CONFIG).object_points.astype(float)
        return float(np.abs(aside.surface_distance(points)).max())

    rectified = [distortion.rectified(*each) for each in zip(raw, rig, strict=True)]
    assert error(rectified) < 0.004
    assert error(raw) > 0.006


@pytest.mark.parametrize(
    ("model", "count", "reason"),
    [("plumb_bob", 3, "3 coefficients"), ("fov", 1, "the model 'fov'"), ("", 5, "the model ''")],
)
def test_lenses_that_are_not_known(model, count, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        Distortion(model, (0.1,) * count)
