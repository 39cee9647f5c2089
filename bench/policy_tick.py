"""One tick of the student that grasps as it is told: from what a robot knows to its action.

One hand, one core. The shipped weights, and beside them, turn by turn, a network of the widths of
UniDexGrasp's code with the weights it is initialised with, as these don't change the time.

    python bench/policy_tick.py [--repeats 300] [--weights FILE] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before libraries start threads

import numpy as np  # noqa: E402
import torch  # noqa: E402
from reports import write_report  # noqa: E402

from dexgrasp_models.hand.spec import load_hand  # noqa: E402
from dexgrasp_models.nets.goal_network import GoalNetworkConfig  # noqa: E402
from dexgrasp_models.tasks.goal_frame import first_hands, reference_frames  # noqa: E402
from dexgrasp_models.tasks.goal_student import StudentView  # noqa: E402
from dexgrasp_models.tasks.learned_goal import (  # noqa: E402
    LearnedStudent,
    NetworkStudent,
    new_network,
    weights_of,
)

WANTED_MS = 10.0
"""Most that a tick may take."""
POINTS = 256
_WARM_UP = 20


def view(rng: np.random.Generator) -> StudentView:
    """Of a hand above an object."""
    hand = load_hand()
    start = first_hands(rng.uniform(-np.pi, np.pi, 1), 0.35)
    goal = start.copy()
    goal[:, 2, 3] = 0.12
    joints = hand.couple(rng.uniform(0.0, 0.3, 22))[None]
    return StudentView(
        joints=joints,
        joint_velocities=np.zeros_like(joints),
        targets=joints,
        wrists=start,
        wrist_targets=start,
        actions=np.zeros((1, 24)),
        frames=reference_frames(start),
        goals=goal,
        goal_joints=joints + 0.3,
        pressed=joints + 0.4,
        clouds=rng.normal([0.0, 0.0, 0.05], 0.03, (1, POINTS, 3)),
    )


def timed(repeats: int, weights: str) -> dict[str, dict[str, float]]:
    """Medians and 95 % quantiles of processor time, ms, by network."""
    torch.manual_seed(0)
    students = {
        "shipped": LearnedStudent(weights_of(weights)),
        "paper's widths": NetworkStudent(new_network(GoalNetworkConfig.paper())),
    }
    times: dict[str, list[float]] = {name: [] for name in students}
    rng = np.random.default_rng(0)
    for tick in range(_WARM_UP + repeats):
        seen = view(rng)
        for name, student in students.items():
            began = time.process_time()
            student.actions(seen)
            spent = 1e3 * (time.process_time() - began)
            if tick >= _WARM_UP:
                times[name].append(spent)
    return {
        name: {"median_ms": float(np.median(each)), "95_ms": float(np.quantile(each, 0.95))}
        for name, each in times.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=300, help="ticks of each network")
    parser.add_argument("--weights", default="", help="of the student")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    found = timed(arguments.repeats, arguments.weights)
    print(f"one tick, {POINTS} points, one core; ms of processor time")
    for name, row in found.items():
        print(f"{name:15s} {row['median_ms']:8.2f}, 95 % under {row['95_ms']:.2f}")
    passed = found["shipped"]["95_ms"] < WANTED_MS
    print(f"shipped under {WANTED_MS:g} ms: {'yes' if passed else 'no'}")
    write_report(arguments.out, {"wanted_ms": WANTED_MS, "passed": passed, "networks": found})
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
