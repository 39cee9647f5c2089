"""Diversity of a set's grasps, and `dexgrasp data metrics`: closed forms and bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.data.diversity import greatest_angle, object_diversities
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps, concatenate
from dexgrasp_models.data.statistics import from_above
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand

TABLE = (0.0, 0.0, 1.0, 0.05)
# The palm faces -y: a turn by 90 degrees about x makes that -z, straight down.
DOWN = Rotation.from_euler("x", 90, degrees=True)


def turned(name: str, turns: Rotation, shifts=0.0, plane=TABLE) -> Grasps:
    """Open hands above the object, turned in the world from the one that faces down."""
    poses = np.tile(np.eye(4), (len(turns), 1, 1))
    poses[:, :3, :3] = (turns * DOWN).as_matrix()
    poses[:, :3, 3] = [0.0, 0.0, 0.3]
    poses[:, 0, 3] += shifts
    return Grasps.of_object(name, 1.0, poses, np.zeros((len(poses), 22)), plane)


def about(axis: str, *degrees: float) -> Rotation:
    return Rotation.from_euler(axis, np.array(degrees)[:, None], degrees=True)


@pytest.fixture(scope="module")
def kinematics():
    return HandKinematics(load_hand())


class TestDiversity:
    def test_turns_about_one_axis(self, kinematics):
        (found,) = object_diversities(turned("can", about("z", -20, 0, 20)), kinematics).values()
        assert found.grasps == 3
        assert found.greatest_angle == pytest.approx(np.deg2rad(40))
        assert found.rotation_deviation == pytest.approx(np.deg2rad(20) * np.sqrt(2 / 3))
        assert found.from_above == 1.0

    def test_shifts_move_all_keypoints(self, kinematics):
        grasps = turned("can", about("z", 0, 0), shifts=np.array([-0.03, 0.03]))
        (found,) = object_diversities(grasps, kinematics).values()
        assert found.keypoint_deviation == pytest.approx(0.03)
        assert found.rotation_deviation == pytest.approx(0.0, abs=1e-6)

    def test_objects_are_apart(self, kinematics):
        grasps = concatenate([turned("a", about("z", 0, 90)), turned("b", about("z", 5))])
        found = object_diversities(grasps[::-1], kinematics)
        assert found["a"].greatest_angle == pytest.approx(np.pi / 2)
        assert found["b"].greatest_angle == pytest.approx(0.0, abs=1e-6)

    def test_above_and_side(self, kinematics):
        grasps = turned("can", about("x", 0, 44, 46, 90, 180))
        assert from_above(grasps).tolist() == [True, True, False, False, False]
        (found,) = object_diversities(grasps, kinematics).values()
        assert found.from_above == pytest.approx(0.4)
        (free,) = object_diversities(turned("can", about("x", 0), plane=None), kinematics).values()
        assert np.isnan(free.from_above)

    def test_greatest_angle_against_all_pairs(self):
        rotations = Rotation.random(40, random_state=0)
        pairs = [(a.inv() * b).magnitude() for a in rotations[:] for b in rotations[:]]
        assert greatest_angle(rotations.as_matrix()) == pytest.approx(max(pairs), abs=1e-6)


class TestCommand:
    @pytest.fixture
    def folder(self, tmp_path):
        """A cube that one hand grasps nowhere near, and another whose hands are all alike."""
        grasps = GraspSet.open(tmp_path / "set", create=True)
        grasps.append(turned("wide", about("x", 0, 60, 120)), Provenance())
        grasps.append(turned("narrow", about("z", 0, 25)), Provenance())
        for name in ("wide", "narrow"):
            trimesh.creation.box((0.06, 0.06, 0.06)).export(tmp_path / f"{name}.obj")
        return tmp_path

    def told(self, folder, *options, status=0) -> str:
        arguments = ["data", "metrics", str(folder / "set"), "--meshes", str(folder), *options]
        result = CliRunner(env={"COLUMNS": "160"}).invoke(app, arguments)
        assert result.exit_code == status, result.output
        return result.output

    def test_figures_and_offenders(self, folder):
        summary = json.loads(self.told(folder, "--json", "--count", "4"))
        assert (summary["grasps"], summary["objects"], summary["evaluated"]) == (5, 2, 4)
        assert summary["figures"]["q1"]["greatest"] == 0.0
        assert summary["figures"]["contact_count"]["greatest"] == 0.0
        assert summary["shares"]["q1 above 0"] == 0.0
        assert summary["shares"]["object_penetration at most 1 mm"] == 1.0
        assert summary["from_above"] == pytest.approx(3 / 5)
        assert list(summary["narrow"]) == ["narrow"]
        assert summary["narrow"]["narrow"]["grasps"] == 2
        assert summary["diversity"]["greatest_angle"]["greatest"] == pytest.approx(np.deg2rad(120))

    def test_a_hand_in_the_object_shows(self, folder):
        inside = turned("wide", about("x", 0))
        inside.translations[:, 2] = 0.0
        GraspSet.open(folder / "set").append(inside, Provenance())
        summary = json.loads(self.told(folder, "--json", "--object", "wide"))
        assert summary["figures"]["object_penetration"]["greatest"] > 0.005
        assert summary["shares"]["object_penetration at most 3 mm"] == pytest.approx(3 / 4)

    def test_for_people(self, folder):
        told = self.told(folder)
        assert "1 of 2 objects with all grasps within 30 degrees" in told
        assert "narrow: 2 grasps" in told
        assert "sigma_keypoints" in told
        assert "from above: 60.0%" in told

    def test_bad_input(self, folder):
        assert "no grasps of cup" in self.told(folder, "--object", "cup", status=2)
        (folder / "wide.obj").unlink()
        assert "no mesh of wide" in self.told(folder, "--object", "wide", status=2)

    def test_an_object_that_cannot_be_used_is_left_out(self, folder):
        (folder / "wide.obj").write_text("v 0 0")
        told = self.told(folder, status=1)
        assert "left out:" in told
        assert "wide.obj" in told
        assert "2 grasps, m" in told
        arguments = ["data", "metrics", str(folder / "set"), "--meshes", str(folder), "--json"]
        assert json.loads(CliRunner().invoke(app, arguments).stdout)["evaluated"] == 2
