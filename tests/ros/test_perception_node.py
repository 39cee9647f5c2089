"""The perception node as a process of its own, fed by made-up cameras over DDS."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point, Pose
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import ReliabilityPolicy, qos_profile_sensor_data
from ros_graph import graph
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import Rotation
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from dexgrasp_bringup.processes import free_domain_id
from dexgrasp_interfaces.srv import Capture
from dexgrasp_models.config import find_config
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.cameras import CameraModel, load_rig, look_at
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_ros import contract, conversions, image_messages
from dexgrasp_ros.process_end import GRACE
from dexgrasp_ros.spinning import SpinningThread

ROOT = Path(__file__).resolve().parents[2]
from depth_scenes import Box, Sphere, Table, render  # noqa: E402

shared_domain = functools.cache(free_domain_id)
"""Of the node that most tests ask."""
PUBLISH_PERIOD = 0.1
BALL = Sphere((0.02, -0.01, 0.035), 0.035)
CARTON = Box((0.0, 0.0, 0.05), (0.07, 0.05, 0.10))
FAR_AWAY = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3.0], [0, 0, 0, 1.0]])
PARAMETERS = {"frame_timeout": 2.0, "camera_timeout": 1.0, "stream_rate": 20.0}
RIG = load_rig(find_config("cameras/four_d415.yaml"))
NAMES = [camera.name for camera in RIG]


def node_command(parameters):
    command = [sys.executable, "-m", "dexgrasp_perception.perception_node", "--ros-args"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    return command


def node_environment(domain):
    folders = ("models", "ros2_ws/src/dexgrasp_ros", "ros2_ws/src/dexgrasp_perception")
    paths = [str(ROOT / folder) for folder in folders]
    if os.environ.get("PYTHONPATH"):
        paths.append(os.environ["PYTHONPATH"])
    return {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONPATH": os.pathsep.join(paths)}


@contextmanager
def running_node(parameters, domain):
    process = subprocess.Popen(
        node_command(parameters), env=node_environment(domain), stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        _, log = process.communicate(timeout=20)
        print(log)


@dataclass
class Shot:
    """What a camera delivers: an image of any encoding, intrinsics, and the age of its stamp."""

    image: np.ndarray
    model: CameraModel
    age: float = 0.0
    encoding: str | None = None
    frame_id: str | None = None
    info: bool = True
    lost: bool = False
    calibration: dict = field(default_factory=dict)  # fields of its camera_info
    missing_bytes: int = 0


@dataclass
class Bench:
    """Cameras and robot around the node, as far as its topics can tell."""

    node: rclpy.node.Node
    shots: dict[str, Shot] = field(default_factory=dict)
    wrist: np.ndarray | None = field(default_factory=lambda: FAR_AWAY)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self):
        node, self.publishers = self.node, {}
        self.offer()
        states, wrist = contract.JOINT_STATES, contract.WRIST_POSE
        self.joint_states = node.create_publisher(states.type, states.name, states.qos)
        self.wrist_pose = node.create_publisher(wrist.type, wrist.name, wrist.qos)
        node.create_timer(PUBLISH_PERIOD, self.publish)
        self.capture_client = node.create_client(Trigger, contract.CAPTURE_SERVICE)
        self.received = {}
        for topic in (contract.OBJECT_CLOUD, contract.SCENE_CLOUD):
            self.listen(topic)
        self.diagnostics = []
        topic = contract.DIAGNOSTICS
        node.create_subscription(
            topic.type, topic.name, lambda m: self.diagnostics.append(m.status[0]), topic.qos
        )

    def offer(self, offered=None):
        """Publishes images, with another quality of service than the contract's if one is given."""
        with self.lock:
            for camera in RIG:
                for old in self.publishers.get(camera.name, ()):
                    self.node.destroy_publisher(old)
                self.publishers[camera.name] = tuple(
                    self.node.create_publisher(topic.type, topic.name, offered or topic.qos)
                    for topic in (
                        contract.depth_image(camera.name),
                        contract.depth_info(camera.name),
                    )
                )

    @contextmanager
    def offering(self, offered):
        self.offer(offered)
        try:
            yield
        finally:
            self.offer()

    def transition(self, transition):
        client = self.node.create_client(ChangeState, "/perception/change_state")
        request = ChangeState.Request(transition=Transition(id=transition))
        assert self.call(client, request).success

    def listen(self, topic):
        def keep(message):
            self.received[topic.name] = message

        return self.node.create_subscription(topic.type, topic.name, keep, topic.qos)

    def show(self, *bodies, rig=RIG, **changes):
        """Puts bodies on the table, and all cameras to work."""
        shots = {
            camera.name: Shot(render(camera, [*bodies, Table()]), camera, **changes)
            for camera in rig
        }
        with self.lock:
            self.shots = shots

    def change(self, name, **changes):
        with self.lock:
            self.shots[name] = replace(self.shots[name], **changes)

    def unplug(self, *names):
        with self.lock:
            for name in names:
                del self.shots[name]

    def publish(self):
        now = self.node.get_clock().now().nanoseconds
        with self.lock:
            shots, publishers = dict(self.shots), dict(self.publishers)
        for name, shot in shots.items():
            depth, info = publishers[name]
            ns = now - conversions.seconds_to_ns(shot.age)
            frame = shot.frame_id or contract.optical_frame(name)
            model = shot.model
            if shot.info:
                told = image_messages.camera_info(
                    model.matrix, model.width, model.height, ns, frame
                )
                for name, value in shot.calibration.items():
                    setattr(told, name, value)
                info.publish(told)
            if not shot.lost:
                depth.publish(self.image_message(shot, ns, frame))
        names = load_hand().finger_joints
        self.joint_states.publish(
            conversions.joint_state(names, np.zeros(len(names)), np.zeros(len(names)), now)
        )
        if self.wrist is not None:
            self.wrist_pose.publish(conversions.pose_stamped(self.wrist, now, "world"))

    @staticmethod
    def image_message(shot, ns, frame):
        is_float = shot.image.dtype == np.float32
        blank = np.zeros_like(shot.image, np.uint16)
        message = image_messages.depth_to_message(blank if is_float else shot.image, ns, frame)
        if is_float:
            message.encoding, message.step = "32FC1", 4 * message.width
            message.data = shot.image.tobytes()
        message.encoding = shot.encoding or message.encoding
        message.data = message.data[: len(message.data) - shot.missing_bytes]
        return message

    def capture(self):
        return self.call(self.capture_client, Trigger.Request())

    def call(self, client, request):
        assert client.wait_for_service(timeout_sec=60.0), f"no service {client.service_name}"
        future = client.call_async(request)
        wait_until(future.done, "an answer")
        return future.result()

    def object_cloud(self, since_ns):
        def arrived():
            message = self.received.get(contract.OBJECT_CLOUD.name)
            return message and conversions.stamp_to_ns(message.header.stamp) >= since_ns

        wait_until(arrived, "the object's cloud")
        return self.received[contract.OBJECT_CLOUD.name]


