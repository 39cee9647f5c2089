"""A counterpart of a UR controller, as a process: what ur-rtde speaks with, and its faults.

It answers RTDE version 2 (port 30004), the dashboard (29999) and the script port (30003), runs the
client's control script as far as servoing goes, moves its joints to the set-points that come, and
keeps these with the time at which they came. It knows nothing of the driver.

The process is told what to do over a connection (`ur_controller.UrController`).
"""

from __future__ import annotations

import contextlib
import functools
import selectors
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from dexgrasp_counterparts.joint_link import JointLink
from dexgrasp_counterparts.own_computer import take_precedence
from dexgrasp_counterparts.ur_controller import (
    DASHBOARD_PORT,
    HOME,
    JOINT_SPEED,
    KEPT,
    PERIOD,
    RTDE_PORT,
    SCRIPT_PORT,
    Record,
)

_NORMAL = 1 << 0
_SAFETY = {
    "protective stop": (3, 1 << 2 | 1 << 10),
    "safeguard stop": (5, 1 << 4 | 1 << 10),
    "emergency stop": (7, 1 << 6 | 1 << 7 | 1 << 10),
}
"""Safety mode and status bits of each stop."""
_POWERED, _PROGRAM = 1 << 0, 1 << 1
_SERVO_J, _SERVO_STOP, _WATCHDOG, _STOP_SCRIPT = 11, 16, 35, 255
_AT_ONCE = {6, 9, 10, 11, 24, 25, 26, 27, 38, 58, *range(66, 72)}
"""Commands that the script does not acknowledge."""
_FORMATS = {"DOUBLE": "d", "VECTOR6D": "6d", "INT32": "i", "UINT32": "I", "UINT8": "B"}


@functools.cache
def _type_of(name: str) -> str:
    if "int_register" in name or name in ("robot_mode", "safety_mode"):
        return "INT32"
    if name in ("runtime_state", "robot_status_bits", "safety_status_bits", "speed_slider_mask"):
        return "UINT32"
    if "bit_registers" in name:
        return "UINT32"
    if name.startswith(("actual_q", "target_q", "external_force")):
        return "VECTOR6D"
    if "digital_output" in name or name.endswith(("_mask", "_type")):
        return "UINT8"
    return "DOUBLE"


@dataclass
class _Client:
    socket: socket.socket
    kind: int
    buffer: bytes = b""
    outputs: list[str] = field(default_factory=list)
    inputs: list[list[str]] = field(default_factory=list)
    started: bool = False
    later: deque[tuple[float, bytes]] = field(default_factory=deque)


