"""Grasp synthesis beside the papers' own loop: yield and time, on the same objects and poses.

Three ways of making grasps of the library's objects on a table: this project's default settings
(`fast`), its rendering of the papers' synthesis (`paper`), and the peer, `paper_synthesis.py`, with
all of its steps. All are tried by the same validation, with the same caps on penetration: on the
coupled hand, and those of the peer, which are made for 22 independent joints, on such a hand too.
All on one core, in processor time, so that other programs count little.

    python bench/synthesis.py [bottle/0 mug/3 banana/0] [--scale 0.08] [--grasps 32]
        [--peer-grasps 16] [--peer-steps 6000] [--json FILE]

Rates count lifted grasps. With fewer steps than it needs the peer is only timed, each step.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before libraries start threads

import numpy as np  # noqa: E402
import torch  # noqa: E402
from paper_synthesis import Annealing  # noqa: E402
from reports import write_report  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402

from dexgrasp_models.data.grasps import Grasps  # noqa: E402
from dexgrasp_models.objects import LIBRARY_PREFIX, load_object  # noqa: E402
from dexgrasp_models.synthesis.config import load_synthesis  # noqa: E402
from dexgrasp_models.synthesis.scene import TableScene  # noqa: E402
from dexgrasp_models.synthesis.synthesise import SynthesisedGrasps, Synthesiser  # noqa: E402
from dexgrasp_sim.backends import find_stable_poses  # noqa: E402
from dexgrasp_sim.datasets.validation import GraspValidator  # noqa: E402
from dexgrasp_sim.datasets.validation_config import PUBLISHED, ValidationConfig  # noqa: E402

COUPLED = ValidationConfig()
INDEPENDENT = replace(
    PUBLISHED,
    max_penetration=COUPLED.max_penetration,
    max_table_penetration=COUPLED.max_table_penetration,
)
"""As published grasps are tried, but for the caps on penetration."""
PAPER_STEPS = 6000

_console = Console(stderr=True)  # progress; what is found goes to the standard output


@dataclass(frozen=True)
class Row:
    """What became of the grasps of one way, on one hand."""

    name: str
    hand: str
    started: int
    lifted: int
    stable: int
    both: int
    optimise_s: float
    """Processor time, of each grasp that was started."""
    validate_s: float
    """The same; trials end with the first that fails, and a grasp's first is the lift."""

    @property
    def rate(self) -> float:
        """Lifted grasps for each second of a core."""
        return self.lifted / (self.started * (self.optimise_s + self.validate_s))


def make_scenes(objects: Sequence[str], scale: float) -> list[TableScene]:
    """Each object in its most frequent resting pose."""
    scenes = []
    for name in objects:
        model = load_object(LIBRARY_PREFIX + name, scale)
        scenes.append(TableScene(model, find_stable_poses(model)[0].placed(0.0, 0.0, 0.0)))
    return scenes


def own_grasps(
    config: str, scenes: Sequence[TableScene], count: int, seed: int
) -> tuple[list[SynthesisedGrasps], float]:
    """Grasps of each scene by this project's settings, and the seconds that took."""
    settings = load_synthesis(config)
    settings = replace(settings, energy=replace(settings.energy, batch=count))
    with _console.status(f"{config}: {count} grasps of each of {len(scenes)} objects"):
        started = time.process_time()
        found = Synthesiser(settings)(scenes, np.random.default_rng(seed))
        return found, time.process_time() - started


def peer_grasps(
    scenes: Sequence[TableScene], count: int, steps: int, seed: int
) -> tuple[list[SynthesisedGrasps], float]:
    """Grasps of each scene by the peer, and the seconds that took."""
    results, spent = [], 0.0
    for index, scene in enumerate(scenes):
        started = time.process_time()
        peer = Annealing(scene.model, scene.world_T_object, count, seed)
        told = f"peer, object {index + 1} of {len(scenes)}"
        for _ in track(range(steps), told, console=_console, transient=True):
            peer.step()
        found = peer.result()
        spent += time.process_time() - started
        poses = np.linalg.inv(scene.world_T_object) @ found.palm_poses
        results.append(SynthesisedGrasps(poses, found.joints, found.energies))
    return results, spent


