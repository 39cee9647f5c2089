"""The learned proposer beside the paper's way of using the same networks: time, stage by stage.

    python bench/learned_proposer.py [--weights FOLDER] [--batch 32] [--threads 2]
        [--peer-grasps 2] [--peer-steps 300] [--repeats 3]

The peer, `paper_proposer.py`, adapts one grasp after the other; of `--peer-grasps` of them its time
is told for the whole batch. It is timed with the batch at once as well, for a tenth of the steps,
told for all. Without weights, networks of the size `small` and random weights are used, which take
as long. Both do what the paper does; the learned proposer as it is by default, with fewer steps of
adaptation and a refinement, is told beside them. Seconds are medians over `--repeats` proposals for
each of three objects: on the wall, and of all processors.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

import torch
from paper_proposer import PaperProposer
from proposer import cloud_of
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.clouds import horizontal_centre, table_top_cloud
from dexgrasp_models.nets.contact import ContactNet, ContactNetConfig
from dexgrasp_models.nets.glow import GraspGlow, GraspGlowConfig
from dexgrasp_models.nets.ipdf import GraspIPDF, GraspIPDFConfig
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.proposals.learned import (
    LearnedConfig,
    LearnedProposer,
    Networks,
    load_networks,
)
from dexgrasp_models.proposals.reachability import NoProposalError
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.training.config import load_training

OBJECTS = ("can", "box", "hammer")
STEPS = 300

_console = Console(stderr=True)  # progress; what is found goes to the standard output

Times = dict[str, tuple[float, float]]
"""Seconds on the wall and of the processors, by stage."""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="folder of trained networks")
    parser.add_argument("--batch", type=int, default=32, help="grasps for a cloud")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="proposals for each object")
    parser.add_argument("--peer-grasps", type=int, default=2, help="adapted one by one")
    parser.add_argument("--peer-steps", type=int, default=STEPS, help="steps that are timed")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    networks = load_networks(arguments.weights) if arguments.weights else random_networks()
    # Whatever random networks propose goes on to the ranking, so that this is timed too.
    execution = ExecutionConfig(max_penetration=0.05, workspace_radius=2.0, workspace_height=2.0)
    default = LearnedConfig(batch=arguments.batch)
    papers = replace(default, samples_per_grasp=1, adaptation_steps=STEPS, refinement_steps=0)
    refining, proposer = (
        LearnedProposer(config, execution, networks=networks) for config in (default, papers)
    )
    peer = PaperProposer(networks)
    proposed(proposer, cloud_of("ball"), arguments.batch, 0)  # warm up
    ours, theirs, refined = [], [], []
    total = len(OBJECTS) * (arguments.repeats + 1)
    with Progress(console=_console, transient=True) as progress:
        task = progress.add_task("proposals", total=total)
        for name in OBJECTS:
            cloud = cloud_of(name)
            for seed in range(arguments.repeats):
                ours.append(proposed(proposer, cloud, arguments.batch, seed))
                refined.append(proposed(refining, cloud, arguments.batch, seed))
                progress.advance(task)
            theirs.append(peer_proposed(peer, networks, cloud, arguments))
            progress.advance(task)
    tell("dexgrasp, by default", median(refined), arguments)
    tell("dexgrasp, as the paper", median(ours), arguments)
    tell("the paper's way", median(theirs), arguments)
    compare(median(ours), median(theirs))


def random_networks() -> Networks:
    """Untrained ones of the size `small`, whose hands are about where hands are."""
    flow = GraspGlow(GraspGlowConfig.small())
    flow.flow.mean.copy_(torch.tensor([0.0, 0.05, -0.09, *load_hand().limits.mean(1)]))
    flow.flow.deviation.fill_(0.01)
    found = (GraspIPDF(GraspIPDFConfig.small()), flow, ContactNet(ContactNetConfig.small()))
    return Networks(
        *(network.eval().requires_grad_(False) for network in found),
        load_training("ipdf").training.cloud,
    )


def proposed(proposer: LearnedProposer, cloud: FusedCloud, count: int, seed: int) -> Times:
    """Times of one proposal; the stages' are on the wall alone."""

    def propose() -> None:
        with suppress(NoProposalError):  # of random networks
            proposer.propose(cloud, count, seed)

    whole = timed(propose)
    stages = {name: (seconds, float("nan")) for name, seconds in proposer.timings.items()}
    return stages | {"all": whole}


def peer_proposed(
    peer: PaperProposer, networks: Networks, cloud: FusedCloud, arguments: argparse.Namespace
) -> Times:
    """Likewise of the peer, without rejection and ranking."""
    points = torch.as_tensor(cloud.object_points)
    points = table_top_cloud(points - horizontal_centre(points), networks.cloud)
    found: list = []
    times = {
        "rotations": timed(lambda: found.append(peer.rotations(points, arguments.batch))),
        "translations and joints": timed(lambda: found.append(peer.samples(points, found[0]))),
    }
    grasps = found[1]
    share = arguments.batch / arguments.peer_grasps * STEPS / arguments.peer_steps

    def one_by_one() -> None:
        for row in range(arguments.peer_grasps):
            peer.adapted(grasps.select(slice(row, row + 1)), points, arguments.peer_steps)

    few = max(1, arguments.peer_steps // 10)
    times["adaptation"] = scaled(timed(one_by_one), share)
    sums = [sum(part) for part in zip(*times.values(), strict=True)]
    at_once = scaled(timed(lambda: peer.adapted(grasps, points, few)), STEPS / few)
    return times | {"all": (sums[0], sums[1]), "adaptation, in one batch": at_once}


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the wall and of the processors."""
    wall, processor = perf_counter(), process_time()
    work()
    return perf_counter() - wall, process_time() - processor


def scaled(times: tuple[float, float], by: float) -> tuple[float, float]:
    return times[0] * by, times[1] * by


def median(runs: list[Times]) -> Times:
    """Of each stage."""
    return {
        name: tuple(
            statistics.median(run[name][part] for run in runs if name in run) for part in (0, 1)
        )
        for name in runs[0]
    }


def tell(name: str, times: Times, arguments: argparse.Namespace) -> None:
    table = Table("stage", "wall, s", "processors, s", title=f"{name}: {arguments.batch} grasps")
    for stage, (wall, processor) in times.items():
        table.add_row(stage, f"{wall:.2f}", "" if processor != processor else f"{processor:.2f}")
    Console().print(table)


def compare(ours: Times, theirs: Times) -> None:
    for part, name in enumerate(("wall", "processors")):
        one_by_one = theirs["all"][part] / ours["all"][part]
        others = theirs["all"][part] - theirs["adaptation"][part]
        at_once = (others + theirs["adaptation, in one batch"][part]) / ours["all"][part]
        print(f"{name}: {one_by_one:.1f} times as fast, {at_once:.1f} times as in one batch")


if __name__ == "__main__":
    main()
