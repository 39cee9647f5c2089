"""One process of a training, for tests that kill it or run several: FOLDER OUT RECIPE STEPS."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from training_samples import TINY, TRAINING_CONFIG, loaded, tiny_objective

from dexgrasp_models.training.loop import train
from dexgrasp_models.training.processes import Processes, joined
from dexgrasp_models.training.run import Run


def main() -> None:
    folder, out, recipe, steps = sys.argv[1:]
    torch.set_num_threads(1)
    with joined("cpu") as processes:
        train_tiny(Path(folder), Path(out), recipe, int(steps), processes)


def train_tiny(
    folder: Path, out: Path, recipe: str, steps: int, processes: Processes | None = None
) -> None:
    """Train without the normalisations over a batch, which are over each process's part of it."""
    config = replace(TRAINING_CONFIG, steps=steps, validate_every=steps, quality_from=1.0)
    TINY["ddg"]["encoder"]["batch_norm"] = False
    objective = tiny_objective(recipe, config)
    run = Run(out, recipe, checkpoint_every=0.0)
    train(objective, *loaded(folder), config, run, processes)


if __name__ == "__main__":
    main()
