"""What the driver knows of the way to the hand, whatever that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dexgrasp_hand_driver.controllers import Controllers, VendorMessage
from dexgrasp_hand_driver.hand_state import HandState


@dataclass(frozen=True)
class LinkView:
    """What is known of the link at a moment.

    Attributes:
        connection: counts the connections; 0 before the first.
        connected: whether there is one now.
        problem: why not, or what its other end complains of; empty if nothing is known.
        state: the newest measured one of this connection; None before the first.
        states: how many have come on it.
        bad_state: why the newest message had no state; empty if it had.
        listed: the controllers, as `controllers.choose` takes them; None before the first answer.
        trip: s from a question to its answer, the last time.
        late: messages that were not sent as they had become too old.
    """

    connection: int = 0
    connected: bool = False
    problem: str = "connecting"
    state: HandState | None = None
    states: int = 0
    bad_state: str = ""
    listed: Sequence[Mapping[str, Any]] | None = None
    trip: float = 0.0
    late: int = 0


class HandLink(Protocol):
    """A way to the vendor's software.

    Attributes:
        where: what is at its other end, for people.
        states_topic: of the vendor's, on which the states come.
        view: what is known at the moment.
    """

    where: str
    states_topic: str
    view: LinkView

    def start(self) -> None:
        """Begins to connect."""

    def close(self) -> None:
        """Ends the connection."""

    def renew(self) -> None:
        """Ends the present connection, that another one comes in its place."""

    def controllers(self, view: LinkView) -> Controllers:
        """Those that are to be commanded.

        Raises:
            ControllersError: they can't be.
        """

    def advertise(self, topics: Mapping[str, str]) -> None:
        """Tells the other side the types of the topics that will be published on."""

    def send(self, messages: Sequence[VendorMessage], until: float) -> None:
        """Publishes messages, unless that comes after `until` (s, monotonic)."""
