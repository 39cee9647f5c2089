"""The connection to the controller, over ur-rtde.

Its client can hang, end the process with a signal, or succeed without effect: only the servo
process uses it, never again after a fault, and without its destructors.
"""

from __future__ import annotations

import importlib.util
import socket
from typing import Any

import numpy as np

from dexgrasp_arm_driver.controller_health import Sample
from dexgrasp_arm_driver.remote_control import RemoteControl
from dexgrasp_arm_driver.servo_settings import PERIOD, RATE, ControllerSettings

_RTDE_PORT = 30004
"""The client's own, as are those of the dashboard and of scripts: it can't be told others."""
_CONNECT_TIMEOUT = 2.0
_OUTPUTS = (
    "timestamp",
    "actual_q",
    "actual_qd",
    "robot_mode",
    "safety_status_bits",
    "robot_status_bits",
    "runtime_state",
)
_RELEASE_DECELERATION = 5.0  # m/s^2 of the tool, which stands by then


def missing_client() -> str:
    """Why ur-rtde can't be used, and what to do; empty where it can."""
    if importlib.util.find_spec("rtde_control") and importlib.util.find_spec("rtde_receive"):
        return ""
    return "ur-rtde is not installed, which speaks with the arm: pip install ur-rtde==1.6.5"


class ControllerLink:
    """Reads the controller's states, and once it has control sends set-points.

    Raises:
        ConnectionError: nothing at that address answers as a controller does.
    """

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings
        host = settings.host
        try:
            # The client would wait for a host that is not there much longer.
            socket.create_connection((host, _RTDE_PORT), _CONNECT_TIMEOUT).close()
        except OSError as error:
            raise ConnectionError(
                f"no controller answers at {host}, port {_RTDE_PORT} ({error}): see to its"
                " power and cable, and to the parameter controller.host"
            ) from error
        from rtde_receive import RTDEReceiveInterface

        try:
            self._receive = RTDEReceiveInterface(host, RATE, list(_OUTPUTS))
        except RuntimeError as error:
            raise ConnectionError(f"the controller at {host} gives no states: {error}") from error
        self._remote = RemoteControl(host, settings.dashboard_port)
        self._control: Any = None

    def read(self, now: float) -> Sample:
        """The newest state that has come; `now` is monotonic, s."""
        receive = self._receive
        return Sample(
            connected=receive.isConnected(),
            timestamp=receive.getTimestamp(),
            joints=np.array(receive.getActualQ()),
            speeds=np.array(receive.getActualQd()),
            robot_mode=receive.getRobotMode(),
            safety_bits=receive.getSafetyStatusBits(),
            status_bits=receive.getRobotStatus(),
            runtime_state=receive.getRuntimeState(),
            remote=self._remote.poll(now),
        )

    def take_control(self) -> None:
        """Starts the client's program on the controller, which stops by itself in our silence.

        Raises:
            ConnectionError: it does not start.
        """
        from rtde_control import RTDEControlInterface

        try:
            self._control = RTDEControlInterface(self._settings.host, RATE)
            watched = self._control.setWatchdog(self._settings.watchdog_rate)
        except RuntimeError as error:
            raise ConnectionError(
                f"the controller does not let itself be controlled: {error}"
            ) from (error)
        if not watched:
            raise ConnectionError("the controller's watchdog could not be set")

    def servo(self, joints: np.ndarray) -> None:
        """Sends a set-point (6,), rad. Whether it is followed the states tell.

        Raises:
            ValueError: it is not finite, which the controller would accept.
            ConnectionError: the client has lost the controller.
        """
        if not np.isfinite(joints).all():
            raise ValueError(f"a set-point is not finite: {joints}")
        settings = self._settings
        try:
            self._control.servoJ(
                joints.tolist(), 0.0, 0.0, PERIOD, settings.lookahead_time, settings.servo_gain
            )
        except RuntimeError as error:
            raise ConnectionError(
                f"the connection to the controller is lost ({error}): see to its power and cable"
            ) from error

    def give_back(self) -> None:
        """Ends the program on the controller; the arm should stand."""
        self._control.servoStop(_RELEASE_DECELERATION)
        self._control.stopScript()
