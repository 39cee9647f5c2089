"""What a set of grasps holds, in numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand

LIMIT_TOLERANCE = 0.01
"""Angle (rad) by which a joint may be beyond its limit before it counts."""
FROM_ABOVE = np.deg2rad(45.0)
"""A hand whose palm faces down within this angle grasps from above, otherwise from the side."""


def summarise(grasps: GraspSet) -> dict[str, Any]:
    """A summary that JSON can hold.

    Returns:
        `grasps`, `objects`, `shards`, `bytes`: how many; `grasps_per_object`: least, median and
        greatest; `scales`: {scale: grasps}; `on_table`: how many have a table, and `from_above`:
        the share of these whose palm faces down; `squeezes`: of how many they are known;
        `beyond_limits`: the share with a joint more than `LIMIT_TOLERANCE` beyond its limit;
        `figures`: {name: {known, mean, least, median, greatest}}; `provenance`: one entry a command
        and version, with its grasps and seeds.

    Raises:
        GraspDataError: the set is empty.
    """
    joints = grasps.column("joints")
    lower, upper = load_hand().limits.T
    beyond = ((joints < lower - LIMIT_TOLERANCE) | (joints > upper + LIMIT_TOLERANCE)).any(axis=1)
    per_object = np.bincount(grasps.column("objects"), minlength=len(grasps.names))
    scales = Counter(round(float(scale), 6) for scale in grasps.column("scales"))
    on_table, from_above = _on_table(grasps)
    return {
        "grasps": len(grasps),
        "objects": len(grasps.names),
        "shards": len(grasps.shards),
        "bytes": sum(shard.path.stat().st_size for shard in grasps.shards),
        "grasps_per_object": {
            "least": int(per_object.min()),
            "median": float(np.median(per_object)),
            "greatest": int(per_object.max()),
        },
        "scales": {f"{scale:g}": count for scale, count in sorted(scales.items())},
        "on_table": on_table,
        "from_above": from_above,
        "squeezes": int((~np.isnan(grasps.column("squeezes")[:, 0])).sum()),
        "beyond_limits": float(beyond.mean()),
        "figures": {name: describe(grasps.figure(name)) for name in grasps.figures},
        "provenance": _provenance(grasps),
    }


def _on_table(grasps: GraspSet) -> tuple[int, float | None]:
    """How many grasps have a table, and the share of these from above."""
    count = above = 0
    for shard in grasps.shards:
        part = shard.grasps()
        count += int(part.has_table.sum())
        above += int(from_above(part).sum())
    return count, above / count if count else None


def from_above(grasps: Grasps) -> np.ndarray:
    """(N,) bool: whether the palm faces the table, within `FROM_ABOVE`; False without a table."""
    facing = -grasps.palm_poses[:, :3, 1]  # the palm faces -y
    return -np.einsum("ij,ij->i", facing, grasps.planes[:, :3]) >= np.cos(FROM_ABOVE)


def describe(values: np.ndarray) -> dict[str, float | int]:
    """`known`, how many of (N,) values are not NaN, and of these, if any, mean and so on."""
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return {"known": 0}
    return {
        "known": len(known),
        "mean": float(known.mean()),
        "least": float(known.min()),
        "median": float(np.median(known)),
        "greatest": float(known.max()),
    }


def _provenance(grasps: GraspSet) -> list[dict[str, Any]]:
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for shard in grasps.shards:
        made = shard.provenance
        entry = entries.setdefault(
            (made.command, made.version),
            {"command": made.command, "version": made.version, "grasps": 0, "seeds": []},
        )
        entry["grasps"] += len(shard)
        if made.seed is not None and made.seed not in entry["seeds"]:
            entry["seeds"].append(made.seed)
    return list(entries.values())