def wait_until(condition, what, timeout=20.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def running_bench():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=shared_domain())
    node = rclpy.create_node("bench", context=context)
    bench = Bench(node)
    spinning = SpinningThread(node, context=context)
    with running_node(PARAMETERS, shared_domain()) as process:
        bench.process = process
        bench.show(BALL)
        wait_until(lambda: bench.capture().success, "a first capture", timeout=60.0)
        yield bench
        assert process.poll() is None, "the node must outlive all tests"
    spinning.stop()
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def bench(running_bench):
    """All cameras see the ball; whatever a test does to them is undone before the next."""
    running_bench.wrist = FAR_AWAY
    running_bench.show(BALL)
    yield running_bench
    running_bench.wrist = FAR_AWAY
    running_bench.show(BALL)
    # On a busy machine the first images may come too late for the first look.
    wait_until(lambda: running_bench.capture().success, "the node to recover")


def test_all_cameras(bench):
    asked_ns = bench.node.get_clock().now().nanoseconds
    answer = bench.capture()
    assert answer.success
    assert re.match(
        r"1024 points of the object and 0 of the scene from camera_1, camera_2, camera_3, camera_4",
        answer.message,
    )
    message = bench.object_cloud(asked_ns)
    assert message.header.frame_id == "world"
    assert [each.name for each in message.fields] == [
        *("x", "y", "z"),
        *("normal_x", "normal_y", "normal_z"),
    ]
    points, normals = conversions.cloud_from_message(message)
    assert points.shape == normals.shape == (1024, 3)
    assert np.abs(BALL.surface_distance(points.astype(float))).max() < 0.003
    outwards = np.einsum("nc,nc->n", BALL.normals(points.astype(float)), normals)
    assert np.median(outwards) > 0.99


