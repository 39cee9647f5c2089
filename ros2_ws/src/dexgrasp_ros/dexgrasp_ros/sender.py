"""Who published a message: what rcl knows of every message and rclpy does not pass on.

rclpy (7.1, of ROS 2 Jazzy) takes the publisher's id out of rcl with each message and drops it; an
executor of commands can't tell two commanders apart without it. So `SenderSubscription` takes its
messages from rcl itself.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import rclpy
from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.waitable import NumberOfEntities, Waitable

from dexgrasp_ros.contract import Topic

_OK, _TAKE_FAILED = 0, 401  # RCL_RET_OK, RCL_RET_SUBSCRIPTION_TAKE_FAILED
_PARTICIPANT = 12
"""Leading bytes of a publisher's id that all publishers of one process have in common (DDS)."""
_UNKNOWN = "_NODE_NAME_UNKNOWN_"


@dataclass(frozen=True)
class Sender:
    """A publisher.

    Attributes:
        gid: its id, unique in the graph.
        node: full name of its node, ``""`` while discovery has not told it yet.
    """

    gid: bytes
    node: str

    def same_node(self, other: Sender) -> bool:
        """Whether both are publishers of one node of one process."""
        return self.gid == other.gid or (
            bool(self.node)
            and self.node == other.node
            and self.gid[:_PARTICIPANT] == other.gid[:_PARTICIPANT]
        )

    def __str__(self) -> str:
        return self.node or f"an unnamed publisher ({self.gid.hex()})"


class SenderSubscription(Waitable):
    """A subscription whose callback gets the message and its `Sender`.

    Args:
        node: subscribes.
        topic: name, type and quality of service.
        callback: called with each message and who sent it.

    Raises:
        RuntimeError: this ROS does not tell who publishes.
    """

    def __init__(self, node: Node, topic: Topic, callback: Callable[[Any, Sender], None]) -> None:
        super().__init__(node.default_callback_group)
        self._node = node
        self._topic = topic
        self._callback = callback
        self._known: dict[bytes, Sender] = {}
        self._subscription = node.create_subscription(
            topic.type, topic.name, lambda _: None, topic.qos, callback_group=_TakenElsewhere()
        )
        node.add_waitable(self)

    def publishes(self, sender: Sender) -> bool:
        """Whether the publisher is still in the graph."""
        return sender.gid in self._publishers()

    def destroy(self) -> None:
        """Ends the subscription."""
        self._node.remove_waitable(self)
        self._node.destroy_subscription(self._subscription)

    def _sender(self, gid: bytes) -> Sender:
        if gid not in self._known:
            node = self._publishers().get(gid, "")
            if not node:
                return Sender(gid, "")
            self._known[gid] = Sender(gid, node)
        return self._known[gid]

    def _publishers(self) -> dict[bytes, str]:
        """The full name of the node of each publisher's id."""
        return {
            bytes(info.endpoint_gid): (
                ""
                if _UNKNOWN in info.node_name
                else f"{info.node_namespace.rstrip('/')}/{info.node_name}"
            )
            for info in self._node.get_publishers_info_by_topic(self._topic.name)
        }

    # As rclpy's executors call a Waitable.

    def __enter__(self) -> None:
        self._subscription.handle.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._subscription.handle.__exit__(*error)

    def get_num_entities(self) -> NumberOfEntities:
        return NumberOfEntities(num_subs=1)

    def add_to_wait_set(self, wait_set: Any) -> None:
        self._index = None
        with suppress(InvalidHandle):  # destroyed while the executor was busy
            self._index = wait_set.add_subscription(self._subscription.handle)

    def is_ready(self, wait_set: Any) -> bool:
        return self._index is not None and wait_set.is_ready("subscription", self._index)

    def take_data(self) -> tuple[bytes, bytes] | None:
        with suppress(InvalidHandle), self._subscription.handle:
            return _take(self._subscription.handle.pointer)
        return None

    async def execute(self, taken_data: tuple[bytes, bytes] | None) -> None:
        if taken_data is not None:
            content, gid = taken_data
            self._callback(deserialize_message(content, self._topic.type), self._sender(gid))


class _TakenElsewhere(CallbackGroup):
    """Keeps the executor from taking a subscription's messages."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass


# rcl's C interface, as in ROS 2 Jazzy: rmw/types.h, rcutils/types/uint8_array.h


class _Gid(ctypes.Structure):
    _fields_ = (("implementation", ctypes.c_char_p), ("data", ctypes.c_uint8 * 16))


class _MessageInfo(ctypes.Structure):
    _fields_ = (
        ("source_timestamp", ctypes.c_int64),
        ("received_timestamp", ctypes.c_int64),
        ("publication_sequence_number", ctypes.c_uint64),
        ("reception_sequence_number", ctypes.c_uint64),
        ("publisher_gid", _Gid),
        ("from_intra_process", ctypes.c_bool),
        ("reserve", ctypes.c_uint8 * 64),  # room for what a later ROS may append
    )


class _Allocator(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_void_p)
        for name in ("allocate", "deallocate", "reallocate", "zero_allocate", "state")
    )


class _Bytes(ctypes.Structure):
    _fields_ = (
        ("buffer", ctypes.POINTER(ctypes.c_uint8)),
        ("length", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
        ("allocator", _Allocator),
    )


@cache
def _rcl() -> tuple[Any, Any, Any]:
    """rcl's take, and the initialiser and finaliser of its byte arrays."""
    rcl, rcutils = (ctypes.CDLL(f"lib{name}.so") for name in ("rcl", "rcutils"))
    rcutils.rcutils_get_default_allocator.restype = _Allocator
    allocator = rcutils.rcutils_get_default_allocator()
    take = rcl.rcl_take_serialized_message
    take.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(_Bytes),
        ctypes.POINTER(_MessageInfo),
        ctypes.c_void_p,
    )
    return take, rcutils, allocator


def _take(subscription: int) -> tuple[bytes, bytes] | None:
    """The next message, serialised, and its publisher's id; None if there is none.

    Raises:
        RuntimeError: rcl has failed, or its structures are others than those above.
    """
    take, rcutils, allocator = _rcl()
    content, info = _Bytes(allocator=allocator), _MessageInfo()
    try:
        result = take(subscription, content, info, None)
        if result == _TAKE_FAILED:
            return None
        if result != _OK:
            raise RuntimeError(f"rcl_take_serialized_message failed with status {result}")
        implementation = (info.publisher_gid.implementation or b"").decode()
        if implementation != rclpy.get_rmw_implementation_identifier():
            raise RuntimeError("this ROS does not tell who publishes a message as Jazzy does")
        return ctypes.string_at(content.buffer, content.length), bytes(info.publisher_gid.data)
    finally:
        rcutils.rcutils_uint8_array_fini(ctypes.byref(content))
