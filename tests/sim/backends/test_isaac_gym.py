"""What is particular to Isaac Gym: a worker under its own Python, by a counterpart here.

`DEXGRASP_COUNTERPART_PYTHON` names another Python for it, as a 3.8 with MuJoCo, PyTorch and NumPy.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from isaac_gym_counterpart import INTERPRETER_VARIABLE, counterpart_interpreter
from simulator_comparison import OBJECTS, differences, grope
from simulator_expectations import (
    SMALL_RIG,
    a_weight_pushes_the_palm_down_as_its_spring_says,
    each_joint_s_effort_is_its_spring_s,
    fingertips_are_where_joints_and_palm_say,
    what_falls_falls_by_half_g_t_squared,
    what_lies_on_the_hand_presses_with_its_weight,
)

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import check_backend, make_batch_physics
from dexgrasp_sim.backends.isaac_gym import assets, worker, worker_process
from dexgrasp_sim.backends.isaac_gym.assets import collision_filters
from dexgrasp_sim.backends.isaac_gym.batch import IsaacGymBatch
from dexgrasp_sim.backends.isaac_gym.settings import IsaacGymSettings
from dexgrasp_sim.backends.isaac_gym.worker import Layout
from dexgrasp_sim.backends.isaac_gym.worker_process import WorkerError
from dexgrasp_sim.backends.mujoco.robot_model import PalmServo
from dexgrasp_sim.interface import BatchPhysics, SimulatorError
from dexgrasp_sim.scene import SceneConfig

CAN = load_object("can")
LAYOUT = Layout(worlds=3, joints=22, links=23, steps=4)

SHIFT, TURN = 2e-3, 0.08
"""m, and rad of joints or in rotation matrices, by which 200 ticks in contact may differ from
MuJoCo's, which takes in what a contact does to the hand at once, and not a step later."""


def made(count: int = 1, **settings: float) -> IsaacGymBatch:
    batch = IsaacGymBatch(
        SceneConfig(backend="isaac_gym"), [CAN] * count, settings=IsaacGymSettings(**settings)
    )
    batch.reset(range(count), range(count))
    return batch


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is started as its user has it, and not forked."""
    monkeypatch.setattr(worker_process, "start_process", subprocess.Popen)


@pytest.fixture
def interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_process: None
) -> Callable[[str], None]:
    """Lets lines of Python run before the worker."""

    def use(before: str) -> None:
        path = counterpart_interpreter(tmp_path, before=before)
        monkeypatch.setenv(INTERPRETER_VARIABLE, str(path))

    return use


@pytest.fixture
def nothing_left(own_process: None) -> Iterator[None]:
    """No process and no file descriptor more than before."""
    this = psutil.Process()
    before = {child.pid for child in this.children(recursive=True)}, this.num_fds()
    yield
    assert {child.pid for child in this.children(recursive=True)} <= before[0]
    assert this.num_fds() <= before[1]


# It moves as it should


@pytest.fixture(scope="module")
def expected() -> BatchPhysics:
    """MuJoCo's, after 200 ticks in contact."""
    batch, pressed = grope("mujoco")
    assert (pressed > 100).all(), "hands press on objects"
    return batch


def test_it_moves_hands_and_different_objects_in_contact_much_as_mujoco_does(expected):
    found, pressed = grope("isaac_gym")
    assert (pressed > 100).all(), "hands press on objects"
    shift, turn = differences(found, expected)
    assert shift < SHIFT
    assert turn < TURN


def test_a_palm_that_is_pulled_half_as_stiffly_moves_otherwise(expected, monkeypatch):
    servo = PalmServo()
    weak = replace(servo, angular_stiffness=servo.angular_stiffness / 2)
    monkeypatch.setattr(assets, "PalmServo", lambda: weak)
    shift, turn = differences(grope("isaac_gym")[0], expected)
    assert shift > SHIFT or turn > TURN


