"""The browser viewer on real topics, from a made-up graph in another process."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import rclpy
import viewer_graph
from headless_browser import find_chromium, open_page
from rclpy.executors import SingleThreadedExecutor
from scipy.spatial.transform import Rotation

from dexgrasp_bringup.processes import free_domain_id
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_models.arm.mounting import load_mounting
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.config import find_config
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_viewer.graph_commands import GraphCommands
from dexgrasp_viewer.graph_view import GraphView
from dexgrasp_viewer.grasp_watch import GraspWatch
from dexgrasp_viewer.panel import Commands, Panel
from dexgrasp_viewer.scene import OBJECT_COLOR, GraspScene
from dexgrasp_viewer.web_server import start_server

HAND = load_hand()
RIG = load_rig(find_config("cameras/four_d415.yaml"))
GRAPH = Path(viewer_graph.__file__)
PATIENCE = 60.0
shared_domain = functools.cache(free_domain_id)
"""Of the graph that most tests look at."""


def environment(domain=None):
    domain = domain or shared_domain()
    return {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONPATH": os.pathsep.join(sys.path)}


@contextlib.contextmanager
def running(*command, domain=None):
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=environment(domain),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        _, log = process.communicate(timeout=20.0)
        print(log)


@pytest.fixture(scope="module")
def graph():
    with running(GRAPH) as process:
        yield process
        assert process.poll() is None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def viewer_command(port):
    parameters = ("-p", f"port:={port}", "-p", "image_rate:=5.0")
    return ("-m", "dexgrasp_viewer.viewer_node", "--ros-args", *parameters)


class Bench:
    """The viewer's parts on a node of the test, with a page that nobody looks at."""

    def __init__(self, server, context):
        self.scene, self.texts = server.scene, []
        self.node = rclpy.create_node("bench", context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        drawing = GraspScene(server.scene, HAND, load_arm(), load_mounting(), RIG)
        self.panel = Panel(
            server.gui, Commands(*[lambda: None] * len(dataclasses.fields(Commands))), "depth"
        )
        cameras = [camera.name for camera in RIG]
        self.view = GraphView(self.node, drawing, self.panel, HAND.finger_joints, cameras, 160)
        self.commands = GraphCommands(self.node, self.texts.append)
        self.watch = GraspWatch(self.node, ExecuteGrasp, self.texts.append)

    def wait_until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"not so after {PATIENCE} s; told: {self.texts}"
            self.executor.spin_once(timeout_sec=0.05)
            self.view.update()
            self.view.update_images()
            self.watch.look()

    def drawn(self, name):
        return self.scene.get_handle_by_name(name)


@pytest.fixture
def bench(graph):
    with opened_bench(shared_domain()) as bench:
        yield bench


@contextlib.contextmanager
def opened_bench(domain):
    context = rclpy.Context()
    context.init(domain_id=domain)
    server = start_server("localhost", 0, "test")
    bench = Bench(server, context)
    try:
        yield bench
    finally:
        bench.executor.shutdown()
        bench.node.destroy_node()
        context.shutdown()
        server.stop()


def assert_at(handle, pose):
    rotation = Rotation.from_quat(handle.wxyz, scalar_first=True).as_matrix()
    np.testing.assert_allclose(handle.position, pose[:3, 3], atol=2e-4)
    np.testing.assert_allclose(rotation, pose[:3, :3], atol=2e-4)


def test_a_persons_wrist_reaches_scene_and_panel(bench):
    bench.view.follow()
    trail, gradient = "/assist/trail", "/assist/gradient"
    bench.wait_until(lambda: bench.drawn(trail) is not None and len(bench.drawn(trail).points) > 5)
    bench.wait_until(lambda: bench.drawn(gradient) is not None and bench.drawn(gradient).visible)
    way = bench.drawn(trail).points.reshape(-1, 3)
    assert way[:, 1:] == pytest.approx(np.tile(viewer_graph.WRIST_TARGET[1:3, 3], (len(way), 1)))
    assert np.ptp(way[:, 0]) <= 0.1 + 1e-6
    arrows = {name: bench.drawn(f"/assist/{name}").points for name in ("action", "gradient")}
    lengths = {name: np.linalg.norm(lines[0, 1] - lines[0, 0]) for name, lines in arrows.items()}
    assert lengths["gradient"] > 1.9 * lengths["action"] > 0.01
    assert np.allclose(arrows["action"][1:, 0], arrows["action"][1:, 1])
    assert bench.panel._assist.content.startswith("**assist**\n- `FF +0.50 #####")


def test_topics_reach_the_scene(bench):
    bench.view.follow()
    frustum = bench.drawn(f"/cameras/{RIG[-1].name}")
    bench.wait_until(
        lambda: (
            bench.drawn("/clouds/object")
            and bench.drawn("/clouds/scene")
            and bench.drawn("/proposals/0")
            and bench.drawn("/hand").visible
            and bench.drawn("/arm").visible
            and bench.drawn("/wrist_target").visible
            and frustum.image is not None
            and "four cameras" in bench.panel._diagnostics.content
        )
    )
    np.testing.assert_array_equal(
        bench.drawn("/clouds/object").points, viewer_graph.object_points()
    )
    assert_at(bench.drawn("/hand"), viewer_graph.PALM_POSE)
    assert_at(bench.drawn("/wrist_target"), viewer_graph.WRIST_TARGET)
    turned = np.linalg.norm(Rotation.from_quat(bench.drawn("/hand/rh_ffmiddle").wxyz).as_rotvec())
    assert turned > 0.0
    assert frustum.image.shape == (120, 160, 3)
    assert len(np.unique(frustum.image.reshape(-1, 3), axis=0)) > 50
    assert bench.drawn(f"/proposals/{viewer_graph.GRASP_COUNT - 1}") is not None
    assert bench.panel._picked.content == "made_up, score 0.9"
    assert bench.panel._figures.content == "- lift: 0.8"
    assert bench.view.picked_grasp.score == pytest.approx(0.9)


def test_images_can_be_switched_and_unfollowed(bench):
    bench.view.follow()
    frustum = bench.drawn(f"/cameras/{RIG[0].name}")
    bench.wait_until(lambda: frustum.image is not None)
    bench.panel._image_kind.value = "color"
    bench.view.change_choice()
    assert frustum.image is None
    bench.wait_until(lambda: frustum.image is not None)
    assert (frustum.image == (200, 0, 0)).all()
    bench.view.unfollow()
    assert not bench.view.following
    assert {each.topic_name for each in bench.node.subscriptions} == {
        "/grasp/_action/feedback", "/grasp/_action/status",
    }  # fmt: skip


def test_buttons_ask_the_graph(bench):
    def told(text):
        return lambda: any(text in each for each in bench.texts)

    bench.wait_until(lambda: bench.commands._capture.service_is_ready())
    bench.commands.capture()
    bench.wait_until(told("capture: done. 1024 points from four cameras"))
    bench.commands.propose(4)
    bench.wait_until(told("propose: failed. the cloud is empty"))
    bench.commands.stop()
    bench.wait_until(told("stop: done. nothing moved"))
    bench.wait_until(lambda: bench.commands._assist.server_is_ready())
    bench.commands.close_hand()
    bench.wait_until(told("close hand: failed. no person's wrist is followed"))
    bench.commands.assist()
    bench.wait_until(told("assist: refused"))


def test_grasp_is_followed_to_its_outcome(bench):
    bench.view.follow()
    bench.wait_until(
        lambda: bench.view.picked_grasp is not None and bench.commands._grasp.server_is_ready()
    )
    bench.panel._rank.value = 2
    bench.commands.grasp(bench.view.picked_grasp)
    bench.wait_until(lambda: "succeeded: picked 0.8" in bench.texts)
    assert "grasp: accepted" in bench.texts
    assert "approach, 50%: toward the ball" in bench.texts


def test_a_graph_that_dies_in_a_grasp_is_told():
    domain = free_domain_id()
    with running(GRAPH, domain=domain) as process, opened_bench(domain) as bench:
        bench.view.follow()
        bench.wait_until(
            lambda: bench.view.picked_grasp is not None and bench.commands._grasp.server_is_ready()
        )
        bench.commands.grasp(None)
        bench.wait_until(lambda: any(each.startswith("approach") for each in bench.texts))
        bench.wait_until(lambda: "four cameras" in bench.panel._diagnostics.content)
        process.kill()
        bench.wait_until(lambda: any("the control node is gone" in each for each in bench.texts))
        bench.wait_until(lambda: "silent for" in bench.panel._diagnostics.content)
        assert "its last word was: four cameras" in bench.panel._diagnostics.content


def test_absent_nodes_are_named():
    context = rclpy.Context()
    context.init(domain_id=free_domain_id())
    node = rclpy.create_node("alone", context=context)
    try:
        texts = []
        commands = GraphCommands(node, texts.append)
        commands.capture()
        commands.grasp(None)
        commands.assist()
        assert texts == [
            "capture: no node offers /perception/capture", "grasp: no node offers /grasp",
            "assist: no node offers /assist",
        ]  # fmt: skip
    finally:
        node.destroy_node()
        context.shutdown()


def test_busy_port_ends_the_node_with_a_clear_error():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, *viewer_command(port)],
            env=environment(), capture_output=True, text=True, timeout=60.0,
        )  # fmt: skip
    assert ended.returncode == 1
    assert f"port {port} is taken by another program" in ended.stderr


