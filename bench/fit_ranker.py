"""Fit the ranker on executions in simulation, on objects of the library's split `training`.

    python bench/fit_ranker.py [--scenes 128] [--trials out/ranker.jsonl] [--workers 2] [--write]
    python bench/fit_ranker.py --split validation --trials out/ranker_validation.jsonl

A scene is an object at one of the library's scales, at rest; each object once before any comes
again. In it the best-ranked and some random proposals of each proposer are carried out from the
same state. Each scene's trials are kept in a file at once, so that an interrupted run goes on
where it stopped; lines of it that can't be read are told, moved aside, and their scenes carried out
again. The fit is a logistic regression with an L2 penalty on standardised figures; its first-choice
rate on objects that it has not seen is printed beside that of the ranker in use, with 95 %
intervals. Another split only judges the ranker in use.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from rich.progress import track
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from dexgrasp_models.control.approach_plan import NoApproach
from dexgrasp_models.evaluation.intervals import wilson
from dexgrasp_models.evaluation.run_record import run_record
from dexgrasp_models.files import written_whole
from dexgrasp_models.jobs.kept_results import KeptResults
from dexgrasp_models.jobs.worker_processes import outcomes
from dexgrasp_models.objects.library import SPLITS, split_names
from dexgrasp_models.perception.fusion import FusedCloud, PerceptionError
from dexgrasp_models.proposals.analytic import AnalyticProposer
from dexgrasp_models.proposals.learned import LearnedProposer
from dexgrasp_models.proposals.rank import RANKER_FILE, Ranker
from dexgrasp_models.proposals.reachability import NoProposalError, rejection
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.object_surface import CloudError
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.episodes.grasp_cell import GraspCell
from dexgrasp_sim.episodes.proposal_evaluation import draw_library_scenes
from dexgrasp_sim.interface import SimulatorError
from dexgrasp_sim.scene import load_scene

FRICTION, MASS = 0.6, 0.2  # harder than the benchmark's, so that there are failures to learn from
BEST = 3  # of a proposer's grasps tried in a scene, how many are the best-ranked
PROPOSERS = ("analytic", "learned")
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

Rows = Sequence[dict[str, Any]]
"""Trials: `object`, `ok` (whether it lifted) and `figures` of each."""


@dataclass(frozen=True)
class SceneJob:
    """One scene, and how many proposals of each proposer are carried out in it."""

    object: str
    scale: float
    """Radius of the sphere around it, m."""
    seed: int
    """Of its pose and place, the cameras' noise, the proposals and the choice of them."""
    per_proposer: int

    @property
    def key(self) -> str:
        """Equal for equal scenes."""
        of_all = {"friction": FRICTION, "mass": MASS, "proposers": PROPOSERS}
        return json.dumps({**asdict(self), **of_all}, sort_keys=True)


def draw_scenes(split: str, count: int, seed: int, per_proposer: int) -> list[SceneJob]:
    """Scenes of a split's objects; the first are the same however many are asked for."""
    scenes = draw_library_scenes("ranker", split_names(split), count, seed)
    return [SceneJob(*scene, per_proposer) for scene in scenes]


class TrialScene:
    """One object at rest on the table, seen once, on which grasps are tried from the same state.

    Raises:
        PerceptionError: too little is seen of it.
    """

    def __init__(self, job: SceneJob) -> None:
        self._simulator = make_simulator(
            load_scene(friction=FRICTION, object_mass=MASS), library_object(job.object, job.scale)
        )
        self._simulator.reset(job.seed)
        self._cell = GraspCell(self._simulator)
        self.cloud: FusedCloud = self._cell.fuse(self._cell.depth_frames())
        self._start = self._simulator.save_state()

    def lifts(self, grasp: Grasp) -> bool:
        """Whether the grasp raises the object and holds it, as the grasp benchmark judges it."""
        self._simulator.restore_state(self._start)
        try:
            plan = self._cell.plan([grasp], self.cloud)
            return self._cell.carry_out(plan, self.cloud.object_points).success
        except (NoApproach, SimulatorError):
            return False


