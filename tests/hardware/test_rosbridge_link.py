"""The way to rosbridge by itself: nothing gets from one connection into another."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dexgrasp_counterparts.hand_counterpart import HandCounterpart, hand_counterpart
from dexgrasp_hand_driver.controllers import TrajectoryController
from dexgrasp_hand_driver.rosbridge_link import RosbridgeLink
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.vendor_joints import VendorJoints

VENDOR = VendorJoints(load_hand())
CONTROLLER = TrajectoryController(VENDOR.hand.finger_joints)
PATIENCE = 120.0
"""s, far more than anything takes."""


def eventually(condition) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def hand(tmp_path: Path) -> Iterator[HandCounterpart]:
    with hand_counterpart(tmp_path) as counterpart:
        yield counterpart


@pytest.fixture
def link(hand: HandCounterpart) -> Iterator[RosbridgeLink]:
    opened = RosbridgeLink("127.0.0.1", hand.port, VENDOR)
    opened.start()
    yield opened
    opened.close()


def ready(link: RosbridgeLink) -> bool:
    """Whether it is connected, and ready to send then."""
    if link.view.state is None or not link.view.listed:
        return False
    link.advertise(CONTROLLER.topics)
    return True


def send(link: RosbridgeLink, valid: float, lead: float = 0.05) -> None:
    """Sends a set-point that may be sent for so many s."""
    state, now = link.view.state, time.monotonic()
    assert state is not None
    angles = VENDOR.commanded(np.full(22, 0.2))
    link.send(CONTROLLER.messages(angles, state.vendor_time(now), lead), now + valid)


def test_a_set_point_is_sent_while_it_is_valid_and_never_later(hand, link):
    assert eventually(lambda: ready(link))
    send(link, valid=PATIENCE)
    assert eventually(lambda: len(hand.received) == 1)
    send(link, valid=-0.001)
    assert eventually(lambda: link.view.late == 1)
    assert len(hand.received) == 1


def test_nothing_from_one_connection_gets_into_the_next(hand, link):
    assert eventually(lambda: ready(link))
    hand.kill()
    for _ in range(20):
        if link.view.state is not None:
            send(link, valid=PATIENCE)
    assert eventually(lambda: not link.view.connected)
    link.advertise(CONTROLLER.topics)
    link.send([], time.monotonic() + PATIENCE)
    hand.start()
    assert eventually(lambda: link.view.connection == 2 and ready(link))
    send(link, valid=PATIENCE)
    assert eventually(lambda: bool(hand.received))
    assert len(hand.received) == 1


def test_what_a_frozen_server_gets_later_is_dropped_by_the_controller(hand, link):
    assert eventually(lambda: ready(link))
    hand.freeze()
    for _ in range(5):
        send(link, valid=PATIENCE)
    time.sleep(0.5)
    hand.thaw()
    assert eventually(lambda: len(hand.received) == 5)
    assert hand.taken == []


def test_a_frozen_server_gets_nothing_of_a_connection_that_was_given_up(hand, link):
    assert eventually(lambda: ready(link))
    hand.freeze()
    for _ in range(5):
        send(link, valid=PATIENCE)
    time.sleep(0.5)
    link.renew()
    hand.thaw()
    assert eventually(lambda: link.view.connection == 2 and ready(link))
    assert hand.taken == []


LIBRARY_ALONE = """
import sys, time, roslibpy
ros = roslibpy.Ros("127.0.0.1", int(sys.argv[1]))
ros.run(60.0)
topic = roslibpy.Topic(ros, "/rh_trajectory_controller/command", "trajectory_msgs/JointTrajectory")
topic.advertise()
print("connected", flush=True)
sys.stdin.readline()
while ros.is_connected:
    time.sleep(0.02)
time.sleep(0.1)
stamp = {"secs": 2 ** 31 - 1, "nsecs": 0}
point = {"positions": [0.2], "time_from_start": {"secs": 0, "nsecs": 0}}
topic.publish({"header": {"stamp": stamp}, "joint_names": ["rh_FFJ3"], "points": [point]})
print("published", flush=True)
sys.stdin.readline()
"""


def test_the_library_alone_sends_what_is_old(hand):
    """The hazard that the process for each connection is there for; without it, that can go."""
    client = subprocess.Popen(
        [sys.executable, "-c", LIBRARY_ALONE, str(hand.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        assert client.stdout.readline() == "connected\n"
        hand.kill()
        client.stdin.write("\n")
        client.stdin.flush()
        assert client.stdout.readline() == "published\n"
        hand.start()
        assert eventually(lambda: len(hand.received) == 1)
    finally:
        client.kill()
        client.communicate()
