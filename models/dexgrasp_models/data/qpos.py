"""The 28 named numbers in which DexGraspNet's and UniDexGrasp's files tell a grasp."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from dexgrasp_models.data.grasps import GraspDataError, Grasps
from dexgrasp_models.hand.spec import load_hand

ROTATION = ("WRJRx", "WRJRy", "WRJRz")
"""Turns about the object's fixed axes x, y, z in turn, rad."""
TRANSLATION = ("WRJTx", "WRJTy", "WRJTz")
"""m."""
NAMES = (*load_hand().paper_joints, *ROTATION, *TRANSLATION)
"""In the files' order."""


def parse_qpos(values: object) -> list[float]:
    """The numbers in the order of `NAMES`.

    Raises:
        GraspDataError: it is no mapping, or a name is missing or unknown.
    """
    if not isinstance(values, Mapping):
        raise GraspDataError(f"qpos is a {type(values).__name__}, not a dict of {len(NAMES)} names")
    if missing := [name for name in NAMES if name not in values]:
        raise GraspDataError(f"qpos has no {', '.join(missing)}")
    if unknown := [str(name) for name in values if name not in NAMES]:
        raise GraspDataError(f"qpos has {', '.join(unknown)}, which no Shadow Hand has")
    return [parse_number(values[name], f"qpos {name}") for name in NAMES]


def parse_figures(entry: Mapping[str, Any], known: Collection[str]) -> dict[str, float]:
    """All further numbers of a grasp's entry by name.

    Raises:
        GraspDataError: an entry is no number and would be lost.
    """
    figures = {}
    for name, value in entry.items():
        if name in known:
            continue
        try:
            figures[name] = parse_number(value, name)
        except GraspDataError as error:
            raise GraspDataError(
                f"{error}; only numbers are kept beside {', '.join(known)}: leave {name} out by "
                "naming it as ignored"
            ) from error
    return figures


def parse_number(value: object, what: str) -> float:
    """A finite number, also as an array without dimensions.

    Raises:
        GraspDataError: it is something else.
    """
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value.item()
    if not isinstance(value, int | float | np.number | np.bool_) or not math.isfinite(value):
        raise GraspDataError(f"{what} is {_shown(value)}, not a finite number")
    return float(value)


def to_qpos(grasps: Grasps, row: int) -> dict[str, float]:
    """The dict of one grasp, as the files hold it."""
    values = (grasps.joints[row], grasps.rotations[row], grasps.translations[row])
    return dict(zip(NAMES, np.concatenate(values).tolist(), strict=True))


def known_figures(grasps: Grasps, row: int) -> dict[str, float]:
    """The figures that were measured of one grasp."""
    values = {name: float(column[row]) for name, column in grasps.figures.items()}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def to_grasps(
    name: str,
    numbers: Collection[int],
    scales: Collection[float],
    planes: Collection[np.ndarray],
    qpos: Collection[list[float]],
    figures: Collection[dict[str, float]],
) -> Grasps:
    """Grasps of one object, of what was parsed from N entries.

    Raises:
        GraspDataError: as `Grasps`.
    """
    values = np.array(qpos, dtype=np.float64).reshape(-1, len(NAMES))
    joints, rotations, translations = np.split(values, [len(NAMES) - 6, len(NAMES) - 3], axis=1)
    measured = dict.fromkeys(key for entry in figures for key in entry)
    return Grasps(
        (name,),
        np.zeros(len(values)),
        np.array(list(numbers), dtype=np.int32),
        np.array(scales, dtype=np.float64),
        np.array(planes, dtype=np.float64).reshape(-1, 4),
        translations,
        rotations,
        joints,
        {key: np.array([entry.get(key, math.nan) for entry in figures]) for key in measured},
    )


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, int | float | str) else f"a {type(value).__name__}"
