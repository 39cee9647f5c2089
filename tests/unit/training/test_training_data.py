"""Clouds paired with grasps: frames, batches that are functions of the step, splits, bad input."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_samples import (
    POINTS,
    TRAINING_CONFIG,
    box_clouds,
    box_grasps,
    loaded,
    write_sets,
)

from dexgrasp_models.data.cloud_set import CloudSet, scenes_of
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError
from dexgrasp_models.nets.clouds import CloudConfig, horizontal_centre, table_top_cloud
from dexgrasp_models.objects.library import split_names
from dexgrasp_models.training.data import (
    TRAINING,
    VALIDATION,
    GraspScenes,
    TrainingBatches,
    TrainingDataError,
    split_objects,
    validation_batches,
)

CLOUD = CloudConfig(object_points=POINTS, table_points=0)
LIFTED = np.array([0, 0, 0, 0.01])  # a table a centimetre lower


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets")
    write_sets(path)
    return path


def test_network_cloud_has_object_and_table():
    points = torch.rand(3, 50, 3)
    config = CloudConfig(object_points=120, table_points=30, table_radius=0.2)
    cloud = table_top_cloud(points, config)
    assert cloud.shape == (3, 150, 3)
    # Too few points are repeated, none is left out.
    assert torch.equal(cloud[:, :50], points)
    assert torch.equal(cloud[:, 100:120], points[:, :20])
    table = cloud[0, 120:]
    assert (table[:, 2] == 0).all()
    assert 0.19 < table.norm(dim=1).max() <= 0.2
    # Evenly: half of them within half the area.
    assert (table.norm(dim=1) < 0.2 / 2**0.5).sum() == 15
    fewer = table_top_cloud(points, CloudConfig(object_points=16, table_points=0))
    assert torch.equal(fewer, points[:, :16])
    with pytest.raises(ValueError, match="of an object"):
        table_top_cloud(points[:, :0], config)


def test_horizontal_centre_keeps_the_height():
    points = torch.rand(2, 20, 3)
    moved = points - horizontal_centre(points)[:, None]
    assert torch.allclose(moved.mean(1)[:, :2], torch.zeros(2, 2), atol=1e-6)
    assert torch.equal(moved[..., 2], points[..., 2])


@pytest.mark.parametrize("turn", [False, True])
def test_grasps_move_with_their_cloud(folder, turn):
    """Distances between palm and the object's points are those in the object's frame."""
    training, _ = loaded(folder)
    scenes = torch.arange(len(training))
    batch = training.batch(scenes, 3, CLOUD, torch.Generator().manual_seed(0), turn=turn)
    grasps = GraspSet.open(folder / "set")
    clouds = CloudSet.open(folder / "clouds")
    assert batch.grasps.count == 3 * len(scenes)
    for index, scene in enumerate(training.scenes):
        found = clouds.clouds(scene.name)
        views = [view for view, other in enumerate(found.scenes) if other == scene]
        rows = scenes_of(grasps).index == scenes_of(grasps).scenes.index(scene)
        stored = grasps[rows]
        # Of some view and some order of the grasps, all distances agree.
        in_batch = _distances(
            batch.clouds[index].numpy(), batch.grasps.translations[3 * index : 3 * index + 3]
        )
        inverse = [np.linalg.inv(found.object_poses[view]) for view in views]
        expected = [
            _distances(found.points[view] @ back[:3, :3].T + back[:3, 3], stored.translations)
            for view, back in zip(views, inverse, strict=True)
        ]
        errors = [
            max(min(np.abs(one - other).max() for other in known) for one in in_batch)
            for known in expected
        ]
        assert min(errors) < 2e-4, scene
        # Each grasp of the scene is there once.
        best = expected[int(np.argmin(errors))]
        nearest = [int(np.argmin([np.abs(one - o).max() for o in best])) for one in in_batch]
        assert sorted(nearest) == [0, 1, 2]


def test_a_wrong_pose_is_noticed(folder):
    """Negative control of the test above: the object's pose inverted."""
    training, _ = loaded(folder)
    wrong = pickle.loads(pickle.dumps(training))
    wrong._object_poses = torch.linalg.inv(wrong._object_poses)
    scenes = torch.arange(len(training))
    right, off = (
        one.batch(scenes, 1, CLOUD, torch.Generator().manual_seed(0)) for one in (training, wrong)
    )
    assert (right.clouds == off.clouds).all()
    assert ((right.grasps.translations - off.grasps.translations).norm(dim=1) > 0.01).all()


def test_rotations_and_joints_come_along(folder):
    training, _ = loaded(folder)
    scenes = torch.arange(len(training))
    generator = torch.Generator().manual_seed(0)
    batch = training.batch(scenes, 3, CLOUD, generator, turn=True)
    batch.grasps.checked()
    stored = GraspSet.open(folder / "set")[:]
    for index, scene in enumerate(training.scenes):
        chosen = batch.grasps.select(slice(3 * index, 3 * index + 3))
        known = stored[[stored.names[o] == scene.name for o in stored.objects]]
        for joints, rotation in zip(chosen.joints.numpy(), chosen.rotations, strict=True):
            (row,) = np.flatnonzero((known.joints == joints).all(axis=1))
            # A turn about the vertical and the object's pose keep the table's normal in the palm.
            normal = known.palm_poses[row, :3, :3].T @ np.array(scene.plane[:3])
            assert np.allclose(rotation[2], normal, atol=1e-5)


