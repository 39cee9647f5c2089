"""What each device of the robot says when it is asked; nothing moves."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import typer
from rich.console import Console
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from dexgrasp_bringup.graph import GraphError
from dexgrasp_bringup.parameter_file import ParameterFile, ParameterValue
from dexgrasp_bringup.robot_graph import HardwareOptions, hardware_nodes
from dexgrasp_cli.doctor import Finding, told
from dexgrasp_cli.rig_option import rig_file
from dexgrasp_hand_driver.driver_parameters import Ros2Parameters
from dexgrasp_leap.frames import LeapFrame
from dexgrasp_leap.leapc_transport import LeapCMissingError
from dexgrasp_leap.transport import ServiceError
from dexgrasp_leap.transports import make_transport
from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import RigError, load_rig

Parameters = Mapping[str, ParameterValue]
"""Of a driver, as its parameter file and the user's say."""

_TIMEOUT = 2.0
"""s that a device on the network has for an answer."""
_DISCOVERY = 5.0
"""s that a controller of ROS 2 has to be found."""
_DASHBOARD_QUESTIONS = ("robotmode", "safetystatus", "is in remote control")
_ARM_PORTS = (30003, 30004)
"""Which the client library can't have elsewhere."""


def examine_hardware(options: HardwareOptions, console: Console | None = None) -> bool:
    """Prints what each device says; returns whether all are ready."""
    console = console or Console()
    try:
        found = device_findings(dataclasses.replace(options, rig=str(rig_file(options.rig))))
        return all(f.found for f in told(found, "dexgrasp doctor --hardware", console))
    except (GraphError, RigError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error)) from None


def device_findings(options: HardwareOptions) -> Iterator[Finding]:
    """One for each device that the options ask for.

    Raises:
        GraphError: `params_file` can't be used.
        RigError: the camera rig can't be used.
    """
    asked = {
        "realsense": _cameras,
        "arm_driver": _arm,
        "arm_adapter": _arm_of_another,
        "hand_driver": _hand,
        "leap": _leap,
    }
    for node in hardware_nodes(options):
        if look := asked.get(node.name):
            file = ParameterFile.read(cast(Path, node.parameter_file))
            yield look({**file.values_for(node.name, node.namespace), **node.parameters})


def _cameras(parameters: Parameters) -> Finding:
    what, rig = "cameras", str(parameters["rig"])
    try:
        from dexgrasp_realsense.frame_source import RealSenseDevices

        connected = RealSenseDevices().serials()
    except ImportError as error:
        return _fault(what, str(error), "no images: make setup")
    cameras = load_rig(find_config(rig))
    nameless = [camera.name for camera in cameras if not camera.serial]
    absent = [f"{c.name} ({c.serial})" for c in cameras if c.serial and c.serial not in connected]
    detail = f"connected: {', '.join(connected) or 'none'}"
    if nameless:
        cost = f"{rig} has no serial of {', '.join(nameless)}: write it there"
        return _fault(what, detail, cost)
    if absent:
        cost = f"no images of {', '.join(absent)}: plug in, on USB 3; look at the serials in {rig}"
        return _fault(what, detail, cost)
    return Finding(what, True, detail)


def _arm(parameters: Parameters) -> Finding:
    host = str(parameters["controller.host"])
    port = cast(int, parameters["controller.dashboard_port"])
    what = f"arm at {host}"
    try:
        with socket.create_connection((host, port), _TIMEOUT) as dashboard:
            lines = dashboard.makefile("rw", newline="\n")
            lines.readline()  # a greeting
            answers = []
            for question in _DASHBOARD_QUESTIONS:
                lines.write(question + "\n")
                lines.flush()
                answers.append(lines.readline().strip())
    except OSError as error:
        cost = "the arm: switch its controller on; look at `controller.host` in arm_driver.yaml"
        return _fault(what, f"port {port}: {error}", cost)
    detail = "; ".join(answers)
    for other in _ARM_PORTS:
        try:
            socket.create_connection((host, other), _TIMEOUT).close()
        except OSError as error:
            cost = f"the arm: open port {other} on the way to it (pendant: Settings, Security)"
            return _fault(what, f"port {other}: {error}", cost)
    mode, safety, remote = (answer.lower() for answer in answers)
    if "running" not in mode:
        return _fault(what, detail, "the arm: switch it on and release its brakes")
    if "normal" not in safety and "reduced" not in safety:
        return _fault(what, detail, "the arm: end the stop at the pendant")
    if remote == "false":
        return _fault(what, detail, "the arm: switch the pendant to remote control")
    return Finding(what, True, detail)


