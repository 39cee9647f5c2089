"""Training in rounds, each of episodes and of updates: DAgger and PPO.

A round is a function of what was learned before, of the seed and of its number, so a run that goes
on from a checkpoint ends with the bits of one that was never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import nn

from dexgrasp_models.nets.weights import save_weights
from dexgrasp_models.training.checkpoint import Checkpoint, TrainingError
from dexgrasp_models.training.curves import Curves
from dexgrasp_models.training.data import derived_seed
from dexgrasp_models.training.objectives import LOSS
from dexgrasp_models.training.processes import Processes
from dexgrasp_models.training.run import Progress, Run, RunState

EpisodeSource = Callable[[np.random.Generator], Any]
"""Draws the episodes of a round, of whatever kind the environments take."""

Judge = Callable[[Any], Mapping[str, float]]
"""Figures of a policy on episodes for validation; the best weights have the least `LOSS`."""


class Learner(Protocol):
    """What learns in rounds."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a run must share with an earlier one to go on from it."""

    @property
    def network(self) -> nn.Module:
        """The one that is used: a running mean, where there is one. It tells its `config`."""

    @property
    def policy(self) -> Any:
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
    about: Mapping[str, Any] | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    processes: Processes | None = None,
) -> Progress:
    """Learn until the last round, or until the budget is spent.

    Args:
        learner: what learns.
        rounds: in all.
        run: where to, and how long; a round is not begun that would not end within the budget.
        judge: what tells the best weights; None: the latest are kept.
        judge_every: rounds from one time to the next; the first and the last are judged too.
        about: what else, of its episodes, a run must share with an earlier one to go on from it.
        report: is called after each round, with its figures and those of the judge.
        processes: that learn together; the leading one alone judges, reports and writes weights.

    Raises:
        TrainingError: something isn't finite, or a checkpoint is of another run.
        OSError: a file can't be written.
    """
    together = processes or Processes()
    return _Rounds(learner, rounds, run, judge, judge_every, about or {}, report, together)()


class _Rounds:
    def __init__(
        self,
        learner: Learner,
        rounds: int,
        run: Run,
        judge: Judge | None,
        judge_every: int,
        about: Mapping[str, Any],
        report: Callable[[Progress], None],
        processes: Processes,
    ) -> None:
        self._processes = processes
        self._learner, self._rounds, self._run = learner, rounds, run
        self._judge, self._judge_every, self._report = judge, judge_every, report
        shared = {} if processes.count == 1 else {"processes": processes.count}
        self._settings = {"seed": run.seed, **learner.settings, **about, **shared}
        self._state = RunState(run, self._settings)
        self._longest = self._judging = 0.0
        self._judged_at = -1

    def __call__(self) -> Progress:
        state, processes = self._state, self._processes
        if checkpoint := state.resumed():
            self._learner.restore(checkpoint)
        if (step := processes.of_leader(state.step)) != state.step:
            raise TrainingError(
                f"process {processes.rank} finds {state.step} rounds in {self._run.out}, the "
                f"first one {step}: all need the same folder"
            )
        figures: dict[str, float] = {}
        with closing(Curves(self._run.curves, state.step, processes.leads, every=1)) as curves:
            while state.step < self._rounds and processes.agreed(
                state.has_time_for(self._longest + self._judging)
            ):
                figures = self._round(curves)
                # The first tells how long it takes, for the budget.
                if state.step in (1, self._rounds) or state.step % self._judge_every == 0:
                    figures |= self._judged(curves, figures)
                if processes.agreed(state.save_is_due):
                    self._save()
                self._tell(figures)
            if figures:  # there was time for a round
                if self._judged_at != state.step:
                    figures |= self._judged(curves, figures)
                    self._tell(figures)
                self._save()
        return self._progress(figures)

    def _round(self, curves: Curves) -> dict[str, float]:
        state, begun = self._state, self._state.seconds
        torch.manual_seed(derived_seed(self._run.seed, "round", state.step))
        figures = self._learner.round(state.step)
        if not all(map(math.isfinite, figures.values())):
            raise state.diverged(figures)
        state.step += 1
        curves.train(state.step, figures)
        self._longest = max(self._longest, state.seconds - begun)
        return figures

    def _judged(self, curves: Curves, figures: Mapping[str, float]) -> dict[str, float]:
        state, begun = self._state, self._state.seconds
        self._judged_at = state.step
        if not self._processes.leads:
            return {}
        found = dict(self._judge(self._learner.policy) if self._judge else figures)
        if self._judge:
            curves.validation(state.step, found)
        self._keep(self._run.latest, found)
        if not self._judge or found[LOSS] < state.best:
            state.best = found[LOSS]
            self._keep(self._run.weights, found)
        self._judging = max(self._judging, state.seconds - begun)
        return found

    def _save(self) -> None:
        kept = self._learner.state()
        if self._processes.leads:
            self._state.save(**kept)
        else:
            self._state.saved()

    def _tell(self, figures: Mapping[str, float]) -> None:
        if self._processes.leads:
            self._report(self._progress(figures))

    def _keep(self, path: Path, figures: Mapping[str, float]) -> None:
        metadata = {
            **self._run.metadata,
            "recipe": self._run.name,
            **self._settings,
            "step": self._state.step,
            "seconds": round(self._state.seconds, 1),
            "validation": dict(figures),
        }
        network = self._learner.network
        save_weights(path, network, cast(Any, network.config), metadata)

    def _progress(self, figures: Mapping[str, float]) -> Progress:
        state = self._state
        finished = state.step == self._rounds
        return Progress(state.step, state.seconds, dict(figures), state.best, finished)


def settings_of(config: Any, network: nn.Module) -> dict[str, Any]:
    """What learners share among their settings."""
    told, how = asdict(cast(Any, network.config)), asdict(config)
    # What isn't used isn't told: runs of before it was there go on.
    for settings, name in ((told, "pressing"), (told, "hint"), (how, "rollout")):
        if not settings.get(name):
            settings.pop(name, None)
    if told.get("encoder") != "bisector":
        told.pop("bisector", None)
    return {"training": how, "network": told}
