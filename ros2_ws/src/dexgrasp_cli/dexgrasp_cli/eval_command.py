"""``dexgrasp eval``: the tables of the papers, measured here."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from dexgrasp_cli.common_options import Seed, Workers
from dexgrasp_cli.eval_tables import tables
from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.proposal_options import Control, Learned, learned_config
from dexgrasp_cli.results_by_key import results_by_key
from dexgrasp_cli.set_options import problems_told

if TYPE_CHECKING:
    from dexgrasp_sim.episodes.proposal_evaluation import EvaluationSettings, SceneJob

evaluation = typer.Typer(help="Evaluation, as in the papers' tables.", no_args_is_help=True)


@evaluation.callback()
def _evaluation() -> None:
    """Evaluation, as in the papers' tables."""


@evaluation.command("proposals")
def proposals(
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Folder with what dexgrasp train leaves; by default the package's own weights."
        ),
    ] = None,
    objects: Annotated[
        list[str] | None,
        typer.Option(
            help="A split, a category or names by commas of the library; may be repeated, each is "
            "a group of its own. By default unseen_instances and unseen_categories."
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="The same for splits alone: validation to choose by, the unseen ones to report."
        ),
    ] = None,
    scenes: Annotated[int, typer.Option(min=1, help="Of each group.")] = 24,
    rows: Annotated[
        str | None, typer.Option(help="By commas; by default all (docs/evaluation.md).")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Grasp set with true grasps, without which no log-likelihood is known."),
    ] = None,
    count: Annotated[
        int, typer.Option("-n", min=2, max=1024, help="Proposals of each row for each scene.")
    ] = 32,
    singles: Annotated[
        int, typer.Option(min=1, max=1024, help="How many of them are lifted for themselves.")
    ] = 4,
    learned: Learned = None,
    control: Control = "none",
    seed: Seed = 0,
    workers: Workers = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="All figures as JSON. Each finished scene is kept beside it (.scenes.jsonl) at "
            "once, and the same command goes on from there.",
            callback=file_to_write,
        ),
    ] = None,
) -> None:
    """Quality, diversity, likelihood and lifts of proposals: UniDexGrasp's Tables 1, 2 and 9.

    Clouds are fused from the simulated cameras. Rows without weights are named and left out. Ends
    with status 130 if it is interrupted.
    """
    from dexgrasp_models.evaluation.networks import NetworkFolder
    from dexgrasp_models.evaluation.proposers import make_row
    from dexgrasp_models.evaluation.rows import ROW_NAMES, check_rows, missing_weights, needs
    from dexgrasp_models.files import written_whole
    from dexgrasp_models.nets.weights import WEIGHTS
    from dexgrasp_sim.episodes.perturbation import Perturbation
    from dexgrasp_sim.episodes.proposal_evaluation import EvaluationSettings, draw_jobs

    with problems_told() as console:
        asked = list(ROW_NAMES) if rows is None else [row.strip() for row in rows.split(",")]
        check_rows(asked)
        groups = _groups(objects or [], split or [])
        if out is not None and out.suffix != ".json":
            raise ValueError(f"{out}: the figures are written as .json")
        if control not in list(Perturbation):
            raise ValueError(f"no control {control!r}; there are {', '.join(Perturbation)}")
        refined = learned_config(learned)
        if learned and "refined" not in asked:
            raise ValueError("--learned is for the row refined, which isn't among --rows")
        folder = NetworkFolder((weights or WEIGHTS).resolve())
        missing = missing_weights(asked, folder)
        usable = tuple(row for row in asked if row not in missing)
        _tell_missing(console, missing, folder.path)
        if not usable:
            raise ValueError("there are weights for none of the rows")
        for row in usable:
            make_row(row, folder)  # refuses weights that can't be used
        settings = EvaluationSettings(
            rows=usable,
            weights=str(folder.path),
            digest=folder.digest(needs(usable)),
            data=None if data is None else str(data.resolve()),
            data_grasps=0 if data is None else _size(data),
            proposals=count,
            singles=singles,
            learned=refined,
            control=Perturbation(control),
        )
        jobs = {title: draw_jobs(names, scenes, seed, settings) for title, names in groups.items()}
        kept = None if out is None else out.with_suffix(".scenes.jsonl")
        started = time.monotonic()
        found = _evaluated(console, jobs, kept, workers or os.cpu_count() or 1)
        took = time.monotonic() - started
        summary = _summary(jobs, found, settings, missing, seed)
        for table in tables(summary):
            console.print(table)
        for row, of_row in summary["all"]["rows"].items():
            for problem, times in of_row["problems"].items():
                console.print(f"[red]{row}: {escape(problem)} ({times} scenes)", soft_wrap=True)
        console.print(
            f"seed {seed}: {sum(map(len, jobs.values()))} scenes, {took:.0f} s", soft_wrap=True
        )
        if out is not None:
            with written_whole(out) as temporary:
                temporary.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
            console.print(f"written to {out}", soft_wrap=True)


