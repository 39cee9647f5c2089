"""Cameras draw from descriptions what the physics simulates, with no physics at hand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import mujoco
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.types import Command
from dexgrasp_models.objects import load_object
from dexgrasp_models.perception.ray_casting import Body, RayCaster
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.cameras.render import viewpoint
from dexgrasp_sim.noise import NoiseConfig
from dexgrasp_sim.scene import load_scene

TABLE_THICKNESS = 0.03


def _surface(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh:
    size = model.geom_size[geom]
    match mujoco.mjtGeom(model.geom_type[geom]):
        case mujoco.mjtGeom.mjGEOM_PLANE:
            slab = trimesh.creation.box(extents=(2 * size[0], 2 * size[1], TABLE_THICKNESS))
            return slab.apply_translation((0.0, 0.0, -TABLE_THICKNESS / 2))
        case mujoco.mjtGeom.mjGEOM_BOX:
            return trimesh.creation.box(extents=2 * size)
        case mujoco.mjtGeom.mjGEOM_CAPSULE:
            return trimesh.creation.capsule(height=2 * size[1], radius=size[0], count=(24, 16))
        case kind:
            raise ValueError(kind)


def _mujoco_caster(simulator) -> RayCaster:
    """Of the object's visual mesh and of the geoms where MuJoCo has them."""
    model, data = simulator.physics.batch.models[0], simulator.physics.batch.data[0]
    drawn = np.flatnonzero(model.geom_bodyid != model.body("object").id)
    poses = np.tile(np.eye(4), (1 + len(drawn), 1, 1))
    poses[0] = simulator.object_pose()
    poses[1:, :3, :3] = data.geom_xmat[drawn].reshape(-1, 3, 3)
    poses[1:, :3, 3] = data.geom_xpos[drawn]
    surfaces = [simulator.object_model.visual, *(_surface(model, geom) for geom in drawn)]
    caster = RayCaster([Body(surface, (0.5, 0.5, 0.5)) for surface in surfaces])
    caster.place(poses)
    return caster


@pytest.mark.parametrize("scene", ["floating", "arm"])
def test_what_is_seen_is_to_the_bit_what_mujoco_simulates(scene):
    simulator = make_simulator(load_scene(scene=scene), load_object("mug"))
    simulator.reset(4)
    target = simulator.state().wrist_pose
    target[:3, :3] = target[:3, :3] @ Rotation.from_rotvec((0.3, 0.2, -0.1)).as_matrix()
    target[:3, 3] += (0.2, 0.03, -0.1)
    for part in np.linspace(0.05, 1.0, 20):
        simulator.set_targets(Command(target, part * np.linspace(0.1, 0.9, 22)))
        simulator.step(2)
    caster = _mujoco_caster(simulator)
    whole = viewpoint(scene, 640, 480)
    hits, _ = simulator.depth_cameras.cast(simulator.snapshot(), whole)
    assert len(np.unique(hits.bodies)) > 10, "table, object and many links"
    for camera in (whole, *simulator.cameras.values()):
        expected = caster.cast(camera)
        hits, _ = simulator.depth_cameras.cast(simulator.snapshot(), camera)
        assert np.array_equal(hits.bodies, expected.bodies)
        assert np.array_equal(hits.depth, expected.depth)
        assert np.array_equal(hits.cosine, expected.cosine)


def test_a_recorded_snapshot_is_drawn_as_it_was():
    config, mug = load_scene(), load_object("mug")
    simulator = make_simulator(config, mug)
    simulator.reset(7)
    simulator.step(3)
    snapshot = simulator.snapshot()
    depth, color = simulator.read_depth("camera_1"), simulator.read_color("camera_1")
    simulator.reset(8)
    assert not np.array_equal(color, simulator.read_color("camera_1"))
    cameras = DepthCameras(config, mug)
    assert np.array_equal(depth, cameras.read_depth(snapshot, "camera_1"))
    assert np.array_equal(color, cameras.read_color(snapshot, "camera_1"))


def test_noise_follows_seed_and_time():
    cameras = DepthCameras(load_scene(), load_object("can"))
    simulator = make_simulator(load_scene(), load_object("can"))
    simulator.reset(1)
    snapshot = simulator.snapshot()
    depth = cameras.read_depth(snapshot, "camera_1")
    for changed in (replace(snapshot, seed=2), replace(snapshot, time=0.02)):
        assert not np.array_equal(depth, cameras.read_depth(changed, "camera_1"))
    assert np.array_equal(depth, cameras.read_depth(snapshot, "camera_1"))
    exact = DepthCameras(load_scene(noise=NoiseConfig(enabled=False)), load_object("can"))
    assert np.array_equal(
        exact.read_depth(snapshot, "camera_1"),
        exact.read_depth(replace(snapshot, seed=2), "camera_1"),
    )


def test_cameras_need_no_simulator():
    code = (
        "import sys; import dexgrasp_sim.cameras.depth_cameras, dexgrasp_sim.cameras.render,"
        " dexgrasp_sim.cameras.camera_process; sys.exit('mujoco' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
