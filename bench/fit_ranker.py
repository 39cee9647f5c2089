"""Fit the analytic proposer's ranker on executions in simulation.

    python bench/fit_ranker.py [--scenes 64] [--trials trials.jsonl] [--write]

Scenes are generated objects of random scale at rest, with seeds far from the benchmarks'. In each,
the best-ranked and some random proposals are carried out from the same state; figures and outcomes
are appended to a file, so that an interrupted run goes on where it stopped. The fit is a logistic
regression with an L2 penalty on standardised figures; its first-choice rate on scenes that it has
not seen is printed beside that of the ranker in use.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from rich.progress import track
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from dexgrasp_models.control.approach_plan import NoApproach
from dexgrasp_models.files import written_whole
from dexgrasp_models.objects import SHAPES, load_object
from dexgrasp_models.perception.fusion import FusedCloud, PerceptionError
from dexgrasp_models.proposals.analytic import AnalyticProposer
from dexgrasp_models.proposals.rank import RANKER_FILE, Ranker
from dexgrasp_models.proposals.reachability import rejection
from dexgrasp_models.synthesis.object_surface import CloudError
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.episodes.grasp_cell import GraspCell
from dexgrasp_sim.scene import load_scene

FIRST_SEED = 12_000  # the benchmarks count up from small seeds
SCALES = (0.7, 1.4)
FRICTION, MASS = 0.6, 0.2  # harder than the benchmark's, so that there are failures to learn from
BEST = 4  # of the proposals tried in a scene, how many are the best-ranked
FIGURES = (
    "gap",
    "closure",
    "resistance",
    "fingers_down",
    "horizontal_force",
    "lifting_force",
    "thumb_force",
    "grip_offset",
    "grip_height",
    "table_clearance",
    "sweep",
)


class TrialScene:
    """One object at rest on the table, seen once, on which grasps are tried from the same state."""

    def __init__(self, shape: str, seed: int, scale: float) -> None:
        self._simulator = make_simulator(
            load_scene(friction=FRICTION, object_mass=MASS), load_object(shape, scale)
        )
        self._simulator.reset(seed)
        self._cell = GraspCell(self._simulator)
        self.cloud: FusedCloud = self._cell.fuse(self._cell.depth_frames())
        self._start = self._simulator.save_state()

    def lifts(self, grasp: Grasp) -> bool:
        """Whether the grasp raises the object and holds it, as the grasp benchmark judges it."""
        self._simulator.restore_state(self._start)
        try:
            plan = self._cell.plan([grasp], self.cloud)
        except NoApproach:
            return False
        return self._cell.carry_out(plan).success


def run_scene(index: int, per_scene: int, proposer: AnalyticProposer) -> Iterator[dict[str, Any]]:
    """Rows of figures and outcomes of one training scene; none where nothing was proposed."""
    seed = FIRST_SEED + index
    generator = np.random.default_rng(seed)
    shape = list(SHAPES)[index % len(SHAPES)]
    scale = float(generator.uniform(*SCALES))
    try:
        scene = TrialScene(shape, seed, scale)
        grasps = proposer.candidates(scene.cloud, seed)
    except (PerceptionError, CloudError):
        return
    grasps = [grasp for grasp in grasps if rejection(grasp, proposer.config) is None]
    best, rest = grasps[:BEST], grasps[BEST:]
    chosen = generator.choice(len(rest), min(per_scene - BEST, len(rest)), replace=False)
    for grasp in best + [rest[index] for index in sorted(chosen)]:
        yield {
            "object": shape,
            "seed": seed,
            "scale": scale,
            "ok": scene.lifts(grasp),
            "figures": grasp.figures,
        }


def collect(path: Path, scenes: int, per_scene: int) -> None:
    """Append the trials of all scenes that the file does not have yet."""
    done = {row["seed"] for row in read(path)}
    proposer = AnalyticProposer()
    for index in track(range(scenes), "executing proposals"):
        if FIRST_SEED + index in done:
            continue
        rows = list(run_scene(index, per_scene, proposer))
        with path.open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a trial file; a line cut short by an interruption is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def fit(rows: Sequence[dict[str, Any]], penalty: float) -> Ranker:
    """Logistic regression of the outcome on the standardised figures."""
    values = np.array([[row["figures"][name] for name in FIGURES] for row in rows])
    outcomes = np.array([row["ok"] for row in rows], dtype=float)
    means = np.median(values, axis=0)
    # Means of absolute deviations: some figures have long tails.
    scales = np.maximum(np.abs(values - means).mean(0) * 1.25, 1e-6)
    standard = np.clip((values - means) / scales, -4.0, 4.0)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logits = standard @ parameters[:-1] + parameters[-1]
        likelihood = outcomes * log_expit(logits) + (1 - outcomes) * log_expit(-logits)
        errors = expit(logits) - outcomes
        slope = np.append(standard.T @ errors + penalty * parameters[:-1], errors.sum())
        return -likelihood.sum() + 0.5 * penalty * np.square(parameters[:-1]).sum(), slope

    best = minimize(loss, np.zeros(len(FIGURES) + 1), jac=True, method="L-BFGS-B").x
    return Ranker(
        FIGURES, tuple(means.tolist()), tuple(scales.tolist()), tuple(best[:-1].tolist()), best[-1]
    )


def scene_groups(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The rows of each scene."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["object"], row["seed"]), []).append(row)
    return list(groups.values())


def first_choice_rate(ranker: Ranker, groups: Sequence[list[dict[str, Any]]]) -> float:
    """Rate at which the best-ranked trial of a scene lifted."""
    picked = []
    for rows in groups:
        figures = {
            name: torch.tensor([row["figures"][name] for row in rows]) for name in ranker.names
        }
        picked.append(rows[int(ranker.score(figures).argmax())]["ok"])
    return float(np.mean(picked))


def cross_validated_rate(
    groups: Sequence[list[dict[str, Any]]], penalty: float, folds: int = 8
) -> float:
    """First-choice rate on scenes that the fit has not seen."""
    rates, sizes = [], []
    for fold in range(folds):
        held_out = list(groups[fold::folds])
        if not held_out:
            continue
        seen = [row for k, rows in enumerate(groups) if k % folds != fold for row in rows]
        rates.append(first_choice_rate(fit(seen, penalty), held_out))
        sizes.append(len(held_out))
    return float(np.average(rates, weights=sizes))


def write(ranker: Ranker, path: Path, trials: int, scenes: int) -> None:
    """Store a ranker, whole or not at all."""
    figures = {
        name: {"mean": round(mean, 6), "scale": round(scale, 6), "coefficient": round(weight, 4)}
        for name, mean, scale, weight in zip(
            ranker.names, ranker.means, ranker.scales, ranker.coefficients, strict=True
        )
    }
    text = (
        "# Log-odds of success = intercept + sum of coefficient * (figure - mean) / scale, each\n"
        "# quotient kept within 4; see rank.py. Fitted by bench/fit_ranker.py on\n"
        f"# {trials} executions in {scenes} scenes.\n"
        f"intercept: {round(float(ranker.intercept), 4)}\nfigures:\n"
    )
    for name, row in figures.items():
        text += f"  {name}: {yaml.safe_dump(row, default_flow_style=True, sort_keys=False)}"
    with written_whole(path) as temporary:
        temporary.write_text(text)


def main() -> None:
    """Collect, fit, compare and, when asked to, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=64)
    parser.add_argument("--per-scene", type=int, default=12, help="proposals carried out in each")
    parser.add_argument("--trials", type=Path, default=Path("ranker_trials.jsonl"))
    parser.add_argument("--penalty", type=float, default=30.0, help="of the squared coefficients")
    parser.add_argument("--write", action="store_true", help=f"store in {RANKER_FILE.name}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    collect(arguments.trials, arguments.scenes, arguments.per_scene)
    rows = read(arguments.trials)
    groups = scene_groups(rows)
    print(
        f"{len(rows)} trials in {len(groups)} scenes, {np.mean([r['ok'] for r in rows]):.2f} lifted"
    )
    print(f"first choice, ranker in use:        {first_choice_rate(Ranker.load(), groups):.2f}")
    rate = cross_validated_rate(groups, arguments.penalty)
    print(f"first choice, fitted, unseen scene: {rate:.2f}")
    fitted = fit(rows, arguments.penalty)
    weights = zip(fitted.names, fitted.coefficients, strict=True)
    for name, weight in sorted(weights, key=lambda item: -abs(item[1])):
        print(f"  {name:18s} {weight:+.2f}")
    if arguments.write:
        write(fitted, RANKER_FILE, len(rows), len(groups))


if __name__ == "__main__":
    main()
