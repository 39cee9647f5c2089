"""What a proposal is doing, how long each of its stages took, and when it must come to an end."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

Report = Callable[[str, float], None]
"""Is told a stage's name and which fraction of it is done, from the thread that proposes."""


class Progress:
    """Of one proposal, from when it is made.

    Args:
        budget: seconds of wall time after which an optimisation ends with what it has found so far,
            and those that would follow aren't begun; zero: as many as it takes.
        report: is told what is being done; may be called often.

    Attributes:
        timings: seconds that each stage took, of those that are over.
        shortened: of each stage that the budget ended, how many of its steps were made.
    """

    def __init__(self, budget: float = 0.0, report: Report | None = None) -> None:
        self._started = self._since = perf_counter()
        self._budget = budget
        self._report = report
        self._stage = ""
        self.timings: dict[str, float] = {}
        self.shortened: dict[str, tuple[int, int]] = {}

    def begin(self, stage: str) -> None:
        """End the stage before and begin another."""
        self.end()
        self._stage = stage
        self._tell(0.0)

    def end(self) -> None:
        """End the last stage."""
        now = perf_counter()
        if self._stage:
            self.timings[self._stage] = now - self._since
            self._tell(1.0)
        self._stage, self._since = "", now

    def may_go_on(self, made: int, steps: int) -> bool:
        """Whether the stage, ``made`` of its ``steps`` done, may make more."""
        self._tell(made / steps)
        if not self._budget or perf_counter() - self._started < self._budget:
            return True
        self.shortened[self._stage] = made, steps
        return False

    @property
    def remark(self) -> str:
        """What the budget cut short, as a clause for a message; empty if it did not."""
        parts = [f"{made} of {of} steps of {stage}" for stage, (made, of) in self.shortened.items()]
        return f"within the time budget of {self._budget:g} s: {', '.join(parts)}" if parts else ""

    def _tell(self, fraction: float) -> None:
        if self._report and self._stage:
            self._report(self._stage, fraction)
