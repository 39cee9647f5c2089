"""Runs a node as a process."""

from __future__ import annotations

import contextlib
import gc
import sys
import traceback
from collections.abc import Callable

import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from dexgrasp_ros.executor import NodeExecutor
from dexgrasp_ros.node import ConfigurationError, ManagedNode
from dexgrasp_ros.parameters import ParameterError
from dexgrasp_ros.priority import take_precedence
from dexgrasp_ros.process_end import Ended, EndRequest
from dexgrasp_ros.transport import use_transport_profile

_SPIN_PERIOD = 0.2
"""Seconds after which the main thread looks for requests to end and for errors of other threads."""


def main(node_type: Callable[[], ManagedNode], arguments: list[str] | None = None) -> int:
    """Runs a node as a process until SIGINT or SIGTERM; returns the exit status.

    With the parameter ``autostart`` (the default) the node configures and activates itself, and a
    failure to do so ends the process with status 1. Without it a lifecycle manager does that.
    """
    end = EndRequest()
    use_transport_profile()
    node = None
    try:
        end.interrupting(True)
        try:
            rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        except RuntimeError as error:  # a variable of the shell, or an argument, that rcl refuses
            raise ConfigurationError(f"ROS 2 can't start: {error}") from error
        node = node_type()
        if node.get_parameter("autostart").value and not _start(node):
            return 1
        # What is loaded by now stays; the garbage collector need not go through it time and again,
        # while callbacks wait.
        gc.collect()
        gc.freeze()
        end.interrupting(False)
        _spin(node, end)
        return 0
    except Ended:
        return 0
    except (ConfigurationError, ParameterError) as error:
        _complain(node, str(error))
        return 1
    except Exception as error:
        traceback.print_exc()
        _complain(node, f"stopped by an unexpected error: {error!r}")
        return 1
    finally:
        end.interrupting(False)
        if node is not None:
            node.destroy_node()
        if rclpy.ok():
            rclpy.shutdown()


def _start(node: ManagedNode) -> bool:
    return all(
        transition() == TransitionCallbackReturn.SUCCESS
        for transition in (node.trigger_configure, node.trigger_activate)
    )


def _spin(node: ManagedNode, end: EndRequest) -> None:
    executor = NodeExecutor()
    executor.add_node(node)
    was_active = False
    try:
        while not end.asked.is_set():
            if node.active and not was_active:
                _take_precedence(node)
            was_active = node.active
            # One thread may destroy what another is about to call: then nothing is left to do.
            with contextlib.suppress(InvalidHandle):
                executor.spin_once(timeout_sec=_SPIN_PERIOD)
            if node.fatal is not None:
                raise node.fatal
    finally:
        node.trigger_shutdown()
        executor.shutdown()


def _take_precedence(node: ManagedNode) -> None:
    priority = node.get_parameter("realtime_priority").value
    if priority and not take_precedence(priority):
        node.get_logger().debug(f"the system grants no real-time priority of {priority}")


def _complain(node: ManagedNode | None, message: str) -> None:
    if node is None:
        print(message, file=sys.stderr)
    else:
        node.complain(message)
