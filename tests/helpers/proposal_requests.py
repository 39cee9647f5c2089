"""Requests to the proposal node, with settings that answer soon."""

from __future__ import annotations

from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_ros import contract

FAST = {"proposer": "analytic", "analytic__iterations": 10, "analytic__batch": 16}


def generate(ros, **request) -> GenerateProposals.Response:
    return ros.call(
        GenerateProposals,
        contract.GENERATE_SERVICE,
        GenerateProposals.Request(**request),
        timeout=60.0,
    )
