"""The compiled refinement beside the same as tensor operations, turn by turn in one process.

    python bench/refinement.py [--batch 32] [--repeats 3] [--threads 1]

Seconds of the processors for 150 steps, median over repeats for each object, and the energies that
are reached from the same initial grasps.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from time import process_time

import numpy as np
import torch
from proposer import cloud_of

from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.progress import Progress
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface
from dexgrasp_models.synthesis.refine import GraspBatch, evaluate, refine_alone, refine_together
from dexgrasp_models.synthesis.sampling import sample_grasps

OBJECTS = ("can", "box", "hammer")


def main() -> None:
    """Print a line for each object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = EnergyConfig(batch=arguments.batch)
    hand = PlanningHand(load_hand())
    for name in OBJECTS:
        cloud = cloud_of(name)
        surface = ObjectSurface.from_cloud(cloud.object_points, cloud.object_normals, config)
        energy = GraspEnergy(hand, surface, config)
        seconds: dict[str, list[float]] = {"compiled": [], "tensors": []}
        reached: dict[str, list[float]] = {"compiled": [], "tensors": []}
        for seed in range(arguments.repeats):
            start = sample_grasps(energy, config, np.random.default_rng(seed))
            if seed == 0:
                refine_alone(energy, start, config, Progress())  # compiled, or loaded
            for kind, way in (("compiled", refine_alone), ("tensors", refine_together)):
                took, found = timed(way, energy, start, config)
                seconds[kind].append(took)
                reached[kind].append(evaluate(energy, found).total.mean().item())
        compiled, tensors = (statistics.median(seconds[kind]) for kind in ("compiled", "tensors"))
        energies = (statistics.mean(reached[kind]) for kind in ("compiled", "tensors"))
        print(
            f"{name:8s} compiled {compiled:.2f} s  tensors {tensors:.2f} s  ratio"
            f" {tensors / compiled:.1f}  mean energy {' and '.join(f'{e:.2f}' for e in energies)}",
            flush=True,
        )


def timed(
    way: Callable[..., GraspBatch], energy: GraspEnergy, start: GraspBatch, config: EnergyConfig
) -> tuple[float, GraspBatch]:
    """Seconds of the processors, and what came out."""
    started = process_time()
    found = way(energy, start, config, Progress())
    return process_time() - started, found


if __name__ == "__main__":
    main()
