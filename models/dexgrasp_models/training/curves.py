"""Curves of a training, for TensorBoard."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import SupportsFloat

_EVERY = 20  # steps


class Curves:
    """What a training tells TensorBoard.

    Args:
        folder: of the files.
        step: steps that are done; what a killed run wrote beyond them is told anew.
        tells: whether anything is written; of several processes one does.
        every: of how many steps one is told.

    Raises:
        OSError: of this and of all methods: a file can't be written.
    """

    def __init__(self, folder: Path, step: int, tells: bool = True, every: int = _EVERY) -> None:
        self._writer, self._every = None, every
        if tells:
            from torch.utils.tensorboard import SummaryWriter

            _leave_telling_to_callers()
            self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def train(self, step: int, terms: Mapping[str, SupportsFloat]) -> None:
        """What a step gave; now and then it is told."""
        if self._writer is not None and (step % self._every == 0 or step == 1):
            for name, value in terms.items():
                self._writer.add_scalar(f"training/{name}", float(value), step)

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        """What a validation gave."""
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(f"validation/{name}", value, step)
            self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()


def _leave_telling_to_callers() -> None:
    """TensorBoard's writing threads print no traceback: this one's next call raises their error."""
    told = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not type(args.thread).__module__.startswith("tensorboard."):
            told(args)

    threading.excepthook = hook
