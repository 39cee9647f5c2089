"""The tables of ``dexgrasp eval assist``, in GraspGF's units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from dexgrasp_cli.paired_evaluation import rows_table
from dexgrasp_cli.rates import mean_cell


def tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    """Of each group success, posture and stability (Figure 4, Table 1), and Table 3.

    Means with half of the width of their 95 % intervals.
    """
    from dexgrasp_learning.assist_rows import row_named

    for title, group in summary["groups"].items():
        rows = group["rows"]
        yield rows_table(
            f"{title}: {group['episodes']} episodes of {group['objects']} objects, "
            f"{summary['notes']['clouds']} clouds",
            rows,
            lambda name: row_named(name).title,
            {
                "posture ↓ rad": lambda row: mean_cell(row.get("posture"), 1.0),
                "moved ↓ cm": lambda row: mean_cell(row.get("translation"), 100.0),
                "turned ↓ 1 - cos": lambda row: mean_cell(row.get("rotation"), 1.0),
                "behind the first": lambda row: mean_cell(row["behind_first"], 100.0, "%"),
            },
        )
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
