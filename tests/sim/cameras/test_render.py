"""Pictures show what they should, and are written whole."""

from __future__ import annotations

import imageio.v3 as imageio
import numpy as np
import pytest

from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.cameras.render import Renderer, save_picture, save_video, viewpoint
from dexgrasp_sim.scene import load_scene


@pytest.fixture(params=["floating", "arm"])
def simulator(request):
    built = make_simulator(load_scene(scene=request.param), load_object("mug"))
    built.reset(0)
    return built


def test_robot_object_and_table_are_in_the_picture(simulator):
    view = viewpoint(simulator.config.scene, 320, 240)
    hits, _ = simulator.depth_cameras.cast(simulator.snapshot(), view)
    shares = np.bincount(hits.bodies[hits.bodies >= 0])
    assert shares[0] > 200, "the object"
    assert (shares[1:] > 0).sum() > 8, "table and links"
    image = Renderer(simulator.depth_cameras, view).picture(simulator.snapshot())
    assert image.shape == (240, 320, 3)
    assert image.dtype == np.uint8
    orange = (image[..., 0] > 1.5 * image[..., 1]) & (image[..., 1] > 1.5 * image[..., 2])
    assert orange.sum() > 200


def test_recorded_moments_become_a_video(simulator, tmp_path):
    snapshots = []
    for _ in range(4):
        simulator.step(10)
        snapshots.append(simulator.snapshot())
    view = viewpoint(simulator.config.scene, 160, 120)
    renderer = Renderer(simulator.depth_cameras, view, supersampling=1)
    for name in ("film.mp4", "film.gif"):
        save_video(tmp_path / name, renderer.pictures(snapshots), rate=10.0)
    assert imageio.imread(tmp_path / "film.mp4").shape[1:] == (120, 160, 3)
    assert len(imageio.imread(tmp_path / "film.gif")) >= 1
    save_picture(tmp_path / "still.png", renderer.picture(snapshots[-1]))
    assert np.array_equal(imageio.imread(tmp_path / "still.png"), renderer.picture(snapshots[-1]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.gif", "film.mp4", "still.png"]


def test_a_video_needs_a_known_format(simulator, tmp_path):
    with pytest.raises(ValueError, match=r"\.mp4 or a \.gif"):
        save_video(tmp_path / "film.xyz", [], rate=10.0)
    assert not list(tmp_path.iterdir())
