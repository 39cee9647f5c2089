"""A Shadow Hand behind rosbridge: the vendor's topics and controllers, as its client sees them.

Speaks rosbridge's protocol (version 2: JSON over a websocket) as far as a driver of the hand needs
it. Runs in a process of its own, that can be killed and stopped; `hand_counterpart.py` starts it.
Where that is asked for, every command is written to a file, with the monotonic time, which this
machine's processes share.

The controllers do what ros_control's do: a trajectory whose last point is past is dropped, another
one is followed in a straight line from where the joints are wanted now. The clock is not that of
the driver's machine.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from dexgrasp_counterparts.joint_link import JointLink
from dexgrasp_counterparts.own_computer import take_precedence
from dexgrasp_models.jobs.parent_process import end_with_input

RATE = 125.0
CLOCK = 1_000_000.25 + time.time() - time.monotonic()
"""What the hand's clock is ahead of the monotonic one, s."""
DIGITS = {"FF": 4, "LF": 5, "MF": 4, "RF": 4, "TH": 5, "WR": 2}
JOINTS = [f"rh_{digit}J{i + 1}" for digit, count in DIGITS.items() for i in range(count)]
COUPLED = [f"rh_{finger}J0" for finger in ("FF", "LF", "MF", "RF")]
MOTORS = [
    *COUPLED,
    *(joint for joint in JOINTS if joint[:-1] + "0" not in COUPLED or joint[-1] > "2"),
]
CONTROLLERS = {
    "trajectory": ["rh_trajectory_controller", "rh_wr_trajectory_controller"],
    "with wrist": ["rh_trajectory_controller"],
    "position": [f"sh_{motor.lower()}_position_controller" for motor in MOTORS],
    "none": [],
}


class Measured(NamedTuple):
    """What is measured of the joints, in the order of `JOINTS`: rad, rad/s and N m."""

    positions: Sequence[float]
    velocities: Sequence[float]
    efforts: Sequence[float]


class Hand:
    """Motors that follow at once what their controllers want, and joints that they move.

    Args:
        wrist: angle of its two joints, rad; all motors of the fingers are at 0.1 rad.
    """

    def __init__(self, wrist: float) -> None:
        self._begin({motor: wrist if "WR" in motor else 0.1 for motor in MOTORS})

    def _begin(self, starts: dict[str, float]) -> None:
        self._ways = {motor: (0.0, 0.0, start, start) for motor, start in starts.items()}

    def go(self, targets: dict[str, float], now: float, seconds: float) -> None:
        """Motors go to targets in a straight line."""
        wanted = self.motors(now)
        for motor, target in targets.items():
            self._ways[motor] = (now, now + seconds, wanted[motor], target)

    def motors(self, now: float) -> dict[str, float]:
        return {motor: _on_way(way, now) for motor, way in self._ways.items()}

    def joints(self, now: float) -> dict[str, float]:
        """The outer joint of a finger begins to move when the middle one is at its end."""
        angles = self.motors(now)
        for motor in COUPLED:
            both = angles.pop(motor)
            middle = min(both, math.pi / 2)
            angles |= {motor[:-1] + "2": middle, motor[:-1] + "1": both - middle}
        return angles

    def measured(self, now: float) -> Measured:
        """Numbers that can be told apart in the place of velocities and efforts."""
        angles = self.joints(now)
        numbers = range(len(JOINTS))
        return Measured(
            [angles[joint] for joint in JOINTS], [0.01 * n for n in numbers], [*map(float, numbers)]
        )


class JoinedHand(Hand):
    """Motors and joints of a robot that has to be there already.

    Args:
        robot: gets the motors' angles, `MOTORS`, and tells the joints', as `Measured` has them.
    """

    def __init__(self, robot: JointLink) -> None:
        self._robot = robot
        joints = dict(zip(JOINTS, self._told().positions, strict=True))
        self._begin(_motors(joints))

    def measured(self, now: float) -> Measured:
        """Tells the robot what is wanted of it by now, and takes what it has told."""
        wanted = self.motors(now)
        self._robot.send([wanted[motor] for motor in MOTORS])
        return self._told()

    def _told(self) -> Measured:
        told = self._robot.newest()
        assert told is not None
        count = len(JOINTS)
        return Measured(told[:count], told[count : 2 * count], told[2 * count :])


def _on_way(way: tuple[float, float, float, float], now: float) -> float:
    begin, end, start, target = way
    return target if now >= end else start + (target - start) * (now - begin) / (end - begin)


