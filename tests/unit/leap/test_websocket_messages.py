"""What the service's messages say, and what is refused of them."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_counterparts.leap_counterpart import told_hand
from dexgrasp_counterparts.leap_service import HAND
from dexgrasp_leap.frames import LeapFrame
from dexgrasp_leap.transport import ServiceError
from dexgrasp_leap.websocket_transport import ORDERS, DeviceState, hear, read

FRAME = {"id": 5, "timestamp": 1_234_567, "hands": [HAND], "pointables": []}


class Receiver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def connected(self) -> None:
        self.told.append("connected")

    def attached(self, device: str, there: bool) -> None:
        self.told.append((device, there))

    def take(self, frame: LeapFrame) -> None:
        self.told.append(frame.taken_us)

    def refuse(self, reason: str) -> None:
        self.told.append(reason)


def told(text):
    receiver = Receiver()
    hear(text, receiver)
    return receiver.told


def frame_with(place, value):
    frame = copy.deepcopy(FRAME)
    hand = frame["hands"][0]
    (hand if place in hand else frame)[place] = value
    return frame


def test_a_frame_with_its_hand():
    found = read(json.dumps(FRAME))
    assert found.taken_us == 1_234_567
    (hand,) = found.hands
    assert (hand.id, hand.left, hand.confidence) == (11, False, 0.8)
    np.testing.assert_allclose(hand.wrist[:3, 3], [0.05, -0.1, 0.2])


def test_a_hand_that_the_counterpart_is_given_is_the_one_that_is_read():
    wrist = np.eye(4)
    wrist[:3, :3] = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
    wrist[:3, 3] = [0.1, -0.2, 0.3]
    (hand,) = read(json.dumps(FRAME | {"hands": [HAND | told_hand(wrist, 7)]})).hands
    assert (hand.id, hand.left) == (7, False)
    np.testing.assert_allclose(hand.wrist, wrist, atol=1e-12)


def test_frames_without_hands_are_frames():
    assert read(json.dumps(FRAME | {"hands": []})) == LeapFrame(1_234_567, ())


def test_the_side_is_told():
    assert read(json.dumps(frame_with("type", "left"))).hands[0].left


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        ("wrist", [0.0, float("nan"), 0.0], "not finite"),
        ("confidence", float("inf"), "not finite"),
        ("direction", [0.0, 1.0, 0.0], "nearly parallel"),
        ("palmNormal", [0.0, 0.0, 0.0], "no unit vector"),
    ],
)
def test_a_hand_that_is_no_good_is_left_out_and_the_other_is_seen(place, value, problem):
    frame = frame_with(place, value)
    frame["hands"].append(HAND | {"id": 12})
    found = read(json.dumps(frame))
    assert [hand.id for hand in found.hands] == [12]
    assert problem in found.problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "5",
        "null",
        b"\xff\xfe",
        json.dumps(FRAME).replace("200.0", "nan"),
        json.dumps(FRAME).replace("200.0", "-nan"),
        json.dumps(frame_with("timestamp", None)),
        json.dumps(frame_with("timestamp", float("inf"))),
        json.dumps(frame_with("timestamp", "soon")),
        json.dumps(frame_with("hands", None)),
        json.dumps(frame_with("hands", [None])),
        json.dumps(frame_with("hands", [{"id": 1}])),
        json.dumps(frame_with("wrist", [1.0, 2.0])),
        json.dumps(frame_with("wrist", 5)),
        json.dumps(frame_with("wrist", None)),
        json.dumps(frame_with("wrist", ["a", "b", "c"])),
        json.dumps(frame_with("wrist", [[1.0], [2.0], [3.0]])),
        json.dumps(frame_with("id", "x")),
        '{"event": {}}',
        '{"event": null}',
        '{"version": null}',
    ],
)
def test_what_makes_no_sense_is_refused_and_ends_nothing(text):
    assert told(text) == ["a message that makes no sense"]


def test_messages_of_other_kinds_are_passed_over():
    assert told('{"serviceVersion": "5.0", "version": 6}') == []
    assert told('{"hello": 1}') == told("[]") == []


def test_another_version_ends_the_connection():
    with pytest.raises(ServiceError, match="speaks version 7"):
        told('{"version": 7}')


@pytest.mark.parametrize("there", [True, False])
def test_devices_are_told(there):
    text = json.dumps({"event": {"type": "deviceEvent", "state": {"attached": there, "id": 1}}})
    assert read(text) == DeviceState("1", there)
    assert told(text) == [("1", there)]


def test_the_service_compares_texts_to_the_letter():
    for order in ORDERS:
        assert order == json.dumps(json.loads(order), separators=(",", ":"))
