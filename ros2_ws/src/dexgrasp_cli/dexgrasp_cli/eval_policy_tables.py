"""The tables of ``dexgrasp eval policy``, in UniDexGrasp's units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from dexgrasp_cli.paired_evaluation import rows_table
from dexgrasp_cli.rates import lost_text, mean_cell


def tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    """Of each group success by the rules, MPE, and in which phases episodes were lost (Table 8).

    Means with half of the width of their 95 % intervals.
    """
    from dexgrasp_learning.goal_rows import ROWS

    for title, group in summary["groups"].items():
        yield rows_table(
            f"{title}: {group['episodes']} episodes of {group['objects']} objects, "
            f"{group['planned']} with a plan",
            group["rows"],
            lambda name: ROWS[name].title,
            {
                "MPE ↓ cm": lambda row: mean_cell(row.get("mpe"), 100.0),
                "behind the first": lambda row: mean_cell(row["behind_first"], 100.0, "%"),
                "lost in": lambda row: lost_text(row["lost"]),
            },
        )
