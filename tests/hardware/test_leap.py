"""The Leap node over DDS, against a service in a process of its own that speaks its protocol."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from ros_graph import Graph, eventually, graph
from vendor_leap import TrackingMode, VendorService, vendor_hand, vendor_leap

from dexgrasp_counterparts.leap_counterpart import LeapCounterpart, leap_counterpart
from dexgrasp_interfaces.msg import TrackedHand
from dexgrasp_leap.leap_node import LeapNode
from dexgrasp_leap.leapc_transport import MISSING
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.process_end import GRACE

FLAT = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
"""Rotation of a wrist whose palm is down and whose fingers are ahead: z ahead, y up."""
POSITION = (0.05, -0.1, 0.2)
"""Of the wrist that the service tells if nothing else was set."""
PATIENT = {"stale_after": 0.45}
"""For a busy machine, where frames stay away for a while without a fault."""


class Listener:
    """Hears what the node publishes and says."""

    def __init__(self, ros: Graph) -> None:
        self.hands: list[TrackedHand] = ros.collect(contract.TRACKED_HAND)
        self.diagnostics = ros.collect(contract.DIAGNOSTICS)

    def says(self, text: str, level: bytes | None = None) -> bool:
        """Whether the last word of the node has a text, and a level."""
        if not self.diagnostics:
            return False
        status = self.diagnostics[-1].status[0]
        return text in status.message and level in (None, status.level)

    def said(self, text: str) -> bool:
        return any(text in each.status[0].message for each in tuple(self.diagnostics))

    @property
    def tracks(self) -> bool:
        return bool(self.hands) and self.hands[-1].tracked

    def wait_until_tracked(self) -> TrackedHand:
        assert eventually(lambda: self.tracks), self.last_words
        return self.hands[-1]

    def wait_until_lost(self) -> TrackedHand:
        assert eventually(lambda: bool(self.hands) and not self.tracks), self.last_words
        return self.hands[-1]

    @property
    def last_words(self) -> str:
        return self.diagnostics[-1].status[0].message if self.diagnostics else "nothing"

    def value(self, key: str) -> str:
        """Of the node's last word; empty if it has none."""
        values = self.diagnostics[-1].status[0].values
        return next((each.value for each in values if each.key == key), "")


ERROR = b"\x02"


@pytest.fixture
def service() -> Iterator[LeapCounterpart]:
    with leap_counterpart() as counterpart:
        yield counterpart


def start(ros: Graph, service: LeapCounterpart, **parameters: object) -> Listener:
    """The node, listened to."""
    listener = Listener(ros)
    ros.start(LeapNode, port=service.port, **PATIENT | parameters)
    return listener


def pose(message: TrackedHand) -> np.ndarray:
    return conversions.pose_from_message(message.wrist)


def stamps(messages: list[TrackedHand]) -> np.ndarray:
    return np.array([conversions.stamp_to_ns(message.header.stamp) for message in messages])


def count_of_tracked(listener: Listener) -> int:
    return sum(message.tracked for message in tuple(listener.hands))


# When all is well


def test_the_wrist_is_in_ros_axes_and_metres_stamped_in_ros_time(service):
    with graph() as ros:
        listener = start(ros, service)
        listener.wait_until_tracked()
        assert eventually(lambda: len(listener.hands) > 100)
        now = time.time_ns()
        messages = [each for each in tuple(listener.hands) if each.tracked]
        first = messages[0]
        assert first.header.frame_id == "leap"
        assert (first.left, first.confidence) == (False, 0.8)
        np.testing.assert_allclose(pose(first)[:3, 3], POSITION, atol=1e-9)
        np.testing.assert_allclose(pose(first)[:3, :3], FLAT, atol=1e-9)
        assert (np.diff(stamps(messages)) > 0).all()
        assert np.median(np.diff(stamps(messages))) == pytest.approx(1e7, rel=0.2)
        assert now - 60e9 < stamps(messages)[-1] < now + 1e9
        assert eventually(lambda: listener.says("a right hand is tracked", b"\x00"))
        assert float(listener.value("frames_per_second")) > 0.0


@pytest.mark.parametrize(("wanted", "position"), [("left", -0.2), ("any", -0.2)])
def test_a_left_hand_is_followed_where_it_is_wanted(service, wanted, position):
    left = {"id": 3, "type": "left", "wrist": [200.0, 200.0, 0.0]}
    service.set(hands=[left, {}])
    with graph() as ros:
        found = start(ros, service, hand=wanted).wait_until_tracked()
        assert found.left
        assert pose(found)[1, 3] == pytest.approx(position)


