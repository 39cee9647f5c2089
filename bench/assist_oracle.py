"""How many grasps the expert of the assisting task lifts: the ceiling of what a policy can.

Goals are those of a file of `dexgrasp assist goals`: the diverse ones of each object among all that
were tried, and among those that hold when the hand is put at them. In each episode the wrist comes
by a held-out pattern; the expert knows goal, squeeze and time.

    dexgrasp assist goals datasets/table_top --split validation --out out/goals.safetensors
    python bench/assist_oracle.py datasets/table_top out/goals.safetensors --split validation
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.oracle_policy import OraclePolicy
from dexgrasp_learning.rollout import run_episodes
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.evaluation.intervals import wilson
from dexgrasp_models.objects.library import SPLITS, split_names
from dexgrasp_models.tasks.assist_config import AUTO_CLOSE_JOINTS, AssistConfig
from dexgrasp_models.tasks.assist_episodes import draw_episodes
from dexgrasp_models.tasks.assist_goals import load_goals
from dexgrasp_models.tasks.assist_oracle import OracleConfig
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.scene import load_scene

AT_ONCE = 64
CHOICES = {"chosen_of_all": "all", "chosen": "re-filtered"}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed(arguments)
    task = AssistConfig(auto_close_joints=options.auto_close_joints, points=1)
    oracle = OracleConfig(squeeze=options.squeeze)
    grasps, tried = GraspSet.open(options.set), load_goals(options.goals)
    told = tried.notes["task"]["auto_close_joints"], tried.notes["oracle"]["squeeze"]
    of_split = {name for split in options.split or SPLITS for name in split_names(split)}
    print(f"seed {options.seed}, auto-close {task.auto_close_joints}, squeeze {oracle.squeeze:g}")
    found: dict[str, object] = {"auto_close_joints": task.auto_close_joints}
    for choice, name in CHOICES.items():
        goals = tried.goals(grasps, choice)
        rows = np.flatnonzero([goals.names[index] in of_split for index in goals.objects])
        if not len(rows):
            raise SystemExit(f"{options.goals}: none of its objects is in the splits asked for")
        goals = goals[rows]
        held = tried.held[getattr(tried, choice)][rows]
        objects = len(set(goals.objects.tolist()))
        print(f"{name}: {len(goals)} goals of {objects} objects")
        print(f"  static, {told[0]}, squeeze {told[1]:g}: {rate(held)}")
        started = time.perf_counter()
        lifted, moved = succeeded(goals, task, oracle, options.seed)
        took = time.perf_counter() - started
        print(f"  wrist by held-out patterns: {rate(lifted)}; {took / len(goals):.2f} s an episode")
        still = moved < 0.005
        for where, what in ((still, "under"), (~still, "over")):
            if where.any():
                print(f"    object moved {what} 5 mm before the lift: {rate(lifted[where])}")
        found[name] = {"goals": len(goals), "objects": objects, "static": held.mean(),
                       "moving": lifted.mean()}  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(found, indent=2, default=float))


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", type=Path, help="folder of a grasp set with squeezes")
    parser.add_argument("goals", type=Path, help="file of dexgrasp assist goals")
    parser.add_argument("--split", action="append", choices=SPLITS, help="may be repeated")
    parser.add_argument("--auto-close-joints", choices=tuple(AUTO_CLOSE_JOINTS),
                        default=AssistConfig().auto_close_joints)  # fmt: skip
    parser.add_argument("--squeeze", type=float, default=OracleConfig().squeeze)
    parser.add_argument("--seed", type=int, default=0, help="of places and paths")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args(arguments)


def succeeded(
    goals: Grasps, task: AssistConfig, oracle: OracleConfig, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) whether each goal is lifted, and (N,) m by which its object moved before."""
    patterns = generate(np.random.default_rng(0)).held_out
    scene = replace(load_scene(scene="floating"), control_period=1.0 / task.rate)
    episodes = draw_episodes(
        goals, patterns, unseen, np.random.default_rng(seed), task, blended=False
    )
    environments = AssistEnvironments(task, scene, library_object)
    policy, parts = OraclePolicy(environments, oracle), []
    for start in range(0, len(goals), AT_ONCE):
        some = episodes[start : start + AT_ONCE]
        parts.append(run_episodes(environments, some, policy, seed))
    moved = np.concatenate([part.translation for part in parts])
    return np.concatenate([part.paper for part in parts]), np.nan_to_num(moved, nan=np.inf)


def unseen(name, scale, plane, object_pose, points, rng) -> np.ndarray:
    """The expert looks at no cloud."""
    return np.zeros((points, 3))


def rate(successes: np.ndarray) -> str:
    """As text, with its 95 % interval."""
    share = float(successes.mean())
    low, high = wilson(share, len(successes))
    return f"{share:.3f} ({low:.3f} to {high:.3f}) of {len(successes)}"


if __name__ == "__main__":
    main()
