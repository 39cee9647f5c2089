"""Rate of grasp synthesis on a GPU beside a core of the CPU, with the yield of what it makes.

Optimises many grasps at once of some of the library's objects, counts how many of a sample of them
are lifted in simulation, and gives the rate of lifted grasps, and how many cores would have to try
them to keep up.

    python bench/synthesis_device.py [--device cuda] [--grasps 8192] [--tried 32] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from synthesis import COUPLED, make_scenes, tried

from dexgrasp_models.files import written_whole
from dexgrasp_models.synthesis.config import SynthesisConfig, load_synthesis
from dexgrasp_models.synthesis.scene import TableScene
from dexgrasp_models.synthesis.synthesise import SynthesisedGrasps, Synthesiser

OBJECTS = ("bottle/0", "mug/3", "apple/0", "hammer/1", "camera/0", "bowl/2", "shoe/0", "star/0")
SCALE = 0.08


def optimise(
    settings: SynthesisConfig, device: str, scenes: list[TableScene], grasps: int, repeats: int
) -> tuple[list[SynthesisedGrasps], float]:
    """As many grasps in all, and the seconds that they take: the median of some repeats."""
    energy = replace(settings.energy, batch=grasps // len(scenes))
    synthesiser = Synthesiser(replace(settings, energy=energy), device)
    seconds = []
    for repeat in range(repeats + 1):
        started = time.perf_counter()
        found = synthesiser(scenes, np.random.default_rng(repeat))  # ends with a copy to the host
        seconds.append(time.perf_counter() - started)
    return found, float(np.median(seconds[1:]))


def some_of(found: list[SynthesisedGrasps], count: int) -> list[SynthesisedGrasps]:
    """A sample of each object's grasps."""
    generator = np.random.default_rng(0)
    samples = []
    for made in found:
        rows = generator.choice(len(made.joints), min(count, len(made.joints)), replace=False)
        samples.append(SynthesisedGrasps(made.palm_poses[rows], made.joints[rows], {}))
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--grasps", type=int, default=8192, help="optimised at once")
    parser.add_argument("--tried", type=int, default=32, help="in simulation, of each object")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    scenes, settings = make_scenes(OBJECTS, SCALE), load_synthesis("fast")
    table = Table(
        "device", "started", "s", "started a second", "lifted", "lifted a second", "cores"
    )
    rows = []
    core = ("cpu", 16 * len(scenes), 1)
    for device, grasps, repeats in dict.fromkeys(
        (core, (arguments.device, arguments.grasps, arguments.repeats))
    ):
        found, seconds = optimise(settings, device, scenes, grasps, repeats)
        started = sum(len(made.joints) for made in found)
        sample = some_of(found, arguments.tried)
        trials = tried(device, "coupled", scenes, sample, seconds, COUPLED)
        share = trials.lifted / trials.started
        row = {
            "device": torch.cuda.get_device_name() if device == "cuda" else "one core",
            "started": started,
            "seconds": seconds,
            "started_per_second": started / seconds,
            "lifted_share": share,
            "lifted_per_second": share * started / seconds,
            "cores_to_try": started / seconds * trials.validate_s,
        }
        rows.append(row)
        table.add_row(*(v if isinstance(v, str) else f"{v:.3g}" for v in row.values()))
    Console(width=120).print(table)
    if arguments.json:
        with written_whole(arguments.json) as temporary:
            temporary.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
