"""What is expected of every `BatchPhysics`: independent environments that can be put anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.types import Command
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import make_batch_physics, make_physics
from dexgrasp_sim.scene import SceneConfig
from dexgrasp_sim.single_physics import SinglePhysics

CAN, BOX = load_object("can"), load_object("box")
OBJECTS = (CAN, BOX, CAN)
SEEDS = (5, 6, 7)
ALL = (0, 1, 2)

MEASURED = (
    "ticks",
    "joints",
    "joint_velocities",
    "efforts",
    "wrist_poses",
    "wrist_velocities",
    "object_poses",
    "object_velocities",
    "hand_contacts",
)


def _measured(batch, rows=ALL):
    """All that is measured of some environments, by name."""
    found = {}
    for name in MEASURED:
        value = getattr(batch, name)
        found[name] = (value() if callable(value) else value)[list(rows)]
    return found


def _equal(first, second):
    return all(np.array_equal(first[name], second[name]) for name in MEASURED)


def _batch(backend, scene="floating", threads=1, objects=OBJECTS, **values):
    return make_batch_physics(
        SceneConfig(backend=backend, scene=scene, **values), objects, threads=threads
    )


def _commands(starts, tick):
    """(N, 4, 4) and (N, 22): down to the objects and around them, each a little differently."""
    part = min(1.0, (tick + 1) / 50)
    wrists = starts.copy()
    below = np.array([(-0.1, 0.0, 0.08), (-0.12, 0.02, 0.1), (-0.11, -0.01, 0.09)])
    wrists[:, :3, 3] += part * (below - starts[:, :3, 3])
    fingers = np.array([0.3, 0.5, 0.8])[:, None] * np.full(22, max(0.0, part - 0.4))
    return wrists, fingers


def _flexed(angle):
    """(22,) the four fingers bent, so that no links meet."""
    bent = ("J3", "J2", "J1")
    names = load_hand().finger_joints
    return np.array([angle * (name.endswith(bent) and "TH" not in name) for name in names])


def _run(batch, starts, ticks, *, look=False):
    for tick in ticks:
        batch.set_targets(*_commands(starts, tick))
        batch.step()
        if look:
            _measured(batch)


@pytest.mark.parametrize(("scene", "threads"), [("floating", 1), ("floating", 2), ("arm", 2)])
def test_each_environment_moves_as_a_single_one_does(exact_alone, scene, threads):
    batch = _batch(exact_alone, scene, threads)
    batch.reset(ALL, SEEDS)
    starts = batch.wrist_poses()
    _run(batch, starts, range(60))
    found = _measured(batch)
    assert found["hand_contacts"].sum() > 0.1, "some hand has come to its object"
    for index in ALL:
        single = make_physics(batch.config, OBJECTS[index])
        single.reset(SEEDS[index])
        for tick in range(60):
            wrists, fingers = _commands(starts, tick)
            single.set_targets(Command(wrists[index], fingers[index]))
            single.step()
            single.snapshot()  # to look at it changes nothing
        assert _equal(_measured(batch, [index]), _measured(single.batch, [0]))
        assert batch.snapshot(index).equals(single.snapshot())
        state = single.state()
        assert np.array_equal(state.joints, found["joints"][index, :22])
        assert np.array_equal(state.joint_velocities, found["joint_velocities"][index, :22])
        assert np.array_equal(state.wrist_pose, found["wrist_poses"][index])
        names = batch.config.joint_names
        assert single.joint_positions() == dict(zip(names, found["joints"][index], strict=True))
        assert single.efforts() == dict(zip(names, found["efforts"][index], strict=True))
        assert np.array_equal(single.object_velocity(), found["object_velocities"][index])
        assert sum(single.hand_contacts().values()) == pytest.approx(
            found["hand_contacts"][index].sum()
        )


def test_an_environment_moves_about_as_it_would_alone(backend):
    """Up to rounding, which contacts make more of."""
    batch, single = _batch(backend), _batch(backend, objects=(BOX,))
    batch.reset(ALL, SEEDS)
    single.reset([0], SEEDS[1:2])
    starts = batch.wrist_poses()
    for tick in range(40):
        wrists, fingers = _commands(starts, tick)
        batch.set_targets(wrists, fingers)
        single.set_targets(wrists[1:2], fingers[1:2])
        batch.step()
        single.step()
    for name in ("joints", "wrist_poses", "object_poses"):
        assert getattr(batch, name)()[1] == pytest.approx(getattr(single, name)()[0], abs=1e-4)


@pytest.mark.parametrize("scene", ["floating", "arm"])
def test_a_reset_by_index_leaves_the_others_alone(bit_exact, scene):
    batch, undisturbed = _batch(bit_exact, scene), _batch(bit_exact, scene)
    for each in (batch, undisturbed):
        each.reset(ALL, SEEDS)
    starts = batch.wrist_poses()
    for each in (batch, undisturbed):
        _run(each, starts, range(20))
    batch.reset([1], [9])
    assert batch.ticks.tolist() == [20, 0, 20]
    assert not np.array_equal(batch.object_poses()[1], undisturbed.object_poses()[1])
    fresh = make_physics(batch.config, BOX)
    fresh.reset(9)
    assert _equal(_measured(batch, [1]), _measured(fresh.batch, [0]))
    for each in (batch, undisturbed):
        _run(each, starts, range(20, 40))
    assert _equal(_measured(batch, [0, 2]), _measured(undisturbed, [0, 2]))


@pytest.mark.parametrize("scene", ["floating", "arm"])
def test_saved_environments_go_on_as_if_nothing_had_been(bit_exact, scene):
    batch = _batch(bit_exact, scene)
    batch.reset(ALL, SEEDS)
    starts = batch.wrist_poses()
    _run(batch, starts, range(55))
    then, saved = _measured(batch), batch.save([0, 2])
    _run(batch, starts, range(55, 60))
    later = _measured(batch)
    batch.restore([0, 2], saved)
    assert _equal(_measured(batch, [0, 2]), {name: then[name][[0, 2]] for name in MEASURED})
    assert _equal(_measured(batch, [1]), {name: later[name][[1]] for name in MEASURED})
    assert batch.snapshot(2).seed == 7
    _run(batch, starts, range(55, 60))
    assert _equal(_measured(batch, [0, 2]), {name: later[name][[0, 2]] for name in MEASURED})


def test_a_state_can_be_tried_many_times_over(bit_exact):
    batch = _batch(bit_exact)
    batch.reset(ALL, SEEDS)
    _run(batch, batch.wrist_poses(), range(10))
    batch.restore([2], batch.save([0]))
    assert _equal(_measured(batch, [0]), _measured(batch, [2]))
    with pytest.raises(ValueError, match=r"saved states are of .*can.*environments of .*box"):
        batch.restore([1], batch.save([0]))


@pytest.mark.parametrize("threads", [1, 2])
def test_an_unstable_environment_is_told_by_its_index_and_the_others_go_on(bit_exact, threads):
    batch, undisturbed = _batch(bit_exact, threads=threads), _batch(bit_exact)
    for each in (batch, undisturbed):
        each.reset(ALL, SEEDS)
    saved, starts = batch.save(ALL), batch.wrist_poses()
    wrists, fingers = _commands(starts, 0)
    undisturbed.set_targets(wrists, fingers)
    fingers[1] = np.nan
    batch.set_targets(wrists, fingers)
    for each in (batch, undisturbed):
        each.step(5)
    assert list(batch.faults) == [1]
    assert "unstable" in batch.faults[1]
    assert not undisturbed.faults
    wrists[1] = np.nan  # as a policy makes of what it sees there
    batch.set_targets(wrists, fingers)
    wrists[1] = starts[1]
    undisturbed.set_targets(wrists, np.nan_to_num(fingers))
    for each in (batch, undisturbed):
        each.step(5)
    assert _equal(_measured(batch, [0, 2]), _measured(undisturbed, [0, 2]))
    batch.reset([1], [6])
    assert not batch.faults
    batch.step(5)
    assert np.isfinite(batch.object_poses()).all()
    fingers[:] = np.nan
    batch.set_targets(starts, fingers)
    batch.step(5)
    assert set(batch.faults) == {0, 1, 2}
    batch.step()  # nobody moves
    batch.restore(ALL, saved)
    batch.step()
    assert not batch.faults
    assert np.isfinite(batch.joints()).all()


def test_hand_joints_and_object_are_put_at_rest_where_wanted(backend):
    batch = _batch(backend)
    batch.reset(ALL, SEEDS)
    before = _measured(batch)
    batch.step(3)
    generator = np.random.default_rng(0)
    wrists, objects = np.tile(np.eye(4), (2, 2, 1, 1))
    wrists[:, :3, :3] = Rotation.random(2, random_state=generator).as_matrix()
    wrists[:, :3, 3] = (0.1, -0.2, 0.5), (-0.3, 0.2, 0.6)
    objects[:, :3, :3] = Rotation.random(2, random_state=generator).as_matrix()
    objects[:, :3, 3] = (0.5, 0.5, 0.3), (0.5, -0.5, 0.2)
    joints = np.stack([_flexed(0.3), _flexed(0.6)])
    batch.place([2, 0], wrist_poses=wrists, joints=joints, object_poses=objects)
    assert batch.wrist_poses()[[2, 0]] == pytest.approx(wrists, abs=1e-6)
    assert batch.joints()[[2, 0]] == pytest.approx(joints, abs=1e-6)
    assert batch.object_poses()[[2, 0]] == pytest.approx(objects, abs=1e-6)
    for name in ("joint_velocities", "wrist_velocities", "object_velocities", "efforts"):
        assert getattr(batch, name)()[[2, 0]] == pytest.approx(0.0, abs=1e-9)
    assert batch.ticks.tolist() == [3, 3, 3]
    assert batch.wrist_poses()[1] == pytest.approx(before["wrist_poses"][1], abs=1e-4)
    batch.step(5)
    # The hand stays there of itself, the object falls.
    assert batch.wrist_poses()[[2, 0]] == pytest.approx(wrists, abs=1e-3)
    assert batch.joints()[[2, 0]] == pytest.approx(joints, abs=0.02)
    assert batch.object_velocities()[[2, 0], 2] == pytest.approx(-9.81 * 0.1, rel=0.06)
    # Only the object.
    batch.place([2], object_poses=objects[:1])
    assert batch.object_velocities()[2] == pytest.approx(0.0, abs=1e-9)
    assert batch.object_poses()[2] == pytest.approx(objects[0], abs=1e-6)


def test_an_arm_is_put_where_its_joints_are_and_stays(backend):
    batch = _batch(backend, "arm", objects=(CAN, CAN))
    batch.reset([0, 1], [5, 5])
    joints = batch.joints()[:1]
    joints[0, 22:] += (0.2, -0.1, 0.1, 0.05, -0.1, 0.3)
    joints[0, :22] = _flexed(0.3)
    home = batch.wrist_poses()[1]
    batch.place([0], joints=joints)
    assert np.linalg.norm(batch.wrist_poses()[0, :3, 3] - home[:3, 3]) > 0.05
    placed = batch.wrist_poses()[0]
    batch.step(20)
    assert batch.joints()[:1] == pytest.approx(joints, abs=0.02)
    assert batch.wrist_poses()[0] == pytest.approx(placed, abs=2e-3)
    assert batch.wrist_poses()[1] == pytest.approx(home, abs=1e-4)
    with pytest.raises(ValueError, match="arm's joints place the wrist"):
        batch.place([0], wrist_poses=placed[None])


@pytest.mark.parametrize("scene", ["floating", "arm"])
def test_velocities_are_the_change_of_poses_and_joints(backend, scene):
    batch = _batch(backend, scene, objects=(BOX, CAN), timestep=0.001, control_period=0.005)
    batch.reset([0, 1], [0, 1])
    thrown = batch.object_poses()
    thrown[:, 2, 3] += 0.3
    batch.place([0, 1], object_poses=thrown)
    start = batch.wrist_poses()
    states = []
    for tick in range(1, 43):
        part = 0.005 * tick
        wrists = start.copy()
        wrists[:, :3, 3] += part * np.array([0.2, -0.1, 0.15])
        turn = Rotation.from_rotvec(part * np.array([0.3, 0.6, -0.4])).as_matrix()
        wrists[:, :3, :3] = turn @ start[:, :3, :3]
        batch.set_targets(wrists, np.full((2, 22), 2.0 * part))
        batch.step()
        states.append(_measured(batch, [0, 1]))
    before, now, after = states[-3:]
    span = 2 * 0.005
    for part in ("wrist", "object"):
        poses = [state[f"{part}_poses"] for state in (before, after)]
        velocity = now[f"{part}_velocities"]
        linear = (poses[1][:, :3, 3] - poses[0][:, :3, 3]) / span
        turn = Rotation.from_matrix(poses[1][:, :3, :3] @ poses[0][:, :3, :3].swapaxes(1, 2))
        assert velocity[:, :3] == pytest.approx(linear, abs=0.01)
        assert velocity[:, 3:] == pytest.approx(turn.as_rotvec() / span, abs=0.02)
    assert np.linalg.norm(now["wrist_velocities"][:, 3:], axis=1).min() > 0.5
    assert now["object_velocities"][:, 2].max() < -1.5, "it falls"
    expected = (after["joints"] - before["joints"]) / span
    assert now["joint_velocities"] == pytest.approx(expected, abs=0.06)
    assert np.abs(expected).max() > 0.5


def test_efforts_are_those_of_the_servos(backend):
    """A spring of 5 N m/rad that a limit holds away from its target, and none at rest."""
    hand = load_hand()
    batch = _batch(backend, objects=(BOX,), hand="independent")
    batch.reset([0], [0])
    assert not batch.efforts().any()
    targets = np.zeros((1, 22))
    held = [hand.finger_joints.index(name) for name in ("rh_FFJ3", "rh_RFJ3")]
    targets[0, held] = hand.limits[held, 1] + (0.1, 0.3)
    batch.set_targets(batch.wrist_poses(), targets)
    batch.step(100)
    efforts = batch.efforts()[0]
    assert efforts[held] == pytest.approx(hand.actuator.kp * np.array([0.1, 0.3]), rel=0.1)
    assert np.abs(np.delete(efforts, held)).max() < 0.1


def test_what_the_hand_presses_on_is_told_by_link_and_environment(backend):
    batch = _batch(backend, objects=(BOX, BOX), home_position=(0.0, 0.0, 0.6))
    batch.reset([0, 1], [0, 1])
    box = np.eye(4)  # stands on its base
    batch.place([0, 1], object_poses=np.tile(box, (2, 1, 1)))
    palm = batch.config.home_pose
    for height in np.linspace(0.20, 0.135, 80):
        palm[:3, 3] = (-0.05, 0.0, height)
        batch.set_targets(np.stack([palm, batch.config.home_pose]), np.zeros((2, 22)))
        batch.step()
    forces = batch.hand_contacts()
    assert forces.shape == (2, len(load_hand().links))
    assert (forces >= 0.0).all()
    assert forces[0].sum() > 1.0
    assert not forces[1].any()
    batch.reset([0], [0])
    assert not batch.hand_contacts().any()


def test_what_does_not_fit_is_refused(backend):
    config = SceneConfig(backend=backend)
    with pytest.raises(ValueError, match="one is the least"):
        make_batch_physics(config, [])
    with pytest.raises(ValueError, match="one is the least"):
        make_batch_physics(config, [BOX], threads=0)
    batch = _batch(backend, objects=(BOX, CAN))
    batch.reset([0, 1], [0, 0])
    wrists, fingers = batch.wrist_poses(), np.zeros((2, 22))
    with pytest.raises(ValueError, match=r"wrists have the shape \(1, 4, 4\), not \(2, 4, 4\)"):
        batch.set_targets(wrists[:1], fingers)
    with pytest.raises(ValueError, match=r"fingers have the shape \(2, 18\), not \(2, 22\)"):
        batch.set_targets(wrists, fingers[:, :18])
    with pytest.raises(ValueError, match=r"joints have the shape \(2, 22\), not \(1, 22\)"):
        batch.place([0], joints=fingers)
    wrists[1, 0, 3] = np.inf
    with pytest.raises(ValueError, match=r"wrist targets of environments \[1\] are not finite"):
        batch.set_targets(wrists, fingers)
    with pytest.raises(ValueError, match="batch of one"):
        SinglePhysics(batch)


def test_objects_begin_where_they_are_given(backend):
    batch = _batch(backend)
    batch.reset(ALL, SEEDS)
    _run(batch, batch.wrist_poses(), range(30))
    wanted = np.tile(np.eye(4), (2, 1, 1))
    wanted[:, :3, 3] = (0.1, 0.2, 0.3), (-0.1, 0.0, 0.4)
    batch.reset([2, 0], [1, 2], wanted)
    assert batch.object_poses()[[2, 0]] == pytest.approx(wanted, abs=1e-6)
    assert batch.ticks.tolist() == [0, 30, 0]
    assert batch.snapshot(2).seed == 1
    home = np.tile(batch.config.home_pose, (2, 1, 1))
    assert batch.wrist_poses()[[2, 0]] == pytest.approx(home, abs=1e-6)
    with pytest.raises(ValueError, match=r"object_poses have the shape \(2, 4, 4\)"):
        batch.reset([0], [1], wanted)


def _in_the_air(batch):
    batch.reset(ALL, SEEDS)
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, :3, 3] = (0.4, 0.0, 0.8)
    poses[:, :3, :3] = Rotation.from_euler("x", 40, degrees=True).as_matrix()
    batch.place(ALL, object_poses=poses)


def test_a_push_is_its_force_by_time_and_mass(backend):
    """At the centre of mass: no turn comes of it. Held through ticks, and by its environment."""
    batch = _batch(backend, object_mass=0.2)
    _in_the_air(batch)
    forces = np.array([(0.5, -0.3, 0.2 * 9.81), (0.0, 0.0, 0.0), (0.0, 0.4, 0.0)])
    batch.push(forces)
    batch.step(10)
    time = 10 * batch.config.control_period
    expected = time * (forces / 0.2 - (0.0, 0.0, 9.81))
    velocities = batch.object_velocities()
    assert velocities[:, 3:] == pytest.approx(0.0, abs=1e-5)
    assert velocities[:, :3] == pytest.approx(expected, abs=1e-5)
    batch.push(np.zeros((3, 3)))
    batch.step(5)
    expected[:, 2] -= 5 * batch.config.control_period * 9.81
    assert batch.object_velocities()[:, :3] == pytest.approx(expected, abs=1e-5)


def test_a_push_is_saved_and_ends_with_a_reset_or_a_placement(bit_exact):
    batch, quiet = _batch(bit_exact), _batch(bit_exact)
    for each in (batch, quiet):
        _in_the_air(each)
    batch.push(np.full((3, 3), 0.3))
    batch.step(2)
    saved = batch.save(ALL)
    batch.step(3)
    then = _measured(batch)
    batch.push(np.zeros((3, 3)))
    batch.restore(ALL, saved)
    batch.step(3)
    assert _equal(_measured(batch), then)
    _in_the_air(batch)  # placed
    batch.step(2)
    quiet.step(2)
    assert _equal(_measured(batch), _measured(quiet))
    batch.push(np.full((3, 3), 0.3))
    for each in (batch, quiet):
        each.reset(ALL, SEEDS)
    batch.push(np.zeros((3, 3)))  # none is as if there had never been one
    starts = quiet.wrist_poses()
    for each in (batch, quiet):
        _run(each, starts, range(60))
    assert _equal(_measured(batch), _measured(quiet))
    with pytest.raises(ValueError, match=r"forces have the shape \(3,\), not \(3, 3\)"):
        batch.push(np.zeros(3))
    with pytest.raises(ValueError, match=r"objects of environments \[1\] are not finite"):
        batch.push(np.array([[0.0] * 3, [np.nan] * 3, [0.0] * 3]))


def test_environments_vary_in_mass_friction_and_gains(bit_exact):
    """As ones that are configured so, up to rounding; the others stay as they are."""
    batch, plain = _batch(bit_exact, objects=(BOX, BOX, BOX)), _batch(bit_exact, objects=(BOX,) * 3)
    heavy = _batch(bit_exact, objects=(BOX,), object_mass=0.3, friction=0.5)
    batch.vary([1], masses=np.array([0.3]), frictions=np.array([0.5]))
    for each in (batch, plain):
        each.reset(ALL, (7, 7, 7))
    heavy.reset([0], [7])
    starts = plain.wrist_poses()
    for tick in range(60):
        wrists, fingers = _commands(starts, tick)
        for each in (batch, plain):
            each.set_targets(wrists, fingers)
        heavy.set_targets(wrists[[1]], fingers[[1]])
        for each in (batch, plain, heavy):
            each.step()
    assert _equal(_measured(batch, [0, 2]), _measured(plain, [0, 2]))
    assert batch.hand_contacts()[1].sum() > 0.1
    expected = heavy.object_poses()[0]
    assert batch.object_poses()[1] == pytest.approx(expected, abs=5e-5)
    assert np.abs(plain.object_poses()[1] - expected).max() > 1e-4
    # Twice the stiffness, twice the effort against the same limit.
    batch.vary([1], gains=np.array([2.0]))
    batch.reset(ALL, (7, 7, 7))
    targets = np.zeros((3, 22))
    held = load_hand().finger_joints.index("rh_FFJ3")
    targets[:, held] = load_hand().limits[held, 1] + 0.1
    batch.set_targets(batch.wrist_poses(), targets)
    batch.step(60)
    efforts = batch.efforts()[:, held]
    assert efforts[0] == efforts[2]
    assert efforts[1] == pytest.approx(2.0 * efforts[0], rel=0.1)
    # Back to what is configured.
    batch.vary(ALL)
    for each in (batch, plain):
        each.reset(ALL, SEEDS)
        _run(each, starts, range(60))
    assert _equal(_measured(batch), _measured(plain))


def test_a_push_moves_a_heavier_object_less(backend):
    batch = _batch(backend)
    batch.vary([2], masses=np.array([0.4]))
    _in_the_air(batch)
    batch.push(np.full((3, 3), 0.2))
    batch.step(10)
    speeds = batch.object_velocities()[:, 0]
    assert speeds == pytest.approx(
        10 * batch.config.control_period * 0.2 / np.array([0.1, 0.1, 0.4])
    )
    for bad in ({"masses": np.zeros(1)}, {"gains": np.array([np.nan])}):
        with pytest.raises(ValueError, match="have to be positive"):
            batch.vary([0], **bad)
    with pytest.raises(ValueError, match=r"frictions have the shape \(2,\), not \(1,\)"):
        batch.vary([0], frictions=np.ones(2))


def test_joints_go_where_they_are_told_and_stay_after_a_reset(backend):
    batch = _batch(backend, "arm", control_period=0.005)
    batch.reset(ALL, SEEDS)
    home = batch.joints()
    targets = home + 0.2 * np.array([[1.0], [-1.0], [0.5]])
    targets[:, :22] = _flexed(0.3)
    steps = 100
    for step in range(steps):
        batch.set_joint_targets(home + (step + 1) / steps * (targets - home))
        batch.step()
    moved = np.abs(batch.joints() - home)[:, 22:].max(axis=1)
    assert np.all(moved < [0.2, 0.2, 0.1])  # the servo lags behind
    batch.step(100)
    assert np.allclose(batch.joints()[:, 22:], targets[:, 22:], atol=0.003)
    assert np.allclose(batch.joints()[:, :22], targets[:, :22], atol=0.05)
    batch.reset([1], [3])
    batch.step(50)
    assert np.allclose(batch.joints()[1, 22:], home[1, 22:], atol=0.003)
    assert np.allclose(batch.joints()[0, 22:], targets[0, 22:], atol=0.003)
    batch.set_targets(batch.wrist_poses(), np.zeros((3, 22)))
    batch.step(50)
    assert np.allclose(batch.joints()[0, 22:], targets[0, 22:], atol=0.02)


def test_joint_targets_that_no_arm_can_follow_are_refused(backend):
    with pytest.raises(ValueError, match="floats"):
        _batch(backend, "floating").set_joint_targets(np.zeros((3, 22)))
    arms = _batch(backend, "arm")
    with pytest.raises(ValueError, match="not finite"):
        arms.set_joint_targets(np.full((3, 28), np.nan))
