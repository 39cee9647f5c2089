"""The bridge's camera topics: who is given an image is not new after that."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from dexgrasp_sim.cameras.camera_process import Images, View
from dexgrasp_sim_bridge import bridge_cameras

PERIOD = 10


class Topics:
    """Of a camera of which one more subscriber of its colour image is known at each count."""

    def __init__(self, node: Any, name: str, reliable: bool) -> None:
        self.counted = 0

    @property
    def audience(self) -> tuple[int, int]:
        self.counted += 1
        return 1, max(0, self.counted - 2)

    def publish_info(self, *_: Any) -> None:
        pass

    def publish_depth(self, *_: Any) -> None:
        pass


class Process:
    """Notes what it is to render, and has rendered it at once."""

    busy = False

    def __init__(self) -> None:
        self.jobs: list[list[View]] = []

    def submit(self, snapshot: Any, views: list[View]) -> Future[list[Images]]:
        self.jobs.append(views)
        done: Future[list[Images]] = Future()
        done.set_result([Images(depth=view.camera, color=None) for view in views])
        return done


@pytest.fixture
def cameras(monkeypatch):
    monkeypatch.setattr(bridge_cameras, "CameraTopics", Topics)
    camera = SimpleNamespace(name="camera_1", matrix=None, width=1, height=1)
    simulator = SimpleNamespace(cameras={"camera_1": camera}, snapshot=lambda: None)
    node = SimpleNamespace(active=True)
    process = Process()
    return bridge_cameras.BridgeCameras(node, simulator, process, PERIOD), process


def test_who_comes_while_images_are_asked_for_is_new_at_the_next_tick(cameras):
    cameras, process = cameras
    cameras.publish_if_due(0, 0, ())
    assert process.jobs == [[View("camera_1", depth=True, color=False)]]
    cameras.publish_if_due(1, 1, ())
    assert process.jobs[1:] == [[View("camera_1", depth=True, color=True)]]
