"""A simulated run is recorded, and perception and proposals work on the playback."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from proposal_requests import FAST, generate
from ros_graph import Graph, eventually, graph
from rosbags.rosbag2 import Reader
from std_srvs.srv import Trigger
from typer.testing import CliRunner

from dexgrasp_bringup.bag import BagPlayer
from dexgrasp_cli.cli import app
from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_proposals.proposal_node import ProposalNode
from dexgrasp_ros import contract, conversions
from dexgrasp_sim_bridge.bridge_node import BridgeNode

CAMERAS = [camera.name for camera in load_rig(find_config("cameras/four_d415.yaml"))]
RUN = "from dexgrasp_cli.cli import main; main()"
PATIENCE = 60.0


def command(ros: Graph, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        env=ros.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def interrupted(process: subprocess.Popen) -> str:
    """What it said until it ended."""
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    return output


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few images of each camera, with a can on the table."""
    path = tmp_path_factory.mktemp("bags") / "can"
    with graph() as ros:
        # Time stands still in lock-step before a grasp: images come however busy the machine is.
        ros.start(BridgeNode, object="can", mode="lock_step")
        infos = {name: ros.collect(contract.depth_info(name)) for name in CAMERAS}
        process = command(ros, "record", str(path))
        try:
            assert eventually(
                lambda: all(
                    ros.tester.count_subscribers(contract.depth_image(name).name) == 1
                    for name in CAMERAS
                ),
                timeout=PATIENCE,
            )
            seen = {name: len(infos[name]) for name in CAMERAS}
            assert eventually(
                lambda: all(len(infos[name]) >= seen[name] + 5 for name in CAMERAS),
                timeout=PATIENCE,
            )
            interrupted(process)
        finally:
            process.kill()
    return path


def test_the_bag_has_what_perception_hears(bag: Path) -> None:
    with Reader(bag) as reader:
        counts = {name: topic.msgcount for name, topic in reader.topics.items()}
        types = {name: topic.msgtype for name, topic in reader.topics.items()}
    images = [f"/{contract.depth_image(name).name}" for name in CAMERAS]
    infos = [f"/{contract.depth_info(name).name}" for name in CAMERAS]
    assert min(counts[name] for name in images + infos) >= 3
    assert min(counts["/clock"], counts["/joint_states"], counts["/wrist_pose"]) >= 3
    assert types["/clock"] == "rosgraph_msgs/msg/Clock"
    assert (bag / "metadata.yaml").is_file()


def test_perception_and_proposals_work_on_the_playback(bag: Path) -> None:
    with graph() as ros:
        ros.start(PerceptionNode, use_sim_time=True, frame_timeout=PATIENCE)
        ros.start(ProposalNode, use_sim_time=True, **FAST)
        clouds = ros.collect(contract.OBJECT_CLOUD)
        process = command(ros, "replay", str(bag), "--loop")
        try:
            clock = ros.collect(contract.CLOCK)
            assert eventually(lambda: bool(clock), timeout=PATIENCE)
            response = ros.call(
                Trigger, contract.CAPTURE_SERVICE, Trigger.Request(), timeout=2 * PATIENCE
            )
            assert response.success, response.message
            assert eventually(lambda: bool(clouds))
            points, normals = conversions.cloud_from_message(clouds[0])
            assert np.all(np.abs(points[:, :2]) < 0.15)
            assert 0.05 < points[:, 2].max() < 0.15
            assert normals is not None
            proposed = generate(ros, count=2)
            assert proposed.success, proposed.message
            assert len(proposed.proposals.grasps) == 2
            interrupted(process)
        finally:
            process.kill()


def test_a_recording_without_a_clock_makes_one(bag: Path) -> None:
    with graph() as ros:
        heard = ros.collect(contract.CLOCK)
        topics = [contract.JOINT_STATES, contract.depth_info(CAMERAS[0])]
        player = BagPlayer(ros.tester, bag, topics)
        assert player.topics == [f"/{contract.depth_info(CAMERAS[0]).name}", "/joint_states"]
        player.play(threading.Event(), rate=10.0)
        player.close()
        with Reader(bag) as reader:
            start, end = reader.start_time, reader.end_time
        assert eventually(lambda: len(heard) > 5)
        times = [conversions.stamp_to_ns(message.clock) for message in heard]
        assert times == sorted(set(times))
        assert start <= times[0] < times[-1] <= end


def refusal(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, " ".join(result.output.split())


def test_what_is_no_bag_is_refused(bag: Path, tmp_path: Path) -> None:
    status, said = refusal("replay", str(tmp_path / "nowhere"))
    assert (status, "nowhere is no bag that can be read" in said) == (2, True)
    (tmp_path / "empty").mkdir()
    status, said = refusal("replay", str(tmp_path / "empty"))
    assert (status, "empty is no bag that can be read" in said) == (2, True)
    broken = tmp_path / "broken.mcap"
    whole = next(bag.glob("*.mcap")).read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    status, said = refusal("replay", str(broken))
    assert status == 2, said
    assert "broken.mcap" in said


def test_a_bag_of_another_namespace_is_refused_with_what_it_has(bag: Path) -> None:
    status, said = refusal("replay", str(bag), "--namespace", "cell1")
    assert status == 2
    assert "has none of /cell1/" in said
    assert "/camera_1/depth/image_rect_raw" in said


def test_nothing_is_written_over_and_nothing_is_left_where_nothing_came(
    bag: Path, tmp_path: Path
) -> None:
    before = (bag / "metadata.yaml").read_bytes()
    status, said = refusal("record", str(bag))
    assert (status, "exists: name a folder that does not" in said) == (2, True)
    assert (bag / "metadata.yaml").read_bytes() == before
    with graph() as ros:
        process = command(ros, "record", str(tmp_path / "empty"), "--seconds", "1")
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "nothing came on /clock" in output
    assert not (tmp_path / "empty").exists()
