"""Do the simulators hold the same grasps? Those of a set, and the same ones made worse.

A hand that is put at each grasp presses, lifts and holds, as in `goal_filter.static_trials`: the
same commands in every simulator, many grasps in one batch with an object in each environment.

    python bench/simulators.py [--set DIR] [--objects mug/0 jar/0 ...] [--grasps 40] [--seed 0]
        [--out FILE.json]

Each finished batch is kept beside the file (.jobs.jsonl) at once, and the same command goes on from
there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from reports import write_report

from dexgrasp_learning.goal_filter import GoalTrial, static_trials
from dexgrasp_learning.gymnasium_env import SHIPPED
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.evaluation.summary import rate_with_interval
from dexgrasp_models.jobs.kept_results import kept_outcomes
from dexgrasp_sim.backends import check_backend
from dexgrasp_sim.datasets.grasp_trials import Control, library_object, perturbed
from dexgrasp_sim.scene import BACKENDS

REFERENCE = "mujoco"
CONTROLS = (Control.NONE, Control.WRIST_4CM)
AT_ONCE = 50  # grasps of a batch


@dataclass(frozen=True)
class BatchJob:
    """Some grasps in one simulator."""

    backend: str
    grasps: Grasps
    trial: GoalTrial = field(default_factory=GoalTrial)

    @property
    def key(self) -> str:
        """Equal for equal grasps that are tried alike."""
        grasps, digest = self.grasps, hashlib.sha256()
        for values in (grasps.scales, grasps.planes, grasps.palm_poses, grasps.joints):
            digest.update(values.tobytes())
        digest.update(grasps.squeezes.tobytes())
        told = {
            "backend": self.backend,
            "objects": [grasps.names[index] for index in grasps.objects],
            "grasps": digest.hexdigest(),
            "trial": self.trial.notes(),
        }
        return json.dumps(told, sort_keys=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", type=Path, default=SHIPPED)
    parser.add_argument("--objects", nargs="+", help="names; all of the set by default")
    parser.add_argument("--grasps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    grasps = chosen(GraspSet.open(options.set), options.objects, options.grasps, options.seed)
    print(f"{len(grasps)} grasps of {len(set(grasps.objects))} objects, seed {options.seed}")
    kept = options.out and options.out.with_suffix(".jobs.jsonl")
    found, names = {}, [name for name in BACKENDS if installed(name)]
    for control in CONTROLS:
        tried = perturbed(grasps, control, np.random.default_rng(options.seed), coupled=True)
        held = {name: holds(name, tried, kept) for name in names}
        for name, lifted in held.items():
            rates = {
                "held": rate_with_interval(lifted),
                f"as_{REFERENCE}": rate_with_interval(lifted == held[REFERENCE]),
            }
            found[f"{control}/{name}"] = rates
            told = ", ".join(f"{key} {percent(rate)}" for key, rate in rates.items())
            print(f"{control:12} {name:12} {told}", flush=True)
    write_report(options.out, found)


def chosen(grasps: GraspSet, names: list[str] | None, count: int, seed: int) -> Grasps:
    """Lifted ones whose squeeze is known, of as many objects as there are."""
    rows = grasps.select({"lifted": (1, 1), "stable": (1, 1)}, names)
    rows = rows[grasps[rows].has_squeeze]
    rows = np.random.default_rng(seed).permutation(rows)
    objects = grasps[rows].objects
    order = np.argsort(objects, kind="stable")
    before = np.empty(len(rows), dtype=int)
    before[order] = np.arange(len(rows)) - np.searchsorted(objects[order], objects[order])
    return grasps[np.sort(rows[np.argsort(before, kind="stable")[:count]])]


def holds(backend: str, grasps: Grasps, kept: Path | None) -> np.ndarray:
    """(N,) whether each is lifted and held in a simulator.

    Args:
        backend: the simulator.
        grasps: N of them.
        kept: file in which finished batches are kept and found again.
    """
    starts = range(0, len(grasps), AT_ONCE)
    jobs = [BatchJob(backend, grasps[start : start + AT_ONCE]) for start in starts]
    found = {job.key: lifted for job, lifted in kept_outcomes(lifts, jobs, kept, workers=1)}
    return np.concatenate([found[job.key] for job in jobs])


def lifts(job: BatchJob) -> list[bool]:
    """Whether each grasp of a job is lifted and held."""
    trial = replace(job.trial, scene=replace(job.trial.scene, backend=job.backend))
    return static_trials(job.grasps, library_object, trial).paper.tolist()


def percent(rate: Mapping[str, float]) -> str:
    """A rate and its interval."""
    mean, low, high = (100.0 * rate[key] for key in ("mean", "low", "high"))
    return f"{mean:.1f} % ({low:.1f} to {high:.1f})"


def installed(backend: str) -> bool:
    try:
        check_backend(backend)
    except ImportError as error:
        print(f"{backend} is left out: {error}")
        return False
    return True


if __name__ == "__main__":
    main()
