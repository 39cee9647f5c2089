"""Time of the analytic proposer on one core: processor time in total, wall time by stage.

python bench/proposer.py [--batch 64] [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
from time import process_time

import numpy as np
import torch
import trimesh

from dexgrasp_models.objects.shapes import SHAPES, make_shape
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.proposals.analytic import AnalyticProposer
from dexgrasp_models.synthesis.energy_config import EnergyConfig


def cloud_of(shape: str, count: int = 1024) -> FusedCloud:
    """Even, noisy samples of a generated shape without its underside."""
    mesh = make_shape(shape)
    generator = np.random.default_rng(0)
    points, faces = trimesh.sample.sample_surface(mesh, 8 * count, seed=0)
    normals = mesh.face_normals[faces]
    kept = np.flatnonzero((points[:, 2] > 0.005) & (normals[:, 2] > -0.6))[:count]
    points = points[kept] + generator.normal(scale=0.001, size=(len(kept), 3))
    return FusedCloud(
        object_points=points.astype(np.float32),
        object_normals=normals[kept].astype(np.float32),
        scene_points=np.zeros((0, 3), np.float32),
        cameras_used=(),
        warnings=(),
    )


def main() -> None:
    """Print a table of median seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64, help="grasps refined together")
    parser.add_argument("--repeats", type=int, default=5, help="proposals timed for each object")
    parser.add_argument("--objects", default="can,box,hammer", help=f"of {', '.join(SHAPES)}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    proposer = AnalyticProposer(EnergyConfig(batch=arguments.batch))
    proposer.propose(cloud_of("ball"), 1, seed=0)  # warm up
    print(f"batch {arguments.batch}, {proposer.config.iterations} iterations, median seconds")
    for shape in arguments.objects.split(","):
        cloud, runs, processor = cloud_of(shape), [], []
        for seed in range(arguments.repeats):
            started = process_time()
            proposer.propose(cloud, 8, seed)
            processor.append(process_time() - started)
            runs.append(dict(proposer.timings))
        stages = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        listed = "  ".join(f"{name} {seconds:.3f}" for name, seconds in stages.items())
        print(f"{shape:8s} processor {statistics.median(processor):.2f}  wall {listed}")


if __name__ == "__main__":
    main()
