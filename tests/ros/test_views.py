"""Views for a calibration by the arm: taken from a graph, kept in files, and used."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from hand_eye_views import CAMERAS, views, wrists
from ros_graph import Graph, eventually, graph
from typer.testing import CliRunner

from dexgrasp_bringup.views import ViewError, ViewTaker
from dexgrasp_cli.cli import app
from dexgrasp_models.perception.calibration import CalibrationError
from dexgrasp_models.perception.cameras import load_rig, save_rig
from dexgrasp_models.perception.hand_eye import View
from dexgrasp_models.perception.view_files import load_views, save_view
from dexgrasp_ros import contract, conversions, image_messages

NAMES = [camera.name for camera in CAMERAS]
PERIOD = 20_000_000


class Cell:
    """Publishes a wrist 50 times a second of its own time, and images now and then."""

    def __init__(self, ros: Graph) -> None:
        wrist = contract.WRIST_POSE
        self.wrist = ros.tester.create_publisher(wrist.type, wrist.name, wrist.qos)
        topics = {name: contract.color_image(name) for name in NAMES}
        self.images = {
            name: ros.tester.create_publisher(t.type, t.name, t.qos) for name, t in topics.items()
        }
        self.ns = 1_000_000_000
        self.pose, self.speed = np.eye(4), 0.0
        self.gray = dict.fromkeys(NAMES, 0)
        self.silent: set[str] = set()

    def tick(self) -> None:
        self.ns += PERIOD
        self.pose[0, 3] += self.speed * PERIOD * 1e-9
        self.wrist.publish(conversions.pose_stamped(self.pose, self.ns, conversions.WORLD))
        if self.ns % 200_000_000 == 0:
            for name in set(NAMES) - self.silent:
                image = np.full((4, 6, 3), self.gray[name], dtype=np.uint8)
                message = image_messages.color_to_message(
                    image, self.ns, contract.optical_frame(name)
                )
                self.images[name].publish(message)


@pytest.fixture
def cell():
    with graph() as ros:
        made, stop = Cell(ros), threading.Event()

        def run() -> None:
            while not stop.wait(0.01):
                made.tick()

        thread = threading.Thread(target=run)
        thread.start()
        made.taker = ViewTaker(ros.tester, NAMES)
        yield made
        stop.set()
        thread.join()


def refused(cell: Cell) -> str:
    """Why there is no view now; empty if there is."""
    try:
        cell.taker.take("now", 0.0)
    except ViewError as error:
        return str(error)
    return ""


def test_a_view_is_of_the_wrist_that_stands_and_of_images_from_then(cell):
    cell.gray = {"camera_1": 10, "camera_2": 20}
    taken = cell.taker.take("first", 30.0)
    assert np.allclose(taken.world_T_palm, cell.pose)
    assert {name: int(image[0, 0, 0]) for name, image in taken.images.items()} == cell.gray
    cell.speed = 0.1
    assert eventually(lambda: "let the arm stand" in refused(cell))
    cell.gray = {"camera_1": 30, "camera_2": 40}
    cell.speed = 0.0
    taken = cell.taker.take("second", 30.0)
    assert np.allclose(taken.world_T_palm, cell.pose)
    assert {name: int(image[0, 0, 0]) for name, image in taken.images.items()} == cell.gray


def test_a_camera_that_is_silent_is_named(cell):
    assert eventually(lambda: bool(cell.taker.take("there", 30.0)))
    cell.silent = {"camera_2"}
    cell.speed = 0.1
    assert eventually(lambda: "let the arm stand" in refused(cell))
    cell.speed = 0.0
    assert eventually(lambda: refused(cell) == "no new color image of camera_2")


def test_views_are_found_again_as_they_were(tmp_path):
    taken = views(wrists(2))
    taken[1] = dataclasses.replace(taken[1], images={"camera_1": np.zeros((4, 6, 3), np.uint8)})
    for view in taken:
        save_view(view, tmp_path)
    for view, found in zip(taken, load_views(tmp_path, NAMES), strict=True):
        assert found.name == view.name
        assert np.allclose(found.world_T_palm, view.world_T_palm, atol=1e-12)
        assert found.images.keys() == view.images.keys()
        assert all(np.array_equal(found.images[n], view.images[n]) for n in view.images)
    with pytest.raises(FileExistsError):
        save_view(taken[0], tmp_path)


@pytest.mark.parametrize("palm", ["", "{}", '{"position": [0, 0], "quaternion_xyzw": [0, 0, 1]}'])
def test_a_damaged_view_is_named(tmp_path, palm):
    save_view(View("view_1", np.eye(4), {}), tmp_path)
    (tmp_path / "view_1" / "palm.json").write_text(palm)
    with pytest.raises(CalibrationError, match="view_1 can't be read"):
        load_views(tmp_path, NAMES)


def test_the_command_writes_a_rig_of_cameras_where_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, rig, out = tmp_path / "views", tmp_path / "rig.yaml", tmp_path / "found.yaml"
    for view in views(wrists(7)):
        save_view(view, folder)
    save_rig([dataclasses.replace(c, world_T_optical=np.eye(4)) for c in CAMERAS], rig)
    command = ["calibrate-by-arm", str(folder), "--rig", rig.name, "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "worst: view_" in result.output
    for camera, found in zip(CAMERAS, load_rig(out), strict=True):
        offset = found.world_T_optical[:3, 3] - camera.world_T_optical[:3, 3]
        assert np.linalg.norm(offset) < 0.002


def test_a_folder_without_views_is_refused(tmp_path):
    out = tmp_path / "rig.yaml"
    result = CliRunner().invoke(app, ["calibrate-by-arm", str(tmp_path), "--out", str(out)])
    assert result.exit_code == 2
    assert "has no views" in result.output
    assert not out.exists()
