"""The plain rendering of the papers' synthesis: each term against closed forms and other code."""

import math

import numpy as np
import pytest
import torch
import trimesh
from bench_scripts import bench_script

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics, points_on_links
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.surface import sample_surface
from dexgrasp_models.objects import load_object

paper = bench_script("paper_synthesis")

SIDE = 0.08


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    path = tmp_path_factory.mktemp("objects") / "cube.stl"
    trimesh.creation.box((SIDE, SIDE, SIDE)).export(path)
    return load_object(path)


@pytest.fixture(scope="module")
def resting():
    pose = np.eye(4)
    pose[2, 3] = SIDE / 2
    return pose


def annealing(cube, resting, count=8, seed=0, **settings):
    return paper.Annealing(cube, resting, count, seed, settings=paper.PaperSettings(**settings))


def grasping_states(count=6, height=0.1):
    """States (N, 31) of hands in the resting cube, the table and themselves."""
    generator = torch.Generator().manual_seed(3)
    state = torch.zeros(count, 31)
    state[:, :3] = 0.03 * torch.randn(count, 3, generator=generator)
    state[:, 2] += height
    state[:, 3:9] = torch.randn(count, 6, generator=generator)
    lower, upper = torch.as_tensor(load_hand().limits.T, dtype=torch.float32)
    share = 1.4 * torch.rand(count, 22, generator=generator) - 0.2
    state[:, 9:] = lower + share * (upper - lower)
    return state


def links_of(state):
    palm_poses, joints = paper.unpacked(state)
    return HandKinematics(load_hand()).link_poses(palm_poses, joints)


# Force closure


def test_opposing_contacts_balance_and_others_do_not():
    x = torch.tensor([1.0, 0, 0])
    center = torch.tensor([0.1, -0.2, 0.3])
    offset = torch.tensor([0.0, 0.02, 0.0])
    points = torch.stack([center - 0.04 * x, center + 0.04 * x])
    sheared = torch.stack([points[0] - offset, points[1] + offset])
    energies = paper.force_closure_energy(
        torch.stack([points, points, sheared]),
        torch.stack([torch.stack([-x, x]), torch.stack([x, x]), torch.stack([-x, x])]),
        center,
    )
    # Balanced; a force of 2; a couple of 2 * 0.02.
    torch.testing.assert_close(energies, torch.tensor([0.0, 4.0, 0.04**2]))


def test_gradient_of_force_closure():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(3, 4, 3, generator=generator, dtype=torch.double, requires_grad=True)
    normals = torch.randn(3, 4, 3, generator=generator, dtype=torch.double)
    center = torch.zeros(3, dtype=torch.double)
    assert torch.autograd.gradcheck(
        lambda p: paper.force_closure_energy(p, normals, center), points
    )


# The hand's terms


def test_link_poses_and_contacts_are_those_of_the_hand():
    hand, state = paper.Hand("cpu"), grasping_states()
    link_poses = hand.link_poses(*paper.unpacked(state))
    torch.testing.assert_close(link_poses, links_of(state), atol=2e-6, rtol=0)
    # Nine candidates on each of 14 pads, all on the hand's surface or hidden in a neighbour.
    assert hand.candidates == 14 * 9
    contacts = torch.arange(hand.candidates).expand(len(state), -1)
    points = hand.contact_points(link_poses, contacts)
    on_hand = HandDistance(HandKinematics(load_hand())).by_link(points, link_poses)
    own = on_hand[:, torch.arange(hand.candidates), hand._contact_link]
    assert own.abs().max() < 1e-6


def test_penetration_is_the_sum_of_depths():
    hand, state = paper.Hand("cpu"), grasping_states()
    generator = torch.Generator().manual_seed(1)
    points = 0.05 * torch.randn(500, 3, generator=generator) + torch.tensor([0, 0, 0.1])
    link_poses = links_of(state)
    distances = HandDistance(HandKinematics(load_hand())).to_links(points, link_poses)
    depths = (-distances).clamp(min=0).sum(1)
    assert (depths > 0.01).all()
    torch.testing.assert_close(hand.penetration(link_poses, points), depths, atol=1e-5, rtol=1e-4)
    assert (hand.penetration(link_poses, points + 2) == 0).all()


def test_table_sees_the_lowest_point_of_each_primitive():
    hand = paper.Hand("cpu")
    state = grasping_states(height=0.0)
    primitives = sum(len(link.primitives) for link in load_hand().links)
    link_poses = links_of(state)
    lifted, sunk = link_poses.clone(), link_poses.clone()
    lifted[..., 2, 3] += 1
    sunk[..., 2, 3] -= 1
    assert (hand.below_table(lifted) == 0).all()
    deeper = sunk.clone()
    deeper[..., 2, 3] -= 0.25
    growth = hand.below_table(deeper) - hand.below_table(sunk)
    torch.testing.assert_close(growth, torch.full_like(growth, 0.25 * primitives))
    # With the lowest of many surface points just on the table there is next to nothing below it.
    surface = sample_surface(load_hand(), 20_000, seed=0)
    index, points = (torch.as_tensor(values) for values in surface[:2])
    lowest = points_on_links(link_poses, index, points.float())[..., 2].amin(1)
    touching = link_poses.clone()
    touching[..., 2, 3] -= lowest[:, None]
    assert (hand.below_table(touching) < 0.002).all()
    touching[..., 2, 3] -= 0.005
    assert (hand.below_table(touching) > 0.0049).all()


