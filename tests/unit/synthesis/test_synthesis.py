"""Grasp synthesis: the papers' energy and annealing, several objects at once, settings."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import trimesh
from bench_scripts import bench_script
from grasp_clouds import standing

from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.annealing import Annealing, anneal, initial_states
from dexgrasp_models.synthesis.config import AnnealingConfig, SynthesisConfig, load_synthesis
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface, stacked
from dexgrasp_models.synthesis.paper_energy import PaperEnergy, force_closure_energy
from dexgrasp_models.synthesis.refine import GraspBatch, energy_gradient
from dexgrasp_models.synthesis.sampling import draw
from dexgrasp_sim.datasets.grasp_synthesis import SynthesisJob
from dexgrasp_sim.datasets.synthesis_run import _same

paper = bench_script("paper_synthesis")
POINTS = EnergyConfig(surface_points=300, interior_balls=0)


@cache
def hand(coupled: bool = True, dtype: torch.dtype = torch.float32) -> PlanningHand:
    return PlanningHand(load_hand(), coupled, dtype=dtype)


@cache
def surface_of(
    *names: str, samples: int = 1024, dtype: torch.dtype = torch.float32, balls: int = 0
) -> ObjectSurface:
    found = []
    for name in names:
        mesh = standing(name)
        points, faces = trimesh.sample.sample_surface(mesh, samples, seed=0)
        config = replace(POINTS, interior_balls=balls)
        found.append(
            ObjectSurface.from_surface(
                points, mesh.face_normals[faces], mesh.center_mass, config, dtype
            )
        )
    return stacked(found)


def around(count: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    """(count, 27) states of hands in and about an object, the table and themselves."""
    generator = torch.Generator().manual_seed(seed)
    state = torch.randn(count, 27, generator=generator, dtype=dtype)
    state[:, :3] *= 0.03
    state[:, 2] += 0.1
    share = 1.4 * torch.rand(count, 18, generator=generator, dtype=dtype) - 0.2
    lower, upper = hand(dtype=dtype).lower, hand(dtype=dtype).upper
    state[:, 9:] = lower + share * (upper - lower)
    return state


def some_contacts(energy: PaperEnergy, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(energy.candidates, (count, 4), generator=generator)


def run_of(*names: str, count: int = 8, seed: int = 0, **settings) -> Annealing:
    config = AnnealingConfig(**settings)
    surface, generator = surface_of(*names), torch.Generator().manual_seed(seed)
    states = initial_states(hand(), surface, count, config, generator)
    return Annealing(PaperEnergy(hand(), surface, config), states, generator)


def with_gradient(energy: PaperEnergy, states: torch.Tensor, contacts: torch.Tensor):
    states = states.clone().requires_grad_()
    terms = energy(states, contacts)
    (gradient,) = torch.autograd.grad(terms["total"].sum(), states)
    return {name: values.detach() for name, values in terms.items()}, gradient


# Several objects at once


def test_refined_energy_of_two_objects_is_that_of_each_alone():
    double = hand(dtype=torch.double)
    names = ("sphere", "box")
    config = replace(POINTS, interior_balls=32)

    def surface(*names: str) -> ObjectSurface:
        return surface_of(*names, dtype=torch.double, balls=32)

    drawn = draw(hand(), surface_of(*names, balls=32), 5, config, np.random.default_rng(0))
    batch = GraspBatch(
        drawn.palm_poses.double(), drawn.coordinates.double(), drawn.preshape.double()
    )
    both, gradient = energy_gradient(GraspEnergy(double, surface(*names), config), batch)
    for index, name in enumerate(names):
        rows = torch.arange(5 * index, 5 * index + 5)
        alone, own = energy_gradient(GraspEnergy(double, surface(name), config), batch[rows])
        torch.testing.assert_close(both.total[rows], alone.total)
        torch.testing.assert_close(gradient[rows], own)
        wrong, _ = energy_gradient(
            GraspEnergy(double, surface(names[1 - index]), config), batch[rows]
        )
        assert (wrong.total - alone.total).abs().min() > 1e-3


def test_papers_energy_of_two_objects_is_that_of_each_alone():
    names = ("sphere", "box")
    states = around(10)
    energy = PaperEnergy(hand(), surface_of(*names), AnnealingConfig())
    contacts = some_contacts(energy, 10)
    both, gradient = with_gradient(energy, states, contacts)
    for index, name in enumerate(names):
        rows = slice(5 * index, 5 * index + 5)
        one = PaperEnergy(hand(), surface_of(name), AnnealingConfig())
        alone, own = with_gradient(one, states[rows], contacts[rows])
        for term, values in alone.items():
            torch.testing.assert_close(both[term][rows], values, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(gradient[rows], own, rtol=1e-3, atol=1e-2)
        other = PaperEnergy(hand(), surface_of(names[1 - index]), AnnealingConfig())
        wrong, _ = with_gradient(other, states[rows], contacts[rows])
        assert (wrong["total"] - alone["total"]).abs().min() > 1e-2


def test_nearest_points_of_two_objects_are_each_ones_own():
    energy = PaperEnergy(hand(), surface_of("sphere", "box"), AnnealingConfig(nearest_points=50))
    states = around(6)
    obstacles = energy.nearest_obstacles(states)
    assert (obstacles[:3] < 300).all()
    assert (obstacles[3:] >= 300).all()
    for row, found in enumerate(obstacles):
        points = energy.surface.obstacle_points[row // 3]
        poses = energy.link_poses(states[row : row + 1])
        distances = hand().distance.to_links(points, poses)[0]
        inside = (distances < 0).nonzero()[:, 0] + 300 * (row // 3)
        assert len(inside) < 50
        assert set(inside.tolist()) <= set(found.tolist())


# The terms


def test_terms_are_those_of_the_plain_rendering():
    # Contacts aside, of which the plain one measures distances to triangles.
    plain = paper.Hand("cpu")
    surface = surface_of("box")
    energy = PaperEnergy(hand(), surface, AnnealingConfig())
    states = around(12)
    contacts = some_contacts(energy, 12)
    assert plain.candidates == energy.candidates
    joints = hand().joints(states[:, 9:])
    poses = plain.link_poses(energy.palm_poses(states), joints)
    torch.testing.assert_close(energy.link_poses(states), poses, rtol=1e-4, atol=1e-5)
    terms = energy(states, contacts)
    expected = {
        "penetration": plain.penetration(poses, surface.obstacle_points[0]),
        "table": plain.below_table(poses),
        "joints": plain.beyond_limits(joints),
        "self": plain.self_penetration(poses, 0.02),
    }
    for name, values in expected.items():
        torch.testing.assert_close(terms[name], values, rtol=1e-3, atol=1e-4)
        assert values.max() > 1e-3
    points = energy.contact_points(poses, contacts)
    torch.testing.assert_close(points, plain.contact_points(poses, contacts), rtol=1e-4, atol=1e-5)


def test_force_closure_is_that_of_the_plain_rendering():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(5, 4, 3, generator=generator)
    normals = torch.nn.functional.normalize(torch.randn(5, 4, 3, generator=generator), dim=-1)
    centers = torch.randn(5, 3, generator=generator)
    found = force_closure_energy(points, normals, centers)
    for row in range(5):
        expected = paper.force_closure_energy(
            points[row : row + 1], normals[row : row + 1], centers[row]
        )
        torch.testing.assert_close(found[row : row + 1], expected)
    # Two opposing contacts balance; sheared by 2 cm, they leave a couple of 0.04 x 0.02.
    x, center = torch.tensor([1.0, 0, 0]), torch.tensor([[0.1, 0.2, 0.3]])
    opposed = torch.stack([center[0] + 0.02 * x, center[0] - 0.02 * x])[None]
    outward = torch.stack([x, -x])[None]
    assert force_closure_energy(opposed, outward, center) < 1e-10
    opposed[0, 0, 1] += 0.02
    torch.testing.assert_close(
        force_closure_energy(opposed, outward, center), torch.tensor([0.02**2])
    )


def test_distances_to_samples_are_those_to_the_solid():
    energy = PaperEnergy(hand(), surface_of("box", samples=4096), AnnealingConfig())
    generator = torch.Generator().manual_seed(0)
    half = torch.tensor([0.03, 0.025, 0.06])
    points = 0.06 * torch.randn(400, 4, 3, generator=generator)
    excess = points.abs() - half
    expected = excess.clamp(min=0).norm(dim=-1) + excess.amax(-1).clamp(max=0)
    points = points + torch.tensor([0, 0, 0.06])
    nearest = energy.nearest_samples(points)
    distances, normals = energy.surface_distance(points, nearest)
    # Half a gap between samples at the edges, where discs reach over; exact at the faces.
    errors = (distances - expected.abs()).abs()
    assert errors.max() < 3e-3
    assert errors.median() < 3e-4
    # A step along the outward normal goes outwards.
    stepped = (points - torch.tensor([0, 0, 0.06]) + 1e-3 * normals).abs() - half
    stepped = stepped.clamp(min=0).norm(dim=-1) + stepped.amax(-1).clamp(max=0)
    outside = expected > 5e-3
    assert outside.sum() > 100
    assert (stepped - expected)[outside].min() > 5e-4
    inside = expected < 0
    assert inside.sum() > 100
    assert ((stepped - expected)[inside] > 0).float().mean() > 0.95


def test_overlap_with_balls_is_the_sum_of_their_depths():
    double = hand(dtype=torch.double)
    states = around(6, torch.double)
    energy = PaperEnergy(double, surface_of("box", dtype=torch.double), AnnealingConfig())
    poses = energy.link_poses(states).detach().requires_grad_()
    generator = torch.Generator().manual_seed(0)
    centers = 0.05 * torch.randn(6, 3000, 3, generator=generator, dtype=torch.double)
    centers = centers + poses[:, :1, :3, 3].detach()
    radii = 0.02 * torch.rand(6, 3000, generator=generator, dtype=torch.double) - 0.005
    found = double.distance.overlap(centers, radii, poses)
    depths = (radii - double.distance.to_links(centers, poses)).clamp_min(0)
    torch.testing.assert_close(found, depths.sum(1))
    assert 0 < (depths > 0).double().mean() < 0.5
    weights = torch.arange(1.0, 7.0, dtype=torch.double)
    (gradient,) = torch.autograd.grad(found @ weights, poses)
    (expected,) = torch.autograd.grad(depths.sum(1) @ weights, poses)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("name", ["distance", "penetration", "table", "joints", "self"])
def test_gradients_are_those_of_finite_differences(name):
    surface = surface_of("box", dtype=torch.double)
    energy = PaperEnergy(hand(dtype=torch.double), surface, AnnealingConfig())
    states = around(6, torch.double)
    contacts = some_contacts(energy, 6)
    direction = torch.randn(
        states.shape, generator=torch.Generator().manual_seed(5), dtype=torch.double
    )
    leaf = states.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(leaf, contacts)[name].sum(), leaf)
    slope = (gradient * direction).sum(1)
    step = 1e-7
    ahead, behind = (energy(states + s * direction, contacts)[name] for s in (step, -step))
    torch.testing.assert_close((ahead - behind) / (2 * step), slope, rtol=1e-4, atol=1e-4)
    assert slope.abs().max() > 0.05


# Annealing


def test_annealing_lowers_the_energy():
    run = run_of("sphere", "box")
    before = run.totals.clone()
    for _ in range(150):
        run.step()
    assert (run.totals < 0.7 * before).all()
    # What is carried along is the energy of the states, up to points not looked at.
    terms = run.energy(run.states, run.contacts)
    assert (run.totals - terms["total"]).abs().median() < 1e-3
    run._search()
    torch.testing.assert_close(run.totals, terms["total"], rtol=1e-3, atol=0.5)


def test_steps_are_taken_or_undone_exactly_and_contacts_switch():
    run = run_of("box", count=16, temperature=1.0)
    switched = refused = 0
    for _ in range(60):
        before = run.states.clone(), run.contacts.clone(), run.totals.clone()
        searches = run._travelled + run.config.step_size > run.config.search_distance
        taken = run.step()
        assert torch.equal(run.states[~taken], before[0][~taken])
        assert torch.equal(run.contacts[~taken], before[1][~taken])
        if not searches:  # which changes what is known of the energy
            assert torch.equal(run.totals[~taken], before[2][~taken])
        assert not torch.equal(run.states[taken], before[0][taken]) or not taken.any()
        switched += int((run.contacts != before[1]).sum())
        refused += int((~taken).sum())
    assert switched > 50
    assert refused > 50


def test_nothing_gets_worse_without_heat_and_contacts_stay_without_switching():
    cold = run_of("box", temperature=0.0, search_distance=1.0)
    for _ in range(40):
        before = cold.totals.clone()
        taken = cold.step()
        assert (cold.totals <= before).all()
        assert (cold.totals[taken] < before[taken]).all()
    hot = run_of("box", temperature=1e6, switching=0.0, search_distance=1.0)
    contacts, rises = hot.contacts.clone(), 0
    for _ in range(120):
        before = hot.totals.clone()
        assert hot.step().all()
        rises += int((hot.totals > before).sum())
    assert torch.equal(hot.contacts, contacts)
    assert rises > 10


def test_a_step_that_no_grasp_takes():
    alone = run_of("box", count=1, temperature=0.0)
    taken = [bool(alone.step()) for _ in range(60)]
    assert any(taken)
    assert not all(taken)


def test_early_refusals_change_nothing():
    def run(look_at_all: bool) -> torch.Tensor:
        run = run_of("box", count=16, temperature=1.0)
        if look_at_all:
            total = run.energy.total
            run.energy.total = lambda terms: (
                total(terms) if "table" in terms else torch.full_like(terms["distance"], -1e9)
            )
        for _ in range(30):
            run.step()
        return run.states

    torch.testing.assert_close(run(False), run(True), rtol=1e-3, atol=1e-4)


def test_objects_do_not_disturb_each_other():
    # As the first step is along the normalised gradient: of each object's own grasps.
    def moved(*names: str) -> torch.Tensor:
        run = run_of(*names, temperature=1e6, switching=0.0)
        run.states = initial_states(
            hand(), surface_of("box"), 8, run.config, torch.Generator().manual_seed(3)
        ).repeat(len(names), 1)
        run.contacts = torch.arange(32).view(8, 4).repeat(len(names), 1)
        run._search()
        start = run.states.clone()
        run.step()
        return (run.states - start)[-8:]

    torch.testing.assert_close(moved("sphere", "box"), moved("box"), rtol=1e-3, atol=1e-5)
    assert not torch.allclose(moved("box", "sphere"), moved("box"), atol=1e-3)


def test_initial_hands_are_above_the_object_and_face_it():
    config = AnnealingConfig()
    surface = surface_of("sphere", "box")
    states = initial_states(hand(), surface, 100, config, torch.Generator().manual_seed(0))
    palms = states[:, :3]
    centers = surface.of_each_grasp(surface.center, 200)
    away = (palms - centers).norm(dim=1)
    assert (away > config.inflation + config.standoff[0]).all()
    assert (away < config.inflation + config.standoff[1] + 0.15).all()
    assert (palms[:, 2] > 0.15).all()
    rotations = PaperEnergy(hand(), surface, config).palm_poses(states)[:, :3, :3]
    approach = torch.tensor([0.0, -math.sin(math.pi / 3), math.cos(math.pi / 3)])
    facing = ((rotations @ approach) * (centers - palms)).sum(1) / away
    assert (facing > math.cos(config.cone + 0.2)).all()
    assert facing.std() > 0.01
    coordinates = states[:, 9:]
    assert ((coordinates >= hand().lower) & (coordinates <= hand().upper)).all()
    assert (coordinates.std(0) > 0.01).all()


def test_a_seed_repeats_and_another_does_not():
    config = AnnealingConfig(steps=20)
    first, second, other = (
        anneal(hand(), surface_of("sphere", "box"), 4, config, np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.allclose(first[0], other[0])
    poses, coordinates, terms = first
    assert poses.shape == (8, 4, 4)
    assert coordinates.shape == (8, 18)
    assert set(terms) == {"closure", "distance", "penetration", "table", "joints", "self"}
    assert terms["joints"].max() < 1e-4


def test_independent_joints():
    config = AnnealingConfig(steps=3)
    _, coordinates, _ = anneal(hand(False), surface_of("box"), 2, config, np.random.default_rng(0))
    assert coordinates.shape == (2, 22)


# Settings


PUBLISHED = {
    "contacts": 4,
    "switching": 0.5,
    "gradient_memory": 0.98,
    "step_size": 0.005,
    "step_period": 50,
    "temperature": 18,
    "temperature_period": 30,
    "decay": 0.95,
    "weight_distance": 100,
    "weight_penetration": 100,
    "weight_self": 10,
    "weight_joints": 1,
    "joint_jitter": 0.1,
    "standoff": (0.2, 0.3),
    "cone": np.pi / 6,
}
"""Defaults of DexGraspNet's `grasp_generation/main.py` (github.com/PKU-EPIC/DexGraspNet)."""


