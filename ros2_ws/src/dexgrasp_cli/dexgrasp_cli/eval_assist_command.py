"""``dexgrasp eval assist``: GraspGF's figures, measured here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dexgrasp_cli.common_options import Ray, Seed, Workers
from dexgrasp_cli.eval_assist_tables import tables
from dexgrasp_cli.paired_evaluation import (
    AllGoals,
    Data,
    Episodes,
    Goals,
    Out,
    Splits,
    Strict,
    check_out,
    evaluate,
    group_figures,
    jobs_of_groups,
)
from dexgrasp_cli.set_options import problems_told
from dexgrasp_cli.sim_option import Sim, simulator

_DEFAULT_ROWS = "learned,gated,primitive,still,oracle"
_DEFAULT_BESIDE_NAMED = "gated,primitive,still,oracle"


def assist(
    data: Data,
    goals: Goals,
    all_goals: AllGoals = False,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Of the learned policy, for the rows learned and scaled; by default those of the"
            " package."
        ),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FILE: a row of that name, of these weights; may be repeated. Such rows come"
            " before the others.",
        ),
    ] = None,
    split: Splits = None,
    episodes: Episodes = 100,
    rows: Annotated[
        str | None,
        typer.Option(
            help="By commas (docs/assist.md), or none; by default"
            f" {_DEFAULT_ROWS}, without the first beside --row."
        ),
    ] = None,
    clouds: Annotated[
        str, typer.Option(help="partial: as the cameras see the object; full: from all sides.")
    ] = "partial",
    patterns: Annotated[
        Path | None,
        typer.Option(
            help="Wrist patterns of dexgrasp assist import, of which those held out are used; by"
            " default generated ones."
        ),
    ] = None,
    strict: Strict = False,
    wrist_noise: Annotated[
        float,
        typer.Option(
            min=0.0, max=20.0, help="On the wrist that is seen, degrees and cm alike (Table 6)."
        ),
    ] = 0.0,
    wrist_late: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Seconds by which the wrist is seen late.")
    ] = 0.0,
    wrist_lost: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Seconds for which it is lost, once.")
    ] = 0.0,
    control: Annotated[
        str, typer.Option(help="Negative control: none, shuffled_clouds or other_wrist.")
    ] = "none",
    seed: Seed = 0,
    workers: Workers = None,
    ray: Ray = False,
    sim: Sim = None,
    out: Out = None,
) -> None:
    """How often the fingers help to lift: GraspGF's Figure 4 and Tables 1, 2, 3 and 6.

    All rows run in the same episodes, with wrist patterns that were held out. Ends with status 130
    if it is interrupted.
    """
    from dexgrasp_learning.assist_evaluation import (
        CLOUDS,
        AssistEvaluation,
        draw_jobs,
        goals_of,
        run,
    )
    from dexgrasp_learning.assist_rows import Control
    from dexgrasp_learning.randomisation import RandomisationConfig
    from dexgrasp_models.evaluation.assist_summary import summarise_assist
    from dexgrasp_models.files import files_digest
    from dexgrasp_models.tasks.assist_config import AssistConfig
    from dexgrasp_models.tasks.learned_assist import ASSIST_WEIGHTS
    from dexgrasp_models.tasks.pattern_files import load_patterns

    with problems_told() as console:
        if clouds not in CLOUDS:
            raise ValueError(f"no clouds {clouds!r}; there are {', '.join(CLOUDS)}")
        if control not in list(Control):
            raise ValueError(f"no control {control!r}; there are {', '.join(Control)}")
        check_out(out)
        if patterns is not None:
            load_patterns(patterns)  # refuses what can't be used
        asked, files = _rows(row or [], rows, weights or ASSIST_WEIGHTS)
        task = AssistConfig()
        settings = AssistEvaluation(
            rows=asked,
            data=str(data.resolve()),
            goals=str(goals.resolve()),
            goals_digest=files_digest({"goals": goals}),
            choice="chosen_of_all" if all_goals else "chosen",
            weights={name: str(file.resolve()) for name, file in files.items()},
            digests={name: files_digest({"assist": file}) for name, file in files.items()},
            patterns="" if patterns is None else str(patterns.resolve()),
            clouds=clouds,
            strict=strict,
            control=Control(control),
            randomisation=RandomisationConfig(
                wrist_turn=math.radians(wrist_noise),
                wrist_shift=wrist_noise / 100.0,
                wrist_delay=round(wrist_late * task.rate),
                wrist_gap=round(wrist_lost * task.rate),
            ),
            task=task,
            backend=simulator(sim),
        )
        found = goals_of(settings)
        jobs = jobs_of_groups(
            split, lambda names: draw_jobs(found, names, episodes, seed, settings)
        )
        evaluate(
            console,
            run,
            jobs,
            settings,
            seed,
            lambda found: group_figures(
                found, asked, lambda objects, figures: summarise_assist(objects, figures, seed)
            ),
            tables,
            out=out,
            workers=workers,
            ray=ray,
        )


def _rows(
    named: Sequence[str], rows: str | None, weights: Path
) -> tuple[tuple[str, ...], dict[str, Path]]:
    """All rows by name in their order, and the file of each learned one.

    Raises:
        ValueError: there is no such row, a name comes twice or has no file, or no row is left.
        WeightsError: weights can't be used.
    """
    from dexgrasp_learning.assist_rows import ROWS
    from dexgrasp_models.nets.assist_network import AssistNetworkConfig
    from dexgrasp_models.nets.weights import load_weights

    files: dict[str, Path] = {}
    for text in named:
        name, _, file = (part.strip() for part in text.partition("="))
        if not (name and file):
            raise ValueError(f"--row {text}: expected NAME=FILE")
        if name in ROWS or name in files:
            raise ValueError(f"--row {text}: there is a row {name} already")
        files[name] = Path(file)
    if rows is None:
        rows = _DEFAULT_BESIDE_NAMED if files else _DEFAULT_ROWS
    others = [] if rows.strip() in ("", "none") else [part.strip() for part in rows.split(",")]
    if unknown := [name for name in others if name not in ROWS]:
        raise ValueError(f"no row {', '.join(unknown)}; the rows are {', '.join(ROWS)}")
    asked = tuple(dict.fromkeys((*files, *others)))
    if not asked:
        raise ValueError("there is no row to run: name some by --rows or --row")
    files |= {name: weights for name in others if ROWS[name].learned}
    for path in files.values():
        load_weights(path, AssistNetworkConfig)  # refuses what can't be used
    return asked, files
