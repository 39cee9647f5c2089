"""How a Leap Motion stands, by the command and a hand that is published."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
import yaml
from ros_graph import eventually, graph
from scipy.spatial.transform import Rotation

from dexgrasp_bringup.tracked_places import PlaceError, PlaceTaker
from dexgrasp_interfaces.msg import TrackedHand
from dexgrasp_ros import contract, conversions

PLACES = np.array([[0.3, 0.1, 0.2], [0.3, -0.1, 0.2], [0.5, 0.1, 0.2], [0.5, -0.1, 0.4]])
TURN = Rotation.from_euler("xyz", [0.0, 0.1, 1.5])


class Hand:
    """Publishes a hand and the robot's wrist, 50 times a second."""

    def __init__(self, node) -> None:
        hand, wrist = contract.TRACKED_HAND, contract.WRIST_POSE
        self.hands = node.create_publisher(hand.type, hand.name, hand.qos)
        self.wrists = node.create_publisher(wrist.type, wrist.name, wrist.qos)
        self.place, self.identity, self.tracked, self.shaking = PLACES[0], 1, True, 0.0
        self.sign = 1.0
        node.create_timer(0.02, self.publish)

    def publish(self) -> None:
        pose = np.eye(4)
        self.sign = -self.sign
        pose[:3, 3] = TURN.inv().apply(self.place) + self.sign * self.shaking
        message = TrackedHand(tracked=self.tracked, id=self.identity)
        message.wrist = conversions.pose_to_message(pose)
        self.hands.publish(message)
        pose[:3, 3] = self.place
        self.wrists.publish(conversions.pose_stamped(pose, 0, conversions.WORLD))


@pytest.fixture(scope="module")
def ros():
    with graph() as opened:
        yield opened


@pytest.fixture(scope="module")
def hand(ros):
    return Hand(ros.tester)


def test_a_still_hand_is_averaged_and_any_other_refused(ros, hand):
    taker = PlaceTaker(ros.node("taker"))
    assert eventually(lambda: hand.hands.get_subscription_count() > 0)
    assert np.allclose(taker.hand(20.0), TURN.inv().apply(PLACES[0]))
    assert np.allclose(taker.wrist(20.0), PLACES[0])
    hand.shaking = 0.02
    with pytest.raises(PlaceError, match="the hand moves"):
        taker.hand(1.5)
    hand.shaking, hand.tracked = 0.0, False
    with pytest.raises(PlaceError, match="no hand"):
        taker.hand(1.5)
    hand.tracked = True


@pytest.mark.parametrize("by_file", [True, False])
def test_the_command_writes_parameters_of_teleop(ros, hand, tmp_path, by_file):
    out, places = tmp_path / "teleop.yaml", tmp_path / "places.yaml"
    places.write_text(yaml.safe_dump({"places": PLACES.tolist()}))
    program = "from dexgrasp_cli.cli import main; main()"
    options = ["calibrate-leap", "--out", str(out), "--timeout", "60"]
    command = subprocess.Popen(
        [sys.executable, "-c", program, *options, *(["--places", str(places)] if by_file else [])],
        env=ros.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []

    def read() -> None:
        while character := command.stdout.read(1):
            said.append(character)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number, place in enumerate(PLACES, 1):
            assert eventually(lambda text=f"place {number}:": text in "".join(said)), "".join(said)
            hand.place = place
            command.stdin.write("\n")
            command.stdin.flush()
        if not by_file:
            assert eventually(lambda: "place 5:" in "".join(said)), "".join(said)
        command.stdin.close()
        assert command.wait(60.0) == 0, "".join(said)
    finally:
        command.kill()
        reader.join()
    values = yaml.safe_load(out.read_text())["teleop"]["ros__parameters"]
    found = [values[f"tracker_{name}"] for name in ("roll", "pitch", "yaw")]
    assert np.allclose(found, [0.0, 0.1, 1.5], atol=1e-4), "".join(said)
