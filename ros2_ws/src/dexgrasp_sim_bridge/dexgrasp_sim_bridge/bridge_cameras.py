"""The bridge's camera topics: images at a fixed rate, rendered beside the simulation or with it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_ros.camera_topics import CameraTopics
from dexgrasp_ros.node import ERROR, ManagedNode
from dexgrasp_sim.cameras.camera_process import CameraProcess, Images, View, render
from dexgrasp_sim.simulator import Simulator

REPEAT_EVERY = 5
"""Calls of :meth:`BridgeCameras.repeat` for one repetition of the images."""
SIGN_OF_LIFE = 1.0
"""Seconds of wall time between two intrinsics of a camera whose images take longer."""
_RATE_WINDOW = 10
"""Images from which their rate is told."""


@dataclass(frozen=True, eq=False)
class _RenderedCamera:
    camera: CameraModel
    topics: CameraTopics

    def publish_info(self, ns: int) -> None:
        camera = self.camera
        self.topics.publish_info(camera.matrix, camera.width, camera.height, ns)

    def publish(self, images: Images, ns: int) -> None:
        if images.depth is not None:
            self.topics.publish_depth(images.depth, ns)
        if images.color is not None:
            self.topics.publish_color(images.color, ns)


class BridgeCameras:
    """Publishes the images of all cameras; what nobody subscribes to is not rendered.

    Images come at a fixed rate while somebody subscribes, the first at once. Their intrinsics come
    at that rate all the time, and tell that the camera is there. In lock-step the images are
    rendered between two ticks. In real time another process renders them from a snapshot; images
    that are due while it is still at work are left out, and most of their intrinsics too: to who
    listens many of these without an image are images that got lost.

    Args:
        node: publishes.
        simulator: is looked at.
        process: renders in real time; None renders between two ticks.
        period_ticks: ticks from one image to the next.
        reliable: whether images and intrinsics are offered so; else with best effort.
    """

    def __init__(
        self,
        node: ManagedNode,
        simulator: Simulator,
        process: CameraProcess | None,
        period_ticks: int,
        reliable: bool = True,
    ) -> None:
        self._node = node
        self._simulator = simulator
        self._process = process
        self._period_ticks = period_ticks
        self._cameras = [
            _RenderedCamera(camera, CameraTopics(node, camera.name, reliable))
            for camera in simulator.cameras.values()
        ]
        self._repeats = 0
        self._audience: list[int] = self._subscribers()
        self._epoch = 0
        self._infos_at = -float("inf")
        self._rendered_at: deque[float] = deque(maxlen=_RATE_WINDOW)

    def wait_until_idle(self) -> None:
        """Returns when the rendering process, where there is one, has nothing to do."""
        if self._process is not None:
            self._process.wait_until_idle()

    def start_anew(self) -> None:
        """After a reset: images that are still being rendered show what was before."""
        self._epoch += 1

    def publish_if_due(self, tick: int, ns: int, disabled: Collection[str]) -> None:
        """Publishes the images of this tick, now or when they are rendered, if some are due."""
        self._repeats = 0
        due = tick % self._period_ticks == 0
        if not due and not self._somebody_new():
            return
        if self._process is None:
            self._publish_now(ns, disabled)
            return
        if self._process.busy:
            if due and time.monotonic() - self._infos_at > SIGN_OF_LIFE:
                self._publish_infos(ns, disabled)
        elif wanted := self._count_audience(disabled):
            # When the images are taken: they come later, and intrinsics in the order of time.
            self._publish_infos(ns, disabled)
            job = self._process.submit(self._simulator.snapshot(), list(wanted.values()))
            job.add_done_callback(partial(self._publish_rendered, list(wanted), ns, self._epoch))
        elif due:
            self._publish_infos(ns, disabled)

    def repeat(self, ns: int, disabled: Collection[str]) -> None:
        """Publishes the images of a tick at which time stands still.

        To somebody new at once, to others on every fifth call.
        """
        if self._repeats % REPEAT_EVERY == 0 or self._somebody_new():
            self._publish_now(ns, disabled)
        self._repeats += 1

    @property
    def rate(self) -> float | None:
        """Images a second (of wall time) that each camera gave lately; None where nobody looks."""
        if not any(self._audience) or len(self._rendered_at) < 2:
            return None
        seconds = self._rendered_at[-1] - self._rendered_at[0]
        return (len(self._rendered_at) - 1) / seconds if seconds > 0.0 else None

    def close(self) -> None:
        """Ends the rendering process, where there is one."""
        if self._process is not None:
            self._process.close()

    def _count_audience(self, disabled: Collection[str]) -> dict[_RenderedCamera, View]:
        """What somebody subscribes to.

        Of one count: whoever came between two would be given an image and be new after that.
        """
        self._audience = self._subscribers()
        depth, color = self._audience[::2], self._audience[1::2]
        return {
            each: View(each.camera.name, depth=of_depth > 0, color=of_color > 0)
            for each, of_depth, of_color in zip(self._cameras, depth, color, strict=True)
            if each.camera.name not in disabled and (of_depth or of_color)
        }

    def _subscribers(self) -> list[int]:
        """How many subscribe to each camera's depth image, and to its color image."""
        return [count for each in self._cameras for count in each.topics.audience]

    def _somebody_new(self) -> bool:
        """Whether an image has more subscribers than when images were made last."""
        now = self._subscribers()
        new = any(count > before for count, before in zip(now, self._audience, strict=True))
        self._audience = [min(pair) for pair in zip(now, self._audience, strict=True)]
        return new

    def _publish_infos(self, ns: int, disabled: Collection[str]) -> None:
        self._infos_at = time.monotonic()
        for each in self._cameras:
            if each.camera.name not in disabled:
                each.publish_info(ns)

    def _publish_now(self, ns: int, disabled: Collection[str]) -> None:
        wanted = self._count_audience(disabled)
        self._publish_infos(ns, disabled)
        cameras, snapshot = self._simulator.depth_cameras, self._simulator.snapshot()
        for each, view in wanted.items():
            (images,) = render(cameras, snapshot, [view])
            each.publish(images, ns)

    def _publish_rendered(
        self, wanted: Sequence[_RenderedCamera], ns: int, epoch: int, job: Future[list[Images]]
    ) -> None:
        if job.cancelled() or not self._node.active or epoch != self._epoch:
            return
        if (error := job.exception()) is not None:
            self._node.report(ERROR, f"no camera images: {error!r}")
            return
        self._rendered_at.append(time.monotonic())
        for each, images in zip(wanted, job.result(), strict=True):
            each.publish(images, ns)