def test_the_palm_s_spring_is_as_stiff_where_physics_steps_are_short():
    def make(objects, **values):
        config = SceneConfig(backend="isaac_gym", timestep=0.0025, **values)
        return make_batch_physics(config, objects)

    a_weight_pushes_the_palm_down_as_its_spring_says(make)


def test_a_palm_follows_without_lag_and_stands_still_where_physics_steps_are_long():
    batch = make_batch_physics(SceneConfig(backend="isaac_gym", timestep=0.01), [CAN])
    batch.reset([0], [0])
    wrist = batch.wrist_poses()
    for _ in range(25):
        wrist[:, :3, 3] += 0.004
        batch.set_targets(wrist, np.full((1, 22), 0.5))
        batch.step()
    assert batch.wrist_poses() == pytest.approx(wrist, abs=1e-3)
    batch.step(25)
    assert batch.wrist_poses() == pytest.approx(wrist, abs=1e-4)
    assert batch.wrist_velocities() == pytest.approx(0.0, abs=1e-2)


def test_saved_worlds_go_on_much_as_if_nothing_had_been_and_the_others_are_left_alone():
    batch = make_batch_physics(SceneConfig(backend="isaac_gym"), [*OBJECTS, CAN])
    rows = range(3)
    batch.reset(rows, [5, 6, 7])
    starts = batch.wrist_poses()

    def go_on(ticks: range) -> np.ndarray:
        for tick in ticks:
            wrists = starts.copy()
            wrists[:, 2, 3] -= 0.004 * tick
            batch.set_targets(wrists, np.full((3, 22), 0.01 * tick))
            batch.step()
        return batch.joints()

    go_on(range(20))
    batch.push(np.full((3, 3), 0.2))
    saved, then = batch.save([0, 2]), batch.joints()
    expected, poses = go_on(range(20, 30)), batch.object_poses()
    batch.push(np.zeros((3, 3)))
    batch.restore([0, 2], saved)
    assert np.array_equal(batch.joints()[[0, 2]], then[[0, 2]])
    assert np.array_equal(batch.joints()[1], expected[1])
    assert batch.ticks.tolist() == [20, 30, 20]
    assert go_on(range(20, 30))[[0, 2]] == pytest.approx(expected[[0, 2]], abs=1e-3)
    assert batch.object_poses()[[0, 2]] == pytest.approx(poses[[0, 2]], abs=1e-3)
    assert np.abs(poses[:, :3, 3] - saved.physics[0, :3]).max() > 0.01, "the push moves it"


def test_worlds_differ_in_mass_friction_and_gains_and_do_so_no_more():
    """As others that are configured so; the bystander stays as it was."""
    held = load_hand().finger_joints.index("rh_FFJ3")
    targets = np.zeros((2, 22))
    targets[:, held] = load_hand().limits[held, 1] + 0.1

    def pushed(batch) -> tuple[np.ndarray, np.ndarray]:
        batch.reset([0, 1], [1, 1])
        air = np.tile(np.eye(4), (2, 1, 1))
        air[:, 2, 3] = 5.0
        batch.place([0, 1], object_poses=air)
        batch.push(np.full((2, 3), 0.2))
        batch.set_targets(batch.wrist_poses(), targets)
        batch.step(40)
        return batch.object_velocities()[:, 0], batch.efforts()[:, held]

    batch = made(2)
    batch.vary([1], masses=np.array([0.4]), gains=np.array([2.0]))
    speeds, efforts = pushed(batch)
    assert speeds[1] == pytest.approx(speeds[0] / 4, rel=1e-3)
    assert efforts[1] == pytest.approx(2.0 * efforts[0], rel=0.1)
    batch.vary([1])
    speeds, efforts = pushed(batch)
    assert speeds[1] == pytest.approx(speeds[0], rel=1e-3)
    assert efforts[1] == pytest.approx(efforts[0], rel=1e-3)