def _groups(objects: Sequence[str], splits: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Names of objects by the titles of their groups.

    Raises:
        ValueError: nothing is meant by a part of it.
    """
    from dexgrasp_models.objects.library import select_names, split_names

    if not objects and not splits:
        splits = ["unseen_instances", "unseen_categories"]
    return {
        title: tuple(
            dict.fromkeys(name for part in title.split(",") for name in select_names(part.strip()))
        )
        for title in objects
    } | {split: split_names(split) for split in splits}


def _size(data: Path) -> int:
    from dexgrasp_models.data.grasp_set import GraspSet

    return len(GraspSet.open(data))


def _tell_missing(console: Console, missing: Mapping[str, Sequence[str]], folder: Path) -> None:
    for row, recipes in missing.items():
        console.print(
            f"[yellow]{row} is left out[/]: {escape(str(folder))} has no "
            f"{', '.join(f'{name}.safetensors' for name in recipes)}; "
            f"train with 'dexgrasp train {recipes[0]}'"
            + (f" and {', '.join(recipes[1:])}" if recipes[1:] else ""),
            soft_wrap=True,
        )


def _summary(
    jobs: Mapping[str, Sequence[SceneJob]],
    found: Mapping[str, Mapping[str, Any]],
    settings: EvaluationSettings,
    missing: Mapping[str, Sequence[str]],
    seed: int,
) -> dict[str, Any]:
    """All figures: of each group, of all scenes together, and of each scene."""
    from dexgrasp_models.evaluation.claims import paper_claims
    from dexgrasp_models.evaluation.run_record import run_record
    from dexgrasp_models.evaluation.summary import summarise
    from dexgrasp_sim.episodes.resting import Lying

    def of_scenes(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "scenes": len(results),
            "without_cloud": sum(bool(result["problem"]) for result in results),
            "rows": summarise([result["rows"] for result in results], settings.rows, seed),
        }

    def of_group(keys: Sequence[str]) -> dict[str, Any]:
        results = [found[key] for key in keys]
        whole = of_scenes(results)
        claims = paper_claims(
            {
                row: {name: figure["mean"] for name, figure in of_row["figures"].items()}
                for row, of_row in whole["rows"].items()
            }
        )
        lying = {
            str(group): of_scenes(of_those)
            for group in Lying
            if (of_those := [each for each in results if each.get("lying") == group])
        }
        return {**whole, "claims": [claim._asdict() for claim in claims], "lying": lying}

    keys = {title: [job.key for job in group] for title, group in jobs.items()}
    every = list(dict.fromkeys(key for group in keys.values() for key in group))
    return {
        **run_record(seed, asdict(settings)),
        "missing": {row: list(recipes) for row, recipes in missing.items()},
        "groups": {title: of_group(group) for title, group in keys.items()},
        "all": of_group(every),
        "scenes": {title: [found[key] for key in group] for title, group in keys.items()},
    }


def _evaluated(
    console: Console, jobs: Mapping[str, Sequence[SceneJob]], kept: Path | None, workers: int
) -> dict[str, dict[str, Any]]:
    """Results by the keys of their jobs."""
    from dexgrasp_sim.episodes.proposal_evaluation import run

    def told(job: SceneJob, result: dict[str, Any], progress: Progress) -> None:
        if result["problem"]:
            progress.console.print(
                f"{job.object} at {job.scale} m: {escape(result['problem'])}", soft_wrap=True
            )

    return results_by_key(console, run, jobs, kept, workers, "scenes", told=told)
