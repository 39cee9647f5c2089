"""The example node against a running graph; the other examples are in `tests/unit`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ros_graph import PATIENCE, Graph, graph

from dexgrasp_control.control_node import ControlNode
from dexgrasp_models.control.executor import Stage
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_proposals.proposal_node import ProposalNode
from dexgrasp_sim_bridge.bridge_node import BridgeNode

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "grasp_client_node.py"
STAGES = ("capture", "propose", "plan", *[stage.value for stage in Stage])


@pytest.mark.slow
def test_the_node_has_the_graph_grasp_and_prints_the_stages():
    with graph() as ros:
        _start_in_lock_step(ros)
        found = subprocess.run(
            [sys.executable, str(EXAMPLE)],
            env=ros.environment,
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
        )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "lifted" in found.stdout
    stages = [line.split("]: ")[1].split(":")[0] for line in found.stderr.splitlines()]
    assert stages[0] == "waiting for the graph"
    # Each once, in their order; a short one may pass between two feedbacks.
    assert stages[1:] == [stage for stage in STAGES if stage in stages]
    assert {"capture", "propose", "approach", "lift"} <= set(stages)


def _start_in_lock_step(ros: Graph) -> None:
    ros.start(BridgeNode, object="can", seed=3, mode="lock_step", deadline=PATIENCE)
    ros.start(PerceptionNode, use_sim_time=True, frame_timeout=PATIENCE)
    ros.start(ProposalNode, use_sim_time=True)
    ros.start(ControlNode, use_sim_time=True, seed=3, state_timeout=60.0, lock_step=True)
