"""One tick of the controller graspgf in which its policy acts: all of it, batch 1, one core.

With it goes what a tick costs in which the policy doesn't: three of five at 50 Hz. Policies are the
bare primitive, the gated one, and a residual policy; that one with the weights it is initialised
with, as these don't change the time, or with a file's. Turn by turn, so that other programs meet
all alike.

    python bench/assist_tick.py [--points 1024] [--repeats 200] [--weights FILE] [--out FILE.json]
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

from dexgrasp_models.control.config import ControlConfig  # noqa: E402
from dexgrasp_models.control.limits import GuardedController  # noqa: E402
from dexgrasp_models.control.setup import ControllerSetup  # noqa: E402
from dexgrasp_models.control.types import Observation, RobotState  # noqa: E402
from dexgrasp_models.hand.spec import load_hand  # noqa: E402
from dexgrasp_models.nets.assist_network import AssistNetwork, AssistNetworkConfig  # noqa: E402
from dexgrasp_models.nets.weights import save_weights  # noqa: E402
from dexgrasp_models.tasks.assist_controller import AssistController  # noqa: E402
from dexgrasp_models.tasks.assist_controller_config import AssistControllerConfig  # noqa: E402

WANTED_MS = 2.0
"""Most that a tick may take."""
PERIOD = 0.02


def controllers(folder: Path, weights: str) -> dict[str, GuardedController]:
    """Behind the same gate as on the robot, by the policy's name."""
    if not weights:
        torch.manual_seed(0)
        config = AssistNetworkConfig.small()
        weights = str(folder / "assist.safetensors")
        save_weights(Path(weights), AssistNetwork(config), config)
    found = {}
    for policy in ("gradient", "gated", "learned"):
        settings = AssistControllerConfig(
            policy=policy, weights=weights if policy == "learned" else "", rest_time=10.0, reach=1.0
        )
        control = ControlConfig(others={"graspgf": settings})
        found[policy] = control.make_controller("graspgf", ControllerSetup(PERIOD))
    return found


def timed(repeats: int, points: int, weights: str) -> dict[str, dict[str, float]]:
    """Medians of processor time, ms, by policy."""
    hand, rng = load_hand(), np.random.default_rng(0)
    cloud = rng.normal([0.0, 0.0, 0.05], 0.03, (points, 3))
    with tempfile.TemporaryDirectory() as folder:
        all_of_them = controllers(Path(folder), weights)
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in all_of_them}
    for tick in range(5 * repeats // 2 + 25):
        now = 1.0 + tick * PERIOD
        wrist = np.eye(4)
        wrist[:3, 3] = [0.1 * np.sin(0.02 * tick), 0.0, 0.15]
        joints = hand.couple(rng.uniform(0.0, 0.3, 22))
        state = RobotState(now, wrist, joints, np.zeros(22))
        seen = Observation(state, None, cloud, wrist, now)
        for name, controller in all_of_them.items():
            inner = controller.inner
            assert isinstance(inner, AssistController)
            before = inner.report.action
            began = time.process_time()
            controller.step(seen, now)
            spent = 1e3 * (time.process_time() - began)
            assert controller.outcome is None, controller.outcome
            if tick >= 25:  # after some to warm up
                times[name][0 if inner.report.action is not before else 1].append(spent)
    return {
        name: {
            "acting_ms": float(np.median(acting)),
            "acting_95_ms": float(np.quantile(acting, 0.95)),
            "between_ms": float(np.median(between)),
        }
        for name, (acting, between) in times.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=1024, help="of the object's cloud")
    parser.add_argument("--repeats", type=int, default=200, help="steps of each policy")
    parser.add_argument("--weights", default="", help="of the residual policy")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    found = timed(arguments.repeats, arguments.points, arguments.weights)
    print(f"one tick, {arguments.points} points, one core; ms of processor time")
    print(f"{'policy':10s} {'acting':>8s} {'95 %':>8s} {'between':>8s}")
    for name, row in found.items():
        print(
            f"{name:10s} {row['acting_ms']:8.2f} {row['acting_95_ms']:8.2f}"
            f" {row['between_ms']:8.2f}"
        )
    passed = all(row["acting_ms"] < WANTED_MS for row in found.values())
    print(f"all in under {WANTED_MS:g} ms: {'yes' if passed else 'no'}")
    write_report(
        arguments.out,
        {
            "wanted_ms": WANTED_MS,
            "passed": passed,
            "points": arguments.points,
            "policies": found,
        },
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
