"""The tables of ``dexgrasp eval policy``, in UniDexGrasp's units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from dexgrasp_cli.rates import lost_text, mean_cell, rate_cell

_RULES = {"paper": "success", "latched": "latched", "strict": "strict"}


def tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    """Of each group success by the rules, MPE, and in which phases episodes were lost (Table 8).

    Success with both ends of its 95 % interval, the others with half of its width.
    """
    from dexgrasp_learning.goal_rows import ROWS

    for title, group in summary["groups"].items():
        rows = group["rows"]
        rules = [rule for rule in _RULES if any(rule in row for row in rows.values())]
        table = Table(
            title=f"{title}: {group['episodes']} episodes of {group['objects']} objects, "
            f"{group['planned']} with a plan"
        )
        for column in (
            "",
            *(_RULES[rule] for rule in rules),
            "MPE ↓ cm",
            "behind the first",
            "lost in",
        ):
            table.add_column(column)
        for name, row in rows.items():
            table.add_row(
                ROWS[name].title,
                *(rate_cell(row.get(rule)) for rule in rules),
                mean_cell(row.get("mpe"), 100.0),
                mean_cell(row["behind_first"], 100.0, "%"),
                lost_text(row["lost"]),
            )
        yield table
