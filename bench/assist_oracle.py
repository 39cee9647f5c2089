"""How many grasps the expert of the assisting task lifts: the ceiling of what a policy can.

Goals are those of a file of `dexgrasp assist goals`: the diverse ones of each object among all that
were tried, and among those that hold when the hand is put at them. In each episode the wrist comes
by a held-out pattern; the expert knows goal, squeeze and time.

    dexgrasp assist goals datasets/table_top --split validation --out out/goals.safetensors
    python bench/assist_oracle.py datasets/table_top out/goals.safetensors --split validation
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.goal_filter import GoalTrial, holding
from dexgrasp_learning.oracle_policy import OraclePolicy
from dexgrasp_learning.rollout import run_episodes
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.evaluation.intervals import wilson
from dexgrasp_models.objects.library import SPLITS, split_names
from dexgrasp_models.tasks.assist_config import AUTO_CLOSE_JOINTS, AssistConfig
from dexgrasp_models.tasks.assist_episodes import draw_episodes
from dexgrasp_models.tasks.assist_goals import load_goals
from dexgrasp_models.tasks.assist_oracle import CLOCKS, OracleConfig
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.scene import load_scene

AT_ONCE = 64
STILL = 0.005  # m
CHOICES = {"chosen_of_all": "all", "chosen": "re-filtered"}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed(arguments)
    task = AssistConfig(auto_close_joints=options.auto_close_joints)
    usual = OracleConfig()
    later = options.goal_at - usual.goal_at
    oracle = replace(
        usual,
        squeeze=options.squeeze,
        open_until=usual.open_until + later,
        preshape_at=usual.preshape_at + later,
        goal_at=options.goal_at,
        clock=options.clock,
    )
    grasps, tried = GraspSet.open(options.set), load_goals(options.goals)
    of_split = {name for split in options.split or SPLITS for name in split_names(split)}
    print(f"seed {options.seed}, auto-close {task.auto_close_joints}, {oracle}")
    goals = tried.goals(grasps, "all")
    names = np.array([goals.names[index] for index in goals.objects])
    asked = np.isin(names, list(of_split)) & (tried.chosen | tried.chosen_of_all)
    if not asked.any():
        raise SystemExit(f"{options.goals}: none of its objects is in the splits asked for")
    held, lifted, moved = tried.held.copy(), np.zeros(len(goals), bool), np.zeros(len(goals))
    numbers = {name: tried.notes[name] for name in ("tries", "per_object", "tests", "seed")}
    trial = GoalTrial(task, oracle, **numbers)
    if tried.notes != trial.notes():
        held[asked], _ = holding(goals[asked], library_object, trial)
    if not options.static:
        lifted[asked], moved[asked] = succeeded(goals[asked], task, oracle, options.seed)
    for choice, title in CHOICES.items():
        rows = np.flatnonzero(asked & getattr(tried, choice))
        print(f"{title}: {len(rows)} goals of {len(set(names[rows]))} objects")
        print(f"  hand put at the goal: {rate(held[rows], names[rows])}")
        if options.static:
            continue
        print(f"  wrist by held-out patterns: {rate(lifted[rows], names[rows])}")
        still = moved[rows] < STILL
        for where, what in ((still, "under"), (~still, "over")):
            if where.any():
                share = lifted[rows][where].mean()
                print(f"    object moved {what} 5 mm before the lift: {share:.3f} of {where.sum()}")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", type=Path, help="folder of a grasp set with squeezes")
    parser.add_argument("goals", type=Path, help="file of dexgrasp assist goals")
    parser.add_argument("--split", action="append", choices=SPLITS, help="may be repeated")
    parser.add_argument("--auto-close-joints", choices=tuple(AUTO_CLOSE_JOINTS),
                        default=AssistConfig().auto_close_joints)  # fmt: skip
    usual = OracleConfig()
    parser.add_argument("--squeeze", type=float, default=usual.squeeze)
    parser.add_argument(
        "--goal-at",
        type=int,
        default=usual.goal_at,
        help="step; other moments are as long before it as by default",
    )
    parser.add_argument(
        "--clock", choices=CLOCKS, default=usual.clock, help="what its moments are counted from"
    )
    parser.add_argument("--seed", type=int, default=0, help="of places and paths")
    parser.add_argument("--static", action="store_true", help="without the wrist's motion")
    return parser.parse_args(arguments)


def succeeded(
    goals: Grasps, task: AssistConfig, oracle: OracleConfig, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) whether each goal is lifted, and (N,) m by which its object moved before."""
    task = replace(task, points=1)  # the expert looks at no cloud
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
    """No cloud."""
    return np.zeros((points, 3))


def rate(successes: np.ndarray, names: np.ndarray) -> str:
    """As text: the mean over objects, each of which counts as one trial of its 95 % interval."""
    shares = [successes[names == name].mean() for name in dict.fromkeys(names)]
    share = float(np.mean(shares))
    low, high = wilson(share, len(shares))
    return f"{share:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
