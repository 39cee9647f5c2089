"""``dexgrasp bench``: figures that anybody can measure again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dexgrasp_cli.common_options import Workers
from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.progress import bars
from dexgrasp_cli.proposal_options import (
    DEFAULT_CONTROLLER,
    DEFAULT_PROPOSER,
    Control,
    Controller,
    Proposer,
    Weights,
)
from dexgrasp_cli.rates import LYING, rate_cells
from dexgrasp_cli.sim_option import Sim, simulator

if TYPE_CHECKING:
    from dexgrasp_models.parameters import Parameters
    from dexgrasp_sim.episodes.episode import EpisodeResult

Split = Annotated[
    str | None,
    typer.Option(
        help="Instead of --objects, a split of the library: validation, unseen_instances, "
        "unseen_categories or training. Attempt k has the k-th of the library's five radii."
    ),
]

bench = typer.Typer(help="Benchmarks, in lock-step and repeatable.", no_args_is_help=True)


@bench.callback()
def _bench() -> None:
    """Benchmarks, in lock-step and repeatable."""


@bench.command("grasp")
def grasp(
    objects: Annotated[
        str | None,
        typer.Option(
            help="Shapes, objects of the library (library:mug/3, with --scale 0.1) or mesh files "
            "by commas, or a folder of meshes (docs/objects.md). Default: the generated shapes."
        ),
    ] = None,
    split: Split = None,
    poses: Annotated[int, typer.Option(min=1, help="Attempts an object, each in its pose.")] = 5,
    scene: Annotated[str, typer.Option(help="floating or arm.")] = "floating",
    sim: Sim = None,
    scale: Annotated[float, typer.Option(help="Multiplies the size of all objects.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Attempt k has the seed SEED + k.")] = 0,
    mass: Annotated[float, typer.Option(help="Mass of the object, kg.")] = 0.1,
    friction: Annotated[float, typer.Option(help="Friction coefficient.")] = 1.0,
    proposer: Proposer = DEFAULT_PROPOSER,
    weights: Weights = None,
    controller: Controller = DEFAULT_CONTROLLER,
    control: Control = "none",
    workers: Workers = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Summary as JSON; each attempt is kept beside it (.attempts.jsonl) at once.",
            callback=file_to_write,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the attempts kept beside --out.")
    ] = False,
) -> None:
    """How often the first choice lifts the object 0.1 m and holds it 2 s, and where it is lost.

    Objects of a folder that can't be used are told and left out; then it ends with status 1.
    """
    from dexgrasp_models.control.controllers import usable_controller
    from dexgrasp_models.evaluation.run_record import run_record
    from dexgrasp_models.jobs.kept_results import KeptResults
    from dexgrasp_models.objects import MeshError, load_object
    from dexgrasp_models.objects.library import SCALES
    from dexgrasp_models.proposals.proposer import make_proposer, proposer_config
    from dexgrasp_sim.episodes import bench_grasp
    from dexgrasp_sim.episodes.episode import EpisodeSettings
    from dexgrasp_sim.episodes.grasp_cell import OFFERED
    from dexgrasp_sim.episodes.perturbation import Perturbation
    from dexgrasp_sim.scene import load_scene

    console = Console()
    try:
        found = bench_grasp.find_objects(objects, split)
        scales = [scale * radius for radius in SCALES] if split else [scale]
        sources = []
        for source in found:
            try:
                load_object(source, scales[0])
                sources.append(source)
            except MeshError as error:
                if not (objects and Path(objects).is_dir()):
                    raise
                console.print(f"[red]left out: {escape(str(error))}", soft_wrap=True)
        if not sources:
            raise ValueError(f"{objects}: none of its objects can be used")
        backend = simulator(sim)
        load_scene(backend=backend, scene=scene, object_mass=mass, friction=friction)
        name = str(proposer)
        proposing = proposer_config(name, weights=str(weights) if weights else None)
        digest = _digest(proposing, str(controller))
        settings = [
            EpisodeSettings(
                source, seed + pose, scales[pose % len(scales)], scene, name, str(weights or ""),
                str(controller), digest, mass=mass, friction=friction,
                perturbation=Perturbation(control), backend=backend,
            )
            for source in sources
            for pose in range(poses)
        ]  # fmt: skip
        make_proposer(name, proposing)
        usable_controller(str(controller), OFFERED)
        attempts = out.with_suffix(".attempts.jsonl") if out else None
        if attempts and not resume:
            attempts.unlink(missing_ok=True)
        kept = KeptResults(attempts)
    except (ValueError, OSError) as error:
        _refuse(console, error)

    with bars(console) as progress:
        task = progress.add_task("lifted 0", total=len(settings))
        lifted = 0

        def show(result: EpisodeResult) -> None:
            nonlocal lifted
            lifted += result.success
            if not result.success:
                progress.console.print(
                    f"{result.object} seed {result.settings.seed}: lost at {result.lost_at}"
                    + (f" ({result.reason})" if result.reason else "")
                )
            progress.update(task, advance=1, description=f"lifted {lifted}")

        try:
            results = bench_grasp.run_bench(settings, kept=kept, workers=workers, on_result=show)
        except OSError as error:  # a full disk, or a process that was killed
            _refuse(console, error)
    done = {
        "objects": objects, "split": split, "scene": scene, "poses": poses, "scale": scale,
        "mass": mass, "friction": friction, "proposer": name, "weights": str(weights or ""),
        "digest": digest, "controller": str(controller), "control": control, "backend": backend,
    }  # fmt: skip
    summary = {**run_record(seed, done), **bench_grasp.summarise(results)}
    console.print(_table(summary))
    if out:
        try:
            bench_grasp.write_summary(out, summary)
        except OSError as error:
            _refuse(console, error)
        console.print(f"written to {out}")
    if len(sources) < len(found):
        raise typer.Exit(1)


def _refuse(console: Console, error: Exception) -> NoReturn:
    console.print(f"[red]{escape(str(error))}", soft_wrap=True)
    raise typer.Exit(2) from error


def _digest(proposing: Parameters, controller: str) -> str:
    """Of the weights that propose, and of those that act.

    Raises:
        WeightsError: weights that propose are missing.
        OSError: a file can't be read.
        ValueError: the controller has no weights, or its settings can't be used.
    """
    from dexgrasp_models.control.config import load_control_config
    from dexgrasp_models.files import files_digest
    from dexgrasp_models.proposals.learned import LearnedConfig, network_files

    files = network_files(proposing.weights) if isinstance(proposing, LearnedConfig) else {}
    if controller == "policy":
        from dexgrasp_models.tasks.learned_goal import weights_of

        acting = load_control_config().others.get(controller)
        files = {**files, controller: weights_of(getattr(acting, "weights", ""))}
    return files_digest(files) if files else ""


def _table(summary: dict[str, Any]) -> Table:
    title = "{scene} scene, control {control}, ".format(**summary["notes"])
    seeds = f"seeds {summary['seed']} to {summary['seed'] + summary['notes']['poses'] - 1}"
    table = Table("object", "lifted", "of", "rate, 95 % interval", "lost at", title=title + seeds)
    for name, row in summary["objects"].items():
        table.add_row(name, *rate_cells(row))
    table.add_section()
    for group, row in summary["lying"].items():
        table.add_row(LYING[group], *rate_cells(row))
    table.add_section()
    everything = summary["all"]
    table.add_row("all", *rate_cells(everything))
    kept, attempts = everything["raised_and_kept"], everything["attempts"]
    if kept != everything["successes"]:
        table.add_row("all, looked at twice only", str(kept), str(attempts), "", "")
    return table
