"""The RViz layout shows topics of the contract, and asks for them as they are offered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from geometry_msgs.msg import PoseArray, PoseStamped
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_ros import contract

CAMERAS = [camera.name for camera in load_rig(find_config("cameras/four_d415.yaml"))]
TOPICS = {
    topic.name: topic
    for topic in (
        *(each for each in vars(contract).values() if isinstance(each, contract.Topic)),
        *(contract.depth_image(camera) for camera in CAMERAS),
        *(contract.color_image(camera) for camera in CAMERAS),
    )
}
SHOWN_BY = {
    "rviz_default_plugins/RobotModel": String,
    "rviz_default_plugins/PointCloud2": PointCloud2,
    "rviz_default_plugins/MarkerArray": MarkerArray,
    "rviz_default_plugins/PoseArray": PoseArray,
    "rviz_default_plugins/Pose": PoseStamped,
    "rviz_default_plugins/Image": Image,
}
DURABILITIES = {
    "Transient Local": DurabilityPolicy.TRANSIENT_LOCAL,
    "Volatile": DurabilityPolicy.VOLATILE,
}
RELIABILITIES = {
    "Reliable": ReliabilityPolicy.RELIABLE,
    "Best Effort": ReliabilityPolicy.BEST_EFFORT,
}


def layout() -> dict[str, Any]:
    return yaml.safe_load(find_config("dexgrasp.rviz").read_text(encoding="utf-8"))


def displays_with_topics(displays: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for display in displays:
        if "Displays" in display:
            yield from displays_with_topics(display["Displays"])
        if topic := display.get("Topic") or display.get("Description Topic"):
            yield display["Class"], topic


DISPLAYS = list(displays_with_topics(layout()["Visualization Manager"]["Displays"]))


@pytest.mark.parametrize(("plugin", "asked"), DISPLAYS, ids=[each["Value"] for _, each in DISPLAYS])
def test_display_matches_the_contract(plugin, asked):
    offered = TOPICS[asked["Value"]]
    assert offered.type is SHOWN_BY[plugin]
    assert DURABILITIES[asked["Durability Policy"]] == offered.qos.durability
    if RELIABILITIES[asked["Reliability Policy"]] == ReliabilityPolicy.RELIABLE:
        assert offered.qos.reliability == ReliabilityPolicy.RELIABLE


def test_everything_worth_seeing_is_shown():
    shown = {asked["Value"] for _, asked in DISPLAYS}
    wanted = (
        contract.ROBOT_DESCRIPTION, contract.OBJECT_CLOUD, contract.SCENE_CLOUD,
        contract.GRASP_MARKERS, contract.GRASP_POSES, contract.WRIST_TARGET,
    )  # fmt: skip
    assert {topic.name for topic in wanted} <= shown
    assert {contract.depth_image(camera).name for camera in CAMERAS} <= shown
    assert layout()["Visualization Manager"]["Global Options"]["Fixed Frame"] == "world"
