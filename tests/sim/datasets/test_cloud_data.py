"""Clouds of scenes: as the cameras see them, in the grasps' frame, made in any order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.data.cloud_set import CloudSet, Scene
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError, Grasps, table_plane
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.clouds import CloudConfig
from dexgrasp_models.objects import load_object, load_surface
from dexgrasp_models.perception.cameras import DepthFrame
from dexgrasp_models.perception.fusion import fuse, load_fusion_config
from dexgrasp_models.perception.robot_mask import robot_distance
from dexgrasp_models.training.data import GraspScenes
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.datasets.cloud_data import (
    CloudJob,
    TableView,
    cloud_jobs,
    observe_object,
    open_jobs,
    run,
)
from dexgrasp_sim.noise import NoiseConfig
from dexgrasp_sim.scene import load_scene

NAME, SCALE = "hammer/10", 0.1  # looks different from all sides
HAND = load_hand()


@pytest.fixture(scope="module")
def hammer():
    return load_surface(f"library:{NAME}").apply_scale(SCALE)


@pytest.fixture(scope="module")
def planes(hammer):
    """(2, 4) of the table just below the hammer, lying on two sides."""
    found = []
    for normal in np.array([[0.0, 0, 1], [0.0, 1, 0]]):
        found.append((*normal, -(hammer.vertices @ normal).min()))
    return np.array(found, dtype=np.float32).astype(float)


@pytest.fixture(scope="module")
def grasp_set(tmp_path_factory, hammer, planes):
    """Hands that just touch the hammer, in two scenes."""
    folder = tmp_path_factory.mktemp("set")
    grasps = GraspSet.open(folder, create=True)
    for index, plane in enumerate(planes):
        poses, joints = touching_hands(hammer, 6, seed=index)
        found = Grasps.of_object(NAME, SCALE, poses, joints, plane)
        grasps.append(found.astype(np.float32), Provenance())
    return grasps


@pytest.fixture(scope="module")
def cloud_set(tmp_path_factory, grasp_set):
    folder = tmp_path_factory.mktemp("clouds")
    (done,) = run(cloud_jobs(grasp_set, views=2), folder)
    assert done.clouds == 4
    return CloudSet.open(folder)


def touching_hands(
    surface: trimesh.Trimesh, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Palm poses in the object's frame and joints: open hands moved until they touch."""
    generator = np.random.default_rng(seed)
    points = torch.as_tensor(surface.sample(4000, seed=seed), dtype=torch.float32)
    distance = HandDistance(HandKinematics(HAND))
    poses, joints = np.tile(np.eye(4), (count, 1, 1)), np.zeros((count, 22))
    poses[:, :3, :3] = Rotation.random(count, rng=generator).as_matrix()
    approach = generator.standard_normal((count, 3))
    approach /= np.linalg.norm(approach, axis=1, keepdims=True)
    poses[:, :3, 3] = 0.4 * approach
    for _ in range(30):  # sphere tracing towards the centre
        palms = torch.as_tensor(poses, dtype=torch.float32)
        gap = distance.signed_distance(points, palms, torch.zeros(count, 22)).min(dim=1).values
        poses[:, :3, 3] -= gap.numpy()[:, None] * approach
    return poses, joints


def gaps(scenes: GraspScenes, repeats: int = 4) -> np.ndarray:
    """(B,) least distances (m) between the hands and the points of their clouds."""
    distance = HandDistance(HandKinematics(HAND))
    config = CloudConfig(object_points=1024, table_points=0)
    indices = torch.arange(len(scenes)).repeat(repeats)
    generator = torch.Generator().manual_seed(0)
    batch = scenes.batch(indices, 3, config, generator, turn=True)
    clouds = batch.clouds.repeat_interleave(3, dim=0)
    found = distance.signed_distance(clouds, batch.grasps.palm_poses, batch.grasps.joints)
    return found.min(dim=1).values.numpy()


def test_grasps_touch_the_clouds_of_their_scenes(grasp_set, cloud_set):
    found = gaps(GraspScenes.load(grasp_set, cloud_set, [NAME]))
    # Points are 3 mm apart and where no camera sees there are none.
    assert np.median(np.abs(found)) < 0.004
    assert np.abs(found).max() < 0.02


