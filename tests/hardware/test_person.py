"""A played reach through the Leap's service and client, and teleop with its clutch, to a wrist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from control_cell import can_cloud
from ros_graph import Graph, eventually, graph
from scipy.spatial.transform import Rotation
from teleoperator import FollowingWrist

from dexgrasp_counterparts.person_node import PersonNode, PersonParameters
from dexgrasp_interfaces.msg import ControlState
from dexgrasp_leap.leap_node import LeapNode
from dexgrasp_models.control.trajectory import interpolate_pose, pose_distance
from dexgrasp_models.tasks.pattern_files import save_recording
from dexgrasp_ros import contract
from dexgrasp_teleop.teleop_node import TeleopNode

BRISK = {
    "wait": 0.6,
    "travel_speed": 0.6,
    "travel_acceleration": 3.0,
    "turning_speed": 2.0,
    "rest": 0.3,
    "rise": 0.05,
    "rise_speed": 0.3,
}
"""The whole of it has to fit between two moments in which a busy machine loses the hand."""
BUSY = {"hand_timeout": 1.0, "clutch_timeout": 1.0, "state_timeout": 2.0}
"""All nodes of a test share one interpreter."""
START = np.eye(4)
START[:3, 3] = [-0.1, 0.05, 0.35]


def turned(place: list[float], angle: float) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec([0.0, 0.3, angle]).as_matrix()
    pose[:3, 3] = place
    return pose


REACH = [
    interpolate_pose(turned([-0.1, 0.1, 0.35], 0.2), turned([0.0, 0.05, 0.3], -0.1), share)
    for share in np.linspace(0.0, 1.0, 11)
]


class Played:
    """A person, what the device's driver and teleop make of the hand, and a wrist that follows."""

    def __init__(self, ros: Graph, recording: Path, **play: float) -> None:
        self.ros = ros
        self.diagnostics = ros.collect(contract.DIAGNOSTICS)
        self._states, self._clouds = (
            ros.tester.create_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.CONTROL_STATE, contract.OBJECT_CLOUD)
        )
        self.clutch = ros.collect(contract.CLUTCH)
        person = self.person = ros.start(
            PersonNode, port=0, rate=10.0, recording=str(recording), **{**BRISK, **play}
        )
        ros.start(LeapNode, port=person.leap_port, stale_after=0.45)
        ros.start(TeleopNode, **BUSY)
        self.wrist = FollowingWrist(ros.tester, SimpleNamespace(speak=lambda: None), START)
        assert eventually(lambda: self.said("leap", "looks for a right hand"))
        assert eventually(lambda: self.said("teleop", "released"))

    def wait_for_a_wrist(self, state: str = ControlState.WRIST) -> None:
        """As the control node does, after the cameras have looked."""
        self._states.publish(ControlState(state="capture"))
        self.look()
        self.enter(state)

    def look(self) -> None:
        """As perception; a node that is busy hears of it before the stage in which it is asked."""
        self._clouds.publish(can_cloud())

    def enter(self, state: str) -> None:
        """As the control node, at another stage."""
        self._states.publish(ControlState(state=state))

    def go_on_alone(self) -> None:
        """As the control node, from the lift on."""
        self._states.publish(ControlState(state="lift", moves_wrist=True))

    def said(self, name: str, text: str) -> bool:
        """Whether a node has said so."""
        statuses = [status for message in tuple(self.diagnostics) for status in message.status]
        return any(text in status.message for status in statuses if status.name == name)

    def is_at(self, pose: np.ndarray) -> bool:
        """Whether the wrist is wanted there, to what a filter and a busy machine leave."""
        distance, angle = pose_distance(self.wrist.measured, pose)
        return distance < 0.005 and angle < 0.03

    @property
    def pressed(self) -> bool:
        return bool(self.clutch) and bool(self.clutch[-1].buttons[0])


@pytest.fixture
def played(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Played]:
    path = tmp_path / "reach.csv"
    save_recording(path, 0.1 * np.arange(len(REACH)), REACH)
    with graph() as ros:
        yield Played(ros, path, **getattr(request, "param", {}))


def test_the_wrist_goes_where_the_hand_goes_and_the_clutch_is_let_go_when_the_robot_goes_on(played):
    assert not played.pressed
    played.wait_for_a_wrist()
    assert eventually(lambda: played.pressed)
    assert eventually(lambda: played.is_at(REACH[-1]))
    up = REACH[-1].copy()
    up[2, 3] += BRISK["rise"]
    assert eventually(lambda: played.is_at(up))
    assert played.said("teleop", "engaged")
    played.go_on_alone()
    assert eventually(lambda: not played.pressed)
    assert eventually(lambda: not played.said("leap", "no connection"))


def test_a_grasp_is_played_once_also_where_it_was_only_heard_when_it_followed_already(played):
    played.wait_for_a_wrist("follow")
    assert eventually(lambda: played.pressed)
    reach = played.person.played
    for stage in ("assist", "follow"):
        played.enter(stage)
    assert eventually(lambda: played.is_at(REACH[-1]))
    assert played.person.played is reach


def test_a_cloud_that_is_heard_before_the_cameras_were_asked_is_the_next_grasps(played):
    played.look()
    assert eventually(lambda: played.person._cloud is not None)
    stages = played.ros.collect(contract.CONTROL_STATE)
    for stage in ("capture", "plan", ControlState.WRIST):
        played.enter(stage)  # of messages that come together the last one is heard alone
        assert eventually(lambda wanted=stage: bool(stages) and stages[-1].state == wanted)
    assert eventually(lambda: played.pressed)


@pytest.mark.parametrize(
    "played", [{"rise": 0.4, "rise_speed": 0.5}, {}], indirect=True, ids=["far", "near"]
)
def test_where_the_robot_does_not_follow_the_reach_begins_anew(played):
    played.wrist.follows = False
    played.wait_for_a_wrist()
    assert eventually(lambda: played.said("teleop", "the robot's wrist does not follow"))
    assert eventually(lambda: played.said("person", "begins anew"))
    assert eventually(lambda: not played.pressed)
    assert eventually(lambda: played.pressed)


def test_a_hand_that_would_move_before_the_clutch_is_pressed_is_refused():
    with pytest.raises(ValueError, match=r"wait = 0.2 s has to be more than 0.3 s"):
        PersonParameters(wait=0.2)
