"""The tables of ``dexgrasp eval proposals``, as UniDexGrasp draws them and in its units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import degrees
from typing import Any, NamedTuple

from rich.table import Table

from dexgrasp_cli.rates import LYING, lost_text, rate_text


class _Column(NamedTuple):
    title: str
    factor: float = 1.0
    """To the paper's unit."""
    digits: int = 3


_CM = 100.0
_COLUMNS = {
    "q1": _Column("Q1 ↑", digits=4),
    "object_penetration": _Column("obj. pen. ↓ cm", _CM),
    "table_penetration": _Column("table pen. ↓ cm", _CM),
    "self_penetration": _Column("self-pen. ↓ cm", _CM),
    "sigma_rotation": _Column("sigma_R ↑ degree", degrees(1), 1),
    "sigma_translation_given_rotation": _Column("sigma_T|R ↑ cm", _CM),
    "sigma_joints_given_rotation": _Column("sigma_theta|R ↑ degree", degrees(1)),
    "sigma_keypoints": _Column("sigma_keypoints ↑ cm", _CM),
    "log_likelihood": _Column("log-likelihood ↑"),
    "lift_single": _Column("single ↑"),
    "lift_best": _Column("best ↑"),
    "seconds": _Column("s ↓", digits=1),
}
_QUALITY = ("q1", "object_penetration")
_DIVERSITY = (
    "sigma_rotation",
    "sigma_translation_given_rotation",
    "sigma_joints_given_rotation",
    "sigma_keypoints",
)
_RATES = ("lift_single", "lift_best")
_PHYSICS = (*_RATES, "table_penetration", "self_penetration", "seconds")
_TABLE_1 = ("grasptta", "ddg", "r_c_t", "relie", "prohmr", "full", "glow", "refined", "analytic")
_TABLE_2 = ("decoupled", "without_tta", "full")
_TABLE_9 = ("relie", "prohmr", "decoupled", "glow", "full")


def tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    """Tables 1, 2 and 9, lifts, and the paper's claims, of what the command writes.

    Figures are means over scenes, with half of the width of their 95 % intervals; rates have both
    ends of theirs, and stand by how the objects lay as well. Tables of which no row was asked for
    are left out.
    """
    return (table for table in _tables(summary) if table.row_count)


def _tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    groups = summary["groups"]
    everything = {"": summary["all"]}
    counts = ", ".join(
        f"{title}: {group['scenes']} scenes"
        + f", {group['without_cloud']} of them without a cloud" * bool(group["without_cloud"])
        for title, group in groups.items()
    )
    yield _table(
        f"Table 1; {counts}; seed {summary['seed']}",
        summary,
        _TABLE_1,
        [(groups, _QUALITY), (everything, _DIVERSITY)],
    )
    yield _table("Table 2, ablations", summary, _TABLE_2, [(groups, _QUALITY)])
    likelihoods = [(everything, ("log_likelihood",))]
    yield _table("Table 9, of true grasps", summary, _TABLE_9, likelihoods)
    every = tuple(dict.fromkeys((*_TABLE_1, *_TABLE_2, *_TABLE_9)))
    best_of = summary["notes"]["proposals"]
    for title, group in groups.items():
        yield _table(
            f"{title}: lifted from the table, best-ranked of {best_of}",
            summary,
            every,
            [({"": group}, _PHYSICS)],
        )
        for lying, part in group["lying"].items():
            yield _table(
                f"{title}, {LYING[lying]}: {part['scenes']} scenes",
                summary,
                every,
                [({"": part}, _RATES)],
            )
        yield _by_the_rule_of_before(title, group)
        yield _lost(f"{title}: lost at", group)
    claims = Table("group", "the paper's order", "figures", "holds")
    for title, group in groups.items():
        for claim in group["claims"]:
            holds = "yes" if claim["holds"] else "[red]no"
            claims.add_row(title, claim["claim"], claim["figures"], holds)
    yield claims


def _by_the_rule_of_before(title: str, group: Mapping[str, Any]) -> Table:
    """Rates of rows that would be others if lifts were looked at twice only."""
    made = Table("", "single ↑", "best ↑", title=f"{title}: lifted, looked at twice only")
    for row, of_row in group["rows"].items():
        figures = of_row["figures"]
        names = [name for name in _RATES if name in figures and _before(name) in figures]
        if any(figures[name] != figures[_before(name)] for name in names):
            made.add_row(row, *(_cell(name, figures[_before(name)]) for name in names))
    return made


def _before(rate: str) -> str:
    """The same rate by the rule of before, see `summary.RATES`."""
    return rate.replace("lift", "kept")


def _lost(title: str, group: Mapping[str, Any]) -> Table:
    """At which stages each row's single proposals and its best were lost, all and by `LYING`."""
    from dexgrasp_models.evaluation.summary import BEST_LOST, LOST

    made = Table("", "", "single", "best", title=title)
    for lying, part in {"": group, **group["lying"]}.items():
        for row, of_row in part["rows"].items():
            lost = [lost_text(of_row[which]) for which in (LOST, BEST_LOST)]
            if any(lost):
                made.add_row(LYING.get(lying, "all"), row, *lost)
    return made


def _table(
    title: str,
    summary: Mapping[str, Any],
    rows: Sequence[str],
    parts: Sequence[tuple[Mapping[str, Any], Sequence[str]]],
) -> Table:
    """Rows with some figures of some groups of scenes."""
    from dexgrasp_models.evaluation.rows import ANALYTIC, ROWS

    columns = [
        (group, figure) for groups, figures in parts for group in groups for figure in figures
    ]
    made = Table("", title=title)
    for group, figure in columns:
        header = f"{group}\n{_COLUMNS[figure].title}".strip()
        made.add_column(header, justify="right", overflow="fold")
    for row in rows:
        name = ROWS[row].title if row != ANALYTIC else row
        if row in summary["missing"]:
            made.add_row(name, "no weights")
        elif row in summary["notes"]["rows"]:
            of_groups = {t: group for groups, _ in parts for t, group in groups.items()}
            cells = [
                _cell(figure, of_groups[group]["rows"][row]["figures"].get(figure))
                for group, figure in columns
            ]
            made.add_row(name, *cells)
    return made


def _cell(name: str, figure: Mapping[str, Any] | None) -> str:
    """A mean and its interval; `/` where there is no such figure."""
    column = _COLUMNS[name]
    if figure is None or figure["mean"] is None:
        return "/"
    if name in _RATES:
        return rate_text(figure["mean"], figure["low"], figure["high"])
    told = f"{column.factor * figure['mean']:.{column.digits}f}"
    if figure["low"] is None:
        return told
    half = column.factor * (figure["high"] - figure["low"]) / 2
    return f"{told} ±{half:.{column.digits}f}"
