"""What goes wrong ends in a clear message and a stopped, consistent system."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import trimesh
from rclpy.parameter import Parameter
from ros_graph import Graph, eventually, graph
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from dexgrasp_control.control_node import ControlNode
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_proposals.proposal_node import ProposalNode
from dexgrasp_ros import contract, conversions
from dexgrasp_sim_bridge.bridge_node import BridgeNode

FAST = {"proposer": "analytic", "analytic__iterations": 10, "analytic__batch": 16}


def process(module: str, ros: Graph | None = None, **parameters) -> subprocess.Popen:
    """A node as a process of its own."""
    command = [sys.executable, "-m", module, "--ros-args"]
    for name, value in parameters.items():
        command += ["-p", f"{name.replace('__', '.')}:={value}"]
    environment = dict(os.environ)
    if ros is not None:
        environment["ROS_DOMAIN_ID"] = str(ros.domain)
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def wrist_rests(ros: Graph) -> bool:
    """Whether nothing commands the robot any more, and the bridge still runs."""
    targets, poses = ros.collect(contract.WRIST_TARGET), ros.collect(contract.WRIST_POSE)
    time.sleep(0.3)
    targets.clear()
    poses.clear()
    assert eventually(lambda: len(poses) > 10)
    return not targets


def running(ros: Graph, bridge: dict | None = None, perception: dict | None = None) -> None:
    """Bridge, perception and control in real time."""
    ros.bridge = ros.start(BridgeNode, camera_rate=5.0, real_time_rate=0.5, **(bridge or {}))
    ros.start(PerceptionNode, use_sim_time=True, frame_timeout=6.0, **(perception or {}))
    ros.start(ControlNode, use_sim_time=True, state_timeout=2.0, proposal_timeout=15.0, seed=1)


def test_one_camera_dropped_in_mid_run_is_named_and_the_rest_go_on():
    with graph() as ros:
        running(ros, {"object": "can"})
        ros.start(ProposalNode, use_sim_time=True, **FAST)
        diagnostics = ros.collect(contract.DIAGNOSTICS)
        ros.bridge.set_parameters([Parameter("disabled_cameras", value=["camera_2"])])
        stages: list[str] = []
        handle, result = ros.grasp(
            ExecuteGrasp.Goal(choose=True), lambda m: stages.append(m.feedback.stage)
        )
        assert eventually(lambda: "pregrasp" in stages), stages
        assert eventually(
            lambda: any("camera_2" in s.message for m in diagnostics for s in m.status)
        )
        ros.wait(handle.cancel_goal_async())
        assert ros.wait(result).result.outcome == "aborted"
        assert wrist_rests(ros)


def test_all_cameras_but_one_dropped_end_the_grasp():
    with graph() as ros:
        running(
            ros,
            {"object": "can", "disabled_cameras": ["camera_1", "camera_2", "camera_3"]},
            {"max_frame_age": 0.5},
        )
        _, result = ros.grasp(ExecuteGrasp.Goal(choose=True))
        outcome = ros.wait(result).result
        assert outcome.outcome == "no_cloud"
        assert "camera_1" in outcome.reason
        assert wrist_rests(ros)


def test_nan_in_a_depth_image_is_no_reading():
    """A driver that sends metres as floats, with NaN where nothing was read."""
    with graph() as ros:
        ros.start(BridgeNode, object="can", camera_rate=5.0, disabled_cameras=["camera_1"])
        ros.start(PerceptionNode, use_sim_time=True, frame_timeout=2.0)
        topic = contract.depth_image("camera_1")
        info = contract.depth_info("camera_1")
        donor = ros.collect(contract.depth_info("camera_2"))
        clock = ros.collect(contract.CLOCK)
        depths, infos = (
            ros.tester.create_publisher(each.type, each.name, each.qos) for each in (topic, info)
        )
        assert eventually(lambda: donor and clock)

        def publish() -> None:
            stamp = clock[-1].clock
            message = Image(height=480, width=640, encoding="32FC1", step=640 * 4)
            message.header.frame_id, message.header.stamp = topic.frame_id, stamp
            message.data.frombytes(np.full((480, 640), np.nan, np.float32).tobytes())
            depths.publish(message)
            ours = donor[-1]
            ours.header = message.header
            infos.publish(ours)

        ros.tester.create_timer(0.1, publish)
        response = ros.call(Trigger, contract.CAPTURE_SERVICE, Trigger.Request())
        assert response.success, response.message
        assert "camera_1" in response.message  # and says that this camera gave nothing
        cloud = ros.collect(contract.OBJECT_CLOUD)
        assert eventually(lambda: bool(cloud))
        points, _ = conversions.cloud_from_message(cloud[-1])
        assert np.isfinite(points).all()


def test_the_proposal_node_killed_during_a_grasp():
    with graph() as ros:
        running(ros, {"object": "can"})
        # So many steps that it is still at work when it is killed.
        proposals = process(
            "dexgrasp_proposals.proposal_node",
            ros,
            use_sim_time=True,
            learned__refinement_steps=10_000,
        )
        try:
            # While it starts, it takes the core that the cameras need for the capture.
            assert eventually(
                lambda: ros.tester.count_services(contract.GENERATE_SERVICE) == 1, timeout=60.0
            )
            stages: list[str] = []
            _, result = ros.grasp(
                ExecuteGrasp.Goal(choose=True), lambda m: stages.append(m.feedback.stage)
            )
            assert eventually(lambda: "propose" in stages), stages
            time.sleep(0.5)
        finally:
            proposals.kill()
            proposals.communicate()
        outcome = ros.wait(result).result
        assert outcome.outcome == "no_proposal"
        assert contract.GENERATE_SERVICE in outcome.reason
        assert wrist_rests(ros)


def test_an_object_out_of_reach_is_refused():
    with graph() as ros:
        running(ros, {"object": "can", "object_position": [0.55, 0.0]})
        ros.start(ProposalNode, use_sim_time=True, **FAST)
        _, result = ros.grasp(ExecuteGrasp.Goal(choose=True))
        outcome = ros.wait(result).result
        assert outcome.outcome in ("no_cloud", "no_proposal")
        assert outcome.reason
        assert wrist_rests(ros)


def mesh_file(folder, kind: str) -> str:
    path = folder / f"{kind}.obj"
    if kind == "open":
        box = trimesh.creation.box(extents=(0.06, 0.06, 0.1))
        trimesh.Trimesh(box.vertices, box.faces[:-2]).export(path)
    elif kind == "metre":
        trimesh.creation.box(extents=(1.0, 0.1, 0.1)).export(path)
    return str(path)


@pytest.mark.parametrize(
    ("kind", "complaint"), [("missing", "missing.obj"), ("open", "not closed"), ("metre", "scale")]
)
def test_a_mesh_that_cannot_be_used(tmp_path, kind, complaint):
    with graph() as ros:
        node = ros.create(BridgeNode, object=mesh_file(tmp_path, kind))
        diagnostics = ros.collect(contract.DIAGNOSTICS)
        node.trigger_configure()
        assert complaint in node.failure
        assert not node.active
        assert eventually(
            lambda: any(complaint in s.message for m in diagnostics for s in m.status)
        )


def test_a_parameter_out_of_range_ends_the_process_with_a_message():
    bridge = process("dexgrasp_sim_bridge.bridge_node", friction=9.0)
    _, log = bridge.communicate(timeout=60)
    assert bridge.returncode == 1
    assert "parameter 'friction' of /sim_bridge is 9, must be between 0.01 and 3" in log


def test_a_mesh_that_is_missing_ends_the_process_with_a_message():
    bridge = process("dexgrasp_sim_bridge.bridge_node", object="no/such/mesh.obj")
    _, log = bridge.communicate(timeout=60)
    assert bridge.returncode == 1
    assert "no/such/mesh.obj" in log
    assert "Traceback" not in log


def test_a_terminated_node_ends_well():
    with graph() as ros:
        diagnostics = ros.collect(contract.DIAGNOSTICS)
        proposals = process("dexgrasp_proposals.proposal_node", ros)
        assert eventually(lambda: bool(diagnostics))
        proposals.terminate()
        _, log = proposals.communicate(timeout=20)
        assert proposals.returncode == 0
        assert "Traceback" not in log
