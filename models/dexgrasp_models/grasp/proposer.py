"""What every proposer offers, and how one is made by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dexgrasp_models.grasp.analytic import AnalyticProposer
from dexgrasp_models.grasp.types import Grasp
from dexgrasp_models.perception.fusion import FusedCloud


class Proposer(Protocol):
    """Source of ranked grasps for an object cloud."""

    @property
    def name(self) -> str:
        """Name it is registered under."""

    def propose(self, cloud: FusedCloud, n: int, seed: int) -> list[Grasp]:
        """At most ``n`` grasps that can be carried out, best first.

        The same cloud, ``n`` and ``seed`` give the same grasps to the bit on one machine.

        Raises:
            CloudError: the cloud cannot be planned on.
            NoProposalError: no grasp is left.
        """


PROPOSERS: dict[str, Callable[..., Proposer]] = {"analytic": AnalyticProposer}
"""Proposers by name; learned ones are added here."""


def make_proposer(name: str, **options: Any) -> Proposer:
    """The proposer of this name, made with its options.

    Raises:
        ValueError: no such proposer; the message lists those there are.
    """
    if name not in PROPOSERS:
        raise ValueError(f"no proposer {name!r}; there are: {', '.join(sorted(PROPOSERS))}")
    return PROPOSERS[name](**options)
