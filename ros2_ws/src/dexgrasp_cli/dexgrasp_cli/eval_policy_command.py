"""``dexgrasp eval policy``: UniDexGrasp's figures of grasping as told, measured here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from dexgrasp_cli.eval_policy_tables import tables
from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.paired_evaluation import Figures, Results, evaluate, group_figures
from dexgrasp_cli.set_options import problems_told


def policy(
    data: Annotated[Path, typer.Argument(help="Grasp set that the goals are of.")],
    goals: Annotated[Path, typer.Option(help="Of that set, by dexgrasp assist goals.")],
    all_goals: Annotated[
        bool,
        typer.Option(
            "--all-goals", help="Also goals that fall from a hand which waits at the grasp."
        ),
    ] = False,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="Of the library, a group of its own; may be repeated: validation to choose by, the"
            " unseen ones to report. By default unseen_instances and unseen_categories."
        ),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Of each group, at least.")] = 100,
    rows: Annotated[
        str, typer.Option(help="By commas (docs/policies.md).")
    ] = "planned,expert,still",
    squeeze: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Share of the way from a grasp to its squeeze that is pressed with."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Hold the object for 5 s under a push of 2.5 N, too.")
    ] = False,
    control: Annotated[str, typer.Option(help="Negative control: none or other_goal.")] = "none",
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="All figures as JSON. Each finished job is kept beside it (.jobs.jsonl) at once, "
            "and the same command goes on from there.",
            callback=file_to_write,
        ),
    ] = None,
) -> None:
    """How often objects are lifted in the way that a grasp says: UniDexGrasp's Tables 3, 4 and 8.

    All rows run in the same episodes. Ends with status 130 if it is interrupted.
    """
    from dexgrasp_learning.goal_evaluation import (
        GoalEvaluation,
        TellingControl,
        draw_goal_jobs,
        run,
        told_goals,
    )
    from dexgrasp_learning.goal_rows import ROWS, CarryingOut
    from dexgrasp_models.files import files_digest
    from dexgrasp_models.objects.library import split_names
    from dexgrasp_models.tasks.goal_plans import TellingConfig

    with problems_told() as console:
        asked = tuple(dict.fromkeys(part.strip() for part in rows.split(",")))
        if unknown := [name for name in asked if name not in ROWS]:
            raise ValueError(f"no row {', '.join(unknown)}; the rows are {', '.join(ROWS)}")
        if control not in list(TellingControl):
            raise ValueError(f"no control {control!r}; there are {', '.join(TellingControl)}")
        if out is not None and out.suffix != ".json":
            raise ValueError(f"{out}: the figures are written as .json")
        telling = TellingConfig() if squeeze is None else TellingConfig(squeeze=squeeze)
        settings = GoalEvaluation(
            rows=asked,
            data=str(data.resolve()),
            goals=str(goals.resolve()),
            goals_digest=files_digest({"goals": goals}),
            choice="chosen_of_all" if all_goals else "chosen",
            strict=strict,
            control=TellingControl(control),
            carrying=CarryingOut(telling=telling),
        )
        found = told_goals(settings)
        jobs = {
            title: draw_goal_jobs(found, split_names(title), episodes, seed, settings)
            for title in split or ["unseen_instances", "unseen_categories"]
        }
        evaluate(
            console,
            run,
            jobs,
            settings,
            seed,
            lambda found: _figures(found, asked, seed),
            tables,
            out=out,
            workers=workers,
        )


def _figures(found: Results, rows: Sequence[str], seed: int) -> Figures:
    """Of a group, with the phases in which episodes were lost."""
    from dexgrasp_learning.goal_evaluation import MEASURES
    from dexgrasp_models.evaluation.assist_summary import summarise_assist
    from dexgrasp_models.tasks.goal_success import Lost

    def summarised(
        objects: Sequence[str], figures: Mapping[str, Sequence[Figures]]
    ) -> dict[str, Figures]:
        summed = summarise_assist(objects, figures, seed, MEASURES)
        for row, each in figures.items():
            counts = Counter(one["lost"] for one in each)
            phases = [phase for phase in Lost if counts[phase] and phase is not Lost.NOWHERE]
            summed[row]["lost"] = {str(phase): counts[phase] for phase in phases}
        return summed

    planned = sum(sum(each["planned"]) for each in found)
    return {"planned": planned, **group_figures(found, rows, summarised)}