def _arm_of_another(parameters: Parameters) -> Finding:
    what = "arm by ur_robot_driver"
    if importlib.util.find_spec("ur_dashboard_msgs") is None:
        cost = "the arm: apt install ros-jazzy-ur-dashboard-msgs"
        return _fault(what, "ur_dashboard_msgs are not installed", cost)
    from dexgrasp_arm_driver.driver_topics import DriverTopics

    topics = DriverTopics(str(parameters["driver_namespace"]))
    trajectory = parameters["interface"] == "trajectory"
    command = topics.trajectory if trajectory else topics.positions
    return _controller(
        what,
        topics.joint_states.name,
        command.name,
        cast(float, parameters["late_limit"]),
        start="ur_robot_driver; look at `driver_namespace` and ROS_DOMAIN_ID",
        activate=f"{command.name.split('/')[-2]} (ros2 control list_controllers)",
    )


def _controller(
    what: str, joint_states: str, command: str, late_limit: float, *, start: str, activate: str
) -> Finding:
    """Of a controller of ROS 2; `start` and `activate` say what, where it lacks."""
    from dexgrasp_cli.ros_listening import listen

    heard = listen(joint_states, command, _DISCOVERY)
    device = what.split()[0]
    if not heard.states:
        return _fault(what, f"nothing on {joint_states}", f"the {device}: start {start}")
    detail = f"joint states up to {1e3 * heard.age:.0f} ms old"
    if not heard.listens:
        return _fault(what, f"{detail}, nobody on {command}", f"the {device}: start {activate}")
    if heard.late > late_limit:
        cost = f"the {device}: its states may be {late_limit:g} s late; is a machine busy?"
        return _fault(what, f"{detail}, {1e3 * heard.late:.0f} ms late", cost)
    return Finding(what, True, f"{detail}, {command}")


def _hand(parameters: Parameters) -> Finding:
    if parameters.get("interface") == "ros2":
        topics = Ros2Parameters()
        return _controller(
            "hand over ROS 2",
            str(parameters.get("ros2.joint_states", topics.joint_states)),
            str(parameters.get("ros2.command", topics.command)),
            cast(float, parameters["state_age"]),
            start="its software; look at `ros2.joint_states` and ROS_DOMAIN_ID",
            activate="its controllers; look at `ros2.command`",
        )
    host, port = str(parameters["host"]), cast(int, parameters["port"])
    what = f"hand at {host}:{port}"
    service = "/controller_manager/list_controllers"
    try:
        with connect(f"ws://{host}:{port}", open_timeout=_TIMEOUT) as bridge:
            bridge.send(json.dumps({"op": "call_service", "id": "doctor", "service": service}))
            answer = json.loads(bridge.recv(timeout=_TIMEOUT))
            controllers = answer["values"]["controller"]
            running = [each["name"] for each in controllers if each["state"] == "running"]
    except (OSError, WebSocketException) as error:
        cost = "the hand: start its software and rosbridge; look at `host` in hand_driver.yaml"
        return _fault(what, str(error) or type(error).__name__, cost)
    except (KeyError, TypeError, ValueError):
        cost = "the hand: start its controllers"
        return _fault(what, f"no answer to {service}", cost)
    if not running:
        return _fault(what, "no controller runs", "the hand: start its controllers")
    return Finding(what, True, ", ".join(running))


class _Heard:
    """What a Leap's service tells."""

    def __init__(self) -> None:
        self.devices: dict[str, bool] = {}
        self.frames = 0

    def connected(self) -> None:
        pass

    def attached(self, device: str, there: bool) -> None:
        self.devices[device] = there

    def take(self, frame: LeapFrame) -> None:
        self.frames += 1

    def refuse(self, reason: str) -> None:
        pass


def _leap(parameters: Parameters) -> Finding:
    host, port = str(parameters["host"]), cast(int, parameters["port"])
    try:
        transport = make_transport(str(parameters["transport"]), host, port)
    except LeapCMissingError as error:
        return _fault("Leap Motion", str(error), "no hand is tracked")
    what, heard, stop = f"Leap Motion at {transport.service}", _Heard(), threading.Event()
    timer = threading.Timer(_TIMEOUT, stop.set)
    timer.start()
    try:
        transport.follow(heard, stop)
    except ServiceError as error:
        return _fault(what, str(error), f"no hand is tracked: {transport.advice}")
    finally:
        timer.cancel()
    if heard.devices and not any(heard.devices.values()):
        return _fault(what, "no device", "no hand is tracked: plug the device in")
    if not heard.frames:
        return _fault(what, "no frames", "no hand is tracked: plug the device in anew")
    return Finding(what, True, f"{heard.frames / _TIMEOUT:.0f} frames a second")


def _fault(what: str, detail: str, cure: str) -> Finding:
    return Finding(what, False, detail, cure, needed=True)