def test_joint_limits_cost_the_angle_beyond_them():
    hand, limits = paper.Hand("cpu"), torch.as_tensor(load_hand().limits, dtype=torch.float32)
    joints = limits.mean(1).repeat(3, 1)
    joints[1, 4] = limits[4, 1] + 0.3
    joints[2, 7] = limits[7, 0] - 0.2
    torch.testing.assert_close(hand.beyond_limits(joints), torch.tensor([0, 0.3, 0.2]))


def test_key_points_nearer_than_allowed_cost_what_lacks():
    hand, spec = paper.Hand("cpu"), load_hand()
    state = torch.zeros(2, 31)
    state[:, [3, 7]] = 1.0  # the palm at the origin; fingers straight, 22 mm apart
    state[1, 9 + spec.joint_index("rh_FFJ4")] = -0.2
    state[1, 9 + spec.joint_index("rh_MFJ4")] = 0.2
    link_poses = links_of(state)
    apart, crossed = hand.self_penetration(link_poses, 0.02)
    assert apart == 0

    # Only those two fingers are near each other: each pair is counted in both orders.
    def chain(finger):
        at = {"proximal": [0.024], "middle": [0, 0.025], "distal": [0.024]}
        index = [spec.link_index(f"rh_{finger}{name}") for name, z in at.items() for _ in z]
        local = torch.tensor([[0, 0, z] for heights in at.values() for z in heights])
        return points_on_links(link_poses[1:], torch.tensor(index), local)[0]

    gaps = torch.cdist(chain("ff"), chain("mf"))
    torch.testing.assert_close(crossed, 2 * (0.02 - gaps).clamp(min=0).sum())
    assert crossed > 0.01


# The object's terms


def test_distance_to_a_cube_is_the_closed_form(cube, resting):
    thing = paper.Object(cube, resting, 500, "cpu")
    torch.testing.assert_close(thing.center, torch.tensor([0, 0, SIDE / 2]))
    generator = torch.Generator().manual_seed(0)
    points = 0.05 * torch.randn(40, 4, 3, generator=generator) + thing.center
    distances, normals = thing.distance(points)
    local = points - thing.center
    excess = local.abs() - SIDE / 2
    signed = excess.clamp(min=0).norm(dim=-1) + excess.amax(-1).clamp(max=0)
    assert (signed > 0).any()
    assert (signed < 0).any()
    torch.testing.assert_close(distances, signed.abs(), atol=2e-6, rtol=1e-5)
    # A step along the outward normal changes the signed distance by its length.
    excess = (local + 1e-3 * normals).abs() - SIDE / 2
    stepped = excess.clamp(min=0).norm(dim=-1) + excess.amax(-1).clamp(max=0)
    deep = excess.topk(2, dim=-1).values.diff(dim=-1)[..., 0].abs() < 3e-3  # by an inner ridge
    clear = ~((signed < 0) & deep)
    torch.testing.assert_close((stepped - signed)[clear], torch.full_like(signed, 1e-3)[clear])


def test_nearest_points_are_those_of_trimesh():
    pieces = [trimesh.creation.icosphere(1, 0.05), trimesh.creation.cone(0.03, 0.1)]
    pieces[1].apply_translation([0.12, 0, 0])
    generator = torch.Generator().manual_seed(0)
    points = 0.08 * torch.randn(300, 3, generator=generator)
    nearest, _ = paper.Triangles(pieces, "cpu").nearest(points)
    both = trimesh.util.concatenate(pieces)
    expected = trimesh.proximity.closest_point_naive(both, points.numpy().astype(float))[1]
    found = (points - nearest).norm(dim=1).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_points_spread_over_the_surface(cube, resting):
    thing = paper.Object(cube, resting, 300, "cpu")
    assert thing.points.shape == (300, 3)
    excess = (thing.points - thing.center).abs().amax(1) - SIDE / 2
    assert excess.abs().max() < 1e-6
    gaps = torch.cdist(thing.points, thing.points).fill_diagonal_(1).amin(1)
    assert gaps.min() > 0.5 * math.sqrt(6 * SIDE**2 / 300)


# The whole energy and its descent


def slopes(run, state, contacts, direction, name):
    """(N,) derivative of a term along a direction, by autograd."""
    leaf = state.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(run.energy(leaf, contacts)[name].sum(), leaf)
    return (gradient * direction).sum(1)


@pytest.mark.parametrize("name", ["dis", "tpen", "joints", "spen"])
def test_gradients_are_those_of_finite_differences(cube, resting, name):
    run, state = annealing(cube, resting, count=6), grasping_states()
    contacts = 5 * torch.arange(24).view(6, 4)
    direction = torch.randn(state.shape, generator=torch.Generator().manual_seed(5))
    slope = slopes(run, state, contacts, direction, name)
    step = 2e-4
    ahead, behind = (run.energy(state + s * direction, contacts)[name] for s in (step, -step))
    torch.testing.assert_close((ahead - behind) / (2 * step), slope, atol=2e-3, rtol=1e-3)
    assert slope.abs().max() > 0.1


