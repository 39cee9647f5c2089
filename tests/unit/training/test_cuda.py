"""The same on a GPU as on the CPU. Skipped where there is none: the others test all of it there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets_samples import random_grasps, sphere

from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.annealing import anneal
from dexgrasp_models.synthesis.config import AnnealingConfig, load_synthesis
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.object_surface import ObjectSurface
from dexgrasp_models.synthesis.refine import energy_gradient
from dexgrasp_models.synthesis.sampling import draw
from dexgrasp_models.synthesis.synthesise import Synthesiser
from dexgrasp_models.training.config import load_training, network_config
from dexgrasp_models.training.data import Batch
from dexgrasp_models.training.objectives import LOSS, RECIPES, Objective

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

CONFIG = load_synthesis("fast")
DEVICES = ("cpu", "cuda")


def ball(radius: float = 0.035) -> ObjectSurface:
    points = sphere((0.0, 0.0, radius), radius, 600).numpy()
    normals = (points - np.array([0.0, 0.0, radius])) / radius
    return ObjectSurface.from_cloud(points, normals, CONFIG.energy)


def test_energy_and_gradient():
    found = []
    for device in DEVICES:
        hand = PlanningHand(load_hand(), coupled=True, device=device)
        energy = GraspEnergy(hand, ball().to(device), CONFIG.energy)
        drawn = draw(hand, energy.surface, 64, CONFIG.energy, np.random.default_rng(0))
        result, gradient = energy_gradient(energy, drawn)
        found.append([values.cpu() for values in (*result.terms.values(), gradient)])
    for near, far in zip(*found, strict=True):
        # Where a contact is between two pads, rounding decides.
        close = torch.isclose(near, far, rtol=1e-3, atol=1e-4)
        assert close.float().mean() > 0.98


def test_annealing_runs():
    hand = PlanningHand(load_hand(), coupled=True, device="cuda")
    config = AnnealingConfig(steps=60)
    poses, coordinates, terms = anneal(hand, ball().to("cuda"), 8, config, np.random.default_rng(0))
    assert poses.device.type == coordinates.device.type == "cuda"
    assert all(torch.isfinite(values).all() for values in (poses, coordinates, *terms.values()))


def test_synthesiser_keeps_its_device():
    assert Synthesiser(CONFIG, "cuda").device.type == "cuda"


@pytest.mark.parametrize("name", ["ipdf", "glow"])
def test_likelihood(name):
    found = [float(objective(name, device).measure(*batch(device))[LOSS]) for device in DEVICES]
    assert found[0] == pytest.approx(found[1], abs=1e-3)


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if not recipe.needs])
def test_training_step(name):
    trained, seen = objective(name, "cuda"), batch("cuda")
    trained.prepare(seen.grasps)
    terms = trained(*seen, True)
    terms[LOSS].backward()
    gradients = [p.grad for p in trained.network.parameters() if p.grad is not None]
    assert all(torch.isfinite(values).all() for values in (*terms.values(), *gradients))
    assert any(values.abs().max() > 0 for values in gradients)


def objective(name: str, device: str) -> Objective:
    torch.manual_seed(0)
    config, network = load_training(name)
    recipe = RECIPES[name]
    kind = network_config(recipe.network_config, network)
    return recipe.build(kind, config, torch.device(device), {}).eval()


def batch(device: str, clouds: int = 4, grasps: int = 2) -> Batch:
    points = torch.stack([sphere((0.0, 0.0, 0.03), 0.03, 512).float() for _ in range(clouds)])
    return Batch(points, random_grasps(clouds * grasps)).to(device)
