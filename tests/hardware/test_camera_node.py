"""The simulated cell's cameras: how often they are rendered."""

from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace

from ros_graph import eventually

from dexgrasp_counterparts import camera_node
from dexgrasp_counterparts.camera_node import CameraNode

RATE, IDLE = 50.0, 0.5


class Watched(CameraNode):
    """Of the node its thread alone; a new moment is there to be seen all the time."""

    has_audience = False

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._given = SimpleNamespace(rate=RATE)
        self.shown: list[float] = []

    parameters = property(lambda self: self._given)
    _newest = property(lambda self: (time.monotonic_ns(), {}))

    def _show(self, ns, messages):
        self.shown.append(time.monotonic())


def test_images_are_rendered_often_only_while_somebody_looks(monkeypatch):
    monkeypatch.setattr(camera_node, "IDLE_PERIOD", IDLE)
    node = Watched()
    thread = threading.Thread(target=node._run)
    thread.start()
    try:
        assert eventually(lambda: len(node.shown) == 3)
        times = list(node.shown)
        assert min(after - before for before, after in itertools.pairwise(times)) >= IDLE
        node.has_audience = True
        assert eventually(lambda: len(node.shown) > 20)
        fast = node.shown[5:20]
        assert (fast[-1] - fast[0]) / (len(fast) - 1) < IDLE
    finally:
        node._stop.set()
        thread.join()
