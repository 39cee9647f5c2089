"""How soon the hand's target goes along with an object that cameras see moved.

    python bench/frame_to_command.py [--moves 100] [--rate 15] [--columns 640] [--out FILE]

Perception and control run as processes, as they are launched; in the place of the proposals and of
a floating hand stands this script, in that of four cameras a process of its own. It publishes depth
images, ray-cast beforehand, of a can that lies now here, now there, while `/grasp` brings the hand
slowly and straight down to it. What is measured is the time from the stamp of the first images that
show the can elsewhere to the arrival of the first wrist target that is beside the straight way, and
how much of it passes until the cloud of these images has come. The stamp is the time of publishing:
a camera's own time to expose, to match and to send comes before it.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import multiprocessing
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from object_images import make_scene, render
from rclpy.node import Node
from reports import write_report

from dexgrasp_bringup.graph import GraspingOptions, grasping_nodes
from dexgrasp_bringup.grasp_client import GraspClient
from dexgrasp_bringup.processes import GraphProcesses, graph_environment
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_interfaces.msg import GraspArray
from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_models.config import find_config
from dexgrasp_models.control.executor import Stage
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.cameras import CameraModel, DepthFrame, load_rig
from dexgrasp_models.perception.thinning import blocks_for, thinned_camera
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros import contract, conversions, image_messages
from dexgrasp_ros.transport import use_transport_profile

LIMIT_MS = 50.0
STEP = 0.02
"""m along y, between the two places of the object."""
REST = 0.7
"""s at each place: the goal goes there in less."""
TICK = 1e-4
"""m along y from one wrist target to the next, from where on it goes along."""
PALM = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.3], [0, 0, 0, 1]])
"""Of `rh_palm` in world: the grasp, fingers down, where there is nothing to collide with."""
START = 0.46
"""m of the palm over the table at the start of each grasp."""
LAST = 0.32
"""m of the palm over the table below which no more is moved: soon the goal stays."""
STATES = 125.0
"""Hz, of the robot's."""
PATIENCE = 60.0
"""s of silence after which the measurement is given up."""
PARAMETERS = {
    "perception": {"stream_rate": 60.0},
    "control": {
        "proposals": 1,
        "follow.enabled": True,
        "follow.until": 0.005,
        "approach.distance": 0.12,
        "executor.approach_speed": 0.01,
        "lift_check.cameras": False,
    },
}


class Robot:
    """A floating hand that follows each target at once."""

    def __init__(self, node: Node) -> None:
        self._node, self._names = node, load_hand().finger_joints
        self._wrist, self._joints = PALM.copy(), np.zeros(len(self._names))
        self._joint_states, self._wrist_pose = (
            node.create_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.JOINT_STATES, contract.WRIST_POSE)
        )
        topic = contract.HAND_COMMAND
        node.create_subscription(topic.type, topic.name, self._take_joints, topic.qos)
        self.place()
        node.create_timer(1.0 / STATES, self._publish)

    def place(self) -> None:
        """Above the object, with the hand open."""
        self._wrist = PALM.copy()
        self._wrist[2, 3] = START
        self._joints = np.zeros(len(self._names))

    @property
    def height(self) -> float:
        """m of the palm over the table."""
        return float(self._wrist[2, 3])

    def take_wrist(self, pose: np.ndarray) -> None:
        """A wrist target."""
        self._wrist = pose

    def _take_joints(self, message: Any) -> None:
        if message.points:
            self._joints = conversions.targets_from_message(message, self._names)

    def _publish(self) -> None:
        ns = self._node.get_clock().now().nanoseconds
        none = np.zeros(len(self._names))
        self._joint_states.publish(
            conversions.joint_state(self._names, self._joints, none, ns, none)
        )
        self._wrist_pose.publish(conversions.pose_stamped(self._wrist, ns, conversions.WORLD))


