"""Lock-step: one seed repeats exactly, over ROS and in process."""

from __future__ import annotations

import time

import numpy as np
from depth_scenes import Sphere, Table, render
from lock_step_graph import PATIENCE, start_in_lock_step
from ros_graph import eventually, graph
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_ros import contract, conversions, image_messages
from dexgrasp_sim.episodes.episode import EpisodeSettings, run_episode

SETTINGS = EpisodeSettings("can", seed=3)


def grasp_over_ros(ros) -> tuple[ExecuteGrasp.Result, np.ndarray]:
    """The outcome, and the object's last pose."""
    object_poses = ros.collect(contract.OBJECT_POSE)
    _, result = ros.grasp(ExecuteGrasp.Goal(choose=True, place=False))
    outcome = ros.wait(result, 2 * PATIENCE).result
    return outcome, conversions.pose_from_message(object_poses[-1].pose)


def test_two_runs_over_ros_and_one_in_process_end_alike():
    with graph() as ros:
        start_in_lock_step(ros, SETTINGS)
        first_outcome, first = grasp_over_ros(ros)
        assert ros.call(Trigger, contract.RESET_SERVICE, Trigger.Request()).success
        second_outcome, second = grasp_over_ros(ros)
    episode = run_episode(SETTINGS)
    assert first_outcome.outcome == second_outcome.outcome == "succeeded"
    # The cameras looked at the same moment of the hold, and saw the same.
    assert first_outcome.lifted_by == "cameras", first_outcome.reason
    assert first_outcome.reason == second_outcome.reason
    assert np.abs(first - second).max() < 1e-12
    in_process = np.reshape(episode.object_pose, (4, 4))
    assert np.abs(first - in_process).max() < 1e-12
    assert episode.success


def test_a_capture_that_was_asked_for_before_the_clock_went_back():
    """Right after a reset a request may overtake the clock on its way to the perception node."""
    rig = load_rig(find_config("cameras/four_d415.yaml"))
    bodies = [Sphere((0.0, 0.0, 0.035), 0.035), Table()]
    images = {camera.name: render(camera, bodies) for camera in rig}
    with graph() as ros:
        node = ros.start(PerceptionNode, use_sim_time=True, frame_timeout=20.0, mask_robot=False)
        clock = ros.tester.create_publisher(Clock, contract.CLOCK.name, contract.CLOCK.qos)
        depth = {
            name: ros.tester.create_publisher(topic.type, topic.name, topic.qos)
            for name, topic in ((name, contract.depth_image(name)) for name in images)
        }
        infos = {
            name: ros.tester.create_publisher(topic.type, topic.name, topic.qos)
            for name, topic in ((name, contract.depth_info(name)) for name in images)
        }

        def clock_shows(seconds: float) -> bool:
            ns = conversions.seconds_to_ns(seconds)
            clock.publish(Clock(clock=conversions.ns_to_stamp(ns)))
            return node.get_clock().now().nanoseconds == ns

        assert eventually(lambda: clock_shows(8.0))
        client = ros.tester.create_client(Trigger, contract.CAPTURE_SERVICE)
        assert client.wait_for_service(60.0)
        asked = time.monotonic()
        response = client.call_async(Trigger.Request())
        time.sleep(0.5)  # the request is there
        assert eventually(lambda: clock_shows(0.0))

        def images_come() -> bool:
            for camera in rig:
                frame = camera.optical_frame
                infos[camera.name].publish(
                    image_messages.camera_info(camera.matrix, camera.width, camera.height, 0, frame)
                )
                depth[camera.name].publish(
                    image_messages.depth_to_message(images[camera.name], 0, frame)
                )
            time.sleep(0.1)
            return response.done()

        assert eventually(images_come)
        assert response.result().success, response.result().message
        assert time.monotonic() - asked < 15.0
