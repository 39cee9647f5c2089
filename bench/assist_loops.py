"""What share of its time training of the human-assisting task spends in physics, on one core.

    python bench/assist_loops.py [--objects 16] [--rounds 4] [--config small]

DAgger and PPO are trained as `dexgrasp train assist` does it, but from clouds of whole surfaces.
The first round, which compiles scenes and draws clouds, and validation don't count.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from dexgrasp_learning.assist_training import (
    METHODS,
    AssistData,
    load_assist_training,
    train_assist,
)
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.learned_assist import load_primitive
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.training.data import TRAINING, split_objects
from dexgrasp_models.training.run import Progress, Run
from dexgrasp_sim.backends.environments import Environments
from dexgrasp_sim.datasets.grasp_trials import library_object

SET = Path(__file__).resolve().parents[1] / "datasets" / "table_top"


class PhysicsClock:
    """Seconds of the core in `Environments.step`, and in all, by the rounds of a training."""

    def __init__(self) -> None:
        self.physics = 0.0
        self.shares: list[tuple[float, float]] = []
        self._step = Environments.step
        self._begun, self._before, self._round = process_time(), 0.0, 0

    def __enter__(self) -> PhysicsClock:
        def step(batch: Environments, *arguments: Any) -> None:
            begun = process_time()
            self._step(batch, *arguments)
            self.physics += process_time() - begun

        Environments.step = step  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Environments.step = self._step  # type: ignore[method-assign]

    def round_ended(self, progress: Progress) -> None:
        now = process_time()
        if progress.step > self._round:  # the last one is told again when it has been judged
            self.shares.append((self.physics - self._before, now - self._begun))
        self._begun, self._before, self._round = now, self.physics, progress.step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=4, help="that count")
    parser.add_argument("--config", default="small", help="as of dexgrasp train")
    options = parser.parse_args()
    torch.set_num_threads(1)
    goals = some_goals(options.objects)
    patterns = generate(np.random.default_rng(0))
    data = AssistData(goals, goals, patterns, FullClouds(), library_object)
    table = Table("method", "physics", "whole round", "share")
    for method in METHODS:
        # The first round and the last are judged, and don't count.
        config, network = load_assist_training(options.config, options.rounds + 2)
        config = replace(config, judged=2, judge_every=1_000_000)
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as out, PhysicsClock() as clock:
            run = Run(Path(out), "assist")
            train_assist(
                method,
                AssistNetwork(network),
                load_primitive(),
                data,
                config,
                run,
                report=clock.round_ended,
            )
        physics, whole = np.array(clock.shares[1:-1]).mean(axis=0)
        table.add_row(method, f"{physics:.2f} s", f"{whole:.2f} s", f"{physics / whole:.1%}")
    Console().print(table)


def some_goals(objects: int) -> Grasps:
    """Of objects for training, one of each category first, that it is known how to press."""
    grasps = GraspSet.open(SET)
    names = split_objects(grasps.names, TRAINING)
    firsts = {name.split("/")[0]: name for name in reversed(names)}
    found = grasps[grasps.select({"lifted": (1.0, 1.0)}, list(firsts.values()))]
    found = found[np.flatnonzero(found.has_squeeze & found.has_table)]
    kept = np.unique(found.objects)[:objects]
    return found[np.flatnonzero(np.isin(found.objects, kept))]


if __name__ == "__main__":
    main()