@pytest.fixture(scope="module")
def page(graph, tmp_path_factory):
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium is installed (Debian: apt install chromium)")
    port = free_port()
    with running(*viewer_command(port)) as viewer:
        wait_for_port(port, viewer)
        profile = tmp_path_factory.mktemp("profile")
        with open_page(chromium, f"http://localhost:{port}", profile) as page:
            yield page


def wait_for_port(port, process):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, "the viewer ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.2)
    raise AssertionError("the viewer does not listen")


def orange_pixels(image):
    """How many pixels have about the hue of the object's cloud."""
    red, green, blue = image.reshape(-1, 3).T.astype(int)
    wanted = np.array(OBJECT_COLOR)
    close = (red > 1.3 * green) & (green > 1.3 * blue) & (red > 0.5 * wanted[0])
    return int(close.sum())


def test_page_shows_the_scene(page):
    """Text comes over the websocket; the picture holds the object in its colour."""
    page.wait_for_text("wrist target is limited", timeout=60.0)
    page.wait_for_text("made_up", timeout=PATIENCE)
    deadline = time.monotonic() + 60.0
    while orange_pixels(image := page.screenshot()) < 200:
        assert time.monotonic() < deadline, "the object does not appear in the picture"
        time.sleep(0.5)
    if folder := os.environ.get("DEXGRASP_TEST_PICTURES"):
        save_picture(Path(folder) / "viewer.png", image)
    assert image.std() > 10.0


def test_pressed_button_reaches_the_graph(page):
    page.wait_for_text("wrist target is limited", timeout=60.0)
    page.click("Capture")
    page.wait_for_text("1024 points from four cameras", timeout=PATIENCE)
    page.click("Grasp")
    page.wait_for_text("toward the ball", timeout=PATIENCE)
    page.wait_for_text("succeeded: chosen", timeout=PATIENCE)


def save_picture(path, image):
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[:, :, ::-1])