@pytest.mark.parametrize("absurd", [1e300, np.nan])
def test_an_absurd_target_is_a_fault_of_its_world_alone(absurd):
    batch = made(2)
    fingers = np.zeros((2, 22))
    fingers[0] = absurd
    with np.errstate(over="ignore"):
        batch.set_targets(batch.wrist_poses(), fingers)
        batch.step(3)
    assert "a control is not finite or huge" in batch.faults[0]
    assert list(batch.faults) == [0]
    assert batch.ticks.tolist() == [1, 3]
    batch.reset([0], [0])
    batch.step()
    assert not batch.faults
    assert np.isfinite(batch.joints()).all()


def test_filters_keep_apart_just_those_pairs_that_never_touch():
    generator = np.random.default_rng(0)
    names = [f"link_{number}" for number in range(12)]
    for share in (0.1, 0.5, 0.9):
        pairs = [p for p in combinations(names, 2) if generator.random() < share]
        filters = collision_filters(frozenset(pair) for pair in pairs)
        for pair in combinations(names, 2):
            first, second = (filters.get(name, 0) for name in pair)
            assert bool(first & second) == (pair in pairs)
    with pytest.raises(ValueError, match="31 bits"):
        collision_filters(frozenset((f"a{number}", f"b{number}")) for number in range(40))


# What it draws


def test_it_draws_where_it_is_told_to_and_what_it_has_stepped():
    batch = made()
    with pytest.raises(ValueError, match="set depth to true in config"):
        batch.depth("camera_1")
    batch = made(2, depth=True)
    with pytest.raises(SimulatorError, match=r"step environments \[0, 1\] first"):
        batch.depth("camera_1")
    batch.step()
    batch.reset([1], [0])
    with pytest.raises(SimulatorError, match=r"step environments \[1\] first"):
        batch.depth("camera_1")


def test_cameras_that_it_does_not_have_are_refused(tmp_path):
    rig = tmp_path / "rig.yaml"
    rig.write_text(SMALL_RIG.read_text().replace("cx: 59.5", "cx: 57.0"))
    config = SceneConfig(backend="isaac_gym", cameras=str(rig))
    with pytest.raises(ValueError, match=r"level has its principal point 2\.5 pixels off"):
        IsaacGymBatch(config, [CAN], settings=IsaacGymSettings(depth=True))
    IsaacGymBatch(config, [CAN], settings=IsaacGymSettings())


def test_a_worker_that_was_killed_draws_nothing(nothing_left):
    batch = made(depth=True)
    batch.step()
    os.kill(batch.worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="ended by signal 9"):
        batch.depth("camera_1")


# What is planted wrong in the worker


PLANTED = {
    "joints as Isaac Gym orders them come out": (
        'io["joints"][:] = self._dofs[:, self._order]',
        'io["joints"][:] = self._dofs',
        each_joint_s_effort_is_its_spring_s,
    ),
    "joints go in as Isaac Gym orders them": (
        'self._dofs[np.ix_(at, self._order)] = io["joints"][at]',
        'self._dofs[at] = io["joints"][at]',
        fingertips_are_where_joints_and_palm_say,
    ),
    "targets go in as Isaac Gym orders them": (
        "self._targets[:, self._order] = goals",
        "self._targets[:] = goals",
        each_joint_s_effort_is_its_spring_s,
    ),
    "places of the whole simulation": (
        "self._roots[actors[at], :3] += self._origins[at]",
        "pass",
        what_falls_falls_by_half_g_t_squared,
    ),
    "quaternions begin with w": (
        "turn = _matrices(roots[:, 3:7])",
        "turn = _matrices(np.roll(roots[:, 3:7], 1, axis=1))",
        what_lies_on_the_hand_presses_with_its_weight,
    ),
    "links as Isaac Gym orders its bodies": (
        "self._link_of_body[found[0]] = link",
        "self._link_of_body[link] = link",
        fingertips_are_where_joints_and_palm_say,
    ),
    "contacts of another world": (
        'worlds = np.maximum(found["env0"], found["env1"])',
        'worlds = np.maximum(found["env0"], found["env1"])[::-1]',
        fingertips_are_where_joints_and_palm_say,
    ),
    "impulses for forces": (
        'np.abs(found["lambda"][pressing])',
        '0.005 * np.abs(found["lambda"][pressing])',
        what_lies_on_the_hand_presses_with_its_weight,
    ),
    "objects without weight": (
        "options.disable_gravity = compensated",
        "options.disable_gravity = True",
        what_falls_falls_by_half_g_t_squared,
    ),
}
"""What stands there, what is put in its place, and the expectation that is to fail."""


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_wrong_in_the_worker_fails(name, monkeypatch, tmp_path):
    text = Path(worker.__file__).read_text()
    right, wrong, expectation = PLANTED[name]
    assert text.count(right) == 1
    altered = tmp_path / "worker.py"
    altered.write_text(text.replace(right, wrong))
    monkeypatch.setattr(worker, "__file__", str(altered))

    def make(objects, **values):
        return make_batch_physics(SceneConfig(backend="isaac_gym", **values), objects)

    with pytest.raises(AssertionError):
        expectation(make)


