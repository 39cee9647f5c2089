"""Grasps for a cloud in a file: what is read, what is refused, what is written."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from grasp_clouds import seen, standing
from language_samples import small_clip
from nets_samples import save_networks, untrained_networks
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.language.clip import save_clip
from dexgrasp_models.nets.clouds import CloudConfig
from dexgrasp_models.open3d_import import import_open3d
from dexgrasp_models.perception.cloud_file import CloudFileError, read_object_cloud


@pytest.fixture(scope="module")
def cylinder():
    return seen(standing("cylinder"))


def _npy(path: Path, *columns: np.ndarray) -> Path:
    np.save(path, np.hstack(columns))
    return path


def test_points_with_normals_come_as_they_are(cylinder, tmp_path) -> None:
    path = _npy(tmp_path / "a.npy", cylinder.object_points, cylinder.object_normals)
    cloud = read_object_cloud(path)
    nearest = np.abs(cloud.object_points[:, None] - cylinder.object_points[None, :50]).sum(2)
    assert nearest.min(0).max() < 1e-6
    assert np.linalg.norm(cloud.object_normals, axis=1) == pytest.approx(1.0, abs=1e-4)


def test_table_points_and_crumbs_are_left_out(cylinder, tmp_path) -> None:
    rng = np.random.default_rng(0)
    table = np.c_[rng.uniform(-0.2, 0.2, (3000, 2)), rng.normal(0.0, 0.0008, 3000)]
    crumb = rng.normal((0.2, 0.2, 0.03), 0.002, (80, 3))
    path = _npy(tmp_path / "a.npy", np.vstack([cylinder.object_points, table, crumb]))
    points = read_object_cloud(path).object_points
    assert np.linalg.norm(points[:, :2], axis=1).max() < 0.04
    assert points[:, 2].max() > 0.1


def test_normals_are_estimated_outwards(cylinder, tmp_path) -> None:
    cloud = read_object_cloud(_npy(tmp_path / "a.npy", cylinder.object_points))
    side = cloud.object_points[:, 2] < 0.1
    outwards = cloud.object_points[side] * (1, 1, 0)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    cosines = (cloud.object_normals[side] * outwards).sum(1)
    assert np.mean(cosines > 0.9) > 0.95


def test_ply_files_are_read(cylinder, tmp_path) -> None:
    o3d = import_open3d()
    points = o3d.utility.Vector3dVector(cylinder.object_points.astype(np.float64))
    o3d.io.write_point_cloud(str(tmp_path / "a.ply"), o3d.geometry.PointCloud(points))
    assert len(read_object_cloud(tmp_path / "a.ply").object_points) > 900


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:0], "0 points"),
        (lambda p: p[:1], "1 points; at least"),
        (lambda p: np.where(p < 0.1, np.nan, p), "0 finite points"),
        (lambda p: p * 1000, "in metres"),
        (lambda p: p * 0.01, "nothing stands on the table"),
        (lambda p: np.add(p, [3, 0, 0]), "from the table's centre"),
        (lambda p: np.add(p, [0, 0, 0.2]), "above z = 0"),
        (lambda p: p - [0, 0, 0.05], "below z = 0"),
        (lambda p: p[:, :2], "expected points"),
    ],
)
def test_what_is_no_cloud_of_an_object_on_a_table(cylinder, tmp_path, change, message) -> None:
    path = _npy(tmp_path / "a.npy", change(cylinder.object_points.astype(np.float64)))
    with pytest.raises(CloudFileError, match=message):
        read_object_cloud(path)


def test_other_files_are_refused(tmp_path) -> None:
    with pytest.raises(CloudFileError, match="no such file"):
        read_object_cloud(tmp_path / "a.npy")
    (tmp_path / "a.txt").write_text("1 2 3")
    with pytest.raises(CloudFileError, match="clouds are read from"):
        read_object_cloud(tmp_path / "a.txt")
    (tmp_path / "b.npy").write_text("1 2 3")
    with pytest.raises(CloudFileError, match="no array of numbers"):
        read_object_cloud(tmp_path / "b.npy")


class TestCommand:
    def test_grasps_are_ranked_and_written(self, cylinder, tmp_path) -> None:
        path = _npy(tmp_path / "a.npy", cylinder.object_points, cylinder.object_normals)
        out = tmp_path / "grasps.npz"
        result = CliRunner().invoke(
            app, ["propose", str(path), "-n", "4", "--seed", "2", "--out", str(out)]
        )
        assert result.exit_code == 0, result.output
        with np.load(out) as found:
            assert found["palm_poses"].shape == (4, 4, 4)
            assert tuple(found["joint_names"]) == load_hand().finger_joints
            assert found["joints"].shape == found["squeeze_joints"].shape == (4, 22)
            assert (np.diff(found["scores"]) <= 0).all()
            assert (found["figure_penetration"] <= 0.006).all()

    def test_another_axis_up_gives_the_same_grasps_in_its_axes(self, cylinder, tmp_path) -> None:
        cloud = (cylinder.object_points, cylinder.object_normals)
        _npy(tmp_path / "z.npy", *cloud)
        _npy(tmp_path / "y.npy", *(array[:, [0, 2, 1]] * (1, 1, -1) for array in cloud))
        for up in "zy":
            files = [str(tmp_path / f"{up}.npy"), "--out", str(tmp_path / f"{up}.npz")]
            options = ["--proposer", "analytic", "-n", "2", f"--up={up}"]
            result = CliRunner().invoke(app, ["propose", *files, *options])
            assert result.exit_code == 0, result.output
        with np.load(tmp_path / "z.npz") as plain, np.load(tmp_path / "y.npz") as turned:
            assert turned["joints"] == pytest.approx(plain["joints"], abs=1e-6)
            in_axes = plain["palm_poses"][:, [0, 2, 1]] * np.array([1, 1, -1])[None, :, None]
            assert turned["palm_poses"][:, :3] == pytest.approx(in_axes, abs=1e-6)

    def test_what_was_done_to_a_file_is_told(self, cylinder, tmp_path) -> None:
        colours = np.full((len(cylinder.object_points), 3), 200.0)
        path = _npy(tmp_path / "a.npy", cylinder.object_points, colours)
        result = CliRunner().invoke(
            app, ["propose", str(path), "--proposer", "analytic", "-n", "1"]
        )
        assert result.exit_code == 0, result.output
        assert f"{path}: columns 4 to 6 are colours, not normals" in result.output

    def test_a_cloud_that_cannot_be_planned_on_is_named(self, cylinder, tmp_path) -> None:
        flat = cylinder.object_points * (1, 1, 0.06) + np.array([0, 0, 0.0005])
        path = _npy(tmp_path / "a.npy", flat)
        result = CliRunner().invoke(app, ["propose", str(path), "--proposer", "analytic"])
        assert result.exit_code == 2
        assert result.output.startswith(f"{path}: ")

    def test_the_rotations_are_drawn(self, cylinder, tmp_path) -> None:
        save_networks(untrained_networks(CloudConfig(192, 32)), tmp_path)
        path = _npy(tmp_path / "a.npy", cylinder.object_points, cylinder.object_normals)
        options = ["--proposer", "learned", "--weights", str(tmp_path), "-n", "4", "--seed", "1"]
        picture = tmp_path / "rotations.png"
        result = CliRunner().invoke(
            app, ["propose", str(path), *options, "--rotations", str(picture)]
        )
        # Untrained networks may propose nothing that can be carried out; it is drawn nevertheless.
        assert picture.is_file(), result.output
        assert imageio.imread(picture).shape[2] == 3

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                ["--proposer", "analytic", "--rotations", "rotations.png"],
                "--proposer analytic has no density",
            ),
            (["--proposer", "learned", "--rotations", "rotations.gif"], "written as .png"),
            (["--text", "the bottle"], "model.safetensors or pytorch_model.bin of openai/clip"),
            (["--text", "the bottle", "--clip", "nowhere"], "nowhere: no config.json"),
            (["--out", "grasps.csv"], "written as .npz"),
            (["--proposer", "learned", "--weights", "nowhere"], "no ipdf.safetensors"),
        ],
    )
    def test_what_cannot_be_done_is_said(self, cylinder, tmp_path, options, message) -> None:
        path = _npy(tmp_path / "a.npy", cylinder.object_points)
        result = CliRunner().invoke(app, ["propose", str(path), *options])
        assert result.exit_code == 2
        assert message in result.output.replace("\n", " ")

    def test_grasps_are_ranked_by_a_text(self, cylinder, tmp_path) -> None:
        path = _npy(tmp_path / "a.npy", cylinder.object_points, cylinder.object_normals)
        save_clip(small_clip(), tmp_path / "clip")
        out = tmp_path / "grasps.npz"
        words = ["--text", "grasp the bottle by the neck", "--clip", str(tmp_path / "clip")]
        result = CliRunner().invoke(
            app, ["propose", str(path), "-n", "8", "--out", str(out), *words]
        )
        assert result.exit_code == 0, result.output
        assert "text, cosine" in result.output
        with np.load(out) as found:
            assert len(found["scores"]) == 8
            assert (np.diff(found["scores"]) <= 0).all()
            # What has most to do with the order depends on the weights; both are told.
            assert np.ptp(found["figure_text_cosine"]) > 0
            assert np.ptp(found["figure_success_log_odds"]) > 0

    def test_an_unknown_proposer_lists_the_known(self, tmp_path) -> None:
        result = CliRunner().invoke(app, ["propose", "a.npy", "--proposer", "oracle"])
        assert result.exit_code == 2
        assert "analytic" in result.output
