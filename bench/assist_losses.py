"""Where the assisting policy loses objects that the expert lifts.

The same episodes of held-out patterns again and again: with more steps after the wrist has come,
so that being late costs nothing; with the expert taking over from the policy some steps before or
after the wrist rests; with some joints the expert's all the time; and with an expert who is told
not the goal but the posture that a network predicts for the wrist and cloud, or that the policy's
fingers come to where nothing is in their way.

    dexgrasp assist goals datasets/table_top --split validation --count 6 --out GOALS.safetensors
    python bench/assist_losses.py datasets/table_top GOALS.safetensors
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from assist_oracle import rate

from dexgrasp_learning.agreed_grasps import (
    AgreeConfig,
    drawn_grasps,
    labels_of,
    seen_nearness,
    with_labels,
)
from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.oracle_policy import OraclePolicy
from dexgrasp_learning.partial_clouds import PartialClouds
from dexgrasp_learning.rollout import run_episodes
from dexgrasp_learning.task_scenes import task_scene
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.posture_net import fitted
from dexgrasp_models.objects.library import SPLITS, split_names
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes, draw_episodes
from dexgrasp_models.tasks.assist_goals import load_goals
from dexgrasp_models.tasks.assist_observation import AssistObservation
from dexgrasp_models.tasks.assist_oracle import OracleConfig
from dexgrasp_models.tasks.assist_policy import AssistPolicy
from dexgrasp_models.tasks.learned_assist import ASSIST_WEIGHTS, LearnedAssist
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.tasks.wrist_paths import arrivals
from dexgrasp_models.training.data import TRAINING, split_objects
from dexgrasp_sim.datasets.grasp_trials import library_object

MORE_STEPS = (3, 6, 12)
TAKEN_OVER = (-12, -8, -4, -1, 1)
LONGER = 12
"""Steps that a policy has to come to its posture."""
LEARNED = 60
"""Grasps of each object that predictions are learned from."""
JOINTS = {
    "thumb": lambda name: "_TH" in name,
    "fingers": lambda name: "_TH" not in name,
    "flexors": lambda name: "_TH" not in name and name.endswith(("J3", "J0")),
}
"""By what is told of them: whether an actuator is among them."""


@dataclass
class Shared:
    """The policy, but for where the expert acts; an `AssistPolicy`."""

    policy: AssistPolicy
    expert: OraclePolicy
    environments: AssistEnvironments
    experts: Callable[[int], np.ndarray]
    """(N, 18) where the expert acts, of the steps that are made."""

    def begin(self, count: int) -> None:
        self.policy.begin(count)
        self.expert.begin(count)

    def actions(self, seen: AssistObservation) -> np.ndarray:
        theirs = self.experts(self.environments.steps)
        return np.where(theirs, self.expert.actions(seen), self.policy.actions(seen))


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed(arguments)
    task = AssistConfig()
    goals = load_goals(options.goals).goals(GraspSet.open(options.set), "chosen")
    names = np.array([goals.names[index] for index in goals.objects])
    asked = np.isin(names, [name for split in options.split for name in split_names(split)])
    if not asked.any():
        raise SystemExit(f"{options.goals}: none of its objects is in {', '.join(options.split)}")
    names = names[asked]
    patterns = generate(np.random.default_rng(0)).held_out
    rng = np.random.default_rng(options.seed)
    episodes = draw_episodes(goals[asked], patterns, PartialClouds(), rng, task, blended=False)
    rest, actuators = arrivals(episodes.paths), load_hand().actuators
    policy, nobody = LearnedAssist(options.weights), np.zeros((len(names), len(actuators)), bool)
    print(f"{len(names)} episodes of {len(set(names))} objects, seed {options.seed}")

    def show(
        title: str,
        experts: Callable[[int], np.ndarray],
        more: int = 0,
        told: Grasps | None = None,
    ) -> None:
        environments = environments_of(more, options.threads)
        expert = OraclePolicy(environments)
        acting = Shared(policy, expert, environments, experts)
        run_in = resting(episodes if told is None else replace(episodes, goals=told), more)
        ended = run_episodes(environments, run_in, acting, options.seed)
        moved = 100.0 * float(np.nanmean(ended.translation))
        posture = float(np.nanmean(ended.posture))
        print(
            f"{title:48} {rate(ended.paper, names)}, posture {posture:.3f} rad, "
            f"object moved {moved:.1f} cm",
            flush=True,
        )

    torch.set_num_threads(options.threads)
    predicted = with_labels(episodes.goals, predictions(GraspSet.open(options.set), episodes.goals))
    show("expert, told what is predicted", lambda _: ~nobody, told=predicted)
    come_to = with_labels(predicted, postures_of(policy, episodes, predicted, options.threads))
    show("expert, told where the policy comes to", lambda _: ~nobody, told=come_to)
    off = np.abs(labels_of(come_to) - labels_of(predicted))[:, : len(actuators)].mean()
    print(f"the policy comes to {off:.3f} rad from what is predicted")
    show("policy", lambda _: nobody)
    show("expert", lambda _: ~nobody)
    for more in MORE_STEPS:
        show(f"policy, {more} more steps", lambda _: nobody, more)
    for late in TAKEN_OVER:
        show(
            f"policy, the expert from {late:+d} steps on",
            lambda steps, late=late: nobody | (steps >= rest + late)[:, None],
        )
    show(
        "policy, 6 more steps, the expert from +3 on",
        lambda steps: nobody | (steps >= rest + 3)[:, None],
        6,
    )
    for title, has in JOINTS.items():
        theirs = nobody | np.array([has(name) for name in actuators])
        show(f"policy, {title} of the expert", lambda _, theirs=theirs: theirs)


def predictions(grasp_set: GraspSet, goals: Grasps) -> np.ndarray:
    """(N, 36) labels that a network predicts for goals, which has learned from a set's training
    objects, as that of `dexgrasp assist agree`."""
    config = AgreeConfig()
    found = grasp_set[
        grasp_set.select({"stable": (1.0, 1.0)}, split_objects(grasp_set.names, TRAINING))
    ]
    usable = np.flatnonzero(found.has_squeeze & found.has_table)
    learned = drawn_grasps(found[usable], LEARNED, 0)
    labels = torch.as_tensor(labels_of(learned), dtype=torch.float32)
    clouds = PartialClouds()
    net = fitted(seen_nearness(learned, clouds, config), labels, config.net, 0)
    with torch.no_grad():
        return net(seen_nearness(goals, clouds, config, 1)[0]).double().numpy()


def postures_of(
    policy: AssistPolicy, episodes: AssistEpisodes, predicted: Grasps, threads: int
) -> np.ndarray:
    """(N, 36) labels of where a policy's fingers come to if they touch nothing, less what they
    press with then, which is taken to be as predicted."""
    environments = environments_of(LONGER, threads)
    seen = environments.begin(resting(episodes, LONGER), unhindered=True)
    policy.begin(len(episodes))
    rest, reduction = arrivals(episodes.paths) + LONGER, load_hand().reduction
    targets = environments.targets @ reduction.T
    for step in range(1, environments.config.horizon + 1):
        seen = environments.step(policy.actions(seen))
        targets = np.where((step == rest)[:, None], environments.targets @ reduction.T, targets)
    labels = labels_of(predicted)
    presses = labels[:, labels.shape[1] // 2 :]
    return np.concatenate((targets - OracleConfig().squeeze * presses, presses), axis=1)


def environments_of(more: int, threads: int) -> AssistEnvironments:
    """Of the task with so many more steps."""
    task = AssistConfig()
    longer = replace(task, horizon=task.horizon + more)
    return AssistEnvironments(longer, task_scene(task.rate), library_object, threads=threads)


def resting(episodes: AssistEpisodes, steps: int) -> AssistEpisodes:
    """Episodes whose wrists stay so many steps longer where they have come to."""
    last = np.repeat(episodes.paths[:, -1:], steps, axis=1)
    return replace(episodes, paths=np.concatenate((episodes.paths, last), axis=1))


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", type=Path, help="folder of a grasp set with squeezes")
    parser.add_argument("goals", type=Path, help="file of dexgrasp assist goals")
    parser.add_argument("--weights", type=Path, default=ASSIST_WEIGHTS, help="of the policy")
    parser.add_argument(
        "--split", action="append", choices=SPLITS, help="may be repeated; default: validation"
    )
    parser.add_argument("--threads", type=int, default=1, help="that step the environments")
    parser.add_argument("--seed", type=int, default=0, help="of places, paths and clouds")
    options = parser.parse_args(arguments)
    options.split = options.split or ["validation"]
    return options


if __name__ == "__main__":
    main()