class Server:
    """Its settings are changed by messages with the operation `set`:

    - `states`: whether states are published;
    - `broken`: name of a joint whose angle is NaN, or empty;
    - `controllers`: which run, a key of `CONTROLLERS`.

    Args:
        hand: that it has.
        log: gets a line for each command; none if it is empty.
        settings: other than the default.
    """

    def __init__(self, hand: Hand, log: str, **settings: Any) -> None:
        self.hand = hand
        self.settings: dict[str, Any] = {
            "states": True,
            "broken": "",
            "controllers": "trajectory",
        } | settings
        self._log = open(log, "a", buffering=1) if log else None  # noqa: SIM115
        self._subscribers: set[ServerConnection] = set()

    async def run(self, host: str, port: int) -> None:
        logging.getLogger("websockets").setLevel(logging.CRITICAL)  # of clients that just look
        async with serve(self._serve, host, port, ping_interval=None):
            print("there", flush=True)
            await self._publish_states()

    async def _publish_states(self) -> None:
        due = time.monotonic()
        while True:
            due += 1.0 / RATE
            await asyncio.sleep(due - time.monotonic())
            if not self.settings["states"]:
                continue
            content = json.dumps({"op": "publish", "topic": "/joint_states", "msg": self._state()})
            for each in tuple(self._subscribers):
                if each.transport.get_write_buffer_size():  # as with a `queue_length` of 1
                    continue
                try:
                    await each.send(content)
                except ConnectionClosed:
                    self._subscribers.discard(each)

    def _state(self) -> dict[str, Any]:
        now = time.monotonic()
        positions, velocities, efforts = self.hand.measured(now)
        secs, part = divmod(now + CLOCK, 1.0)
        broken = self.settings["broken"]
        return {
            "header": {"seq": 0, "stamp": {"secs": int(secs), "nsecs": int(part * 1e9)}},
            "name": JOINTS,
            # As rosbridge does with NaN.
            "position": [
                None if joint == broken else angle
                for joint, angle in zip(JOINTS, positions, strict=True)
            ],
            "velocity": velocities,
            "effort": efforts,
        }

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            async for text in connection:
                message = json.loads(text)
                answer = self._hear(message["op"], message, connection)
                if answer is not None:
                    await connection.send(json.dumps(answer))
        except ConnectionClosed:
            pass
        finally:
            self._subscribers.discard(connection)

    def _hear(
        self, operation: str, message: dict[str, Any], connection: ServerConnection
    ) -> dict[str, Any] | None:
        match operation:
            case "set":
                self.settings |= message["settings"]
                return {"op": "set"}
            case "subscribe":
                assert (message["topic"], message["type"]) == (
                    "/joint_states",
                    "sensor_msgs/JointState",
                )
                self._subscribers.add(connection)
            case "publish":  # of which rosbridge knows the type, advertised or not
                self._command(message["topic"], message["msg"])
            case "call_service":
                return self._listed(message)
        return None

    def _listed(self, message: dict[str, Any]) -> dict[str, Any]:
        assert message["service"] == "/controller_manager/list_controllers"
        running = CONTROLLERS[self.settings["controllers"]]
        controllers: list[dict[str, Any]] = [
            {
                "name": name,
                "state": "running" if name in running else "stopped",
                "type": "",
                "claimed_resources": [],
            }
            for name in sorted({name for names in CONTROLLERS.values() for name in names})
        ]
        values = {"controller": controllers}
        return {"op": "service_response", "id": message["id"], "values": values, "result": True}

    def _command(self, topic: str, message: dict[str, Any]) -> None:
        now = time.monotonic()
        controller = topic.removesuffix("/command").removeprefix("/")
        running = controller in CONTROLLERS[self.settings["controllers"]]
        if "points" in message:
            due = _seconds(message["header"]["stamp"]) - CLOCK
            due += _seconds(message["points"][-1]["time_from_start"])
            angles = dict(
                zip(message["joint_names"], message["points"][-1]["positions"], strict=True)
            )
        else:
            due = now
            motor = controller.removeprefix("sh_").removesuffix("_position_controller")
            angles = {"rh_" + motor.removeprefix("rh_").upper(): message["data"]}
        taken = running and due >= now
        if taken:
            self.hand.go(_motors(angles), now, due - now)
        if self._log is None:
            return
        line = {"at": now, "until": due, "taken": taken, "topic": topic, "angles": angles}
        self._log.write(json.dumps(line) + "\n")


def _motors(angles: dict[str, float]) -> dict[str, float]:
    motors = dict(angles)
    for motor in COUPLED:
        if motor[:-1] + "1" in motors:
            motors[motor] = motors.pop(motor[:-1] + "1") + motors.pop(motor[:-1] + "2")
    return motors


def _seconds(stamp: dict[str, int]) -> float:
    return stamp["secs"] + 1e-9 * stamp["nsecs"]


def main() -> None:
    """The process: host, port, log, settings, and the descriptor of a robot's link if it has one.

    A setting `wrist` is that of a hand without a robot.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    end_with_input()
    host, port, log, text, *robot = sys.argv[1:]
    settings = json.loads(text)
    wrist = settings.pop("wrist", 0.0)
    hand = Hand(wrist)
    if robot:
        take_precedence()
        hand = JoinedHand(JointLink.of(int(robot[0]), sends=len(MOTORS), receives=3 * len(JOINTS)))
    asyncio.run(Server(hand, log, **settings).run(host, int(port)))


if __name__ == "__main__":
    main()