def test_gradient_of_penetration_is_that_of_finite_differences(cube, resting):
    # So many points pass from one face of the hand to another that steps must be tiny, and so the
    # differences those of other code in double precision.
    run, state = annealing(cube, resting, count=6), grasping_states()
    direction = torch.randn(state.shape, generator=torch.Generator().manual_seed(5))
    slope = slopes(run, state, run.contacts, direction, "pen")
    distance = HandDistance(HandKinematics(load_hand(), dtype=torch.double))

    def penetration(step):
        hand = paper.unpacked(state.double() + step * direction.double())
        return (-distance.signed_distance(run.object.points.double(), *hand)).clamp(min=0).sum(1)

    differences = (penetration(1e-7) - penetration(-1e-7)) / 2e-7
    torch.testing.assert_close(differences.float(), slope, atol=2e-3, rtol=1e-4)
    assert slope.abs().max() > 10


def test_total_is_the_weighted_sum(cube, resting):
    run = annealing(cube, resting, count=6)
    terms = run.energy(grasping_states(), torch.zeros(6, 4, dtype=torch.long))
    expected = (
        terms["fc"]
        + 100 * (terms["dis"] + terms["pen"])
        + 40 * terms["tpen"]
        + terms["joints"]
        + 10 * terms["spen"]
    )
    torch.testing.assert_close(terms["total"], expected)


def test_metropolis_takes_what_is_better_and_at_times_what_is_not():
    old = torch.tensor([1.0, 1.0, 1.0, 1.0])
    new = torch.tensor([0.9, 1.1, torch.nan, 1.0 + math.log(2)])
    uniform = torch.tensor([0.99, 0.0, 0.0, 0.4])
    assert paper.accepted(old, new, 0.0, uniform).tolist() == [True, False, False, False]
    assert paper.accepted(old, new, 1.0, uniform).tolist() == [True, True, False, True]
    assert not paper.accepted(old, new, 1.0, torch.full((4,), 0.6))[3]


def test_nothing_gets_worse_at_zero_temperature(cube, resting):
    def rises(temperature):
        run = annealing(cube, resting, temperature=temperature)
        totals = [run.terms["total"]]
        for _ in range(25):
            run.step()
            totals.append(run.terms["total"])
        again = run.energy(run.state, run.contacts)["total"]
        torch.testing.assert_close(again, totals[-1], atol=1e-3, rtol=1e-4)
        return bool((torch.stack(totals).diff(dim=0) > 0).any())

    assert not rises(0.0)
    assert rises(18.0)


def test_initial_hands_stand_over_the_object_and_face_it(cube, resting):
    run = annealing(cube, resting, count=50)
    settings = run.settings
    palm_poses, joints = paper.unpacked(run.state)
    palms = palm_poses[:, :3, 3]
    polar = torch.atan2(palms[:, :2].norm(dim=1), palms[:, 2])
    assert (polar < settings.elevation + 1e-4).all()
    away = palms.norm(dim=1)
    assert (away > settings.inflation + settings.standoff[0]).all()
    approach = torch.tensor([0.0, -math.sin(math.pi / 3), math.cos(math.pi / 3)])
    to_object = torch.nn.functional.normalize(run.object.center - palms, dim=1)
    cosines = ((palm_poses[:, :3, :3] @ approach) * to_object).sum(1)
    assert (cosines > math.cos(math.radians(60))).all()
    lower, upper = torch.as_tensor(load_hand().limits.T, dtype=torch.float32)
    assert ((joints >= lower - 1e-6) & (joints <= upper + 1e-6)).all()
    bent = joints[:, load_hand().joint_index("rh_THJ4")].mean()
    assert abs(bent - 1.1) < 0.1  # 1.2 cut at 1.222


def test_a_short_run_descends(cube, resting):
    before = annealing(cube, resting).result()
    after = paper.synthesise(cube, resting, 8, steps=60)
    assert after.palm_poses.shape == (8, 4, 4)
    assert after.joints.shape == (8, 22)
    rotations = after.palm_poses[:, :3, :3]
    identities = np.tile(np.eye(3), (8, 1, 1))
    np.testing.assert_allclose(rotations @ rotations.mT, identities, atol=1e-9)
    assert np.median(after.energies["total"]) < 0.8 * np.median(before.energies["total"])


def test_a_seed_gives_the_same_grasps_and_another_others(cube, resting):
    first, second, other = (
        paper.synthesise(cube, resting, 8, steps=3, seed=seed).palm_poses for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other)


def test_bad_input_is_refused(cube, resting):
    with pytest.raises(ValueError, match="count >= 1"):
        paper.synthesise(cube, resting, 0)
    with pytest.raises(ValueError, match="rigid pose"):
        paper.synthesise(cube, 2 * resting, 1)
    with pytest.raises(ValueError, match="switching"):
        paper.PaperSettings(switching=1.5)
