"""The simulated graph in lock-step, all of its nodes in this process."""

from __future__ import annotations

from typing import Any

from ros_graph import Graph

from dexgrasp_control.control_node import ControlNode
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_proposals.proposal_node import ProposalNode
from dexgrasp_sim.episodes.episode import EpisodeSettings
from dexgrasp_sim_bridge.bridge_node import BridgeNode

PATIENCE = 60.0


def start_in_lock_step(ros: Graph, settings: EpisodeSettings, **control: Any) -> None:
    """Of the object, the seed and the proposals of an episode; with more parameters of control."""
    ros.start(
        BridgeNode,
        object=settings.object,
        seed=settings.seed,
        mode="lock_step",
        deadline=PATIENCE,
    )
    ros.start(PerceptionNode, use_sim_time=True, frame_timeout=PATIENCE)
    ros.start(ProposalNode, use_sim_time=True)
    ros.start(
        ControlNode,
        use_sim_time=True,
        seed=settings.seed,
        proposals=settings.proposals,
        state_timeout=PATIENCE,
        lock_step=True,
        sight_timeout=PATIENCE,
        **control,
    )
