"""How people's wrists come to a grasp: patterns without a place, a length or a goal.

GraspGF (Wu et al., NeurIPS 2023), sec. 4.1, A.1 and A.2, takes them from recorded reaches and makes
wrist paths to any grasp of them (:mod:`~dexgrasp_models.tasks.wrist_paths`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

SAMPLES = 102
"""Moments of a pattern: twice the steps of an episode, as in GraspGF's published code."""
APPROACH = 0.175
"""Distance from its end, m, from where on a recorded reach is used; as in GraspGF's code."""

_HELD_OUT = 4  # one of so many is held out: 50 of 200 (4.1)
_LEAST_MOMENTS = 10  # of a reach, to know how it went
_LEAST_WAY = 0.02  # m, below which it is no reach
_MOST_WAY = 5.0  # m, beyond which a reach isn't in metres
_LEAST_TURN = 0.05  # rad, below which its progress is noise


class PatternError(ValueError):
    """Reaches or patterns that can't be used, or a file of them; the message says why."""


@dataclass(frozen=True, eq=False)
class Reach:
    """How one wrist moved to a grasp, in a frame whose z is up.

    Attributes:
        times: (M,) rising, in any unit.
        positions: (M, 3) m.
        rotations: M rotations of the wrist.
    """

    times: np.ndarray
    positions: np.ndarray
    rotations: Rotation


@dataclass(frozen=True, eq=False)
class WristPatterns:
    """N patterns of S moments at equal distances in time, the start first, the grasp last.

    Lengths are shares of the straight way from start to grasp, so `along` is a coordinate on it and
    `lateral` are those across it, in the axes of `way_frame`.

    Raises:
        PatternError: a shape does not fit, a number isn't finite, or a pattern doesn't lead from
            the start to the grasp.
    """

    along: np.ndarray
    """(N, S) share of the way: 0 first, 1 last; what overshoots is beyond 1 for a while."""
    lateral: np.ndarray
    """(N, S, 2) deviation sideways and upwards; 0 first and last."""
    turning: np.ndarray
    """(N, S) share of the turn: 0 first, 1 last."""
    turns: np.ndarray
    """(N, 3) rotation vector, rad, from the last rotation to the first, in the last one's axes."""

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, np.asarray(getattr(self, item.name), float))
        count, moments = self.along.shape if self.along.ndim == 2 else (0, 0)
        shapes = [getattr(self, item.name).shape for item in fields(self)]
        expected = [(count, moments), (count, moments, 2), (count, moments), (count, 3)]
        if shapes != expected or moments < 2:
            raise PatternError(
                "patterns need arrays along (N, S), lateral (N, S, 2), turning (N, S) and turns "
                f"(N, 3) of two moments or more, not {', '.join(map(str, shapes))}"
            )
        for item in fields(self):
            values = getattr(self, item.name)
            finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
            if not finite.all():
                raise PatternError(f"pattern {np.argmin(finite)}: {item.name} is not finite")
        ends = (self.along, self.turning)
        leads = np.logical_and.reduce(
            [(shares[:, 0] == 0) & (shares[:, -1] == 1) for shares in ends]
            + [(self.lateral[:, (0, -1)] == 0).all(axis=(1, 2))]
        )
        if not leads.all():
            raise PatternError(
                f"pattern {np.argmin(leads)} doesn't lead from the start to the grasp: along and "
                "turning have to go from 0 to 1, lateral from 0 to 0"
            )

    def __len__(self) -> int:
        return len(self.along)

    def __getitem__(self, rows: slice | np.ndarray) -> Self:
        return type(self)(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})

    @property
    def training(self) -> Self:
        """What policies train with: the first three quarters, 150 of 200 (4.1)."""
        return self[: len(self) - self._held_out]

    @property
    def held_out(self) -> Self:
        """What they are judged with and never see before: the last quarter, 50 of 200 (4.1).

        Raises:
            PatternError: there are too few to hold one out.
        """
        if not self._held_out:
            raise PatternError(
                f"{len(self)} patterns are too few to hold out any; {_HELD_OUT} are needed"
            )
        return self[len(self) - self._held_out :]

    @property
    def _held_out(self) -> int:
        return len(self) // _HELD_OUT

    def drawn(self, count: int, rng: np.random.Generator) -> Self:
        """`count` of them at random, unchanged but for their turns (A.3: evaluation).

        The turns are drawn anew from the distribution of all (A.1): each axis by itself, from the
        gamma distribution with the mean and variance of their sizes, and to either side.

        Raises:
            PatternError: there are none.
        """
        return replace(self[self._rows(count, rng)], turns=self._drawn_turns(count, rng))

    def blended(self, count: int, rng: np.random.Generator) -> Self:
        """`count` new ones, each c p1 + (1 - c) p2 of two at random, c in (0, 1) (A.1: training).

        The turns are drawn as in `drawn`.

        Raises:
            PatternError: there are none.
        """
        one, other = self[self._rows(count, rng)], self[self._rows(count, rng)]
        share = rng.uniform(size=count)

        def blend(name: str) -> np.ndarray:
            first, second = getattr(one, name), getattr(other, name)
            # In this order ends that are alike stay as they are, to the bit.
            return second + share.reshape(-1, *(1,) * (first.ndim - 1)) * (first - second)

        blends = {name: blend(name) for name in ("along", "lateral", "turning")}
        return replace(one, **blends, turns=self._drawn_turns(count, rng))

    def _rows(self, count: int, rng: np.random.Generator) -> np.ndarray:
        if not len(self):
            raise PatternError("there are no patterns to draw from")
        return rng.integers(len(self), size=count)

    def _drawn_turns(self, count: int, rng: np.random.Generator) -> np.ndarray:
        sizes = np.abs(self.turns)
        mean, variance = sizes.mean(), sizes.var()
        signs = rng.choice((-1.0, 1.0), size=(count, 3))
        if not variance > 1e-12:  # rad^2: all alike
            return signs * mean
        return signs * rng.gamma(mean**2 / variance, variance / mean, size=(count, 3))


