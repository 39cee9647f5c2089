"""Grasps whose fingers are where what is seen says, as far as the object is then still held.

A data set has many postures for much the same wrist and object, as its grasps are drawn at random.
Whoever learns from them, and sees wrist and object only, learns their mean, and some means hold
nothing. Here the posture of each grasp is moved to what a network predicts of the cloud as it is
seen from the grasp's wrist: all the way, if an expert lifts the object so, else a part of it. The
network learns from other objects than it predicts for, so that it can't know a grasp by heart; what
is found is learned from in the next round. So postures agree on what holds.

Not in GraspGF (Wu et al., NeurIPS 2023), which asks for a score instead of a mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.goal_filter import GoalTrial, beside
from dexgrasp_learning.oracle_policy import OraclePolicy
from dexgrasp_learning.rollout import run_episodes
from dexgrasp_learning.task_scenes import task_scene
from dexgrasp_models.data.cloud_set import Scene, placed_at_random
from dexgrasp_models.data.grasps import GraspDataError, Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.basis_points import BasisPoints
from dexgrasp_models.nets.posture_net import PostureNetConfig, fitted
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_episodes import Clouds, draw_episodes
from dexgrasp_models.tasks.wrist_patterns import WristPatterns
from dexgrasp_models.training.data import derived_seed
from dexgrasp_sim.datasets.grasp_trials import LoadObject

SHARE = "agreed_share"
"""Figure of a grasp: how far it stayed its own; 0 is what was predicted, 1 as it was."""

FELL, HELD, UNKNOWN = 0, 1, 2
"""Verdicts."""

_AT_ONCE = 64  # scenes side by side

TASK = AssistConfig(lift_height=0.15, points=1)
"""What has risen so far stays."""

Lifts = Callable[[Grasps, np.random.Generator], np.ndarray]
"""(N,) which of a few grasps lift their objects; what is random is drawn from the generator."""


@dataclass(frozen=True)
class AgreeConfig(Parameters):
    """How grasps come to agree."""

    per_object: int = parameter(30, 1, 1_000_000, "", "grasps of each object, drawn at random")
    rounds: int = parameter(2, 1, 100, "", "of prediction and trials")
    folds: int = parameter(4, 2, 100, "", "shares of the objects that are predicted for in turn")
    views: int = parameter(2, 1, 100, "", "of each grasp's object that are learned from")
    shares: tuple[float, ...] = parameter(
        (0.0, 0.4, 0.75, 1.0),
        0.0,
        1.0,
        "",
        "of its own posture that a grasp is tried with, one after the other until it holds",
        any_length=True,
    )
    net: PostureNetConfig = field(default_factory=PostureNetConfig)


class Verdicts:
    """(R, S, N) whether N grasps held in each round with each share, as far as they were tried.

    Args:
        known: those of an earlier run of the same grasps, which are not tried again.
        keep: is called with all of them whenever some more are known.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        known: np.ndarray | None = None,
        keep: Callable[[np.ndarray], None] = lambda verdicts: None,
    ) -> None:
        """
        Raises:
            GraspDataError: those that are known have another shape.
        """
        if known is not None and known.shape != shape:
            raise GraspDataError(f"verdicts of shape {known.shape} aren't of these grasps: {shape}")
        self._all = np.full(shape, UNKNOWN, np.uint8) if known is None else known.copy()
        self._keep = keep

    def known(self, number: int, share: int, rows: np.ndarray) -> bool:
        """Whether rows were tried, all of them."""
        return bool((self._all[number, share, rows] != UNKNOWN).all())

    def add(self, number: int, share: int, rows: np.ndarray, held: np.ndarray) -> None:
        """What was found of some."""
        self._all[number, share, rows] = np.where(held, HELD, FELL)
        self._keep(self._all)

    def held(self, number: int, share: int, rows: np.ndarray) -> np.ndarray:
        """(M,) of rows that were tried."""
        return self._all[number, share, rows] == HELD


def drawn_grasps(grasps: Grasps, per_object: int, seed: int) -> Grasps:
    """At most so many of each object, drawn at random, in the order that they have."""
    rng = np.random.default_rng(seed)
    drawn = [
        rng.permutation(np.flatnonzero(grasps.objects == one))[:per_object]
        for one in np.unique(grasps.objects)
    ]
    return grasps[np.sort(np.concatenate(drawn))] if drawn else grasps