def run_scene(job: SceneJob) -> dict[str, Any]:
    """Trials of one scene, for JSON: `problem`, why there are none, or an empty text; `trials`."""
    torch.set_num_threads(1)
    try:
        scene = TrialScene(job)
        proposed = [each.candidates(scene.cloud, job.seed) for each in _proposers()]
    except (PerceptionError, CloudError, NoProposalError) as error:
        return {"problem": str(error), "trials": []}
    generator = np.random.default_rng(job.seed)
    trials = []
    for grasps in proposed:
        grasps = [grasp for grasp in grasps if rejection(grasp, ExecutionConfig()) is None]
        best, rest = grasps[:BEST], grasps[BEST:]
        count = min(max(job.per_proposer - BEST, 0), len(rest))
        chosen = generator.choice(len(rest), count, replace=False)
        trials += [
            {
                "object": job.object,
                "proposer": grasp.proposer,
                "ok": scene.lifts(grasp),
                "figures": {name: grasp.figures[name] for name in FIGURES},
            }
            for grasp in best + [rest[index] for index in sorted(chosen)]
        ]
    return {"problem": "" if trials else "all proposals are rejected", "trials": trials}


@lru_cache(maxsize=1)
def _proposers() -> tuple[AnalyticProposer, LearnedProposer]:
    return AnalyticProposer(), LearnedProposer()


def collect(
    jobs: Sequence[SceneJob], path: Path, workers: int | None = None
) -> list[dict[str, Any]]:
    """Results of all scenes; those that the file does not have yet are carried out."""
    if moved := put_aside_unreadable(path):
        print(f"{moved} lines of {path} can't be read: now in {unreadable(path)}; done again")
    kept = KeptResults(path)
    missing = [job for job in jobs if job.key not in kept]
    with closing(outcomes(run_scene, missing, workers)) as finished:
        for job, result in track(finished, "executing proposals", total=len(missing)):
            kept.add(job.key, result)
    return [kept[job.key] for job in jobs]


