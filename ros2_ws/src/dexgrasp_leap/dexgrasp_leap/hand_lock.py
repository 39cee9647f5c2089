"""Keeps to one hand: the first that was seen, as long as it is seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_leap.frames import SeenHand

SIDES = ("right", "left", "any")


class HandLock:
    """The hand that is followed.

    Another hand never takes over. Where the one that is followed goes out of sight, turns from a
    left into a right one, or moves farther in a frame than a hand can, it is lost for that frame at
    least; whatever is taken up after that is a new lock, also where the device gives it the same
    id.

    Args:
        side: `right`, `left` or `any`: which hands are taken up.
        most_jump: m that a wrist may move from one frame to the next.
        most_turn: rad that it may turn.
        number: how many hands were taken up before.

    Attributes:
        held: the hand as it was seen last; None where none is followed.
        number: how many hands have been taken up; tells one lock from another.
        lost: why the last one was lost; empty before that.
    """

    def __init__(self, side: str, most_jump: float, most_turn: float, number: int = 0) -> None:
        self._side, self._most_jump, self._most_turn = side, most_jump, most_turn
        self.held: SeenHand | None = None
        self.number = number
        self.lost = ""

    def follow(self, hands: Sequence[SeenHand]) -> SeenHand | None:
        """The hand that is followed, in a new frame; None if there is none, or it has been lost."""
        if self.held is None:
            self.held = next((hand for hand in hands if self._is_wanted(hand)), None)
            if self.held is not None:
                self.number += 1
            return self.held
        again = next((hand for hand in hands if hand.id == self.held.id), None)
        if reason := self._why_lost(self.held, again):
            self.release(reason)
            return None
        self.held = again
        return again

    def release(self, reason: str) -> None:
        """Lets go of the hand; the next frame may begin a new lock."""
        if self.held is not None:
            self.held, self.lost = None, reason

    def _is_wanted(self, hand: SeenHand) -> bool:
        return self._side == "any" or hand.left == (self._side == "left")

    def _why_lost(self, before: SeenHand, now: SeenHand | None) -> str:
        """Empty where it is the same hand."""
        if now is None:
            return "out of sight"
        if now.left != before.left:
            return "it is of the other side now"
        step = np.linalg.solve(before.wrist, now.wrist)
        if (moved := float(np.linalg.norm(step[:3, 3]))) > self._most_jump:
            return f"it jumped by {moved:.2f} m"
        if (turned := Rotation.from_matrix(step[:3, :3]).magnitude()) > self._most_turn:
            return f"it turned by {turned:.1f} rad at once"
        return ""