# The worker


def test_python_3_8_reads_the_worker_and_finds_all_that_it_imports():
    tree = ast.parse(Path(worker.__file__).read_text(), feature_version=(3, 8))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    others = {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names)
    assert others == {"isaacgym", "numpy", "torch"}


def test_its_own_process_steps_and_ends_with_the_batch(nothing_left):
    batch = made()
    pid = batch.worker.pid
    batch.step(2)
    assert batch.ticks.tolist() == [2]
    batch.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(WorkerError, match="closed"):
        batch.step()
    other = made()
    process = psutil.Process(other.worker.pid)
    del other
    process.wait(60)


def test_a_killed_worker_is_told_and_nothing_is_left(nothing_left):
    batch = made()
    os.kill(batch.worker.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(WorkerError, match="ended by signal 9"):
            batch.step()
    assert not psutil.pid_exists(batch.worker.pid)


def test_a_worker_that_hangs_is_ended_after_a_limit(nothing_left):
    batch = made(step_timeout=0.5)
    os.kill(batch.worker.pid, signal.SIGSTOP)
    with pytest.raises(WorkerError, match=r"not answered for 0\.5 s \(step_timeout in config/"):
        batch.step()
    assert not psutil.pid_exists(batch.worker.pid)


def test_a_worker_ends_with_a_parent_that_is_killed():
    """Also where it does not come back to Python."""
    script = (
        "import time\n"
        "from dexgrasp_models.objects import load_object\n"
        "from dexgrasp_sim.backends import make_batch_physics\n"
        "from dexgrasp_sim.scene import SceneConfig\n"
        "batch = make_batch_physics(SceneConfig(backend='isaac_gym'), [load_object('can')])\n"
        "print(batch.worker.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        child.suspend()
        parent.kill()
    child.resume()
    child.wait(60)


def test_what_the_worker_raises_is_told(interpreter, nothing_left):
    interpreter(
        "from isaacgym import gymapi\n"
        "gymapi.Gym.load_asset = lambda *_: None\n"
    )  # fmt: skip
    with pytest.raises(WorkerError, match=r"could not load robot\.urdf"):
        made()


def test_where_memory_ends_it_says_how_many_worlds_there_is_room_for(interpreter, nothing_left):
    interpreter(
        "from isaacgym import gymapi\n"
        "create = gymapi.Gym.create_env\n"
        "def few(gym, sim, *values):\n"
        "    if len(sim.envs) == 2:\n"
        "        raise RuntimeError('CUDA error: out of memory')\n"
        "    return create(gym, sim, *values)\n"
        "gymapi.Gym.create_env = few\n"
    )
    with pytest.raises(MemoryError, match="room for 2 of 4 worlds: ask for fewer"):
        made(4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(nothing_left):
    with pytest.raises(WorkerError, match="sees no GPU: set device to cpu in config/isaac_gym"):
        made(device="cuda")


def test_too_little_shared_memory_says_how_many_worlds_fit(monkeypatch, nothing_left):
    monkeypatch.setattr(worker_process, "available_memory", lambda: LAYOUT.size // 3 + 100)
    with pytest.raises(MemoryError, match=r"there is room for 1$"):
        worker_process.shared_memory(LAYOUT)


# The shared memory


def memory_with(**changed: object) -> bytearray:
    """A header, in which something is changed."""
    memory = bytearray(LAYOUT.size)
    values = {"magic": worker.MAGIC, "version": worker.VERSION, **LAYOUT._asdict()}
    values = {**values, "size": LAYOUT.size, **changed}
    worker._HEADER.pack_into(memory, 0, *values.values())
    return memory


def test_a_header_tells_the_layout():
    written = bytearray(LAYOUT.size)
    LAYOUT.write_header(written)
    assert written == memory_with()
    assert Layout.read_header(written) == LAYOUT
    arrays = LAYOUT.arrays(written)
    for number, array in enumerate(arrays.values()):
        array[...] = number
    for number, array in enumerate(arrays.values()):
        assert (array == number).all(), "none lies upon another"
    assert Layout.read_header(written) == LAYOUT


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"magic": b"NOTOURS!"}, r"begins with b'NOTOURS!', not with b'DXGISAAC'"),
        ({"version": worker.VERSION + 1}, "version 3, and this worker knows version 2: take"),
        ({"worlds": 4}, "where .* are needed"),
        ({"size": LAYOUT.size - 1}, "where .* are needed"),
    ],
)
def test_a_header_of_something_else_is_refused(changed, complaint):
    with pytest.raises(ValueError, match=complaint):
        Layout.read_header(memory_with(**changed))