def put_aside_unreadable(path: Path) -> int:
    """Moves lines that are no JSON into a file beside; how many there are."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    bad = [line for line in lines if not _is_json(line)]
    if bad:
        with unreadable(path).open("a", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in bad)
        with written_whole(path) as temporary:
            good = (line + "\n" for line in lines if line not in bad)
            temporary.write_text("".join(good), encoding="utf-8")
    return len(bad)


def unreadable(path: Path) -> Path:
    """Where such lines are put."""
    return path.with_name(path.name + ".unreadable")


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


def fit(rows: Rows, penalty: float) -> Ranker:
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


def by_proposer(scenes: Sequence[Rows]) -> list[Rows]:
    """The trials of each scene, those of each proposer by themselves."""
    parted = [
        [row for row in rows if row["proposer"] == name] for rows in scenes for name in PROPOSERS
    ]
    return [rows for rows in parted if rows]


def first_choices(ranker: Ranker, scenes: Sequence[Rows]) -> list[bool]:
    """Of each scene, whether its best-ranked trial lifted."""
    picked = []
    for rows in scenes:
        figures = {
            name: torch.tensor([row["figures"][name] for row in rows]) for name in ranker.names
        }
        picked.append(bool(rows[int(ranker.score(figures).argmax())]["ok"]))
    return picked


def cross_validated(scenes: Sequence[Rows], penalty: float, folds: int = 8) -> list[bool]:
    """The same for scenes of objects that the fit has not seen."""
    fold_of = {
        name: index % folds
        for index, name in enumerate(dict.fromkeys(s[0]["object"] for s in scenes))
    }
    picked = []
    for fold in sorted(set(fold_of.values())):
        held_out = [rows for rows in scenes if fold_of[rows[0]["object"]] == fold]
        seen = [row for rows in scenes if fold_of[rows[0]["object"]] != fold for row in rows]
        picked += first_choices(fit(seen, penalty), held_out)
    return picked


def write(ranker: Ranker, path: Path, record: dict[str, Any]) -> None:
    """Store a ranker with what it was fitted on, whole or not at all."""
    figures = {
        name: {"mean": round(mean, 6), "scale": round(scale, 6), "coefficient": round(weight, 4)}
        for name, mean, scale, weight in zip(
            ranker.names, ranker.means, ranker.scales, ranker.coefficients, strict=True
        )
    }
    text = (
        "# Log-odds of success = intercept + sum of coefficient * (figure - mean) / scale, each\n"
        "# quotient kept within 4; see rank.py. Fitted by bench/fit_ranker.py on what `fit` says.\n"
        f"intercept: {round(float(ranker.intercept), 4)}\nfigures:\n"
    )
    for name, row in figures.items():
        text += f"  {name}: {yaml.safe_dump(row, default_flow_style=True, sort_keys=False)}"
    text += yaml.safe_dump({"fit": record}, width=100, sort_keys=False, default_flow_style=None)
    with written_whole(path) as temporary:
        temporary.write_text(text)


def told(what: str, picked: Sequence[bool]) -> None:
    """Print a rate with its interval."""
    rate = float(np.mean(picked))
    low, high = wilson(rate, len(picked))
    print(f"{what:36s} {rate:.2f} ({low:.2f} to {high:.2f}) of {len(picked)}")


def main() -> None:
    """Collect, fit, compare and, when asked to, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=128)
    parser.add_argument("--split", choices=SPLITS, default="training", help="of the library")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes")
    parser.add_argument(
        "--per-proposer", type=int, default=8, help="proposals of each carried out in a scene"
    )
    parser.add_argument("--trials", type=Path, default=Path("out/ranker.jsonl"))
    parser.add_argument("--workers", type=int, help="processes; by default one a core")
    parser.add_argument("--penalty", type=float, default=30.0, help="of the squared coefficients")
    parser.add_argument("--write", action="store_true", help="store the fitted ranker in --to")
    parser.add_argument("--to", type=Path, default=RANKER_FILE)
    arguments = parser.parse_args()
    if arguments.write and arguments.split != "training":
        parser.error(f"--write: a ranker is fitted on training, not on {arguments.split}")
    torch.set_num_threads(1)
    jobs = draw_scenes(arguments.split, arguments.scenes, arguments.seed, arguments.per_proposer)
    try:
        results = collect(jobs, arguments.trials, arguments.workers)
    except ValueError as error:  # the file holds something else
        parser.error(str(error))
    problems = Counter(result["problem"] for result in results if result["problem"])
    for problem, count in problems.items():
        print(f"{count} scenes without trials: {problem}")
    scenes = [result["trials"] for result in results if result["trials"]]
    rows = [row for trials in scenes for row in trials]
    if not rows:
        parser.exit(1, "no scene has trials: nothing to judge or fit\n")
    lifted = sum(row["ok"] for row in rows)
    print(f"{len(rows)} trials in {len(scenes)} scenes, {lifted / len(rows):.2f} lifted")
    scenes = by_proposer(scenes)
    told("first choice, ranker in use:", first_choices(Ranker.load(), scenes))
    if arguments.split != "training":
        return
    told("first choice, fitted, unseen objects:", cross_validated(scenes, arguments.penalty))
    fitted = fit(rows, arguments.penalty)
    weights = zip(fitted.names, fitted.coefficients, strict=True)
    for name, weight in sorted(weights, key=lambda item: -abs(item[1])):
        print(f"  {name:18s} {weight:+.2f}")
    if arguments.write:
        settings = {
            "split": arguments.split, "per_proposer": arguments.per_proposer, "friction": FRICTION,
            "mass": MASS, "penalty": arguments.penalty, "trials": len(rows), "lifted": lifted,
            "scenes": arguments.scenes, "scenes_without_trials": sum(problems.values()),
            "objects": sorted({row["object"] for row in rows}),
        }  # fmt: skip
        write(fitted, arguments.to, run_record(arguments.seed, settings))
        print(f"written to {arguments.to}")


if __name__ == "__main__":
    main()