def agreed(
    grasps: Grasps,
    nearness: torch.Tensor,
    lifts: Lifts,
    config: AgreeConfig,
    *,
    seed: int = 0,
    verdicts: Verdicts | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Grasps:
    """The grasps that hold, with the postures and squeezes that were found, and their `SHARE`.

    Args:
        grasps: N, with squeezes, of at least two objects.
        nearness: (V, N, K) of `seen_nearness`.
        lifts: tries some of them.
        config: how.
        seed: of all that is drawn. The same gives the same to the bit on one machine, also where a
            run goes on with verdicts.
        verdicts: to go on with, and to keep.
        report: is told what each prediction and each trial came to.

    Raises:
        GraspDataError: there is only one object.
    """
    kinds = np.unique(grasps.objects)
    if len(kinds) < 2:
        raise GraspDataError("grasps of one object have none to agree with: give some of others")
    if verdicts is None:
        verdicts = Verdicts((config.rounds, len(config.shares), len(grasps)))
    order = np.random.default_rng(derived_seed(seed, "folds")).permutation(kinds)
    fold = np.zeros(kinds.max() + 1, dtype=int)
    fold[order] = np.arange(len(order)) % config.folds
    folds, own = fold[grasps.objects], labels_of(grasps)
    labels, good = own, np.ones(len(grasps), dtype=bool)
    for number in range(config.rounds):
        predicted = np.empty_like(own)
        for one in np.unique(folds):
            others, asked = (folds != one) & good, folds == one
            wanted = torch.as_tensor(labels[others], dtype=torch.float32)
            net_seed = derived_seed(seed, "net", number, int(one))
            net = fitted(nearness[:, others], wanted, config.net, net_seed)
            with torch.no_grad():
                predicted[asked] = net(nearness[0, asked]).double().numpy()
        off = np.abs(predicted - labels)[good, : own.shape[1] // 2].mean()
        report(f"round {number + 1}: predicted joints are {off:.3f} rad from those learned from")
        found = np.full(len(grasps), np.nan)
        for place, share in enumerate(config.shares):
            rows = np.flatnonzero(np.isnan(found))
            if not len(rows):
                break
            tried = with_labels(grasps, predicted + share * (own - predicted))
            for start in range(0, len(rows), _AT_ONCE):
                some = rows[start : start + _AT_ONCE]
                if not verdicts.known(number, place, some):
                    rng = np.random.default_rng(derived_seed(seed, number, place, start))
                    verdicts.add(number, place, some, lifts(tried[some], rng))
            held = verdicts.held(number, place, rows)
            found[rows[held]] = share
            report(f"  {share:.0%} of their own posture: {held.sum()} of {len(rows)} hold")
        good = np.isfinite(found)
        if not good.any():
            raise GraspDataError(f"none of {len(grasps)} grasps holds, as it was or otherwise")
        labels = np.where(good[:, None], predicted + found[:, None] * (own - predicted), own)
    moved = with_labels(grasps, labels)
    return replace(moved, figures={**moved.figures, SHARE: found})[np.flatnonzero(good)]


def lifting(load: LoadObject, patterns: WristPatterns, threads: int = 1) -> Lifts:
    """Episodes of the task in which the expert acts, and the wrist ends a little beside the grasp.

    A hand that is only put at a grasp, as goals are tried, holds some that push the object away
    when the fingers close while the wrist still comes.

    Args:
        load: finds the objects.
        patterns: of the wrist, to draw from.
        threads: that step the scenes.

    They raise GraspDataError where a grasp has no table, ValueError where it has no squeeze, and
    MeshError where an object can't be used.
    """
    scene = task_scene(TASK.rate)
    environments = AssistEnvironments(TASK, scene, load, threads=threads)
    expert = OraclePolicy(environments)

    def lifts(grasps: Grasps, rng: np.random.Generator) -> np.ndarray:
        grasps = beside(grasps, GoalTrial(), rng)
        episodes = draw_episodes(grasps, patterns, _unseen, rng, TASK, blended=True)
        return run_episodes(environments, episodes, expert).paper

    return lifts


def untried(grasps: Grasps, _: np.random.Generator) -> np.ndarray:
    """`Lifts` for who takes what is predicted on trust: more grasps in less time."""
    return np.ones(len(grasps), dtype=bool)


def _unseen(
    name: str,
    scale: float,
    plane: np.ndarray,
    object_pose: np.ndarray,
    points: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """`Clouds` for who doesn't look."""
    return np.tile(object_pose[:3, 3], (points, 1))


def seen_nearness(
    grasps: Grasps, clouds: Clouds, config: AgreeConfig, seed: int = 0
) -> torch.Tensor:
    """(V, N, K) of basis points to the objects as they are seen, in the palms of N grasps.

    Raises:
        GraspDataError: a grasp has no table.
        MeshError, PerceptionError: as `Clouds`.
    """
    if not grasps.has_table.all():
        raise GraspDataError(f"grasp {np.argmin(grasps.has_table)} is of an object on no table")
    basis, points = BasisPoints(config.net.basis_points), AssistConfig().points
    palms, views = grasps.palm_poses, []
    for view in range(config.views):
        rng, parts = np.random.default_rng(derived_seed(seed, "view", view)), []
        for start in range(0, len(grasps), _AT_ONCE):
            seen = []
            for row in range(start, min(start + _AT_ONCE, len(grasps))):
                name, plane = grasps.names[grasps.objects[row]], grasps.planes[row].astype(float)
                scene = Scene(name, float(grasps.scales[row]), tuple(plane.tolist()))
                pose = placed_at_random(scene, 0.0, rng)
                cloud = clouds(name, scene.scale, plane, pose, points, rng)
                wrist = pose @ palms[row]
                seen.append((cloud - wrist[:3, 3]) @ wrist[:3, :3])
            parts.append(basis.nearness(torch.as_tensor(np.array(seen), dtype=torch.float32)))
        views.append(torch.cat(parts))
    return torch.stack(views)


def labels_of(grasps: Grasps) -> np.ndarray:
    """(N, 36) of N grasps with squeezes: actuator angles, and how far targets press beyond, rad."""
    reduction = load_hand().reduction
    joints = grasps.joints.astype(float) @ reduction.T
    return np.concatenate((joints, grasps.squeezes.astype(float) @ reduction.T - joints), axis=1)


def with_labels(grasps: Grasps, labels: np.ndarray) -> Grasps:
    """The grasps with postures and squeezes of labels (N, 36), within the joints' limits."""
    hand = load_hand()
    joints, presses = np.split(labels, 2, axis=1)
    joints = np.clip(joints, *hand.actuator_limits.T)
    kind = grasps.joints.dtype
    return replace(
        grasps,
        joints=(joints @ hand.expansion.T).astype(kind),
        squeezes=((joints + presses) @ hand.expansion.T).astype(kind),
    )