def test_the_scene_and_late_subscribers(bench):
    other = Box((0.15, 0.1, 0.02), (0.04, 0.04, 0.04))
    bench.show(CARTON, other)
    asked_ns = bench.node.get_clock().now().nanoseconds
    assert bench.capture().success
    bench.object_cloud(asked_ns)
    bench.received.clear()
    late = [bench.listen(topic) for topic in (contract.OBJECT_CLOUD, contract.SCENE_CLOUD)]
    wait_until(lambda: len(bench.received) == 2, "the latched clouds")
    points, normals = conversions.cloud_from_message(bench.received[contract.SCENE_CLOUD.name])
    assert normals is None
    assert len(points) > 20
    assert np.abs(other.surface_distance(points.astype(float))).max() < 0.006
    for subscription in late:
        bench.node.destroy_subscription(subscription)


def test_only_images_taken_after_the_request_are_used(bench):
    bench.show(CARTON)
    asked_ns = bench.node.get_clock().now().nanoseconds
    assert bench.capture().success
    points, _ = conversions.cloud_from_message(bench.object_cloud(asked_ns))
    assert np.abs(CARTON.surface_distance(points.astype(float))).max() < 0.003


@pytest.mark.parametrize("unplugged", [["camera_2"], ["camera_1", "camera_3"]])
def test_missing_cameras_are_named(bench, unplugged):
    bench.unplug(*unplugged)
    answer = bench.capture()
    assert answer.success
    for name in NAMES:
        assert (f"{name}: no image, nothing came for" in answer.message) == (name in unplugged)


def test_no_cameras(bench):
    bench.unplug(*NAMES)
    answer = bench.capture()
    assert not answer.success
    assert answer.message.startswith("0 usable camera images, 2 needed")
    assert all(name in answer.message for name in NAMES)


def test_stale_images(bench):
    bench.show(BALL, age=10.0)
    answer = bench.capture()
    assert not answer.success
    assert re.search(r"camera_4: its newest image was \d+\.\d s old", answer.message)


def test_images_from_the_future(bench):
    bench.show(BALL, age=-100.0)
    answer = bench.capture()
    assert not answer.success
    assert re.search(r"camera_1: its newest image is stamped \d+\.\d s ahead", answer.message)


def test_an_image_of_nan(bench):
    metres = np.full((480, 640), np.nan, np.float32)
    bench.change("camera_2", image=metres)
    answer = bench.capture()
    assert answer.success
    assert "camera_2: only 0.0 % of the image has a depth reading" in answer.message


def test_nan_among_the_readings(bench):
    metres = (bench.shots["camera_2"].image * 1e-3).astype(np.float32)
    metres[::3] = np.nan
    metres[1::5] = np.inf
    bench.change("camera_2", image=metres)
    asked_ns = bench.node.get_clock().now().nanoseconds
    answer = bench.capture()
    assert answer.success
    assert "camera_2:" not in answer.message
    points, normals = conversions.cloud_from_message(bench.object_cloud(asked_ns))
    assert np.isfinite(points).all()
    assert np.isfinite(normals).all()
    assert np.abs(BALL.surface_distance(points.astype(float))).max() < 0.003


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"missing_bytes": 1}, "camera_3: depth image of 640 x 480 with 614399 bytes"),
        ({"calibration": {"d": [0.1, 0.0, 0.0, 0.0, 0.0]}}, "'rectified: true' or"),
        ({"calibration": {"binning_x": 2}}, "camera_3: image is 640x480"),
        ({"calibration": {"k": [np.nan] * 9}}, "camera_3: camera_info is not finite"),
        ({"encoding": "rgb8"}, "camera_3: depth image with encoding 'rgb8'"),
        ({"image": np.zeros((480, 640), np.uint16)}, "camera_3: only 0.0 %"),
        ({"image": np.full((240, 320), 600, np.uint16)}, "camera_3: image is 320x240"),
    ],
)
def test_unusable_images_are_left_out(bench, changes, reason):
    bench.change("camera_3", **changes)
    answer = bench.capture()
    assert answer.success
    assert reason in answer.message
    assert "from camera_1, camera_2, camera_4 in" in answer.message


