"""The tables of ``dexgrasp eval assist``, in GraspGF's units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from dexgrasp_cli.rates import mean_cell, rate_cell

_RULES = {"paper": "success", "latched": "latched", "strict": "strict"}
_MEASURES = {
    "posture": ("posture ↓ rad", 1.0),
    "translation": ("moved ↓ cm", 100.0),
    "rotation": ("turned ↓ 1 - cos", 1.0),
}


def tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    """Of each group success, posture and stability (Figure 4, Table 1), and Table 3.

    Success with both ends of its 95 % interval, the others with half of its width.
    """
    from dexgrasp_learning.assist_rows import row_named

    for title, group in summary["groups"].items():
        rows = group["rows"]
        rules = [rule for rule in _RULES if any(rule in row for row in rows.values())]
        table = Table(
            title=f"{title}: {group['episodes']} episodes of {group['objects']} objects, "
            f"{summary['notes']['clouds']} clouds"
        )
        for column in (
            "",
            *(_RULES[rule] for rule in rules),
            *(name for name, _ in _MEASURES.values()),
            "behind the first",
        ):
            table.add_column(column)
        for name, row in rows.items():
            table.add_row(
                row_named(name).title,
                *(rate_cell(row.get(rule)) for rule in rules),
                *(mean_cell(row.get(key), factor) for key, (_, factor) in _MEASURES.items()),
                mean_cell(row["behind_first"], 100.0, "%"),
            )
        yield table
        adaptability = {name: row["adaptability"] for name, row in rows.items()}
        if any(adaptability.values()):
            yield _adaptability(title, adaptability)


def _adaptability(title: str, rows: Mapping[str, Mapping[str, float]]) -> Table:
    from dexgrasp_learning.assist_rows import row_named

    table = Table(title=f"Table 3, {title}: objects with so many of five goals lifted")
    grasped = list(dict.fromkeys(key for shares in rows.values() for key in shares))
    for column in ("", *(f"{count}/5" for count in grasped)):
        table.add_column(column)
    for name, shares in rows.items():
        table.add_row(
            row_named(name).title, *(f"{shares[key]:.0%}" if shares else "" for key in grasped)
        )
    return table