class _Controller:
    def __init__(self, host: str, orders: Connection, robot: JointLink | None) -> None:
        self.orders, self.robot = orders, robot
        self.selector = selectors.DefaultSelector()
        for port in (RTDE_PORT, DASHBOARD_PORT, SCRIPT_PORT):
            listening = socket.create_server((host, port))
            listening.setblocking(False)
            self.selector.register(listening, selectors.EVENT_READ, port)
        self.selector.register(orders, selectors.EVENT_READ, "orders")
        self.clients: list[_Client] = []
        self.joints, self.speeds = list(HOME), [0.0] * 6
        self.measure()
        self.wanted = list(self.joints)
        self.target: tuple[float, ...] | None = None
        self.registers: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {"output_int_register_0": 0}
        self.began = time.monotonic()
        self.running = self.remote = True
        self.program = False
        self.mode = 7
        self.safety = ""
        self.delay = 0.0
        self.watchdog: float | None = None
        self.silent = 0  # periods; those in which this process did not run do not count
        self.arrivals: deque[tuple[float, tuple[float, ...]]] = deque(maxlen=KEPT)
        self.events: list[tuple[float, str]] = []

    def run(self) -> None:
        due = time.monotonic()
        while self.running:
            due = max(due + PERIOD, time.monotonic())
            while (left := due - time.monotonic()) > 0:
                self.serve(left)
            self.serve(0.0)
            self.tick()

    def serve(self, timeout: float) -> None:
        for key, _ in self.selector.select(timeout):
            if key.data == "orders":
                self.obey()
            elif isinstance(key.data, int):
                accepted, _ = key.fileobj.accept()  # type: ignore[union-attr]
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client = _Client(accepted, key.data)
                self.clients.append(client)
                self.selector.register(accepted, selectors.EVENT_READ, client)
                if client.kind == DASHBOARD_PORT:
                    accepted.sendall(b"Connected: Universal Robots Dashboard Server\n")
            else:
                self.read(key.data)

    def read(self, client: _Client) -> None:
        try:
            got = client.socket.recv(1 << 16)
        except OSError:
            got = b""
        if not got:
            self.drop(client)
            return
        client.buffer += got
        if client.kind == RTDE_PORT:
            while len(client.buffer) >= 3:
                size, kind = struct.unpack(">HB", client.buffer[:3])
                if len(client.buffer) < size:
                    break
                self.rtde(client, chr(kind), client.buffer[3:size])
                client.buffer = client.buffer[size:]
        elif client.kind == DASHBOARD_PORT:
            *lines, client.buffer = client.buffer.split(b"\n")
            with contextlib.suppress(OSError):  # who has gone is dropped at the next reading
                for line in lines:
                    client.socket.sendall(self.dashboard(line.decode()).encode() + b"\n")
        elif b"\nend" in client.buffer:
            if b"def rtde_control" in client.buffer:
                self.begin_program()
            client.buffer = b""

    def drop(self, client: _Client) -> None:
        self.selector.unregister(client.socket)
        client.socket.close()
        self.clients.remove(client)

    def dashboard(self, line: str) -> str:
        return {
            "PolyscopeVersion": "URSoftware 5.15.0.0 (Jan 1 2024)",
            "get serial number": "20205500001",
            "is in remote control": str(self.remote).lower(),
            "robotmode": "Robotmode: RUNNING" if self.mode == 7 else "Robotmode: POWER_OFF",
            "safetystatus": f"Safetystatus: {self.safety.upper().replace(' ', '_') or 'NORMAL'}",
        }.get(line.strip(), f"could not understand: '{line}'")

    def rtde(self, client: _Client, kind: str, payload: bytes) -> None:
        if kind == "V":
            self.send(client, kind, b"\x01")
        elif kind == "v":
            self.send(client, kind, struct.pack(">4I", 5, 15, 0, 0))
        elif kind == "O":
            client.outputs = [name for name in payload[8:].decode().split(",") if name]
            types = ",".join(_type_of(name) for name in client.outputs)
            self.send(client, kind, b"\x01" + types.encode())
        elif kind == "I":
            client.inputs.append([name for name in payload.decode().split(",") if name])
            types = ",".join(_type_of(name) for name in client.inputs[-1])
            self.send(client, kind, bytes([len(client.inputs)]) + types.encode())
        elif kind in "SP":
            client.started = kind == "S"
            self.send(client, kind, b"\x01")
        elif kind == "U":
            names = client.inputs[payload[0] - 1]
            layout = ">" + "".join(_FORMATS[_type_of(name)] for name in names)
            self.registers.update(zip(names, struct.unpack(layout, payload[1:]), strict=True))
            if "input_int_register_0" in names:
                self.command(self.registers["input_int_register_0"])

    def command(self, command: int) -> None:
        now = time.monotonic()
        self.silent = 0
        if not self.program:
            return
        numbers = tuple(self.registers.get(f"input_double_register_{i}", 0.0) for i in range(6))
        if command == _SERVO_J:
            self.arrivals.append((now, numbers))
            self.target = numbers
        elif command == _SERVO_STOP:
            self.target = None
        elif command == _WATCHDOG:
            self.watchdog = numbers[0]
        elif command == _STOP_SCRIPT:
            self.end_program("script stopped by the client")
        if command not in _AT_ONCE:
            self.outputs["output_int_register_0"] = 2 if command else 1

    def begin_program(self) -> None:
        if self.remote and not self.safety:
            self.events.append((time.monotonic(), "program began"))
            self.program, self.target, self.watchdog = True, None, None
            self.outputs["output_int_register_0"] = 1

    def end_program(self, why: str) -> None:
        self.events.append((time.monotonic(), why))
        self.program, self.target = False, None
        self.outputs["output_int_register_0"] = 0

    def measure(self) -> None:
        """Takes joints and speeds of the robot, where there is one."""
        if self.robot is not None and (measured := self.robot.newest()) is not None:
            self.joints, self.speeds = list(measured[:6]), list(measured[6:])

    def tick(self) -> None:
        now = time.monotonic()
        self.silent += 1
        if self.program and self.watchdog and self.silent * PERIOD > 1.0 / self.watchdog:
            self.end_program("watchdog")
        before = self.wanted
        if self.target is not None and self.program and not self.safety:
            step = JOINT_SPEED * PERIOD
            self.wanted = [
                q + min(max(goal - q, -step), step)  # NaN is taken for no limit, as it is there
                for q, goal in zip(self.wanted, self.target, strict=True)
            ]
        if self.robot is None:
            self.joints = self.wanted
            self.speeds = [(q - old) / PERIOD for q, old in zip(self.wanted, before, strict=True)]
        else:
            self.robot.send(self.wanted)
            self.measure()
        mode, bits = _SAFETY.get(self.safety, (1, _NORMAL))
        status = (_POWERED if self.mode == 7 else 0) | (_PROGRAM if self.program else 0)
        values = self.outputs | {
            "timestamp": 1000.0 + round((now - self.began) / PERIOD) * PERIOD,
            "actual_q": self.joints,
            "actual_qd": self.speeds,
            "target_q": self.wanted,
            "robot_mode": self.mode,
            "safety_mode": mode,
            "safety_status_bits": bits,
            "robot_status_bits": status,
            "runtime_state": 2 if self.program else 1,
        }
        for client in list(self.clients):
            if client.started:
                data = b"\x01" + b"".join(self.packed(name, values) for name in client.outputs)
                client.later.append((now + self.delay, data))
            while client.later and client.later[0][0] <= now:
                self.send(client, "U", client.later.popleft()[1])

    @staticmethod
    def packed(name: str, values: dict[str, Any]) -> bytes:
        layout = _FORMATS[_type_of(name)]
        value = values.get(name, 0)
        if layout == "6d":
            return struct.pack(">6d", *(value or [0.0] * 6))
        return struct.pack(">" + layout, value)

    def send(self, client: _Client, kind: str, payload: bytes) -> None:
        try:
            client.socket.sendall(struct.pack(">HB", len(payload) + 3, ord(kind)) + payload)
        except OSError:
            self.drop(client)

    def obey(self) -> None:
        try:
            name, value = self.orders.recv()
        except EOFError:
            self.running = False
            return
        answer: Any = time.monotonic()
        if name == "safety":
            self.safety = value
            self.target = None
        elif name == "stop program":
            self.end_program("stopped from the pendant")
        elif name == "remote":
            self.remote = value
        elif name == "mode":
            self.mode = value
        elif name == "delay":
            self.delay = value
        elif name == "joints":
            self.wanted, self.target = list(value), None
            self.joints = self.wanted
        elif name == "where":
            answer = tuple(self.joints)
        elif name == "record":
            answer = Record(
                list(self.arrivals), list(self.events), tuple(self.joints), self.watchdog
            )
            if value:
                self.arrivals, self.events = deque(list(self.arrivals)[-1:], KEPT), []
        # Whoever asked may be slow to read it.
        threading.Thread(target=self.orders.send, args=(answer,)).start()


def main() -> None:
    """The process: address and descriptor of the orders are its arguments, and a robot's link."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    take_precedence()
    orders = Connection(int(sys.argv[2]))
    robot = JointLink.of(int(sys.argv[3]), sends=6, receives=12) if len(sys.argv) > 3 else None
    controller = _Controller(sys.argv[1], orders, robot)
    orders.send("ready")
    controller.run()


if __name__ == "__main__":
    main()
