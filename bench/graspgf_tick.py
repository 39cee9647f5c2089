"""One gradient of GraspGF as a control loop asks for it: batch 1, one core.

The small network and the one of the paper's size (hidden 1024, time 512, PointNet++), with the
weights they are initialised with, as these don't change the time. Turn by turn, so that other
programs meet both alike.

    python bench/graspgf_tick.py [--points 512] [--repeats 100] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before libraries start threads

import numpy as np  # noqa: E402
import torch  # noqa: E402
from reports import write_report  # noqa: E402

from dexgrasp_models.hand.spec import load_hand  # noqa: E402
from dexgrasp_models.nets.grasp_gradient import GraspGradient  # noqa: E402
from dexgrasp_models.nets.graspgf import GraspGF, GraspGFConfig  # noqa: E402
from dexgrasp_models.nets.weights import save_weights  # noqa: E402

WANTED_MS = 2.0
"""Most that a gradient of the small network may take."""


def initialised(config: GraspGFConfig) -> GraspGradient:
    """With weights that haven't been trained."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graspgf.safetensors"
        save_weights(path, GraspGF(config), config)
        return GraspGradient(path)


def timed(repeats: int, points: int) -> dict[str, dict[str, float]]:
    """Medians of wall clock and processor time, ms, and the largest wall clock, by size."""
    rng = np.random.default_rng(0)
    cloud = rng.normal([0, -0.05, 0.08], 0.03, (points, 3))
    joints = rng.uniform(*load_hand().limits.T)
    networks = {size: initialised(getattr(GraspGFConfig, size)()) for size in ("small", "paper")}
    times: dict[str, list[tuple[float, float]]] = {size: [] for size in networks}
    for _ in range(repeats + 5):
        for size, network in networks.items():
            wall, processor = time.perf_counter(), time.process_time()
            network.gradient(cloud, np.eye(4), joints)
            spent = time.perf_counter() - wall, time.process_time() - processor
            times[size].append((1e3 * spent[0], 1e3 * spent[1]))
    found = {}
    for size, rows in times.items():
        wall_ms, processor_ms = np.array(rows[5:]).T  # after five to warm up
        found[size] = {
            "median_ms": float(np.median(wall_ms)),
            "processor_median_ms": float(np.median(processor_ms)),
            "longest_ms": float(wall_ms.max()),
        }
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=512, help="of the object's cloud")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    found = timed(arguments.repeats, arguments.points)
    print(f"one gradient, {arguments.points} points, one core; ms")
    print(f"{'size':8s} {'median':>8s} {'processor':>10s} {'longest':>8s}")
    for size, row in found.items():
        print(
            f"{size:8s} {row['median_ms']:8.2f} {row['processor_median_ms']:10.2f}"
            f" {row['longest_ms']:8.2f}"
        )
    passed = found["small"]["processor_median_ms"] < WANTED_MS
    print(f"small in under {WANTED_MS:g} ms: {'yes' if passed else 'no'}")
    write_report(
        arguments.out,
        {
            "wanted_ms": WANTED_MS,
            "passed": passed,
            "points": arguments.points,
            "sizes": found,
        },
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
