"""Whether commands may go to the hand: not while something is wrong, nor after a fault."""

from __future__ import annotations


class MotionGate:
    """Closed by a problem; after one that lasts, or a lost connection, until a person opens it.

    A state that is late now and then holds commands back for that long only. Before everything was
    well for the first time there is nothing to go on with, and so no fault.

    Args:
        patience: s for which a problem may last before it is a fault.

    Attributes:
        problem: what is wrong now; empty if nothing is.
        fault: what went wrong; empty if nothing has since the last `resume`.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: float | None = None
        self._was_well = False
        self.problem = "it has just started"
        self.fault = ""

    @property
    def closed_by(self) -> str:
        """Why commands are not sent; empty if they are."""
        if self.fault:
            return f"after a fault ({self.fault}) a person has to resume"
        return self.problem

    def look(self, problem: str, now: float, *, lost: bool = False) -> bool:
        """Notes how it is now; whether that is a new fault.

        Args:
            problem: what is wrong; empty if nothing is.
            now: s, on any clock that never goes back.
            lost: whether the problem is a fault at once.
        """
        self.problem = problem
        if not problem:
            self._since, self._was_well = None, True
            return False
        if self._since is None:
            self._since = now
        if self.fault or not self._was_well:
            return False
        if lost or now - self._since >= self._patience:
            self.fault = problem
        return bool(self.fault)

    def resume(self) -> None:
        """Opens after a fault.

        Raises:
            ValueError: something is still wrong.
        """
        if self.problem:
            raise ValueError(f"not yet: {self.problem}")
        self.fault = ""