def test_a_foreign_frame_is_reported(bench):
    bench.change("camera_1", frame_id="camera_1_color_optical_frame")
    answer = bench.capture()
    assert answer.success
    assert "camera_1: image in frame 'camera_1_color_optical_frame'" in answer.message


def test_the_cameras_own_intrinsics_win(bench):
    half = [
        replace(camera, width=320, height=240, fx=300.0, fy=300.0, cx=159.5, cy=119.5)
        for camera in RIG
    ]
    bench.show(CARTON, rig=half)
    asked_ns = bench.node.get_clock().now().nanoseconds
    answer = bench.capture()
    assert answer.success
    assert "camera_1: intrinsics differ from the rig's" in answer.message
    points, _ = conversions.cloud_from_message(bench.object_cloud(asked_ns))
    assert np.abs(CARTON.surface_distance(points.astype(float))).max() < 0.004


def test_the_projection_of_a_rectified_image_wins(bench):
    """K is of the raw image that nobody sees, and of the full resolution like P."""
    matrix = [900.0, 0.0, 250.0, 0.0, 900.0, 300.0, 0.0, 0.0, 1.0]
    whole = [600.0, 0.0, 319.0, 0.0, 0.0, 600.0, 239.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    half = [
        replace(camera, width=320, height=240, fx=300.0, fy=300.0, cx=159.5, cy=119.5)
        for camera in RIG
    ]
    said = {"width": 640, "height": 480, "binning_x": 2, "binning_y": 2, "k": matrix, "p": whole}
    bench.show(CARTON, rig=half, calibration=said | {"d": [0.1, 0.0, 0.0, 0.0, 0.0]})
    asked_ns = bench.node.get_clock().now().nanoseconds
    answer = bench.capture()
    assert answer.success
    points, _ = conversions.cloud_from_message(bench.object_cloud(asked_ns))
    assert np.abs(CARTON.surface_distance(points.astype(float))).max() < 0.004


def test_nothing_on_the_table(bench):
    bench.show()
    answer = bench.capture()
    assert not answer.success
    assert answer.message == "nothing stands above the table in the workspace"


def show_a_palm(bench):
    """Shows a ball; gives the wrist whose palm is in its place."""
    bench.show(Sphere((0.0, 0.0, 0.2), 0.014))
    around = look_at([0.0, 0.0, 0.2], [1.0, 0.0, 0.2])
    around[:3, 3] -= 0.04 * around[:3, 2]
    return around


def test_the_hand_itself_is_no_object(bench):
    around = show_a_palm(bench)
    assert bench.capture().success
    bench.wrist = around
    time.sleep(3 * PUBLISH_PERIOD)
    answer = bench.capture()
    assert not answer.success
    assert "nothing stands above the table" in answer.message


def test_an_unusable_wrist_pose_is_reported(bench):
    bench.wrist = FAR_AWAY * np.nan
    bench.wrist[:3, :3] = np.eye(3)
    time.sleep(3 * PUBLISH_PERIOD)
    answer = bench.capture()
    assert answer.success
    assert "the robot's own points are not left out: the pose is not finite" in answer.message


def test_transforms_of_the_cameras(bench):
    topic = contract.TF_STATIC
    bench.listen(topic)
    wait_until(lambda: topic.name in bench.received, "the latched transforms")
    transforms = {each.child_frame_id: each for each in bench.received[topic.name].transforms}
    assert len(transforms) == 8
    for camera in RIG:
        link, optical = transforms[camera.link_frame], transforms[camera.optical_frame]
        assert link.header.frame_id == "world"
        assert optical.header.frame_id == camera.link_frame
        np.testing.assert_allclose(
            matrix(link.transform) @ matrix(optical.transform), camera.world_T_optical, atol=1e-9
        )


def matrix(transform):
    pose = Pose(orientation=transform.rotation)
    for axis in "xyz":
        setattr(pose.position, axis, getattr(transform.translation, axis))
    return conversions.pose_from_message(pose)


def test_diagnostics_name_a_silent_camera(bench):
    bench.unplug("camera_4")
    silent = "3 of 4 cameras deliver images; silent: camera_4"
    wait_until(lambda: silent in [each.message for each in bench.diagnostics], "diagnostics")
    status = next(each for each in bench.diagnostics if each.message == silent)
    assert status.name == "perception"
    assert status.level == DiagnosticStatus.WARN
    assert {value.key for value in status.values} == {"last_capture", "stream", *NAMES}
    bench.show(BALL)
    bench.diagnostics.clear()
    wait_until(
        lambda: DiagnosticStatus.OK in [each.level for each in bench.diagnostics], "recovery"
    )


def test_an_inactive_node_refuses(bench):
    bench.transition(Transition.TRANSITION_DEACTIVATE)
    answer = bench.capture()
    assert not answer.success
    assert answer.message.startswith("/perception is not active")
    bench.transition(Transition.TRANSITION_CLEANUP)
    bench.transition(Transition.TRANSITION_CONFIGURE)
    bench.transition(Transition.TRANSITION_ACTIVATE)
    wait_until(lambda: bench.capture().success, "a capture after the restart")


def test_images_are_asked_for_during_a_capture_only(bench):
    """Drivers, and the simulator, make no images that nobody asks for."""
    topic = contract.depth_image("camera_1").name
    wait_until(lambda: bench.node.count_subscribers(topic) == 0, "nobody to listen")
    asked = []

    def note():
        asked.extend(
            each.qos_profile.reliability
            for each in bench.node.get_subscriptions_info_by_topic(topic)
        )

    timer = bench.node.create_timer(0.01, note)
    assert bench.capture().success
    bench.node.destroy_timer(timer)
    assert set(asked) == {ReliabilityPolicy.RELIABLE}, "as the publisher offers"
    wait_until(lambda: bench.node.count_subscribers(topic) == 0, "nobody to listen")


@contextmanager
def streaming(bench):
    """The points of the clouds that are streamed, by their stamps in ns, as long as one listens."""
    topic, clouds = contract.CLOUD_STREAM, {}

    def keep(message):
        assert message.header.frame_id == "world"
        ns = conversions.stamp_to_ns(message.header.stamp)
        clouds[ns] = conversions.cloud_from_message(message)[0].astype(float)

    subscription = bench.node.create_subscription(topic.type, topic.name, keep, topic.qos)
    try:
        yield clouds
    finally:
        bench.node.destroy_subscription(subscription)


def told(bench, words):
    """Whether the node's newest word on its stream has these in it; a function to be waited for."""

    def is_told():
        values = bench.diagnostics[-1].values if bench.diagnostics else ()
        return any(each.key == "stream" and words in each.value for each in values)

    return is_told


def newest(clouds):
    return clouds[max(clouds)] if clouds else np.zeros((0, 3))


def test_who_listens_gets_a_stream_of_clouds_of_what_stands_there_now(bench):
    image = contract.depth_image("camera_1").name
    wait_until(lambda: bench.node.count_subscribers(image) == 0, "nobody to listen")
    with streaming(bench) as clouds:
        for body in (BALL, CARTON):
            bench.show(body)
            wait_until(
                lambda body=body: (
                    len(points := newest(clouds))
                    and np.abs(body.surface_distance(points)).max() < 0.005
                ),
                "clouds of the body that is there",
            )
        since = len(clouds)
        wait_until(lambda: len(clouds) > since + 3, "more clouds")
        assert list(clouds) == sorted(clouds)
        assert bench.capture().success, "as without a stream"
    wait_until(lambda: bench.node.count_subscribers(image) == 0, "cameras to be left alone")


def test_the_stream_goes_on_without_a_camera_and_stops_without_fresh_images(bench):
    with streaming(bench) as clouds:
        wait_until(told(bench, "points of 4 cameras"), "all cameras")
        bench.unplug("camera_2")
        wait_until(told(bench, "points of 3 cameras"), "the others")
        for name in set(NAMES) - {"camera_2"}:
            bench.change(name, age=5.0)
        wait_until(told(bench, "no fresh image of 4 cameras"), "a word on it")
        since = len(clouds)
        wait_until(told(bench, "no fresh image of 4 cameras"), "a word on it")
        assert len(clouds) == since
    wait_until(told(bench, "nobody listens"), "a word on it")


def test_the_hand_itself_is_not_in_the_stream(bench):
    around = show_a_palm(bench)
    with streaming(bench) as clouds:
        wait_until(
            lambda: len(points := newest(clouds)) > 20 and points[:, 2].min() > 0.18, "the ball"
        )
        bench.wrist = around
        wait_until(lambda: len(newest(clouds)) == 0, "the ball to be taken for the palm")
        bench.wrist = None
        since = len(clouds)
        wait_until(told(bench, "the robot's state nearest to the images"), "a word on it")
        assert len(clouds) < since + 15, "without the robot's state there are no clouds"


def test_a_driver_that_offers_best_effort_only_is_heard(bench):
    with bench.offering(qos_profile_sensor_data):
        for _ in range(5):
            answer = bench.capture()
            assert answer.success
            assert "from camera_1, camera_2, camera_3, camera_4 in" in answer.message


def test_images_lost_in_transport_are_told_from_silence(bench):
    bench.change("camera_2", lost=True)
    bench.unplug("camera_3")
    answer = bench.capture()
    assert answer.success
    assert "camera_2: its images get lost on their way, camera_info comes" in answer.message
    assert "camera_3: no image, nothing came for" in answer.message


def test_a_capture_with_a_say_in_cameras_and_region(bench):
    client = bench.node.create_client(Capture, contract.CAPTURE_WITH_SERVICE)
    near = Point(x=0.1, y=0.1, z=0.2)
    bench.show(BALL, Sphere((0.2, 0.2, 0.03), 0.03))
    asked_ns = bench.node.get_clock().now().nanoseconds
    request = Capture.Request(
        cameras=["camera_1", "camera_4"], region_min=Point(x=-0.1, y=-0.1, z=0.0), region_max=near
    )
    answer = bench.call(client, request)
    assert answer.success, answer.message
    assert answer.cameras_used == ["camera_1", "camera_4"]
    assert conversions.stamp_to_ns(answer.stamp) >= asked_ns
    points, _ = conversions.cloud_from_message(bench.object_cloud(asked_ns))
    assert np.abs(BALL.surface_distance(points.astype(float))).max() < 0.004

    for nonsense, reason in (
        ({"cameras": ["camera_9"]}, "no camera camera_9 in the rig; it has camera_1, camera_2"),
        ({"region_min": near}, "workspace_min"),
        ({"timeout": -1.0}, "timeout -1.0 s"),
    ):
        answer = bench.call(client, Capture.Request(**nonsense))
        assert not answer.success
        assert reason in answer.message


def test_a_capture_gives_up_after_its_own_timeout(bench):
    client = bench.node.create_client(Capture, contract.CAPTURE_WITH_SERVICE)
    bench.change("camera_2", lost=True)
    answer = bench.call(client, Capture.Request(timeout=0.5))  # 30 infos take 3 s
    assert re.search("camera_2: no image, nothing came for 0", answer.message)


def test_deactivated_while_a_capture_waits(bench):
    """Deactivate and clean up change what the capture waits for, in another thread."""
    for name in NAMES:
        bench.change(name, lost=True)
    waiting = bench.capture_client.call_async(Trigger.Request())
    topic = contract.depth_image("camera_1").name
    wait_until(lambda: bench.node.count_subscribers(topic) > 0, "the capture to wait")
    bench.transition(Transition.TRANSITION_DEACTIVATE)
    bench.transition(Transition.TRANSITION_CLEANUP)
    wait_until(waiting.done, "an answer")
    assert not waiting.result().success
    assert waiting.result().message == "the perception node was deactivated"
    bench.transition(Transition.TRANSITION_CONFIGURE)
    bench.transition(Transition.TRANSITION_ACTIVATE)
    bench.show(BALL)
    wait_until(lambda: bench.capture().success, "a capture after the restart")


def test_an_image_from_before_a_reset_is_not_a_newer_one():
    with graph() as ros:
        perception = ros.start(PerceptionNode, use_sim_time=True, mask_robot=False)
        clock = ros.tester.create_publisher(Clock, "/clock", 10)
        topics = {
            camera: [
                ros.tester.create_publisher(topic.type, topic.name, topic.qos)
                for topic in (contract.depth_image(camera.name), contract.depth_info(camera.name))
            ]
            for camera in RIG
        }

        def set_time(seconds):
            def is_set():
                clock.publish(Clock(clock=conversions.ns_to_stamp(int(1e9 * seconds))))
                return perception.get_clock().now().nanoseconds == int(1e9 * seconds)

            wait_until(is_set, f"time {seconds}")

        def show(body, seconds):
            for camera, (depth, info) in topics.items():
                ns, frame = int(1e9 * seconds), camera.optical_frame
                image = render(camera, [body, Table()])
                size = camera.width, camera.height
                info.publish(image_messages.camera_info(camera.matrix, *size, ns, frame))
                depth.publish(image_messages.depth_to_message(image, ns, frame))

        clouds = ros.collect(contract.OBJECT_CLOUD)
        set_time(30.0)
        set_time(0.02)  # the reset
        capture = ros.tester.create_client(Trigger, contract.CAPTURE_SERVICE)
        assert capture.wait_for_service(60.0)
        answer = capture.call_async(Trigger.Request())
        for depth, _ in topics.values():
            wait_until(lambda depth=depth: depth.get_subscription_count() > 0, "the capture")
        show(CARTON, 29.98)  # was on its way
        set_time(0.2)
        assert not answer.done()
        show(BALL, 0.2)
        assert ros.wait(answer).success, answer.result().message
        wait_until(lambda: clouds, "the cloud")
        points, _ = conversions.cloud_from_message(clouds[0])
        assert np.abs(BALL.surface_distance(points.astype(float))).max() < 0.003


def test_cameras_stand_where_tf_says():
    """The rig of the node is another than that which took the images."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", 0.5).as_matrix()
    rig = [replace(each, world_T_optical=turn @ each.world_T_optical) for each in RIG]
    domain = free_domain_id()
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("bench", context=context)
    bench = Bench(node)
    topic = contract.TF_STATIC
    transforms = node.create_publisher(topic.type, topic.name, topic.qos)
    transforms.publish(
        TFMessage(
            transforms=[
                conversions.transform_stamped(each.world_T_optical, 0, "world", f"{each.name}_eye")
                for each in rig[:3]
            ]
        )
    )
    bench.show(BALL, rig=rig)
    for each in rig:
        bench.change(each.name, frame_id=f"{each.name}_eye")
    try:
        with (
            SpinningThread(node, context=context),
            running_node({**PARAMETERS, "extrinsics": "tf"}, domain),
        ):
            since = node.get_clock().now().nanoseconds
            wait_until(lambda: bench.capture().success, "a first capture", timeout=60.0)
            answer = bench.capture()
            assert answer.success
            assert "from camera_1, camera_2, camera_3 in" in answer.message
            assert "camera_4: no transform leads from frame 'camera_4_eye'" in answer.message
            assert "not 'camera_1_depth_optical_frame'" not in answer.message
            points, _ = conversions.cloud_from_message(bench.object_cloud(since))
            assert np.abs(BALL.surface_distance(points.astype(float))).max() < 0.003
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_while_a_capture_waits(number):
    """Soon, as `process_end` sees to; the rest of the time here is for a busy machine."""
    domain = free_domain_id()
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("client", context=context)
    client = node.create_client(Trigger, contract.CAPTURE_SERVICE)
    try:
        with running_node({"frame_timeout": 60.0}, domain) as process:
            assert client.wait_for_service(60.0)
            client.call_async(Trigger.Request())
            topic = contract.depth_image("camera_1").name
            wait_until(lambda: node.count_subscribers(topic) > 0, "the capture to wait")
            process.send_signal(number)
            process.wait(timeout=GRACE + 10.0)
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"rig": "cameras/none.yaml"}, "no configuration file 'cameras/none.yaml'"),
        ({"fusion.n_points": 3}, "'fusion.n_points' of /perception is 3, must be between 16"),
    ],
)
def test_a_bad_configuration_ends_the_process_with_the_reason(parameters, reason):
    done = subprocess.run(
        node_command(parameters),
        env=node_environment(free_domain_id()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert reason in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
