"""Whether a device has room for the worlds that are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import warp

from dexgrasp_sim.backends.host_memory import available_memory


def check_room(device: warp.Device, worlds: int, make: Callable[[int], Any]) -> None:
    """Refuse more worlds than there is room for, before anything large is made.

    What the solver takes besides is not counted: fewer may fit.

    Args:
        device: where they are to be.
        worlds: how many.
        make: makes the arrays of a number of worlds.

    Raises:
        MemoryError: the message says how many worlds there is room for.
    """
    one, two = (bytes_of(make(count)) for count in (1, 2))
    each, common = two - one, 2 * one - two
    free = free_memory(device)
    if common + worlds * each > free:
        fit = max(0, (free - common) // each)
        raise MemoryError(
            f"{worlds} environments need {(common + worlds * each) / 1e9:.1f} GB on {device}, and"
            f" {free / 1e9:.1f} GB are free: there is room for {fit}: ask for fewer"
        )


def free_memory(device: warp.Device) -> int:
    """Bytes."""
    return device.free_memory if device.is_cuda else available_memory()


def bytes_of(found: Any) -> int:
    """Of all arrays in tuples, lists, and dataclasses."""
    if isinstance(found, warp.array):
        return found.capacity
    if isinstance(found, tuple | list):
        return sum(map(bytes_of, found))
    if dataclasses.is_dataclass(found):
        return sum(bytes_of(getattr(found, item.name)) for item in dataclasses.fields(found))
    return 0