def test_a_second_hand_never_takes_over(service):
    near = {"id": 4, "wrist": [0.0, 100.0, 0.0], "confidence": 1.0}
    with graph() as ros:
        listener = start(ros, service)
        first = listener.wait_until_tracked()
        service.set(hands=[near, {}])
        before = len(listener.hands)
        assert eventually(lambda: len(listener.hands) > before + 100)
        for message in listener.hands[before:]:
            assert (message.tracked, message.id) == (True, first.id)
            np.testing.assert_allclose(pose(message)[:3, 3], POSITION, atol=1e-9)

        # When the first one goes, that is told, and the second is another one.
        service.set(hands=[near])
        assert eventually(lambda: listener.tracks and listener.hands[-1].id != first.id)
        kinds = [(each.tracked, each.id) for each in listener.hands[before:]]
        changes = [kinds[0], *(b for a, b in itertools.pairwise(kinds) if a != b)]
        assert changes == [(True, first.id), (False, first.id), (True, first.id + 1)]
        np.testing.assert_allclose(pose(listener.hands[-1])[:3, 3], (0.0, 0.0, 0.1), atol=1e-9)


# Faults of what is seen


def test_a_hand_out_of_sight_is_told_with_its_last_pose(service):
    with graph() as ros:
        listener = start(ros, service)
        first = listener.wait_until_tracked()
        service.set(hands=[])
        lost = listener.wait_until_lost()
        assert lost.id == first.id
        np.testing.assert_allclose(pose(lost)[:3, 3], POSITION, atol=1e-9)
        assert eventually(lambda: listener.says("looks for a right hand", b"\x00"))
        service.set(hands=[{}])
        assert listener.wait_until_tracked().id == first.id + 1


def test_ids_that_are_swapped_are_a_loss(service):
    here, there = [100.0, 200.0, -50.0], [-100.0, 200.0, -50.0]
    service.set(hands=[{"id": 1, "wrist": here}, {"id": 2, "wrist": there}])
    with graph() as ros:
        listener = start(ros, service)
        first = listener.wait_until_tracked()
        service.set(hands=[{"id": 2, "wrist": here}, {"id": 1, "wrist": there}])
        assert eventually(lambda: listener.hands[-1].id == first.id + 1)
        of_first = [each for each in listener.hands if each.id == first.id and each.tracked]
        np.testing.assert_allclose(
            [pose(each)[:3, 3] for each in of_first], len(of_first) * [POSITION], atol=1e-9
        )
        assert any(not each.tracked and each.id == first.id for each in listener.hands)
        assert eventually(lambda: "jumped by 0.20 m" in listener.value("lost_last"))


def test_no_number_is_never_published_and_ends_in_a_loss(service):
    with graph() as ros:
        listener = start(ros, service)
        first = listener.wait_until_tracked()
        service.set(not_a_number=True)
        listener.wait_until_lost()
        assert eventually(lambda: listener.says("no good frame", ERROR)), listener.last_words
        assert listener.said("dropped: a message that makes no sense")
        service.set(not_a_number=False)
        assert listener.wait_until_tracked().id > first.id
        for message in listener.hands:  # none raises
            np.testing.assert_allclose(np.linalg.det(pose(message)), 1.0)


def test_frames_out_of_order_are_dropped_and_told(service):
    with graph() as ros:
        listener = start(ros, service)
        first = listener.wait_until_tracked()
        service.set(shuffled=True)
        assert eventually(lambda: listener.said("dropped: a frame out of order"))
        before = count_of_tracked(listener)
        assert eventually(lambda: count_of_tracked(listener) > before + 50)
        assert (np.diff(stamps(listener.hands)) > 0).all()
        assert listener.hands[-1].id == first.id
        assert "a frame out of order" in listener.value("dropped")


# Faults of the service and the device


def test_a_service_that_is_killed_is_taken_up_again(service):
    with graph() as ros:
        listener = start(ros, service)
        first = listener.wait_until_tracked()
        service.kill()
        lost = listener.wait_until_lost()
        np.testing.assert_allclose(pose(lost)[:3, 3], POSITION, atol=1e-9)
        assert eventually(lambda: listener.says("no connection to ws://127.0.0.1", ERROR))
        assert listener.says("is the Leap's service running there")
        service.start()
        assert listener.wait_until_tracked().id == first.id + 1
        assert eventually(lambda: listener.says("a right hand is tracked", b"\x00"))


def test_a_service_that_hangs_is_a_loss_and_when_it_goes_on_a_new_hand(service):
    with graph() as ros:
        listener = start(ros, service, stale_after=0.25)
        listener.wait_until_tracked()
        service.freeze()
        listener.wait_until_lost()
        assert eventually(lambda: listener.says("no good frame", ERROR)), listener.last_words
        # by the silence, and not only when a ping is not answered
        assert eventually(lambda: listener.value("lost_last") == "no frames")
        number = listener.hands[-1].id
        service.thaw()
        assert listener.wait_until_tracked().id > number
        assert (np.diff(stamps(listener.hands)) > 0).all()


