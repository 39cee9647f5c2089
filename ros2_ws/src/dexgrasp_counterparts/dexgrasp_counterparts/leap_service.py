"""The Leap's service as its clients see it: version 6 of its WebSocket of JSON.

Runs in a process of its own, that can be killed and stopped; `leap_counterpart.py` starts it. Like
the real one it serves `/v6.json` alone, compares the texts that it is sent, and writes `nan` where
it has no number, which is no JSON. Its clock counts microseconds from some moment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import signal
import sys
import time
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from dexgrasp_counterparts.own_computer import take_precedence
from dexgrasp_models.jobs.parent_process import end_with_input

RATE = 100.0
CLOCK_US = 123_456_789
"""What its clock is ahead of the monotonic one, microseconds."""
PATH = "/v6.json"
CONTROL = "/control"
"""Path of who changes settings."""
HAND: dict[str, Any] = {
    "id": 11,
    "type": "right",
    "confidence": 0.8,
    "palmPosition": [100.0, 210.0, -120.0],
    "palmNormal": [0.0, -1.0, 0.0],
    "palmVelocity": [0.0, 0.0, 0.0],
    "direction": [0.0, 0.0, -1.0],
    "palmWidth": 85.0,
    "wrist": [100.0, 200.0, -50.0],
    "elbow": [110.0, 150.0, 200.0],
    "armBasis": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "armWidth": 60.0,
    "grabStrength": 0.0,
    "grabAngle": 0.0,
    "pinchStrength": 0.0,
    "pinchDistance": 60.0,
    "timeVisible": 1.5,
}
"""A right hand flat above the device, its wrist 100 mm right, 200 mm up, 50 mm ahead."""


class Service:
    """Its settings are changed by messages on `/control`:

    - `hands`: what is different from `HAND`, for each hand that is seen;
    - `frames`: whether any are made;
    - `kept_back`: whether they are made and not sent, but all at once when it is over;
    - `not_a_number`: whether the wrists of hands have none;
    - `shuffled`: whether every second frame has a time from 50 ms before;
    - `attached`: whether the device is plugged in;
    - `version`: of the protocol;
    - `rate`: of frames, Hz.

    Args:
        settings: other than the default.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings: dict[str, Any] = {
            "hands": [{}],
            "frames": True,
            "kept_back": False,
            "not_a_number": False,
            "shuffled": False,
            "attached": True,
            "version": 6,
            "rate": RATE,
        } | settings
        self._clients: set[ServerConnection] = set()
        self._listeners: set[ServerConnection] = set()
        self._kept: list[str] = []

    async def run(self, host: str, port: int) -> None:
        logging.getLogger("websockets").setLevel(logging.CRITICAL)  # of clients that just look
        async with serve(self._serve, host, port, ping_interval=None):
            print("there", flush=True)
            await self._track()

    async def _track(self) -> None:
        number, due = 0, time.monotonic()
        while True:
            number, due = number + 1, due + 1.0 / self.settings["rate"]
            if (early := due - time.monotonic()) > 0.0:
                await asyncio.sleep(early)
            else:  # it was stopped, or the machine is busy: frames of then are not made any more
                due = time.monotonic()
                await asyncio.sleep(0.0)
            if not (self.settings["frames"] and self.settings["attached"]):
                continue
            self._kept.append(self._frame(number, due))
            if not self.settings["kept_back"]:
                kept, self._kept = self._kept, []
                for text in kept:
                    await self._send(self._listeners, text)

    def _frame(self, number: int, due: float) -> str:
        taken_us = round(1e6 * due) + CLOCK_US
        if self.settings["shuffled"] and number % 2:
            taken_us -= 50_000
        hands = [HAND | different for different in self.settings["hands"]]
        if self.settings["not_a_number"]:
            hands = [hand | {"wrist": [math.nan, math.nan, math.nan]} for hand in hands]
        frame = {
            "currentFrameRate": self.settings["rate"],
            "devices": [],
            "id": number,
            "timestamp": taken_us,
            "hands": hands,
            "pointables": [],
        }
        return json.dumps(frame).replace("NaN", "nan")

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        try:
            if connection.request.path == CONTROL:
                await self._obey(connection)
            elif connection.request.path == PATH:
                await self._greet(connection)
        except ConnectionClosed:
            pass
        finally:
            self._clients.discard(connection)
            self._listeners.discard(connection)

    async def _obey(self, connection: ServerConnection) -> None:
        async for text in connection:
            attached = self.settings["attached"]
            self.settings |= json.loads(text)
            if self.settings["attached"] != attached:
                await self._send(self._clients, self._device_event())
            await connection.send("{}")

    async def _greet(self, connection: ServerConnection) -> None:
        await connection.send(json.dumps({"version": self.settings["version"]}))
        await connection.send(self._device_event())
        self._clients.add(connection)
        async for text in connection:
            if text == '{"background":true}':
                self._listeners.add(connection)

    def _device_event(self) -> str:
        state = {
            "attached": self.settings["attached"],
            "id": 1,
            "streaming": self.settings["attached"],
            "type": "peripheral",
        }
        return json.dumps({"event": {"type": "deviceEvent", "state": state}})

    async def _send(self, connections: set[ServerConnection], text: str) -> None:
        for each in tuple(connections):
            try:
                await each.send(text)
            except ConnectionClosed:
                connections.discard(each)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    end_with_input()
    take_precedence()
    host, port, settings = sys.argv[1:]
    asyncio.run(Service(**json.loads(settings)).run(host, int(port)))