@pytest.mark.parametrize("wrong", ["inverse", "yaw", "shifted"])
def test_wrong_frames_are_noticed(grasp_set, cloud_set, wrong):
    """Negative controls: the object's pose in the cloud is another than the one that is stored."""
    scenes = GraspScenes.load(grasp_set, cloud_set, [NAME])
    poses = scenes._object_poses
    if wrong == "inverse":
        scenes._object_poses = torch.linalg.inv(poses)
    elif wrong == "yaw":
        turn = torch.tensor([[-1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        scenes._object_poses = turn @ poses
    else:
        scenes._object_poses = poses + 0.02 * torch.eye(4)[3] * torch.eye(4)[:, :1]
    assert np.median(np.abs(gaps(scenes))) > 0.006


def test_clouds_lie_on_the_object(hammer, cloud_set):
    surface = cKDTree(hammer.sample(50_000, seed=0))
    clouds = cloud_set.clouds(NAME)
    assert len(clouds) == 4
    for points, pose, plane in zip(
        clouds.points.astype(float), clouds.object_poses, clouds.planes, strict=True
    ):
        assert np.allclose(points[:, :2].mean(axis=0), 0, atol=1e-3)
        assert points[:, 2].min() > 0
        # The plane z = 0 of the cloud's frame is the scene's table.
        assert np.allclose(table_plane(pose), plane, atol=1e-9)
        back = np.linalg.inv(pose)
        in_object = points @ back[:3, :3].T + back[:3, 3]
        distances, _ = surface.query(in_object)
        assert np.median(distances) < 0.0015
        assert np.quantile(distances, 0.95) < 0.004
    # Views differ in yaw and in noise.
    assert not np.allclose(clouds.object_poses[0], clouds.object_poses[1], atol=1e-2)


def test_seen_as_the_perception_node_does():
    """Without noise the cloud is that of the simulator's images with the waiting hand masked."""
    scene = dataclasses.replace(load_scene(), noise=NoiseConfig(enabled=False))
    mug = load_object("mug", 0.9)
    pose = np.eye(4)
    pose[:3, 3] = 0.012, -0.007, -mug.visual.vertices[:, 2].min()
    fusion = load_fusion_config()
    points, moved = TableView(load_surface("mug"), scene, fusion).cloud(
        pose, 0.9, np.random.default_rng(0)
    )
    simulator = make_simulator(scene, mug)
    simulator.reset(0)
    simulator.place_object(pose)
    frames = [
        DepthFrame(camera, simulator.read_depth(name), 0.0)
        for name, camera in simulator.cameras.items()
    ]
    state = simulator.state()
    mask = robot_distance(HAND, state.wrist_pose, state.joints, ())
    expected = fuse(frames, fusion, robot_distance=mask).object_points
    in_world = points + (pose - moved)[:3, 3]
    assert in_world.shape == expected.shape
    # A pixel on an edge may round to another millimetre.
    assert np.quantile(np.linalg.norm(in_world - expected, axis=1), 0.9) < 1e-5


def test_jobs_go_on_and_are_functions_of_their_settings(tmp_path, grasp_set, cloud_set):
    (job,) = cloud_jobs(grasp_set, views=2)
    assert open_jobs([job], cloud_set.path) == []
    again = observe_object(job)
    stored = cloud_set.clouds(NAME)
    for name in ("points", "object_poses", "planes", "scales", "counts"):
        assert np.array_equal(getattr(again, name), getattr(stored, name)), name
    for other in (cloud_jobs(grasp_set, views=3), cloud_jobs(grasp_set, views=2, seed=1)):
        with pytest.raises(GraspDataError, match="other settings"):
            open_jobs(other, cloud_set.path)
    # After the deadline nothing begins, and nothing half-done is left.
    assert list(run([job], tmp_path, deadline=0.0)) == []
    assert list(tmp_path.iterdir()) == []
    assert open_jobs([job], tmp_path) == [job]


def test_command(tmp_path, hammer, grasp_set, cloud_set):
    def told(*arguments: object, status: int = 0) -> str:
        words = ["data", "clouds", str(grasp_set.path), *map(str, arguments)]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == status, result.output
        return " ".join(result.output.split())

    done = told(cloud_set.path, "--views", 2, "--workers", 1)
    assert "1 objects, 1 of them done 0 clouds" in done
    assert "other settings" in told(cloud_set.path, "--views", 3, status=2)
    begun = told(tmp_path / "new", "--budget", "0s", "--workers", 1)
    assert "1 objects are left: run the same command again" in begun
    assert "no mesh of hammer/10" in told(tmp_path / "new", "--meshes", tmp_path, status=2)
    # From a mesh in a folder as from the library, but for the texts of numbers in the file.
    (tmp_path / "meshes" / NAME).parent.mkdir(parents=True)
    hammer.copy().apply_scale(1 / SCALE).export(tmp_path / "meshes" / f"{NAME}.ply")
    seen = told(tmp_path / "new", "--meshes", tmp_path / "meshes", "--views", 2, "--workers", 2)
    assert "hammer/10: 4 clouds" in seen
    found, expected = CloudSet.open(tmp_path / "new").clouds(NAME), cloud_set.clouds(NAME)
    assert np.allclose(found.object_poses, expected.object_poses, atol=1e-3)


def test_object_that_can_not_be_used(tmp_path):
    job = CloudJob("mug/none", "library:mug/none", (Scene("mug/none", 0.1, (0.0, 0.0, 1.0, 0.1)),))
    (told,) = run([job], tmp_path)
    assert "mug/none" in told.problem
    assert list(tmp_path.iterdir()) == []


def test_too_small_to_be_seen():
    job = CloudJob(NAME, f"library:{NAME}", (Scene(NAME, 0.004, (0.0, 0.0, 1.0, 0.004)),), views=1)
    assert len(observe_object(job)) == 0
