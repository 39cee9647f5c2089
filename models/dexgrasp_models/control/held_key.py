"""Whether a key of a terminal is held, which a terminal tells by its repeats only."""

from __future__ import annotations

import math


class HeldKey:
    """Held from the first repeat on, until none has come for a while.

    A terminal sends a stroke when the key goes down, the next one half a second later as a rule,
    and then some 25 in a second; nothing when it goes up. One stroke alone is no hold: it could not
    be told from a key that was let go at once.

    Args:
        timeout: s without a stroke after which the key is released; longer than between repeats.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._stroke_at = -math.inf
        self._repeats = False

    def strike(self, now: float) -> None:
        """Take in a stroke at a time, s."""
        self._repeats = now - self._stroke_at <= self._timeout
        self._stroke_at = now

    def held(self, now: float) -> bool:
        """Whether it is held at a time, s."""
        return self._repeats and now - self._stroke_at <= self._timeout
