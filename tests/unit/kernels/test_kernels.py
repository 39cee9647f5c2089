"""The compiled optimisations against the energies that they minimise: values, gradients, steps."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from grasp_clouds import seen, standing
from nets_samples import body, grasps_of_ball, sphere

from dexgrasp_models import progress as progress_module
from dexgrasp_models.geometry.so3 import rotation_from_vector
from dexgrasp_models.hand.hand_kernel import HandArrays
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.kernels.compiling import for_all
from dexgrasp_models.nets import adaptation_kernel as adaptation_kernel
from dexgrasp_models.nets.adaptation import Adaptation, AdaptationConfig
from dexgrasp_models.nets.contact import contact_heat
from dexgrasp_models.progress import Progress
from dexgrasp_models.synthesis import refinement_kernel as refinement_kernel
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface, stacked
from dexgrasp_models.synthesis.refine import (
    GraspBatch,
    energy_gradient,
    refine,
    refine_alone,
    refine_together,
)
from dexgrasp_models.synthesis.sampling import sample_grasps

DOUBLE = torch.float64
BALL = sphere((0, 0, 0.035), 0.035, 512, DOUBLE)


def planned(
    coupled: bool, names: tuple[str, ...] = ("box",), batch: int = 8
) -> tuple[GraspEnergy, GraspBatch]:
    """Initial grasps of some objects, double precision, with all terms of the energy at work."""
    config = EnergyConfig(batch=batch, gravity_load=0.1)
    hands = (PlanningHand(load_hand(), coupled, forearm=True, dtype=t) for t in _TYPES)
    single, double = (
        GraspEnergy(
            hand,
            stacked([surface(name, config, kind) for name in names]),
            config,
        )
        for hand, kind in zip(hands, _TYPES, strict=True)
    )
    drawn = sample_grasps(single, config, np.random.default_rng(0))
    # Bent beyond some limits, lowered into the table, and not where the prior pulls.
    generator = torch.Generator().manual_seed(0)
    bent = drawn.coordinates + 0.3 * torch.randn(drawn.coordinates.shape, generator=generator)
    poses = drawn.palm_poses.double()
    poses[:, 2, 3] -= 0.04 * torch.rand(len(poses), generator=generator)
    return double, GraspBatch(poses, bent.double(), drawn.preshape.double())


_TYPES = (torch.float32, DOUBLE)


def surface(name: str, config: EnergyConfig, kind: torch.dtype) -> ObjectSurface:
    cloud = seen(standing(name))
    points, normals = cloud.object_points[:900], cloud.object_normals[:900]
    return ObjectSurface.from_surface(points, normals, points.mean(0), config, kind)


def stepped(
    energy: GraspEnergy, batch: GraspBatch, step: float = 0.0
) -> refinement_kernel.GraspArrays:
    """What one step of the kernel finds; it moves nothing by default."""
    arrays = refinement_kernel.GraspArrays.of(
        batch.palm_poses.numpy(),
        batch.coordinates.numpy(),
        batch.preshape.numpy(),
        len(energy.surface.points),
    )
    sizes = np.full(6 + batch.coordinates.shape[1], step)
    refinement_kernel.refine_some(
        HandArrays.of(energy.hand),
        refinement_kernel.SurfaceArrays.of(energy.surface),
        refinement_kernel.EnergyConstants.of(energy.config),
        arrays,
        0,
        len(batch.coordinates),
        0,
        1,
        1,
        sizes,
    )
    return arrays


@pytest.mark.parametrize("coupled", [True, False])
def test_energy_and_gradient_are_those_of_the_tensors(coupled: bool) -> None:
    energy, batch = planned(coupled)
    expected, gradient = energy_gradient(energy, batch)
    found = stepped(energy, batch)
    for column, name in enumerate(refinement_kernel.TERMS):
        values = expected.terms[name].detach().numpy()
        assert np.abs(values).max() > 1e-3, name
        np.testing.assert_allclose(found.terms[:, column], values, rtol=1e-9, atol=1e-12)
    scale = np.abs(gradient.numpy()).max(axis=1, keepdims=True)
    np.testing.assert_allclose(found.gradients / scale, gradient.numpy() / scale, atol=1e-6)


def test_each_grasp_sees_its_own_object() -> None:
    energy, batch = planned(True, ("box", "sphere"), batch=3)
    expected, _ = energy_gradient(energy, batch)
    assert expected.total.shape == (6,)
    found = stepped(energy, batch).terms[:, refinement_kernel.TERMS.index("distance")]
    np.testing.assert_allclose(found, expected.terms["distance"].detach().numpy(), rtol=1e-9)
    with pytest.raises(ValueError, match="split evenly"):
        stepped(energy, batch[torch.arange(5)])


def test_a_step_goes_against_the_gradient_along_and_about_the_palms_axes() -> None:
    """Adam's first step has the size asked for in each direction, whatever the gradient's."""
    energy, batch = planned(True)
    _, gradient = energy_gradient(energy, batch)
    size = 1e-3
    move = -size * gradient.sign()
    found = stepped(energy, batch, size)
    rotation = batch.palm_poses[:, :3, :3]
    expected = batch.palm_poses[:, :3, 3] + (rotation @ move[:, :3, None])[..., 0]
    np.testing.assert_allclose(found.palms[..., 3], expected.numpy(), atol=1e-9)
    expected = rotation @ rotation_from_vector(move[:, 3:6])
    np.testing.assert_allclose(found.palms[..., :3], expected.numpy(), atol=1e-9)
    expected = (batch.coordinates + move[:, 6:]).clamp(energy.hand.lower, energy.hand.upper)
    np.testing.assert_allclose(found.coordinates, expected.numpy(), atol=1e-9)


def test_steps_are_those_of_the_tensors() -> None:
    """As on a GPU, but that tensors look at the nearest obstacles alone: here at all."""
    energy, batch = planned(True, batch=4)
    config = EnergyConfig(iterations=8, nearest_obstacles=4096)
    alone, together = (
        way(energy, batch, config, Progress()) for way in (refine_alone, refine_together)
    )
    assert (alone.coordinates - batch.coordinates).abs().max() > 0.05
    torch.testing.assert_close(alone.coordinates, together.coordinates, atol=1e-5, rtol=0)
    torch.testing.assert_close(alone.palm_poses, together.palm_poses, atol=1e-5, rtol=0)


def test_grasps_do_not_depend_on_the_batch_or_the_threads() -> None:
    energy, batch = planned(True)
    config = EnergyConfig(iterations=20)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(refine(energy, batch, config))
    finally:
        torch.set_num_threads(before)
    rows = torch.tensor([2, 5])
    alone = refine(energy, batch[rows], config)
    for name in ("palm_poses", "coordinates"):
        assert torch.equal(getattr(found[0], name), getattr(found[1], name))
        assert torch.equal(getattr(found[0], name)[rows], getattr(alone, name))


def test_every_grasp_is_worked_on_once() -> None:
    counts = np.zeros(7, int)

    def work(first: int, last: int) -> None:
        counts[first:last] += 1

    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 16):
            torch.set_num_threads(threads)
            counts[:] = 0
            for_all(work, len(counts))
            assert (counts == 1).all()
        for_all(work, 0)
    finally:
        torch.set_num_threads(before)


def test_refinement_out_of_time_gives_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    energy, batch = planned(True, batch=2)
    ticks = itertools.count()
    monkeypatch.setattr(progress_module, "perf_counter", lambda: float(next(ticks)))
    progress = Progress(budget=3.5)  # at 0, the stage begins at 1, looks at 2, 3 and 4
    progress.begin("refinement")
    found = refine(energy, batch, EnergyConfig(iterations=100), progress)
    assert progress.shortened == {"refinement": (20, 100)}
    assert progress.remark == "within the time budget of 3.5 s: 20 of 100 steps of refinement"
    assert (found.coordinates != batch.coordinates).any(1).all()


def test_progress_is_reported_and_timed_stage_by_stage() -> None:
    energy, batch = planned(True, batch=2)
    told: list[tuple[str, float]] = []
    progress = Progress(report=lambda stage, done: told.append((stage, done)))
    progress.begin("refinement")
    refine(energy, batch, EnergyConfig(iterations=20), progress)
    progress.begin("rank")
    progress.end()
    assert told == [
        ("refinement", 0.0),
        ("refinement", 0.0),
        ("refinement", 0.5),
        ("refinement", 1.0),
        ("rank", 0.0),
        ("rank", 1.0),
    ]
    assert set(progress.timings) == {"refinement", "rank"}
    assert not progress.shortened
    assert progress.remark == ""


@pytest.mark.parametrize("coupled", [True, False])
def test_losses_of_the_adaptation_are_those_of_the_tensors(coupled: bool) -> None:
    hand = body(DOUBLE)
    grasps = grasps_of_ball(6, dtype=DOUBLE)
    adaptation = Adaptation(
        hand, config=AdaptationConfig(coupled=coupled, map_points=len(BALL), steps=1)
    )
    target = contact_heat(hand.distance.to_links(BALL, hand.link_poses(grasps)).clamp_min(0.004))
    # Away from the start, where vector and turns about the axes are not the same.
    values = adaptation.values(grasps)
    generator = torch.Generator().manual_seed(0)
    values[:, :3] += 0.004 * torch.randn(6, 3, generator=generator, dtype=DOUBLE)
    values[:, 3:6] += 0.3 * torch.randn(6, 3, generator=generator, dtype=DOUBLE)
    values.requires_grad_()
    losses = adaptation.losses(adaptation.moved(grasps, values), BALL, target)
    (gradient,) = torch.autograd.grad(losses.total.sum(), values)
    arrays = adaptation_kernel.AdaptedArrays.of(
        grasps.palm_poses[:, :3].numpy(), values.detach().numpy()
    )
    weights = adaptation.losses.weights
    share = weights.points / len(BALL)
    constants = adaptation_kernel.LossConstants(
        points=BALL.numpy(),
        even=np.arange(len(BALL)),
        weights=np.array([getattr(weights, name) for name in adaptation_kernel.TERMS]),
        in_map=share,
        in_hand=share,
    )
    adaptation_kernel.adapt_some(
        HandArrays.of(adaptation.planning), constants, arrays, target.numpy(), 0, 6, 0, 1, 0.0
    )
    for column, name in enumerate(adaptation_kernel.TERMS):
        expected = losses.terms[name].detach().numpy()
        assert np.abs(expected).max() > 1e-6, name
        np.testing.assert_allclose(arrays.terms[:, column], expected, rtol=1e-9, atol=1e-12)
    scale = np.abs(gradient.numpy()).max(axis=1, keepdims=True)
    np.testing.assert_allclose(arrays.gradients / scale, gradient.numpy() / scale, atol=1e-9)


def test_compiled_code_is_kept_by_all_its_sources(tmp_path: Path) -> None:
    """A change in a part must not leave a kernel that was compiled with the old one in use."""
    package = tmp_path / "dexgrasp_models"
    source = Path(adaptation_kernel.__file__).parents[1]
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    script = (
        "import numba, sys\n"
        "from dexgrasp_models.kernels.compiling import kernel\n"
        "from dexgrasp_models.kernels.vectors import dot\n"
        "from dexgrasp_models.kernels import compiling\n"
        "print(compiling._folder())\n"
    )
    environment = {
        "PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}",
        "DEXGRASP_CACHE": str(tmp_path),
    }

    def folder() -> str:
        return subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    first = folder()
    assert str(tmp_path) in first
    assert folder() == first
    vectors = package / "kernels" / "vectors.py"
    vectors.write_text(vectors.read_text() + "\n# changed\n")
    assert folder() != first
