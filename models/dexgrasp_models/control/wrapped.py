"""A controller around another one, which carries out the grasp."""

from __future__ import annotations

from dexgrasp_models.control.types import Controller, Outcome, OutcomeKind, Phase


class WrappedController:
    """What is asked of a `Controller` but for its commands, answered by the one within.

    Args:
        controller: the one within.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    @property
    def phase(self) -> Phase:
        return self._controller.phase

    @property
    def stage(self) -> str:
        return self._controller.stage

    @property
    def progress(self) -> float:
        return self._controller.progress

    @property
    def outcome(self) -> Outcome | None:
        return self._controller.outcome

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        """End the grasp; the last command is held."""
        self._controller.abort(reason, kind)
