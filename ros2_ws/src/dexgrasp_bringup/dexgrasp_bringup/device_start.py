"""What a person does before the first grasp of a cell with drivers: wait, and let them go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from sensor_msgs.msg import CameraInfo

from dexgrasp_bringup.grasp_client import GraspClient
from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_ros import contract, qos

DEVICE_LIMIT = 120.0
"""Seconds that the drivers may take to find their devices, once all nodes are active."""


class DeviceError(RuntimeError):
    """A driver has no device; the message says which."""


def wait_for_images(rig: str, client: GraspClient, check: Callable[[], None]) -> None:
    """Cameras take a while from when their driver is active.

    Args:
        rig: the cameras' file.
        client: of the graph.
        check: raises where it makes no sense to wait.

    Raises:
        DeviceError: one gives no images.
    """
    waiting = {camera.name for camera in load_rig(find_config(rig))}

    def hear(name: str, _: CameraInfo) -> None:
        waiting.discard(name)

    subscriptions = [
        client.node.create_subscription(
            CameraInfo, contract.depth_info(name).name, partial(hear, name), qos.SENSOR_REQUEST
        )
        for name in tuple(waiting)
    ]
    deadline = time.monotonic() + DEVICE_LIMIT
    while waiting:
        check()
        if time.monotonic() > deadline:
            raise DeviceError(f"no images of {', '.join(sorted(waiting))} in {DEVICE_LIMIT:g} s")
        time.sleep(0.1)
    for subscription in subscriptions:
        client.node.destroy_subscription(subscription)


def resume_drivers(client: GraspClient, check: Callable[[], None]) -> None:
    """As who has looked at the robot: a driver waits for it that was there before its device.

    Args:
        client: of the graph.
        check: raises where it makes no sense to wait.

    Raises:
        DeviceError: a driver has no device.
    """
    deadline = time.monotonic() + DEVICE_LIMIT
    for service in (contract.HAND_RESUME_SERVICE, contract.ARM_RESUME_SERVICE):
        while refused := client.resume(service, timeout=20.0):
            check()
            if time.monotonic() > deadline:
                raise DeviceError(f"/{service}: {refused}")
            time.sleep(0.2)
