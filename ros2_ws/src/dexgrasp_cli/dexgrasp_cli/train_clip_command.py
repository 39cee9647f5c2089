"""``dexgrasp train clip``: CLIP fine-tuned on images of a set's grasps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import TaskID

from dexgrasp_cli.progress import bars
from dexgrasp_cli.set_options import Where, parse_bounds

if TYPE_CHECKING:
    from dexgrasp_models.language.captioned_grasps import CaptionedGrasps
    from dexgrasp_models.language.fine_tuning import ClipTrainingConfig
    from dexgrasp_models.training.processes import Processes
    from dexgrasp_models.training.run import Progress, Run


def train_clip(
    data: Path,
    where: Where,
    weights: Path | None,
    config: ClipTrainingConfig,
    run: Run,
    processes: Processes,
    console: Console,
    report: Callable[[Progress], None],
) -> Progress:
    """Go on from given weights on the training objects of a set; the options are `train`'s.

    Raises:
        ValueError: no weights are given, they can't be used, or the data have no captions.
        TrainingError: as `fine_tune`.
    """
    from dexgrasp_models.language.clip import HOW_TO_GET, load_clip
    from dexgrasp_models.language.fine_tuning import fine_tune

    if weights is None:
        raise ValueError(f"fine-tuning goes on from given weights: {HOW_TO_GET}; --clip FOLDER")
    if processes.count > 1:
        raise ValueError("clip is trained by one process: start it without torchrun")
    clip = load_clip(weights)
    clip.model.to(processes.device)  # type: ignore[arg-type]  # its decorator hides self
    training, validation = _captioned(data, where, clip.image_side, console)
    for name, grasps in (("training", training), ("validation", validation)):
        console.print(
            f"{name}: {len(grasps.surfaces)} objects, {len(grasps)} grasps with captions, "
            f"{grasps.grasps_left_out} without",
            soft_wrap=True,
        )
    with bars(console) as shown:
        task = shown.add_task("steps", total=config.steps)
        return fine_tune(
            clip,
            training,
            validation,
            config,
            run,
            report,
            lambda step: shown.update(task, completed=step),
        )


def _captioned(
    data: Path, where: Where, side: int, console: Console
) -> tuple[CaptionedGrasps, CaptionedGrasps]:
    """Of the objects for training, and of those for validation."""
    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.language.captioned_grasps import CaptionedGrasps
    from dexgrasp_models.training.data import TRAINING, VALIDATION, split_objects

    grasps = GraspSet.open(data)
    bounds = parse_bounds(where or ())
    found = []
    with bars(console) as shown:
        for split in (TRAINING, VALIDATION):
            task = shown.add_task(f"captions, {split}")

            def told(done: int, of: int, task: TaskID = task) -> None:
                shown.update(task, completed=done, total=of)

            objects = split_objects(grasps.names, split)
            if not objects:
                raise ValueError(
                    f"{data}: has no objects of the library's split {split}; CLIP is tuned on "
                    f"{TRAINING} and judged on {VALIDATION}"
                )
            found.append(CaptionedGrasps.load(grasps, objects, side, bounds, told))
    return found[0], found[1]
