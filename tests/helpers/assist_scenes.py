"""Episodes of the human-assisting task in the simulator, and plain policies for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes, draw_episodes
from dexgrasp_models.tasks.assist_goals import TriedGoals, save_goals, shard_digest
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.scene import SceneConfig

HAND = load_hand()
SET = Path(__file__).resolve().parents[2] / "datasets" / "table_top"
SCENE = SceneConfig(control_period=0.05)
SHORT = AssistConfig(
    horizon=8, points=64, close_steps=2, settle_steps=1, lift_height=0.2, hold_time=0.3
)
"""An episode in which nothing can be lifted, but soon over."""


_PATTERNS = generate(np.random.default_rng(0)).held_out
_CLOUDS = FullClouds(kept=1)


def goals() -> Grasps:
    """Two grasps of each of two objects, all four of which lift with `Expert`."""
    grasps = GraspSet.open(SET)
    lifting = {"lifted": (1.0, 1.0)}
    cans, apples = (grasps.select(lifting, [name]) for name in ("can/0", "apple/0"))
    return grasps[np.concatenate([cans[[0, 4]], apples[[1, 2]]])]


def episodes(grasps: Grasps, config: AssistConfig = SHORT, seed: int = 0) -> AssistEpisodes:
    """Of grasps, with patterns that aren't trained with."""
    rng = np.random.default_rng(seed)
    return draw_episodes(grasps, _PATTERNS, _CLOUDS, rng, config, blended=False)


def environments(config: AssistConfig = SHORT, **options) -> AssistEnvironments:
    """With objects of the library."""
    return AssistEnvironments(config, options.pop("scene", SCENE), library_object, **options)


def pressing_goals() -> Grasps:
    """Those of `goals`; the flexors press from them by 0.15 rad."""
    known = goals()
    flexors = np.array(
        [name.endswith(("J3", "J0")) and "TH" not in name for name in HAND.actuators]
    )
    press = 0.15 * flexors @ HAND.expansion.T
    return replace(known, squeezes=known.joints + press.astype(known.joints.dtype))


def stored(folder: Path, grasps: Grasps) -> tuple[Path, Path]:
    """A set of grasps and its file of goals, all of which hold."""
    found = GraspSet.open(folder / "set", create=True)
    found.append(grasps, Provenance(), shard="all")
    (shard,) = found.shards
    count = len(grasps)
    everything = np.ones(count, dtype=bool)
    tried = TriedGoals(
        {shard.path.stem: shard_digest(shard)},
        ("can/0", "apple/0"),
        np.zeros(count),
        np.arange(count),
        everything,
        np.ones(count),
        everything,
        everything,
    )
    save_goals(folder / "goals.safetensors", tried)
    return folder / "set", folder / "goals.safetensors"


class Frozen:
    """Does nothing."""

    def begin(self, count: int) -> None:
        self._count = count

    def actions(self, seen: object) -> np.ndarray:
        return np.zeros((self._count, len(HAND.actuators)))


class Expert:
    """Knows the goals: opens the fingers wider than the goal, goes there at the end, and squeezes.

    Args:
        environments: whose goals they are.
        opened: until which step.
        squeeze: rad, by which flexion goes beyond the goal.
    """

    def __init__(
        self, environments: AssistEnvironments, opened: int = 34, squeeze: float = 0.3
    ) -> None:
        self._environments = environments
        self._opened, self._squeeze = opened, squeeze
        self._flexors = np.array(
            [name.endswith(("J3", "J0")) and "TH" not in name for name in HAND.actuators]
        )

    def begin(self, count: int) -> None:
        pass

    def actions(self, seen: object) -> np.ndarray:
        known = self._environments
        goal = known.episodes.goals.joints.astype(float) @ HAND.reduction.T
        if known.steps < self._opened:
            goal = goal - 0.6 * self._flexors
        elif known.steps >= self._opened + 9:
            goal = goal + self._squeeze * self._flexors
        change = goal - known.targets @ HAND.reduction.T
        return np.clip(change / known.config.max_change, -1.0, 1.0)