def way_frame(ways: np.ndarray) -> np.ndarray:
    """(N, 3, 3) axes, as columns, of straight ways (N, 3): along, sideways and upwards across it.

    z is up. Sideways is level, and x where the way itself is vertical.
    """
    along = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    sideways = np.cross((0.0, 0.0, 1.0), along)
    lengths = np.linalg.norm(sideways, axis=1, keepdims=True)
    vertical = lengths == 0.0
    sideways = np.where(vertical, (1.0, 0.0, 0.0), sideways / np.where(vertical, 1.0, lengths))
    return np.stack((along, sideways, np.cross(along, sideways)), axis=2)


def processed(reaches: Sequence[Reach], problems: list[str] | None = None) -> WristPatterns:
    """Patterns of recorded reaches (GraspGF, A.2).

    Of each the last 0.175 m are resampled and normalised: the paper does so by the least and
    greatest coordinate of each axis and stretches that to the way that it is used for, which is to
    say by the first and last coordinate; here the axes are those of the way.

    Args:
        reaches: at least one.
        problems: takes what is wrong with reaches, which then are left out; without it they raise.

    Raises:
        PatternError: there is no reach that can be used.
    """
    found = []
    for number, reach in enumerate(reaches):
        try:
            found.append(_pattern(reach))
        except PatternError as error:
            problem = f"reach {number} of {len(reaches)}: {error}"
            if problems is None:
                raise PatternError(problem) from None
            problems.append(problem)
    if not found:
        raise PatternError("there is no reach that can be used")
    along, lateral, turning, turns = map(np.stack, zip(*found, strict=True))
    return WristPatterns(along, lateral, turning, turns)


def _pattern(reach: Reach) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The four arrays of one pattern, without the first axis."""
    span = np.ptp(reach.positions, axis=0).max()
    if span > _MOST_WAY:
        raise PatternError(f"it spans {span:.4g} m; are its positions in metres?")
    far = np.linalg.norm(reach.positions - reach.positions[-1], axis=1) > APPROACH
    first = int(np.flatnonzero(far)[-1]) + 1 if far.any() else 0
    times = reach.times[first:]
    if len(times) < _LEAST_MOMENTS:
        raise PatternError(
            f"only {len(times)} of its {len(reach.times)} moments are within {APPROACH} m of its "
            f"end, and {_LEAST_MOMENTS} are needed"
        )
    moments = np.linspace(times[0], times[-1], SAMPLES)
    positions = np.stack(
        [np.interp(moments, times, axis) for axis in reach.positions[first:].T], axis=1
    )
    way = positions[-1] - positions[0]
    length = np.linalg.norm(way)
    if length < _LEAST_WAY:
        raise PatternError(
            f"it ends {1000 * length:.0f} mm from where it starts, and a reach is {_LEAST_WAY} m "
            "or more"
        )
    coordinates = (positions - positions[0]) @ way_frame(way[None])[0]
    along = coordinates[:, 0] / coordinates[-1, 0]
    lateral = coordinates[:, 1:] / length
    lateral[[0, -1]] = 0.0

    rotations = Slerp(times, reach.rotations[first:])(moments)
    to_last = (rotations[-1].inv() * rotations).as_rotvec()
    left = np.linalg.norm(to_last, axis=1)
    turning = np.linspace(0.0, 1.0, SAMPLES)
    if left[0] > _LEAST_TURN:
        turning = 1.0 - left / left[0]
        turning[-1] = 1.0
    return along, lateral, turning, to_last[0]
