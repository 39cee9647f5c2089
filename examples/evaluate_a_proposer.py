"""Measures what a proposer proposes, and how often that lifts, with the interval of each mean.

    python examples/evaluate_a_proposer.py [SCENES]

Scenes are drawn from objects that no network was trained on. A mean over a few of them is worth no
more than its interval says; `dexgrasp eval proposals` runs many, in several processes.
"""

import sys

from dexgrasp_models.evaluation.rows import ANALYTIC
from dexgrasp_models.evaluation.summary import summarise
from dexgrasp_models.objects.library import split_names
from dexgrasp_sim.episodes.proposal_evaluation import EvaluationSettings, draw_jobs, run

FIGURES = {
    "q1": "Q1",
    "object_penetration": "penetration of the object, m",
    "sigma_rotation": "spread of the palms' rotations, rad",
    "lift_single": "share lifted of the proposals",
}


def main(scenes: int = 3) -> None:
    """Prints a line for each scene, then the means with their 95 % intervals."""
    settings = EvaluationSettings(rows=(ANALYTIC,), proposals=8, singles=2)
    jobs = draw_jobs(split_names("unseen_instances"), scenes, seed=0, settings=settings)
    results = []
    for job, result in run(jobs):
        lifted = result["rows"].get(ANALYTIC, {}).get("lift_best")
        print(f"{job.object}, {job.scale:.2f} m: {result['problem'] or f'best lifted: {lifted:g}'}")
        results.append(result["rows"])
    figures = summarise(results, settings.rows)[ANALYTIC]["figures"]
    print(f"{ANALYTIC}, {scenes} scenes: mean (95 % interval)")
    for name, title in FIGURES.items():
        found = figures[name]
        print(f"  {title}: {found['mean']:.4g} ({found['low']:.4g} to {found['high']:.4g})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
