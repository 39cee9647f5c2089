"""The vendor's events and connections, by a stand-in with its interface."""

from __future__ import annotations

import math
import sys
import threading
from types import ModuleType

import numpy as np
import pytest
from vendor_leap import HandType, VendorService, vendor_hand, vendor_leap

from dexgrasp_leap.frames import LeapFrame
from dexgrasp_leap.leapc_transport import LeapCMissingError, LeapCTransport
from dexgrasp_leap.transport import ServiceError
from dexgrasp_leap.wrist_tracker import LateFrameError


class Receiver:
    """Notes what it is told, and says when there were so many frames."""

    def __init__(self, frames: int = 1, error: Exception | None = None) -> None:
        self.frames: list[LeapFrame] = []
        self.devices: list[tuple[str, bool]] = []
        self.connections = 0
        self.is_connected = threading.Event()
        self.has_all = threading.Event()
        self._count, self._error = frames, error

    def connected(self) -> None:
        self.connections += 1
        self.is_connected.set()

    def attached(self, device: str, there: bool) -> None:
        self.devices.append((device, there))

    def take(self, frame: LeapFrame) -> None:
        if self._error is not None:
            raise self._error
        self.frames.append(frame)
        if len(self.frames) == self._count:
            self.has_all.set()

    def refuse(self, reason: str) -> None:
        raise AssertionError(reason)


@pytest.fixture
def vendor(monkeypatch) -> VendorService:
    service = VendorService()
    monkeypatch.setitem(sys.modules, "leap", vendor_leap(service))
    return service


class Following:
    """A transport that follows in a thread of its own, as in the feed."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.stop = threading.Event()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Following:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join()

    def join(self) -> None:
        self._thread.join(60.0)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            LeapCTransport().follow(self._receiver, self.stop)
        except Exception as error:
            self.error = error


def test_hands_are_told_in_our_axes_and_the_connection_is_ended_in_order(vendor):
    receiver = Receiver(frames=2)
    with Following(receiver) as following:
        assert receiver.is_connected.wait(60.0)
        left = vendor_hand(12, HandType.Left, wrist=(0.0, 300.0, 0.0))
        vendor.track(1_000_000, vendor_hand(), left)
        vendor.track(1_010_000)
        assert receiver.has_all.wait(60.0)
    assert following.error is None
    assert vendor.open == []
    first, second = receiver.frames
    assert (first.taken_us, second.taken_us, second.hands) == (1_000_000, 1_010_000, ())
    assert [(hand.id, hand.left, hand.confidence) for hand in first.hands] == [
        (11, False, 1.0),
        (12, True, 1.0),
    ]
    np.testing.assert_allclose(first.hands[0].wrist[:3, 3], (0.05, -0.1, 0.2))
    np.testing.assert_allclose(first.hands[1].wrist[:3, 3], (0.0, 0.0, 0.3))
    np.testing.assert_allclose(first.hands[0].wrist[:3, 2], (1.0, 0.0, 0.0))


def test_a_hand_that_is_not_finite_is_left_out(vendor):
    receiver = Receiver()
    with Following(receiver):
        assert receiver.is_connected.wait(60.0)
        vendor.track(1, vendor_hand(1, wrist=(math.nan, 0.0, 0.0)), vendor_hand(2))
        assert receiver.has_all.wait(60.0)
    (frame,) = receiver.frames
    assert [hand.id for hand in frame.hands] == [2]
    assert frame.problems == ("the pose of a hand is not finite",)


def test_devices_are_told(vendor):
    receiver = Receiver()
    with Following(receiver):
        assert receiver.is_connected.wait(60.0)
        device = ModuleType("device")
        device.id = 3
        vendor.tell("on_device_event", device=device)
        vendor.tell("on_device_lost_event", device=device)
        vendor.track(1)
        assert receiver.has_all.wait(60.0)
    assert receiver.devices == [("3", True), ("3", False)]


def test_a_connection_that_the_service_ends_is_an_error(vendor):
    receiver = Receiver()
    with Following(receiver) as following:
        assert receiver.is_connected.wait(60.0)
        vendor.end_connections()
        following.join()
    assert isinstance(following.error, ServiceError)
    assert vendor.open == []


def test_a_service_that_does_not_answer_is_an_error(vendor):
    vendor.runs = False
    with pytest.raises(ServiceError, match=r"does not answer \(LeapTimeoutError\)"):
        LeapCTransport().follow(Receiver(), threading.Event())


@pytest.mark.parametrize("error", [LateFrameError("late"), RuntimeError("a mistake of ours")])
def test_errors_in_the_vendors_thread_come_out_in_ours(vendor, error):
    receiver = Receiver(error=error)
    with Following(receiver) as following:
        assert receiver.is_connected.wait(60.0)
        vendor.track(1, vendor_hand())
        vendor.track(2, vendor_hand())
        following.join()
    assert following.error is error
    assert vendor.open == []


def test_a_binding_that_finds_no_library_is_told_as_missing(monkeypatch, tmp_path):
    """The vendor's module raises a plain exception then."""
    (tmp_path / "leap.py").write_text("raise Exception('Unable to find leapc_cffi dir')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "leap", raising=False)
    with pytest.raises(LeapCMissingError, match=r"install both from Ultraleap.*leapc_cffi dir"):
        LeapCTransport()
