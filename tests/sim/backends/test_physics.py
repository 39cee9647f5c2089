"""What is expected of every `Physics`: repeatable, at rest, following with bounded force."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.types import Command
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.interface import SimulatorError
from dexgrasp_sim.placement import StablePose
from dexgrasp_sim.scene import load_scene

OPEN = np.zeros(22)


def _simulator(backend, name="can", **values):
    return make_simulator(load_scene(backend=backend, **values), load_object(name))


@pytest.fixture(params=["floating", "arm"])
def simulator(request, backend):
    built = _simulator(backend, scene=request.param)
    built.reset(7)
    return built


def _moved(pose, shift=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)):
    target = pose.copy()
    target[:3, 3] += shift
    target[:3, :3] = target[:3, :3] @ Rotation.from_rotvec(turn).as_matrix()
    return target


def _grope(simulator, ticks=60):
    """Move hand and fingers about; the states on the way."""
    start = simulator.state().wrist_pose
    states = []
    for tick in range(ticks):
        part = tick / ticks
        target = _moved(start, (0.15 * part, -0.05 * part, -0.1 * part), (0.2 * part, 0.0, 0.1))
        simulator.set_targets(Command(target, np.full(22, 0.5 * part)))
        simulator.step()
        states.append(simulator.state())
    return states


def test_same_seed_and_commands_repeat_to_the_bit(bit_exact, simulator):
    first = _grope(simulator)
    depth = simulator.read_depth("camera_1")
    pose = simulator.object_pose()
    simulator.reset(7)
    second = _grope(simulator)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.wrist_pose, b.wrist_pose)
        assert np.array_equal(a.joints, b.joints)
    assert np.array_equal(depth, simulator.read_depth("camera_1"))
    assert np.array_equal(pose, simulator.object_pose())


def test_a_fresh_simulator_repeats_another_one(bit_exact, simulator):
    twin = make_simulator(simulator.config, load_object("can"))
    twin.reset(7)
    assert np.array_equal(_grope(simulator)[-1].joints, _grope(twin)[-1].joints)
    assert np.array_equal(simulator.object_pose(), twin.object_pose())


def test_seeds_place_the_object_differently(simulator):
    poses = []
    for seed in range(4):
        simulator.reset(seed)
        poses.append(simulator.object_pose())
    assert all(np.abs(a - b).max() > 1e-3 for a, b in pairwise(poses))
    assert all(np.linalg.norm(pose[:2, 3]) <= 0.02 + 1e-9 for pose in poses)


def test_saved_state_continues_as_if_nothing_had_been(bit_exact, simulator):
    _grope(simulator, 20)
    saved = simulator.save_state()
    first = _grope(simulator, 20)
    simulator.restore_state(saved)
    assert simulator.time == pytest.approx(0.4)
    second = _grope(simulator, 20)
    assert np.array_equal(first[-1].wrist_pose, second[-1].wrist_pose)
    assert np.array_equal(first[-1].joints, second[-1].joints)


@pytest.mark.parametrize("name", ["can", "mug", "ball", "hammer"])
def test_the_object_stays_where_reset_puts_it(backend, name):
    simulator = _simulator(backend, name)
    for seed in range(3):
        simulator.reset(seed)
        before = simulator.object_pose()
        simulator.step(100)
        after = simulator.object_pose()
        assert np.linalg.norm(after[:3, 3] - before[:3, 3]) < 0.002
        turned = Rotation.from_matrix(before[:3, :3].T @ after[:3, :3]).magnitude()
        assert turned < np.deg2rad(4.0)


def test_robot_holds_still_without_new_targets(simulator):
    before = simulator.state()
    simulator.step(100)
    after = simulator.state()
    assert after.time == pytest.approx(2.0)
    assert np.abs(after.wrist_pose - before.wrist_pose).max() < 1e-6
    assert np.abs(after.joints - before.joints).max() < 1e-3


def test_wrist_follows_a_moving_target_closely(simulator):
    start = simulator.state().wrist_pose
    errors = []
    for tick in range(1, 101):
        ramp = 0.5 - 0.5 * np.cos(np.pi * tick / 100)
        target = _moved(start, (0.2 * ramp, 0.1 * ramp, 0.1 * ramp), (0.3 * ramp, 0.3 * ramp, 0.0))
        simulator.set_targets(Command(target, OPEN))
        simulator.step()
        errors.append(np.linalg.norm(simulator.state().wrist_pose[:3, 3] - target[:3, 3]))
    assert max(errors) < 0.003
    simulator.step(25)
    assert np.abs(simulator.state().wrist_pose - target).max() < 5e-4


def test_a_target_below_the_table_presses_with_bounded_force(backend):
    simulator = _simulator(backend)
    simulator.reset(0)
    down = _moved(simulator.config.home_pose, (0.0, 0.0, -1.0))
    for _ in range(100):
        simulator.set_targets(Command(down, OPEN))
        simulator.step()
        state = simulator.state()
        assert np.isfinite(state.wrist_pose).all()
        assert state.wrist_pose[2, 3] > -0.02


def test_fingers_touching_the_object_are_reported_with_their_force(backend):
    simulator = _simulator(backend, "box", home_position=(0.0, 0.0, 0.6))
    simulator.reset(0)
    assert simulator.hand_contacts() == {}
    # Palm down on top of the box, pressing.
    simulator.place_object(StablePose(np.eye(3), 0.0, 1.0, 0.13).placed(0.0, 0.0, 0.0))
    palm = simulator.config.home_pose
    palm[:3, 3] = (-0.05, 0.0, 0.20)
    for height in np.linspace(0.20, 0.135, 80):
        palm = _moved(palm)
        palm[2, 3] = height
        simulator.set_targets(Command(palm, OPEN))
        simulator.step()
    simulator.step(150)
    forces = simulator.hand_contacts()
    assert set(forces) == {"rh_thproximal"}
    assert forces["rh_thproximal"] > 1.0


def test_joint_positions_name_every_joint(simulator):
    names = set(simulator.joint_positions())
    expected = set(load_hand().finger_joints)
    if simulator.config.scene == "arm":
        expected |= {"shoulder_pan_joint", "elbow_joint", "wrist_3_joint"}
        assert len(names) == 28
    assert expected <= names


def test_unstable_physics_is_an_error_and_not_a_silent_new_start(simulator):
    simulator.set_targets(Command(simulator.state().wrist_pose, np.full(22, np.nan)))
    with pytest.raises(SimulatorError, match="unstable"):
        simulator.step(5)
    with pytest.raises(SimulatorError, match="unstable"):
        simulator.step()
    simulator.reset(7)
    simulator.step()
    assert np.isfinite(simulator.object_pose()).all()


def test_a_saved_state_goes_on_after_unstable_physics(simulator):
    saved = simulator.save_state()
    simulator.set_targets(Command(simulator.state().wrist_pose, np.full(22, np.nan)))
    with pytest.raises(SimulatorError):
        simulator.step(5)
    simulator.restore_state(saved)
    simulator.step()
    assert np.isfinite(simulator.object_pose()).all()