class Cameras:
    """Four cameras, in a process of their own as drivers are; all stamp an image alike.

    Args:
        rig: the cameras.
        rate: Hz.
        noise: standard deviation of the depth, m.
        seed: of the noise.
        domain: ROS domain.
    """

    def __init__(
        self, rig: list[CameraModel], rate: float, noise: float, seed: int, domain: int
    ) -> None:
        rng, scene = np.random.default_rng(seed), make_scene("can")
        images = [
            [[render(scene, _beside(each, y), noise, rng) for each in rig] for _ in range(4)]
            for y in (0.0, STEP)
        ]
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        arguments = (images, rate, domain, other)
        self._process = context.Process(target=_publish_images, args=arguments, daemon=True)
        self._process.start()
        self._place = 0

    def move_object(self) -> int:
        """To its other place; the stamp, ns, of the first images that show it there."""
        self._place = 1 - self._place
        self._pipe.send(self._place)
        return self._pipe.recv()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()


def _publish_images(
    images: list[list[list[DepthFrame]]], rate: float, domain: int, pipe: Connection
) -> None:
    """Images of an object at one of two places: of each there are some, of each camera."""
    use_transport_profile()
    rclpy.init(domain_id=domain)
    node = rclpy.create_node("cameras")
    publishers = [
        [
            node.create_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.depth_image(name), contract.depth_info(name))
        ]
        for name in (frame.camera.name for frame in images[0][0])
    ]
    place, due = 0, time.monotonic()
    for turn in itertools.cycle(range(len(images[0]))):
        due = max(due + 1.0 / rate, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
        ns = time.time_ns()
        if pipe.poll():
            place = pipe.recv()
            pipe.send(ns)
        for frame, (image, info) in zip(images[place][turn], publishers, strict=True):
            camera, at = frame.camera, contract.optical_frame(frame.camera.name)
            size = (camera.width, camera.height)
            info.publish(image_messages.camera_info(camera.matrix, *size, ns, at))
            image.publish(image_messages.depth_to_message(frame.depth, ns, at))


def _beside(camera: CameraModel, y: float) -> CameraModel:
    """The camera as it sees an object at the origin, where that lies at y: the table is even."""
    pose = camera.world_T_optical.copy()
    pose[1, 3] -= y
    return dataclasses.replace(camera, world_T_optical=pose)


class Timing:
    """From the images of another place to the wrist target that goes along with them."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._robot = robot
        self._since_ns: int | None = None
        self._cloud_ns = 0
        self._last: np.ndarray | None = None
        self._lock = threading.Lock()
        self.to_cloud: list[float] = []
        self.to_command: list[float] = []
        self.missed = 0
        for topic, take in (
            (contract.WRIST_TARGET, self._take_target),
            (contract.CLOUD_STREAM, self._take_cloud),
        ):
            node.create_subscription(topic.type, topic.name, take, topic.qos)

    def wait_for(self, ns: int | None) -> None:
        """What comes of images of this stamp; None: nothing is waited for."""
        with self._lock:
            self.missed += ns is not None and self._since_ns is not None
            self._since_ns, self._cloud_ns = ns, 0

    def _take_cloud(self, message: Any) -> None:
        now = time.time_ns()
        with self._lock:
            stamp = conversions.stamp_to_ns(message.header.stamp)
            if self._since_ns is not None and not self._cloud_ns and stamp >= self._since_ns:
                self._cloud_ns = now

    def _take_target(self, message: Any) -> None:
        now = time.time_ns()
        pose = conversions.world_pose_from_message(message)
        self._robot.take_wrist(pose)
        with self._lock:
            last, self._last = self._last, pose
            if self._since_ns is None or last is None or abs(pose[1, 3] - last[1, 3]) < TICK:
                return
            self.to_command.append((now - self._since_ns) * 1e-6)
            if self._cloud_ns:  # else this script has not been told of it yet
                self.to_cloud.append((self._cloud_ns - self._since_ns) * 1e-6)
            self._since_ns = None


def propose(node: Node) -> None:
    """The service of proposals: always the one grasp."""
    hand = load_hand()
    closed = hand.couple(np.clip(np.full(len(hand.joints), 0.3), *hand.limits.T))
    grasp = Grasp(PALM, closed, closed, closed, score=0.0, figures={}, proposer="bench")

    def answer(_: Any, response: Any) -> Any:
        message = conversions.grasp_to_message(grasp, hand.finger_joints, 0)
        response.success, response.proposals = True, GraspArray(grasps=[message])
        return response

    node.create_service(GenerateProposals, contract.GENERATE_SERVICE, answer)


def measure(
    client: GraspClient, robot: Robot, cameras: Cameras, timing: Timing, moves: int
) -> None:
    """Lets the object be moved until so many moves have been answered.

    Raises:
        RuntimeError: no motion is to be had.
    """
    stage = ""

    def note(feedback: ExecuteGrasp.Feedback) -> None:
        nonlocal stage
        stage = feedback.stage

    while len(timing.to_command) < moves:
        robot.place()
        run = client.grasp(ExecuteGrasp.Goal(choose=True, place=False), note)
        begun = time.monotonic()
        while stage != Stage.APPROACH:
            if run.wait(0.1) or time.monotonic() - begun > PATIENCE:
                raise RuntimeError(f"no approach: {run.result.reason if run.wait(0) else stage}")
        time.sleep(0.5)  # the way begins to be straight
        timing.wait_for(None)
        while robot.height > LAST and len(timing.to_command) < moves:
            timing.wait_for(cameras.move_object())
            time.sleep(REST)
        timing.wait_for(None)
        run.cancel()
        run.wait(PATIENCE)
        stage = ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--moves", type=int, default=100)
    parser.add_argument("--rate", type=float, default=15.0, help="of the cameras, Hz")
    parser.add_argument("--columns", type=int, default=640, help="of an image, pixels")
    parser.add_argument("--noise", type=float, default=0.0015, help="standard deviation, m")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    rig = load_rig(find_config("cameras/four_d415.yaml"))
    rig = [thinned_camera(each, blocks_for(each.width, arguments.columns)) for each in rig]
    nodes = [
        dataclasses.replace(node, parameters={**node.parameters, **PARAMETERS[node.name]})
        for node in grasping_nodes(GraspingOptions(), scene="floating", simulated=False)
        if node.name in PARAMETERS
    ]
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = graph_environment()
        stack.enter_context(GraphProcesses(nodes, environment, logs))
        client = stack.enter_context(GraspClient(int(environment["ROS_DOMAIN_ID"])))
        robot = Robot(client.node)
        cameras = Cameras(
            rig,
            arguments.rate,
            arguments.noise,
            arguments.seed,
            int(environment["ROS_DOMAIN_ID"]),
        )
        stack.callback(cameras.close)
        timing = Timing(client.node, robot)
        propose(client.node)
        while client.inactive([node.name for node in nodes], timeout=1.0):
            pass
        measure(client, robot, cameras, timing, arguments.moves)
    asked = {name: value for name, value in vars(arguments).items() if name != "out"}
    report: dict[str, Any] = {**asked, "limit_ms": LIMIT_MS, "missed": timing.missed}
    print("ms                 p50    p99  greatest    n")
    for name, times in (("frame to cloud", timing.to_cloud), ("to command", timing.to_command)):
        p50, p99 = np.percentile(times, [50.0, 99.0])
        print(f"{name:16s}{p50:6.1f}{p99:7.1f}{max(times):10.1f}{len(times):5d}")
        report[name] = {"p50": p50, "p99": p99, "greatest": max(times), "ms": times}
    passed = bool(np.percentile(timing.to_command, 99.0) < LIMIT_MS)
    print(f"{timing.missed} moves were not answered before the next; {LIMIT_MS:.0f} ms allowed")
    write_report(arguments.out, {**report, "passed": passed})
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
