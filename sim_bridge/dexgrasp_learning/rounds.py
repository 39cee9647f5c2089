"""Training in rounds, each of episodes and of updates: DAgger and PPO.

A round is a function of what was learned before, of the seed and of its number, so a run that goes
on from a checkpoint ends with the bits of one that was never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any, Protocol

import torch

from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.nets.weights import save_weights
from dexgrasp_models.tasks.assist_policy import AssistPolicy
from dexgrasp_models.training.checkpoint import (
    Checkpoint,
    TrainingError,
    load_checkpoint,
    save_checkpoint,
)
from dexgrasp_models.training.clock import Clock
from dexgrasp_models.training.curves import Curves
from dexgrasp_models.training.data import derived_seed
from dexgrasp_models.training.loop import Progress, Run
from dexgrasp_models.training.objectives import LOSS
from dexgrasp_models.training.processes import Processes

Judge = Callable[[AssistPolicy], Mapping[str, float]]
"""Figures of a policy on episodes for validation; the best weights have the least `LOSS`."""


class Learner(Protocol):
    """What learns in rounds."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a run must share with an earlier one to go on from it."""

    @property
    def network(self) -> AssistNetwork:
        """The one that is used: a running mean, where there is one."""

    @property
    def policy(self) -> AssistPolicy:
        """That acts by it, without noise."""

    def round(self, number: int) -> dict[str, float]:
        """Act and learn once more; gives figures of it."""

    def state(self) -> dict[str, Any]:
        """The fields `objective`, `optimiser` and `average` of a `Checkpoint`."""

    def restore(self, checkpoint: Checkpoint) -> None:
        """Be as when the checkpoint was made.

        Raises:
            TrainingError: something that it needs is missing.
        """


def train_rounds(
    learner: Learner,
    rounds: int,
    run: Run,
    *,
    judge: Judge | None = None,
    judge_every: int = 10,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Learn until the last round, or until the budget is spent.

    Args:
        learner: what learns.
        rounds: in all.
        run: where to, and how long; a round is not begun that would not end within the budget.
        judge: what tells the best weights; None: the latest are kept.
        judge_every: rounds from one time to the next; the last is judged too.
        report: is called after each round, with its figures and those of the judge.

    Raises:
        TrainingError: something isn't finite, or a checkpoint is of another run.
        OSError: a file can't be written.
    """
    return _Rounds(learner, rounds, run, judge, judge_every, report)()


class _Rounds:
    def __init__(
        self,
        learner: Learner,
        rounds: int,
        run: Run,
        judge: Judge | None,
        judge_every: int,
        report: Callable[[Progress], None],
    ) -> None:
        self._learner, self._rounds, self._run = learner, rounds, run
        self._judge, self._judge_every, self._report = judge, judge_every, report
        self._settings = {"seed": run.seed, **learner.settings}
        self._clock, self._saved = Clock(run.budget), time.monotonic()
        self._step, self._best = 0, math.inf
        self._longest = self._judging = 0.0
        self._judged_at = -1

    def __call__(self) -> Progress:
        run = self._run
        if run.resume and run.checkpoint.is_file():
            checkpoint = load_checkpoint(run.checkpoint, self._settings)
            self._learner.restore(checkpoint)
            self._step, self._best = checkpoint.step, checkpoint.best
            self._clock.earlier = checkpoint.seconds
        figures: dict[str, float] = {}
        with closing(Curves(run.curves, self._step, Processes(), every=1)) as curves:
            while self._step < self._rounds and not self._out_of_time():
                figures = self._round(curves)
                if self._judge and self._step % self._judge_every == 0:
                    figures |= self._judged(curves, figures)
                if time.monotonic() - self._saved >= run.checkpoint_every:
                    self._save()
                self._report(self._progress(figures))
            if figures:  # one round or more was made
                if self._judged_at != self._step:
                    figures |= self._judged(curves, figures)
                    self._report(self._progress(figures))
                self._save()
        return self._progress(figures)

    def _round(self, curves: Curves) -> dict[str, float]:
        begun = self._clock.seconds
        torch.manual_seed(derived_seed(self._run.seed, "round", self._step))
        figures = self._learner.round(self._step)
        if bad := [name for name, value in figures.items() if not math.isfinite(value)]:
            raise TrainingError(
                f"training diverged in round {self._step}: {', '.join(bad)} is not finite. Lower "
                "the learning rate, and begin anew; the last checkpoint is from before"
            )
        self._step += 1
        curves.train(self._step, figures)
        self._longest = max(self._longest, self._clock.seconds - begun)
        return figures

    def _judged(self, curves: Curves, figures: Mapping[str, float]) -> dict[str, float]:
        begun = self._clock.seconds
        self._judged_at = self._step
        if self._judge is None:
            found = dict(figures)
        else:
            found = dict(self._judge(self._learner.policy))
            curves.validation(self._step, found)
        if self._judge is None or found[LOSS] < self._best:
            self._best = found[LOSS]
            self._keep(found)
        self._judging = max(self._judging, self._clock.seconds - begun)
        return found

    def _keep(self, figures: Mapping[str, float]) -> None:
        metadata = {
            **self._run.metadata,
            "recipe": self._run.name,
            **self._settings,
            "step": self._step,
            "seconds": round(self._clock.seconds, 1),
            "validation": dict(figures),
        }
        network = self._learner.network
        save_weights(self._run.weights, network, network.config, metadata)

    def _save(self) -> None:
        state = self._learner.state()
        checkpoint = Checkpoint(self._step, self._clock.seconds, self._best, **state)
        save_checkpoint(self._run.checkpoint, checkpoint, self._settings)
        self._saved = time.monotonic()

    def _progress(self, figures: Mapping[str, float]) -> Progress:
        finished = self._step == self._rounds
        return Progress(self._step, self._clock.seconds, dict(figures), self._best, finished)

    def _out_of_time(self) -> bool:
        return self._clock.spent(self._longest + self._judging)


def settings_of(config: Any, network: AssistNetwork) -> dict[str, Any]:
    """What learners share among their settings."""
    return {"training": asdict(config), "network": asdict(network.config)}
