"""How many of a camera's images arrive, with Fast DDS's own transport and with this package's.

    python bench/transport.py [--cameras 4] [--images 15] [--rate 2.0]

Another process offers depth images of 640 x 480, reliably as the simulator does or with best effort
as drivers may; this one asks for them reliably or with best effort. It counts what arrives.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

from dexgrasp_bringup.processes import free_domain_id
from dexgrasp_ros.transport import PROFILE_VARIABLE, use_transport_profile

WIDTH, HEIGHT = 640, 480
RELIABILITIES = ("reliable", "best_effort")


def main() -> None:
    """Print a table, or be one of the processes that it is measured with."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--images", type=int, default=15)
    parser.add_argument("--rate", type=float, default=2.0, help="Hz")
    parser.add_argument("--offer", choices=RELIABILITIES, help=argparse.SUPPRESS)
    parser.add_argument("--ask", choices=RELIABILITIES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.offer:
        offer(arguments)
    elif arguments.ask:
        print(count(arguments))
    else:
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    """A row for each way to offer and to ask."""
    table = Table("offered", "asked for", "Fast DDS's own", "config/fastdds.xml")
    offered = arguments.cameras * arguments.images
    for offering, asking in (
        ("reliable", "best_effort"),
        ("reliable", "reliable"),
        ("best_effort", "best_effort"),
    ):
        arrived = [_arrived(arguments, offering, asking, ours) for ours in (False, True)]
        table.add_row(offering, asking, *(f"{number} of {offered}" for number in arrived))
    Console().print(table)


def _arrived(arguments: argparse.Namespace, offering: str, asking: str, ours: bool) -> int:
    environment = dict(os.environ)
    environment.pop(PROFILE_VARIABLE, None)
    if ours:
        use_transport_profile(environment)
    environment |= {
        "ROS_DOMAIN_ID": str(free_domain_id()),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    numbers = [f"--{name}={getattr(arguments, name)}" for name in ("cameras", "images", "rate")]
    asks = subprocess.Popen(
        [sys.executable, __file__, f"--ask={asking}", *numbers],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    subprocess.run(
        [sys.executable, __file__, f"--offer={offering}", *numbers], env=environment, check=True
    )
    return int(asks.communicate()[0])


def _profile(reliability: str):
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    return QoSProfile(depth=2, reliability=ReliabilityPolicy[reliability.upper()])


def offer(arguments: argparse.Namespace) -> None:
    """Publishes the images once somebody asks for all of them."""
    import rclpy
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("cameras")
    publishers = [
        node.create_publisher(Image, f"camera_{number}", _profile(arguments.offer))
        for number in range(arguments.cameras)
    ]
    image = Image(width=WIDTH, height=HEIGHT, step=2 * WIDTH, encoding="16UC1")
    image.data.frombytes(bytes(2 * WIDTH * HEIGHT))
    while not all(publisher.get_subscription_count() for publisher in publishers):
        time.sleep(0.05)
    for _ in range(arguments.images):
        for publisher in publishers:
            publisher.publish(image)
        time.sleep(1.0 / arguments.rate)
    time.sleep(2.0)  # what is sent again is on its way


def count(arguments: argparse.Namespace) -> int:
    """How many images arrive until nobody offers them any more."""
    import rclpy
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("listener")
    arrived = []
    for number in range(arguments.cameras):
        node.create_subscription(
            Image, f"camera_{number}", lambda _: arrived.append(1), _profile(arguments.ask)
        )
    offered = False
    while not offered or node.count_publishers("camera_0"):
        offered = offered or node.count_publishers("camera_0") > 0
        rclpy.spin_once(node, timeout_sec=0.1)
    return len(arrived)


if __name__ == "__main__":
    main()
