"""`dexgrasp data show`: what pictures and the browser show, against the hand's kinematics."""

from __future__ import annotations

import contextlib
import socket

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_cli.data_show_command import grasp_bodies
from dexgrasp_models.data.dexgraspbench import find_object
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps, concatenate, table_pose
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_viewer.grasp_browser import GraspBrowser
from dexgrasp_viewer.web_server import start_server

HAND = load_hand()
CUBE = trimesh.creation.box((0.06, 0.06, 0.06))
TABLE = (0.6, 0.0, 0.8, 0.07)


def some_grasps(name: str, count: int, seed: int = 0, plane=TABLE) -> Grasps:
    generator = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.random(count, random_state=generator).as_matrix()
    poses[:, :3, 3] = generator.uniform(-0.2, 0.2, (count, 3))
    joints = generator.uniform(*HAND.limits.T, (count, 22))
    lifted = np.arange(count, dtype=float)
    return Grasps.of_object(name, 0.5, poses, joints, plane, {"lifted": lifted})


def fit(first: np.ndarray, second: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation and shift that take (N, 3) points to others, which have to fit exactly."""
    a, b = first - first.mean(0), second - second.mean(0)
    rotation, error = Rotation.align_vectors(b / np.linalg.norm(b), a / np.linalg.norm(a))
    assert error < 1e-5
    scale = np.linalg.norm(b) / np.linalg.norm(a)
    return scale, rotation.as_matrix(), second.mean(0) - scale * rotation.apply(first.mean(0))


class TestPicture:
    def test_hand_and_object_stand_as_in_the_grasp(self):
        grasp = some_grasps("cube", 1)
        solid = trimesh.creation.icosphere(subdivisions=1, radius=0.04)
        solid.apply_scale((1.0, 0.7, 0.4))
        held, hand, table = grasp_bodies(grasp, solid)
        scale, rotation, shift = fit(solid.vertices, held.mesh.vertices)
        # The same similarity takes the hand there: its surface is where the kinematics has it.
        points = (hand.mesh.vertices - shift) @ rotation / scale
        distance = HandDistance(HandKinematics(HAND, dtype=torch.float64))
        gaps = distance.by_link(
            torch.tensor(points),
            distance.kinematics.link_poses(
                torch.tensor(grasp.palm_poses), torch.tensor(grasp.joints)
            ),
        )
        assert gaps.amin(-1).max() < 1e-6
        assert gaps.amin(-1).min() > -0.02  # parts of neighbouring links that overlap
        # The table is level, under the object as its plane says.
        assert rotation @ TABLE[:3] == pytest.approx([0.0, 0.0, 1.0], abs=1e-6)
        origin_above = table_pose(np.array(TABLE))[2, 3]
        assert shift[2] - table.mesh.bounds[1, 2] == pytest.approx(scale * origin_above)

    def test_all_fits_into_the_unit_sphere(self):
        for row in range(8):
            held, hand, *rest = grasp_bodies(some_grasps("cube", 8)[[row]], CUBE)
            assert len(rest) == 1
            for body in (held, hand):
                assert np.linalg.norm(body.mesh.vertices, axis=1).max() <= 1.0
        assert len(grasp_bodies(some_grasps("cube", 1, plane=None), CUBE)) == 2


class TestBrowser:
    @pytest.fixture
    def server(self):
        server = start_server("localhost", 0, "test")
        yield server
        server.stop()

    @pytest.fixture
    def grasps(self):
        return concatenate([some_grasps("mug", 3), some_grasps("can", 1, plane=None)])

    def test_leafing_through(self, server, grasps):
        loaded = []

        def load(name, scale):
            loaded.append((name, scale))
            return CUBE

        browser = GraspBrowser(server, grasps, load)
        assert browser.object.options == ("can", "mug")
        assert browser.row == 3
        assert browser.number.disabled
        browser.object.value = "mug"
        assert browser.row == 0
        assert browser.number.max == 3
        browser.number.value = 3
        assert browser.row == 2
        assert "**mug**, scale 0.5, grasp 3" in browser.text.content
        assert "- lifted: 2" in browser.text.content
        assert loaded == [("can", 0.5), ("mug", 0.5)]

        # The hand is drawn where the grasp has it on the table.
        palm = browser.hand_pose
        expected = table_pose(np.array(TABLE)) @ grasps.palm_poses[2]
        assert palm == pytest.approx(expected)

    def test_an_object_that_cannot_be_shown(self, server, grasps):
        def load(name, scale):
            if name == "mug":
                raise ValueError("no mesh of mug in meshes")
            return CUBE

        browser = GraspBrowser(server, grasps, load)
        assert "no mesh" not in browser.text.content
        browser.object.value = "mug"
        assert "no mesh of mug" in browser.text.content
        assert "lifted" in browser.text.content


class TestCommand:
    @pytest.fixture
    def folder(self, tmp_path):
        GraspSet.open(tmp_path / "set", create=True).append(some_grasps("cube", 5), Provenance())
        CUBE.export(tmp_path / "cube.obj")
        return tmp_path

    def told(self, folder, *options, status=0) -> str:
        arguments = ["data", "show", folder / "set", "--meshes", folder, *options]
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == status, result.output
        return result.output

    def test_a_picture(self, folder):
        out = folder / "pictures" / "all.png"
        assert "3 of 5 grasps, written to" in self.told(folder, "--count", 3, "--out", out)
        picture = imageio.imread(out)
        assert picture.shape[1] == 3 * 240
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
        again = folder / "again.png"
        self.told(folder, "--count", 3, "--out", again)
        assert np.array_equal(imageio.imread(again), picture)
        self.told(folder, "--count", 3, "--out", again, "--seed", 1)
        assert not np.array_equal(imageio.imread(again), picture)

    def test_the_browser_until_it_is_interrupted(self, folder, monkeypatch):
        def interrupted(_):
            raise KeyboardInterrupt

        monkeypatch.setattr("dexgrasp_cli.data_show_command.time.sleep", interrupted)
        told = self.told(folder, "--viewer", "--port", 0)
        assert "5 grasps at http://localhost:" in told

    def test_an_object_that_cannot_be_shown_is_tried_once_and_left_out(self, folder, monkeypatch):
        tried = []

        def find(meshes, name, scale):
            tried.append(name)
            return find_object(meshes, name, scale)

        monkeypatch.setattr("dexgrasp_models.data.dexgraspbench.find_object", find)
        GraspSet.open(folder / "set").append(some_grasps("absent", 3), Provenance())
        told = self.told(folder, "--out", folder / "some.png", status=1)
        assert "left out: no mesh of absent" in told
        assert "5 of 8 grasps, written to" in told
        assert tried.count("absent") == 1
        assert (folder / "some.png").exists()

    def test_bad_input(self, folder):
        assert "no grasps of cup" in self.told(folder, "--object", "cup", status=2)
        with contextlib.closing(socket.create_server(("localhost", 0))) as taken:
            port = taken.getsockname()[1]
            assert "is taken" in self.told(folder, "--viewer", "--port", port, status=2)
        (folder / "cube.obj").unlink()
        assert "no mesh of cube" in self.told(folder, status=2)
        assert "*.png" in self.told(folder, "--out", folder / "picture", status=2)