def test_frames_that_were_kept_back_are_not_told_as_if_they_were_now(service):
    with graph() as ros:
        listener = start(ros, service)
        listener.wait_until_tracked()
        service.set(kept_back=True)
        listener.wait_until_lost()
        since = len(listener.hands)
        # Where the hand is while frames are kept back, and only then.
        service.set(hands=[{"wrist": [130.0, 200.0, -50.0]}])
        time.sleep(1.0)
        service.set(hands=[{}], kept_back=False)
        listener.wait_until_tracked()
        before = count_of_tracked(listener)
        # as many as were kept back, and more
        assert eventually(lambda: count_of_tracked(listener) > before + 200)
        assert {round(pose(each)[1, 3], 3) for each in listener.hands[since:]} == {-0.1}
        assert (np.diff(stamps(listener.hands)) > 0).all()


def test_without_a_service_it_waits_and_says_so():
    service = LeapCounterpart()
    try:
        with graph() as ros:
            listener = start(ros, service)
            assert eventually(lambda: listener.says("no connection to ws://127.0.0.1", ERROR))
            lost = listener.wait_until_lost()
            assert (lost.id, lost.wrist.orientation.w) == (0, 1.0)
            service.start()
            listener.wait_until_tracked()
    finally:
        service.kill()


def test_a_device_that_is_pulled_out_is_told(service):
    with graph() as ros:
        listener = start(ros, service)
        listener.wait_until_tracked()
        service.set(attached=False)
        assert eventually(lambda: listener.says("no Leap Motion any more: plug it in", ERROR))
        listener.wait_until_lost()
        service.set(attached=True)
        listener.wait_until_tracked()


def test_another_version_of_the_protocol_is_told(service):
    service.set(version=7)
    with graph() as ros:
        listener = start(ros, service)
        assert eventually(lambda: listener.says("it speaks version 7", ERROR))
        assert not listener.said("hand is tracked")


# The vendor's library


def test_the_vendors_library_does_the_same(monkeypatch):
    vendor = VendorService()
    monkeypatch.setitem(sys.modules, "leap", vendor_leap(vendor))
    ending = threading.Event()

    def track() -> None:
        while not ending.wait(0.01):
            vendor.track(time.monotonic_ns() // 1000, vendor_hand())

    thread = threading.Thread(target=track)
    thread.start()
    try:
        with graph() as ros:
            listener = Listener(ros)
            ros.start(LeapNode, transport="leapc", **PATIENT)
            first = listener.wait_until_tracked()
            np.testing.assert_allclose(pose(first)[:3, 3], POSITION, atol=1e-9)
            np.testing.assert_allclose(pose(first)[:3, :3], FLAT, atol=1e-9)
            vendor.runs = False
            vendor.end_connections()
            listener.wait_until_lost()
            assert eventually(lambda: listener.says("no connection to the hand tracking", ERROR))
            vendor.runs = True
            assert listener.wait_until_tracked().id > first.id
            assert set(vendor.modes) == {TrackingMode.Desktop}
        assert vendor.open == []
    finally:
        ending.set()
        thread.join()


def test_without_the_vendors_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "leap", None)
    with graph() as ros:
        node = ros.create(LeapNode, transport="leapc")
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert MISSING in node.failure


# Beside others, and its process


def test_somebody_else_who_publishes_the_hand_is_named(service):
    with graph() as ros:
        topic = contract.TRACKED_HAND
        ros.tester.create_publisher(topic.type, topic.name, topic.qos)
        node = ros.create(LeapNode, port=service.port)
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
        assert "leap/hand is published by /tester already" in node.failure


def test_ids_go_on_when_it_is_activated_again(service):
    with graph() as ros:
        listener = Listener(ros)
        node = ros.start(LeapNode, port=service.port, **PATIENT)
        first = listener.wait_until_tracked()
        node.trigger_deactivate()
        listener.hands.clear()
        node.trigger_activate()
        assert listener.wait_until_tracked().id == first.id + 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("state", ["tracking", "hanging", "absent"])
def test_its_process_ends_in_order(service, state, number):
    """Soon, as `process_end` sees to; the rest of the time here is for a busy machine."""
    says = {"tracking": "hand is tracked", "hanging": "no connection", "absent": "no connection"}
    if state == "absent":
        service.kill()
    elif state == "hanging":
        service.freeze()
    with graph() as ros:
        listener = Listener(ros)
        arguments = ["--ros-args", "-p", f"port:={service.port}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "dexgrasp_leap.leap_node", *arguments],
            env={**ros.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert eventually(lambda: listener.said(says[state])), listener.last_words
            process.send_signal(number)
            _, errors = process.communicate(timeout=GRACE + 15.0)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "Traceback" not in errors
