"""Clouds as the cameras see them: of the object where it lies, seeded, measured once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_learning.partial_clouds import PartialClouds
from dexgrasp_models.objects import load_surface
from dexgrasp_models.perception.fusion import PerceptionError, load_fusion_config
from dexgrasp_sim.datasets.cloud_data import TableView
from dexgrasp_sim.noise import NoiseConfig
from dexgrasp_sim.scene import SceneConfig

NOISELESS = SceneConfig(noise=NoiseConfig(enabled=False))
SCALE = 0.8


def lying(yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Table in the frame of the small box, and its pose at a yaw, a little off the centre."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
    pose[:3, 3] = 0.01, -0.02, -SCALE * load_surface("box").bounds[0, 2]
    return pose[2].copy(), pose


def drawn(clouds: PartialClouds, yaw: float = 0.3, seed: int = 0) -> np.ndarray:
    plane, pose = lying(yaw)
    return clouds("box", SCALE, plane, pose, 300, np.random.default_rng(seed))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEXGRASP_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("kept", [0, 2])
def test_points_are_on_the_object_where_it_lies(cache, kept):
    yaw = 0.3
    cloud = drawn(PartialClouds(str, NOISELESS, kept=kept), yaw)
    _, pose = lying(yaw)
    local = (cloud - pose[:3, 3]) @ pose[:3, :3] / SCALE
    box = load_surface("box")
    outside = np.abs(local - box.bounds.mean(axis=0)) - box.extents / 2
    assert np.abs(outside.max(axis=1)).max() < 0.004, "on the surface"
    under = local[:, 2] - box.bounds[0, 2]
    assert under.min() > 0.001, "what the box stands on is not seen"
    assert outside[:, 2].max() == pytest.approx(0.0, abs=0.002), "its top is"


def test_unkept_clouds_are_those_of_the_cameras_to_the_bit(cache):
    cloud = drawn(PartialClouds(str, kept=0), seed=5)
    view = TableView(load_surface("box"), SceneConfig(), load_fusion_config())
    _, pose = lying(0.3)
    points, moved = view.cloud(pose, SCALE, np.random.default_rng(5))
    expected = points + (pose - moved)[:3, 3]
    assert {tuple(row) for row in cloud} <= {tuple(row) for row in expected}


def test_views_are_measured_once_and_found_again(cache, monkeypatch):
    first = [drawn(PartialClouds(str, kept=2), seed=seed) for seed in range(4)]
    assert len({cloud.tobytes() for cloud in first}) == 2
    (file,) = cache.glob("assist_clouds/*.npz")
    with monkeypatch.context() as patch:
        patch.setattr(TableView, "cloud", None)  # nothing is measured
        again = [drawn(PartialClouds(str, kept=2), seed=seed) for seed in range(4)]
    assert np.array_equal(first, again)
    file.write_bytes(file.read_bytes()[:200])
    assert np.array_equal(first[0], drawn(PartialClouds(str, kept=2)))
    drawn(PartialClouds(str, kept=2, seed=1))
    assert len(list(cache.glob("assist_clouds/*.npz"))) == 2, "another seed has its own"


def test_what_cannot_be_seen_is_told(cache, monkeypatch):
    def nothing(*_):
        raise PerceptionError("nothing stands on the table")

    monkeypatch.setattr(TableView, "cloud", nothing)
    with pytest.raises(PerceptionError, match="nothing stands"):
        drawn(PartialClouds(str, kept=2))
    assert not list(cache.glob("assist_clouds/*.npz"))
    with pytest.raises(ValueError, match="views that are kept"):
        PartialClouds(str, kept=-1)