def tried(
    name: str,
    hand: str,
    scenes: Sequence[TableScene],
    found: Sequence[SynthesisedGrasps],
    optimise: float,
    config: ValidationConfig,
) -> Row:
    """Try all grasps; what was measured of them."""
    spent, lifted, stable = 0.0, [], []
    for index, (scene, made) in enumerate(zip(scenes, found, strict=True)):
        if not len(made.joints):
            continue
        validator = GraspValidator([scene.model], config)
        grasps = Grasps.of_object(
            scene.model.name,
            scene.model.scale,
            made.palm_poses,
            made.joints.astype(np.float32),
            scene.plane,
        )
        told = f"{name} on the {hand} hand, object {index + 1} of {len(scenes)}"
        with _console.status(told):
            started = time.process_time()
            first = list(validator.run_all(grasps, thrifty=True))
            spent += time.process_time() - started
            # Those that don't lift may yet resist all directions.
            rest = list(validator.run_all(grasps))
        lifted += [result["lifted"] == 1 for result in first]
        stable += [result["stable"] == 1 for result in rest]
    held, resisted = np.array(lifted), np.array(stable)
    started = len(held)
    return Row(
        name,
        hand,
        started,
        int(held.sum()),
        int(resisted.sum()),
        int((held & resisted).sum()),
        optimise / started,
        spent / started,
    )


def print_table(rows: Sequence[Row]) -> None:
    """Print all rows; the ratio is that of rates to the last one's."""
    print(
        f"{'synthesis':10s} {'hand':12s} {'started':>7s} {'lifted':>7s} {'stable':>7s} {'both':>7s}"
        f" {'optimise s':>10s} {'validate s':>10s} {'valid/s':>8s} {'ratio':>6s}"
    )
    for row in rows:
        shares = " ".join(
            f"{count / row.started:7.1%}" for count in (row.lifted, row.stable, row.both)
        )
        ratio = f"{row.rate / rows[-1].rate:6.1f}" if rows[-1].rate else f"{'-':>6s}"
        print(
            f"{row.name:10s} {row.hand:12s} {row.started:7d} {shares} {row.optimise_s:10.3f}"
            f" {row.validate_s:10.3f} {row.rate:8.4f} {ratio}"
        )


def main() -> int:
    """Make grasps in all three ways, try them, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("objects", nargs="*", default=["bottle/0", "mug/3", "banana/0"])
    parser.add_argument("--scale", type=float, default=0.08, help="the objects' radius, m")
    parser.add_argument("--grasps", type=int, default=32, help="started by each of our settings")
    parser.add_argument("--peer-grasps", type=int, default=16, help="started by the peer")
    parser.add_argument("--peer-steps", type=int, default=PAPER_STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if arguments.grasps < 1 or arguments.peer_grasps < 1 or arguments.peer_steps < 1:
        parser.error("grasps and steps must be positive")
    torch.set_num_threads(1)

    scenes = make_scenes(arguments.objects, arguments.scale)
    rows = []
    for config in ("fast", "paper"):
        found, seconds = own_grasps(config, scenes, arguments.grasps, arguments.seed)
        rows.append(tried(config, "coupled", scenes, found, seconds, COUPLED))
    steps = arguments.peer_steps
    found, seconds = peer_grasps(scenes, arguments.peer_grasps, steps, arguments.seed)
    step_ms = 1000 * seconds / steps / (arguments.peer_grasps * len(scenes))
    if steps >= PAPER_STEPS:
        rows.append(tried("peer", "coupled", scenes, found, seconds, COUPLED))
        rows.append(tried("peer", "independent", scenes, found, seconds, INDEPENDENT))

    print(
        f"{', '.join(arguments.objects)} at {arguments.scale:g}; one core, processor time a grasp"
    )
    print_table(rows)
    if steps < PAPER_STEPS:
        print(
            f"peer: {step_ms:.3f} ms a step and grasp; not tried, as it needs {PAPER_STEPS} steps"
        )
    report = {
        "objects": arguments.objects,
        "scale": arguments.scale,
        "seed": arguments.seed,
        "peer_steps": steps,
        "peer_step_ms": step_ms,
        "rows": [{**asdict(row), "rate": row.rate} for row in rows],
    }
    write_report(arguments.json, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
