"""Trains a small network for a few steps on a few objects of the shipped grasp set.

    python examples/train_a_network.py [OUT]

Grasps become scenes with clouds, scenes become batches, and a recipe's objective is trained on
them. `dexgrasp data clouds` and `dexgrasp train` do the same for whole sets, and for hours.
"""

import sys
import tempfile
from pathlib import Path

import torch

from dexgrasp_models.data.cloud_set import CloudSet
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.training.config import load_training, network_config
from dexgrasp_models.training.data import GraspScenes
from dexgrasp_models.training.loop import train
from dexgrasp_models.training.objectives import LOSS, RECIPES
from dexgrasp_models.training.run import Run
from dexgrasp_sim.datasets.cloud_data import cloud_jobs, run

SHIPPED = Path(__file__).resolve().parents[1] / "datasets" / "table_top"
TRAINED_ON, VALIDATED_ON = ("ball/0", "can/3"), ("can/6",)


def main(out: Path) -> None:
    """Leaves the set, its clouds and the weights in a folder."""
    shipped = GraspSet.open(SHIPPED)
    grasps = GraspSet.open(out / "set", create=True)
    chosen = shipped.select(objects=(*TRAINED_ON, *VALIDATED_ON))
    grasps.append(shipped[chosen], Provenance(notes={"source": SHIPPED.name}))
    print(f"{len(grasps)} grasps of {', '.join(grasps.names)}")

    for seen in run(cloud_jobs(grasps, views=1), out / "clouds"):
        print(f"{seen.clouds} clouds of {seen.job.name}")
    clouds = CloudSet.open(out / "clouds")
    training, validation = (
        GraspScenes.load(grasps, clouds, objects) for objects in (TRAINED_ON, VALIDATED_ON)
    )

    config, network = load_training("glow", "small", steps=20, batch=16, validate_every=10)
    recipe = RECIPES["glow"]
    torch.manual_seed(0)
    settings = network_config(recipe.network_config, network)
    objective = recipe.build(settings, config, torch.device("cpu"), {})
    train(
        objective, training, validation, config, Run(out, "glow"),
        report=lambda at: print(f"step {at.step}: loss {at.validation[LOSS]:.2f} nats"),
    )  # fmt: skip
    print(f"weights: {out / 'glow.safetensors'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="dexgrasp-")))
