"""A run of training: where it leaves what it makes, how far it is, and what it goes on from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dexgrasp_models.training.checkpoint import (
    Checkpoint,
    TrainingError,
    load_checkpoint,
    save_checkpoint,
)


@dataclass(frozen=True)
class Run:
    """Where a training leaves what it makes, and for how long it runs."""

    out: Path
    name: str
    """Of the files: `<name>.safetensors` with the best weights, `<name>.checkpoint`."""
    seed: int = 0
    budget: float | None = None
    """Seconds after which it stops, to be resumed; None: not before the last step."""
    checkpoint_every: float = 300.0
    """Seconds."""
    resume: bool = True
    """Go on from the checkpoint, if there is one."""
    loaders: int = 0
    """Processes that prepare batches; 0: this one does. Results don't depend on it."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What is stored with the weights: data, command."""

    @property
    def weights(self) -> Path:
        """File of the weights that were best in validation."""
        return self.out / f"{self.name}.safetensors"

    @property
    def latest(self) -> Path:
        """File of the weights that a policy's validation judged last, for who chooses otherwise."""
        return self.out / f"{self.name}.latest.safetensors"

    @property
    def checkpoint(self) -> Path:
        """File that a run goes on from."""
        return self.out / f"{self.name}.checkpoint"

    @property
    def curves(self) -> Path:
        """Folder of TensorBoard's files."""
        return self.out / "curves" / self.name


@dataclass(frozen=True)
class Progress:
    """Where a training is."""

    step: int
    """Steps done."""
    seconds: float
    """Spent on them, in all runs."""
    validation: Mapping[str, float]
    """Means over the objects for validation."""
    best: float
    """Least validation loss so far."""
    finished: bool = False
    """All steps are done."""


class RunState:
    """How far a run is: its steps, their time, the best validation loss; and its checkpoint.

    Args:
        run: whose.
        settings: what a checkpoint must share with this run to go on from; anything JSON can hold.
    """

    def __init__(self, run: Run, settings: Mapping[str, Any]) -> None:
        self._run, self._settings = run, settings
        self.step = 0
        self.best = math.inf
        self._earlier = 0.0
        self._started = self._saved = time.monotonic()
        self._validation_took = 0.0

    @property
    def seconds(self) -> float:
        """Spent on the steps, in this run and in those that it goes on from."""
        return self._earlier + time.monotonic() - self._started

    def resumed(self) -> Checkpoint | None:
        """What the run goes on from; None where it begins. Takes step, time and best from it.

        Raises:
            TrainingError: as `load_checkpoint`.
        """
        if not (self._run.resume and self._run.checkpoint.is_file()):
            return None
        checkpoint = load_checkpoint(self._run.checkpoint, self._settings)
        self.step, self.best = checkpoint.step, checkpoint.best
        self._earlier = checkpoint.seconds
        return checkpoint

    def save(
        self,
        objective: Mapping[str, Any],
        optimiser: dict[str, Any],
        average: dict[str, Any] | None = None,
    ) -> None:
        """Write the checkpoint; see `Checkpoint` for the parts.

        Raises:
            OSError: as `save_checkpoint`.
        """
        checkpoint = Checkpoint(self.step, self.seconds, self.best, objective, optimiser, average)
        save_checkpoint(self._run.checkpoint, checkpoint, self._settings)
        self.saved()

    def saved(self) -> None:
        """A checkpoint was written, though not by this process."""
        self._saved = time.monotonic()

    @property
    def save_is_due(self) -> bool:
        """Whether the last checkpoint is as old as it may be."""
        return time.monotonic() - self._saved > self._run.checkpoint_every

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Around a validation, for the budget to leave time for the last one."""
        started = time.monotonic()
        yield
        self._validation_took = time.monotonic() - started

    @property
    def out_of_time(self) -> bool:
        """Whether the budget is spent, but for what the last validation will take."""
        return not self.has_time_for(self._validation_took)

    def has_time_for(self, seconds: float) -> bool:
        """Whether the budget leaves so much."""
        if self._run.budget is None:
            return True
        return self._run.budget - (time.monotonic() - self._started) >= seconds

    def diverged(self, values: Mapping[str, float]) -> TrainingError:
        """The error of a step in which one of these is not finite."""
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        kept = self._run.checkpoint if self._run.checkpoint.is_file() else "there is none yet"
        return TrainingError(
            f"training diverged in step {self.step}: {told}. Lower the learning rate or clip "
            f"gradients, and begin anew; the last checkpoint is from before ({kept})"
        )