def test_a_memory_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="has no header"):
        Layout.read_header(bytearray(8))
    with pytest.raises(ValueError, match=r"where .* are needed"):
        Layout.read_header(memory_with()[:-1])


def test_a_worker_of_another_release_refuses_the_memory(monkeypatch, nothing_left):
    monkeypatch.setattr(worker, "VERSION", 7)  # of the host alone; the worker reads its own file
    with pytest.raises(WorkerError, match="has version 7, and this worker knows version 2"):
        made()


# What is missing


def test_without_an_interpreter_it_says_how_to_get_one(monkeypatch, tmp_path):
    for value, complaint in (("", "is not set"), (str(tmp_path / "python"), "is no program")):
        monkeypatch.setenv(INTERPRETER_VARIABLE, value)
        with pytest.raises(ImportError, match=rf"\$DEXGRASP_ISAACGYM_PYTHON .*{complaint}.*3\.8"):
            made()
        with pytest.raises(ImportError, match=complaint):
            check_backend("isaac_gym")


def test_an_interpreter_without_isaac_gym_is_told(monkeypatch, nothing_left):
    monkeypatch.setenv(INTERPRETER_VARIABLE, sys.executable)
    for look in (made, lambda: check_backend("isaac_gym")):
        with pytest.raises(ImportError, match=r"No module named 'isaacgym'.* pip install -e"):
            look()


@pytest.mark.parametrize(
    ("before", "complaint"),
    [
        ("import isaacgym\nisaacgym.__version__ = '1.0rc3'\n", r"1\.0rc3 is installed, and Prev"),
        ("import os\nprint('told', flush=True)\nos._exit(3)\n", "could not run the worker"),
    ],
)
def test_another_isaac_gym_and_a_broken_interpreter_are_told(interpreter, before, complaint):
    interpreter(before)
    with pytest.raises(ImportError, match=complaint):
        check_backend("isaac_gym")


def test_what_is_installed_is_told(interpreter):
    interpreter("print('Importing module gym_38')\n")
    assert check_backend("isaac_gym").startswith("Isaac Gym 1.0rc4, Python 3.")