def test_batches_are_functions_of_the_step(folder):
    training, _ = loaded(folder)
    config = replace(TRAINING_CONFIG, steps=20)
    first, second = TrainingBatches(training, config, 3), TrainingBatches(training, config, 3)
    for step in (5, 0, 5):
        assert _same(first[step], second[step])
    assert not _same(first[0], first[1])
    assert not _same(first[0], TrainingBatches(training, config, 4)[0])
    # The processes' parts are the whole.
    parts = [TrainingBatches(training, config, 3, rank, 2)[7] for rank in range(2)]
    whole = first[7]
    for rank, part in enumerate(parts):
        assert torch.equal(part.clouds, whole.clouds[rank::2])
        assert torch.equal(
            part.grasps.joints.unflatten(0, (2, 2)),
            whole.grasps.joints.unflatten(0, (4, 2))[rank::2],
        )
    # A process that loads batches is given the data set in a pickle.
    assert _same(pickle.loads(pickle.dumps(first))[7], whole)


def test_all_scenes_in_every_epoch(folder):
    training, _ = loaded(folder)
    config = replace(TRAINING_CONFIG, steps=3, batch=4)
    assert len(training) == 6
    batches = TrainingBatches(training, config, 0)
    seen = np.concatenate([batches._order(epoch) for epoch in range(2)])
    assert sorted(seen[:6]) == sorted(seen[6:]) == list(range(6))
    assert list(seen[:6]) != list(seen[6:])


def test_validation_is_always_the_same(folder):
    _, validation = loaded(folder)
    one, two = (validation_batches(validation, TRAINING_CONFIG) for _ in range(2))
    assert sum(len(batch.clouds) for batch in one) == 4
    assert all(_same(first, second) for first, second in zip(one, two, strict=True))


def test_grasps_are_chosen_by_their_figures(folder):
    grasps, clouds = GraspSet.open(folder / "set"), CloudSet.open(folder / "clouds")
    found = GraspScenes.load(grasps, clouds, grasps.names, {"lifted": (1, 1)})
    assert found.grasp_count == 4 * 5


def test_splits_of_the_library_and_of_other_objects():
    names = [*split_names(TRAINING)[:5], *split_names(VALIDATION)[:5]]
    reported = {*split_names("unseen_instances")[:5], *split_names("unseen_categories")[:5]}
    names += [*reported, *(f"sem/Car-{i}" for i in range(400))]
    training, validation = (split_objects(names, split) for split in (TRAINING, VALIDATION))
    assert not set(training) & set(validation)
    assert set(names) - set(training) - set(validation) == reported
    assert 20 < len([name for name in validation if name.startswith("sem")]) < 60


def test_nothing_to_learn_from(tmp_path):
    grasps, clouds = write_sets(tmp_path)
    with pytest.raises(TrainingDataError, match="no grasps of the 1 objects"):
        GraspScenes.load(grasps, clouds, ["mug/1000"])
    other = GraspSet.open(tmp_path / "other", create=True)
    name = split_names(TRAINING)[0]
    moved = box_grasps(name, np.random.default_rng(5))
    other.append(replace(moved, planes=moved.planes + LIFTED), Provenance())
    with pytest.raises(TrainingDataError, match="dexgrasp data clouds"):
        GraspScenes.load(other, clouds, [name])
    with pytest.raises(GraspDataError, match="make them with dexgrasp data clouds"):
        CloudSet.open(tmp_path / "nothing")


def test_grasps_without_a_cloud_are_counted(tmp_path):
    grasps, clouds = write_sets(tmp_path)
    name = grasps.names[0]
    extra = box_grasps(name, np.random.default_rng(5))
    grasps.append(replace(extra, planes=extra.planes + LIFTED), Provenance())
    assert GraspScenes.load(grasps, clouds, [name]).grasps_left_out == 6


def test_clouds_on_disk(tmp_path):
    grasps, clouds = write_sets(tmp_path)
    name = grasps.names[0]
    made = clouds.clouds(name)
    assert clouds.has(name)
    assert not clouds.has("mug/1000")
    with pytest.raises(GraspDataError, match="finished"):
        clouds.append(made, Provenance())
    with pytest.raises(GraspDataError, match="no such clouds"):
        clouds.clouds("mug/1000")
    bad = made.points.copy()
    bad[0, 3, 1] = np.nan
    with pytest.raises(GraspDataError, match="points of clouds that are NaN"):
        replace(made, points=bad)
    path = tmp_path / "clouds" / f"{name.replace('/', '-')}.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(GraspDataError, match="cut short"):
        CloudSet.open(tmp_path / "clouds")


def test_half_precision_is_within_a_tenth_of_a_millimetre():
    """Within the quarter metre that an object's points are from the centre."""
    points = np.random.default_rng(0).uniform(-0.25, 0.25, (10_000, 3))
    assert np.abs(points.astype(np.float16) - points).max() < 1e-4
    assert np.abs((2 * points).astype(np.float16) - 2 * points).max() < 1.3e-4


def test_box_clouds_belong_to_their_scenes(tmp_path):
    """The samples of these tests themselves: the table is below every box."""
    grasps, _ = write_sets(tmp_path)
    clouds = box_clouds(grasps, grasps.names[0], np.random.default_rng(0))
    assert (clouds.points[..., 2] > 0).all()


def _distances(points, palms) -> np.ndarray:
    """(G, N)."""
    return np.linalg.norm(np.asarray(palms)[:, None] - np.asarray(points, float), axis=2)


def _same(one, other) -> bool:
    return torch.equal(one.clouds, other.clouds) and all(
        torch.equal(a, b) for a, b in zip(one.grasps, other.grasps, strict=True)
    )
