"""Graphs with the RealSense node and the software's cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from diagnostic_msgs.msg import DiagnosticArray
from ros_graph import Graph, eventually, graph

from dexgrasp_counterparts.software_cameras import (
    CX,
    CY,
    FX,
    FY,
    HEIGHT,
    RATE,
    WIDTH,
    SoftwareCameras,
)
from dexgrasp_models.config import find_config
from dexgrasp_realsense.realsense_node import RealSenseNode
from dexgrasp_ros import contract, image_messages

SERIALS = {f"camera_{n}": f"90000000000{n}" for n in range(1, 5)}
IMAGES = (
    contract.depth_image,
    contract.depth_info,
    contract.color_image,
    contract.color_info,
)


def write_rig(
    path: Path, serials: Mapping[str, str] = SERIALS, cameras: int = 4, **changes: Any
) -> str:
    """A file of the rig of four, or its first cameras, with the software cameras' intrinsics."""
    rig = yaml.safe_load(find_config("cameras/four_d415.yaml").read_text())
    rig["intrinsics"] = {"width": WIDTH, "height": HEIGHT, "fx": FX, "fy": FY, "cx": CX, "cy": CY}
    rig["cameras"] = rig["cameras"][:cameras]
    for camera in rig["cameras"]:
        if camera["name"] in serials:
            camera["serial"] = serials[camera["name"]]
        camera.update(changes)
    path.write_text(yaml.safe_dump(rig))
    return str(path)


def node_with(cameras: SoftwareCameras) -> Callable[..., RealSenseNode]:
    """Makes the node, with these cameras in the place of the computer's."""
    return partial(RealSenseNode, cameras.devices)


def said(diagnostics: list[DiagnosticArray], *texts: str) -> bool:
    """Whether a status of the node says all of some texts."""
    return any(
        all(text in status.message for text in texts)
        for message in list(diagnostics)
        for status in message.status
        if status.name == "realsense"
    )


class One:
    """The node of one camera, and what it published.

    Attributes:
        camera: it, where there is one from the start.
        depth, info, color: messages.
    """

    def __init__(
        self, ros: Graph, path: Path, camera: Mapping[str, Any] | None, **parameters: Any
    ) -> None:
        self.ros, self.cameras = ros, SoftwareCameras()
        self.depth, self.info, self.color = (ros.collect(make("camera_1")) for make in IMAGES[:3])
        self.diagnostics = ros.collect(contract.DIAGNOSTICS)
        if camera is not None:
            self.camera = self.cameras.plug(SERIALS["camera_1"], **camera)
        rig = write_rig(path / "rig.yaml", cameras=1)
        self.node = ros.start(node_with(self.cameras), rig=rig, rate=RATE, **parameters)
        topics = [make("camera_1").name for make in IMAGES[:3]]
        assert eventually(lambda: all(map(self.node.count_subscribers, topics)))

    @property
    def values(self) -> list[int]:
        """What all pixels of each depth image are, mm; -1 where they differ."""
        images = [image_messages.depth_from_message(message) for message in list(self.depth)]
        return [int(each[0, 0]) if (each == each[0, 0]).all() else -1 for each in images]

    def send_until(self, condition: Callable[[], Any], depth: Any, **options: Any) -> None:
        """Sends images time and again until something is so; `taken` gives the time of each."""
        taken = options.pop("taken", None)

        def send() -> None:
            at = {} if taken is None else {"taken": float(next(taken))}
            self.camera.send(depth() if callable(depth) else depth, **options, **at)

        assert eventually(lambda: send() or bool(condition())), self.values

    def show(self, depth: int, **options: Any) -> None:
        """Sends images of one depth until one has come; the pipeline keeps the newest only."""
        before = len(self.depth)
        self.send_until(lambda: depth in self.values[before:], depth, **options)

    def said(self, *texts: str) -> bool:
        """Whether the node has said all of some texts at once."""
        return said(self.diagnostics, *texts)


@contextmanager
def one_camera(
    path: Path, camera: Mapping[str, Any] | None = MappingProxyType({}), **parameters: Any
) -> Iterator[One]:
    """A graph with the node of one camera.

    Args:
        path: folder for its rig.
        camera: options of the camera; None if none is there.
        parameters: of the node.
    """
    with graph() as ros:
        yield One(ros, path, camera, **parameters)
