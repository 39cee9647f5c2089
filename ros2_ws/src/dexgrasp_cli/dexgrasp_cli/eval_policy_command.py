"""``dexgrasp eval policy``: UniDexGrasp's figures of grasping as told, measured here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dexgrasp_cli.common_options import Ray, Seed, Workers
from dexgrasp_cli.eval_policy_tables import tables
from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.paired_evaluation import (
    AllGoals,
    Data,
    Episodes,
    Figures,
    Goals,
    Out,
    Results,
    Splits,
    Strict,
    check_out,
    evaluate,
    group_figures,
    jobs_of_groups,
)
from dexgrasp_cli.set_options import problems_told
from dexgrasp_cli.sim_option import Sim, simulator

if TYPE_CHECKING:
    from dexgrasp_learning.goal_disturbances import Disturbance
    from dexgrasp_learning.goal_rows import CarryingOut
    from dexgrasp_models.tasks.goal_plans import TellingConfig


def policy(
    data: Data,
    goals: Goals,
    all_goals: AllGoals = False,
    split: Splits = None,
    episodes: Episodes = 100,
    rows: Annotated[
        str, typer.Option(help="By commas (docs/policies.md).")
    ] = "planned,expert,still",
    squeeze: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Share of the way from a grasp to its squeeze that is pressed with."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Of the student; default: those that come with the package."),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Weights of the row teacher (dexgrasp train teacher).")
    ] = None,
    edits: Annotated[
        Path | None, typer.Option(help="Weights of the row planned_edited (dexgrasp edits).")
    ] = None,
    strict: Strict = False,
    control: Annotated[str, typer.Option(help="Negative control (docs/policies.md).")] = "none",
    proposals: Annotated[
        str | None,
        typer.Option(
            help="best or single: goals of the learned proposer, of what the cameras see, in the"
            " place of the file's."
        ),
    ] = None,
    disturb: Annotated[
        list[str] | None,
        typer.Option(
            help="What isn't as it was told or learned, as moved=0.02 (m); may be repeated:"
            " jitter, moved, pushed, cloud_bias, mass, friction, late (docs/policies.md)."
        ),
    ] = None,
    seed: Seed = 0,
    workers: Workers = None,
    ray: Ray = False,
    sim: Sim = None,
    out: Out = None,
    film: Annotated[
        Path | None,
        typer.Option(
            help="Video (.mp4, .gif) of some episodes with all rows beside each other: one that all"
            " lift, and for each row one that it loses.",
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
    from dexgrasp_learning.goal_film import chosen_shots, write_film
    from dexgrasp_learning.goal_rows import ROWS
    from dexgrasp_learning.proposed_goals import Proposed
    from dexgrasp_models.files import files_digest
    from dexgrasp_models.tasks.goal_plans import TellingConfig
    from dexgrasp_sim.cameras.render import check_video

    with problems_told() as console:
        asked = tuple(dict.fromkeys(part.strip() for part in rows.split(",")))
        if unknown := [name for name in asked if name not in ROWS]:
            raise ValueError(f"no row {', '.join(unknown)}; the rows are {', '.join(ROWS)}")
        if control not in list(TellingControl):
            raise ValueError(f"no control {control!r}; there are {', '.join(TellingControl)}")
        if proposals not in (None, *Proposed):
            raise ValueError(f"no proposals {proposals!r}; there are {', '.join(Proposed)}")
        check_out(out)
        if film is not None:
            check_video(film)
        telling = TellingConfig() if squeeze is None else TellingConfig(squeeze=squeeze)
        settings = GoalEvaluation(
            rows=asked,
            data=str(data.resolve()),
            goals=str(goals.resolve()),
            goals_digest=files_digest({"goals": goals}),
            choice="chosen_of_all" if all_goals else "chosen",
            strict=strict,
            control=TellingControl(control),
            proposals=None if proposals is None else Proposed(proposals),
            disturbance=_disturbance(disturb or []),
            carrying=_carrying(telling, asked, weights, teacher, edits),
            backend=simulator(sim),
        )
        found = told_goals(settings)
        jobs = jobs_of_groups(
            split, lambda names: draw_goal_jobs(found, names, episodes, seed, settings)
        )
        results = evaluate(
            console,
            run,
            jobs,
            settings,
            seed,
            lambda found: _figures(found, asked, seed),
            tables,
            out=out,
            workers=workers,
            ray=ray,
        )
        if film is not None:
            every = (job for group in jobs.values() for job in group)
            write_film(film, chosen_shots([(job, results[job.key]) for job in every]))
            console.print(f"filmed to {film}", soft_wrap=True)


def _disturbance(given: Sequence[str]) -> Disturbance:
    """Of texts as `late=0.05`.

    Raises:
        ValueError: one isn't of that form, or there is no such thing, or not of this value.
    """
    import yaml

    from dexgrasp_learning.goal_disturbances import Disturbance

    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--disturb {text}: give a name and a value, as moved=0.02")
        values[name.strip()] = yaml.safe_load(value)
    return Disturbance.from_mapping(values)


def _carrying(
    telling: TellingConfig,
    rows: Sequence[str],
    weights: Path | None,
    teacher: Path | None,
    edits: Path | None,
) -> CarryingOut:
    """With the weights of student, teacher and edits, and the settings of `mpc`, where a row has
    any.

    Raises:
        FileNotFoundError: there is no file of these settings.
        WeightsError: they can't be used.
        ValueError: there are none.
    """
    from dexgrasp_learning.goal_rows import ROWS, CarryingOut
    from dexgrasp_learning.model_predictive import load_model_predictive_config
    from dexgrasp_models.files import files_digest
    from dexgrasp_models.tasks.goal_teacher import load_teacher
    from dexgrasp_models.tasks.learned_edits import LearnedEdits
    from dexgrasp_models.tasks.learned_goal import LearnedStudent, weights_of

    found = CarryingOut(telling)
    if "mpc" in rows:
        found = replace(found, mpc=load_model_predictive_config())
    if "teacher" in rows:
        if teacher is None:
            raise ValueError(
                "the row teacher needs weights: --teacher FILE (dexgrasp train teacher)"
            )
        load_teacher(teacher)  # refuses what can't be used
        digest = files_digest({"teacher": teacher})
        found = replace(found, teacher=str(teacher.resolve()), teacher_digest=digest)
    if "planned_edited" in rows:
        if edits is None:
            raise ValueError("the row planned_edited needs weights: --edits FILE (dexgrasp edits)")
        LearnedEdits(edits)  # refuses what can't be used
        digest = files_digest({"edits": edits})
        found = replace(found, edits=str(edits.resolve()), edits_digest=digest)
    if not any(ROWS[name].learned for name in rows):
        return found
    file = weights_of(weights)
    LearnedStudent(file)  # refuses what can't be used
    digest = files_digest({"policy": file})
    return replace(found, weights=str(file.resolve()), weights_digest=digest)


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