def test_shipped_settings():
    fast, papers = load_synthesis("fast"), load_synthesis("paper")
    assert fast.method == "refinement"
    assert papers.method == "annealing"
    assert papers.annealing.steps == 6000
    assert papers.energy.surface_points == 2000
    for name, published in PUBLISHED.items():
        assert getattr(papers.annealing, name) == pytest.approx(published), name
        assert getattr(paper.PaperSettings(), name) == pytest.approx(published), name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"annealing": {"switching": 2}}, "AnnealingConfig.switching = 2: expected 0 to 1"),
        ({"annealing": {"heat": 1}}, "AnnealingConfig has no parameter heat"),
        ({"annealing": {"standoff": [0.3, 0.2]}}, "least, largest"),
        ({"annealing": 6000}, "AnnealingConfig needs names and values"),
        ({"energy": None}, "EnergyConfig needs names and values"),
        (
            {"method": "magic"},
            "method = 'magic': expected one of: refinement, annealing",
        ),
    ],
)
def test_bad_settings_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        SynthesisConfig.from_mapping(values)


def test_sets_from_before_a_setting_came_in_are_gone_on_with():
    job = SynthesisJob("mug/0", "library:mug/0", (0.06, 0.08))
    notes = job.notes()
    assert _same(notes, job)
    del notes["synthesis"]["annealing"]
    del notes["validation"]["squeezed_shift"]
    assert _same(notes, job)
    assert _same({**notes, "device": "cuda"}, job)
    hotter = replace(job.synthesis, annealing=AnnealingConfig(temperature=20.0))
    assert not _same(notes, replace(job, synthesis=hotter))
    assert not _same(notes, replace(job, seed=1))
    assert not _same({**notes, "gone": 1}, job)
    del notes["name"]
    assert not _same(notes, job)
