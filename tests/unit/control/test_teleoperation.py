"""The wrist follows a hand while the clutch is held, within bounds, and in no other way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.control.teleoperation import (
    SeenHand,
    TeleoperationConfig,
    TeleoperationState,
    WristTeleoperation,
)
from dexgrasp_models.control.trajectory import pose_distance

TICK = 0.02
LIMITS = SafetyLimits()
START = np.array([-0.1, 0.05, 0.4])
AXIS = 1.0 / math.sqrt(3.0)
"""Part of a bound that a motion along one axis has."""
RELEASED, ENGAGED, STOPPING, LOST = TeleoperationState


def pose(place=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)) -> np.ndarray:
    made = np.eye(4)
    made[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    made[:3, 3] = place
    return made


def shifted(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    return START + np.array([x, y, z])


class Cell:
    """A person, a tracker, a clutch, and a robot whose wrist is where it is to be at once."""

    def __init__(self, config: TeleoperationConfig | None = None, start=START, turn=(0, 0, 0.3)):
        self.config = config or TeleoperationConfig()
        self.teleoperation = WristTeleoperation(self.config, LIMITS)
        self.robot = pose(start, turn)
        self.hand = SeenHand(pose((0.3, -0.2, 0.25), (0.5, 0.2, -0.1)), 0.0, identity=7)
        self.pressed = False
        self.time = self.now = 100.0
        self.sees = self.hears = self.follows = True
        self.states: list[TeleoperationState] = []
        self.targets: list[np.ndarray] = []

    @property
    def state(self) -> TeleoperationState:
        return self.teleoperation.state

    def tick(self, ticks: int = 1) -> np.ndarray:
        for _ in range(ticks):
            self.time, self.now = self.time + TICK, self.now + TICK
            if self.sees:
                self.hand = replace(self.hand, time=self.hand.time + TICK)
                self.teleoperation.see_hand(self.hand, self.now)
            if self.hears:
                self.teleoperation.see_clutch(self.pressed, self.now)
            self.target = self.teleoperation.step(self.robot, self.time, self.now)
            if self.follows:
                self.robot = self.target
            self.states.append(self.state)
            self.targets.append(self.target)
        return self.target

    def press(self) -> None:
        """Released first, then pressed."""
        self.pressed = False
        self.tick()
        self.pressed = True
        self.tick()

    def move(self, way=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)) -> None:
        """The hand, from where it is, in the tracker's axes."""
        moved = self.hand.pose.copy()
        moved[:3, 3] += way
        moved[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ moved[:3, :3]
        self.hand = replace(self.hand, pose=moved)

    def glide(self, way=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0), ticks: int = 20) -> None:
        """Moves the hand evenly."""
        for _ in range(ticks):
            self.move(np.asarray(way) / ticks, np.asarray(turn) / ticks)
            self.tick()

    def settle(self) -> np.ndarray:
        return self.tick(100)


@pytest.fixture
def cell():
    engaged = Cell()
    engaged.press()
    assert engaged.state is ENGAGED
    return engaged


# How the wrist moves


def test_nothing_moves_when_the_clutch_is_pressed(cell):
    assert cell.target == pytest.approx(pose(START, (0, 0, 0.3)), abs=1e-12)
    assert cell.settle() == pytest.approx(pose(START, (0, 0, 0.3)), abs=1e-12)


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_the_way_is_scaled_and_the_turn_is_not(scale):
    cell = Cell(TeleoperationConfig(scale=scale))
    cell.press()
    cell.glide((0.1, -0.05, 0.08), (0.0, 0.0, 0.4))
    target = cell.settle()
    assert target[:3, 3] == pytest.approx(START + scale * np.array([0.1, -0.05, 0.08]), abs=1e-9)
    assert target == pytest.approx(pose(target[:3, 3], (0, 0, 0.7)), abs=1e-9)


@pytest.mark.parametrize("yaw", [0.0, 0.5, math.pi / 2, -2.0])
def test_the_trackers_axes_are_turned_into_the_worlds(yaw):
    """The same by quaternions: the hand's motion, done in the world by a tracker that stands so."""
    cell = Cell(TeleoperationConfig(tracker_yaw=yaw))
    cell.press()
    way, turn = np.array([0.06, 0.03, -0.05]), np.array([0.3, -0.2, 0.25])
    cell.glide(way, turn)
    target = cell.settle()
    cos, sin = math.cos(yaw), math.sin(yaw)

    def in_world(v):
        return np.array([cos * v[0] - sin * v[1], sin * v[0] + cos * v[1], v[2]])

    assert target[:3, 3] == pytest.approx(START + in_world(way), abs=1e-9)
    half = np.linalg.norm(turn) / 2.0
    axis = in_world(turn) / np.linalg.norm(turn)
    by = Rotation.from_quat([*(math.sin(half) * axis), math.cos(half)])
    expected = by * Rotation.from_rotvec([0, 0, 0.3])
    assert target[:3, :3] == pytest.approx(expected.as_matrix(), abs=1e-9)


def test_the_wrist_can_keep_its_attitude():
    cell = Cell(TeleoperationConfig(orientation=False))
    cell.press()
    cell.glide((0.05, 0.0, 0.0), (0.5, 0.0, 0.5))
    assert cell.settle() == pytest.approx(pose(shifted(0.05), (0, 0, 0.3)), abs=1e-9)


def test_where_the_hand_is_while_the_clutch_is_released_does_not_matter():
    cell = Cell()
    cell.press()
    cell.glide((0.1, 0.0, 0.0))
    cell.settle()
    cell.pressed = False
    cell.glide((-0.1, 0.2, 0.1), (0.0, 0.4, 0.0))
    cell.press()
    cell.glide((0.1, 0.0, 0.0))
    assert cell.settle()[:3, 3] == pytest.approx(shifted(0.2), abs=1e-9)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_wrist_stays_in_the_box_and_that_is_told(cell, axis, sign):
    way = 1.2 * sign * np.eye(3)[axis]
    cell.glide(way, ticks=80)
    face = (LIMITS.workspace_high if sign > 0.0 else LIMITS.workspace_low)[axis]
    expected = np.where(np.arange(3) == axis, face, START)
    assert cell.settle()[:3, 3] == pytest.approx(expected)
    assert cell.teleoperation.reason == "held at the edge of the workspace"
    assert (sign * np.array(cell.targets)[:, axis, 3] <= sign * face + 1e-12).all()
    cell.glide(-0.9 * way, ticks=80)
    cell.tick()
    assert (cell.state, cell.teleoperation.reason) == (ENGAGED, "")


def test_a_wrist_outside_may_come_back_but_go_no_farther():
    start = np.array([0.0, 0.0, 1.0])
    cell = Cell(start=start)
    cell.press()
    assert cell.settle()[:3, 3] == pytest.approx(start)
    cell.glide((0.0, 0.0, 0.1))
    assert cell.settle()[:3, 3] == pytest.approx(start)
    cell.glide((0.0, 0.0, -0.3))
    assert cell.settle()[:3, 3] == pytest.approx(start - [0, 0, 0.2])


# Bounds

steps = st.tuples(
    st.tuples(*3 * [st.floats(-0.05, 0.05)]),
    st.tuples(*3 * [st.floats(-0.2, 0.2)]),
    st.integers(1, 12),
    st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(steps, min_size=1, max_size=10))
def test_bounds_hold_whatever_hand_and_clutch_do(moves):
    config = TeleoperationConfig(scale=2.0)
    cell = Cell(config)
    cell.press()
    before, shift, spin = cell.target, np.zeros(3), np.zeros(3)
    for way, turn, ticks, pressed in moves:
        cell.pressed = pressed
        for _ in range(ticks):
            cell.move(way, turn)
            target = cell.tick()
            old_shift, shift = shift, (target[:3, 3] - before[:3, 3]) / TICK
            turned = Rotation.from_matrix(target[:3, :3] @ before[:3, :3].T)
            old_spin, spin = spin, turned.as_rotvec() / TICK
            before = target
            assert np.linalg.norm(shift) <= config.speed + 1e-9
            assert np.linalg.norm(shift - old_shift) / TICK <= config.acceleration + 1e-6
            assert np.linalg.norm(spin) <= config.angular_speed + 1e-6
            assert np.linalg.norm(spin - old_spin) / TICK <= config.angular_acceleration + 1e-3
            assert (target[:3, 3] >= np.array(LIMITS.workspace_low) - 1e-12).all()
            assert (target[:3, 3] <= np.array(LIMITS.workspace_high) + 1e-12).all()


def test_a_wrist_faster_than_the_limits_is_refused():
    with pytest.raises(ValueError, match=r"angular_speed 3 is above the limit of 2\.5"):
        WristTeleoperation(TeleoperationConfig(angular_speed=3.0), LIMITS)


# The clutch


def test_without_the_clutch_nothing_moves():
    cell = Cell()
    cell.glide((0.3, 0.2, 0.1), (0.5, 0.5, 0.5))
    assert cell.target == pytest.approx(pose(START, (0, 0, 0.3)), abs=1e-12)
    assert set(cell.states) == {RELEASED}


def test_a_clutch_that_is_held_from_the_start_does_not_engage():
    cell = Cell()
    cell.pressed = True
    cell.glide((0.1, 0.0, 0.0))
    assert set(cell.states) == {RELEASED}
    assert cell.teleoperation.reason == "release the clutch first"
    cell.press()
    assert cell.state is ENGAGED


def test_a_clutch_that_is_never_heard_is_told():
    cell = Cell()
    cell.hears = False
    cell.tick(5)
    assert (cell.state, cell.teleoperation.reason) == (RELEASED, "no clutch has been heard")


def test_a_release_stops_within_the_speed_squared_by_twice_the_acceleration(cell):
    cell.glide((0.3, 0.0, 0.0), ticks=15)
    v = AXIS * cell.config.speed
    a = AXIS * cell.config.acceleration
    moving = cell.target[0, 3]
    cell.pressed = False
    cell.states.clear()
    cell.glide((0.3, 0.0, 0.0), ticks=20)
    assert cell.target[0, 3] - moving == pytest.approx(v * v / (2.0 * a), abs=1e-9)
    stopping = math.ceil(v / a / TICK - 1e-9)
    assert cell.states == [STOPPING] * (stopping - 1) + [RELEASED] * (20 - stopping + 1)


def test_pressed_again_while_it_stops_it_engages_once_it_stands(cell):
    cell.glide((0.3, 0.0, 0.0), ticks=15)
    cell.states.clear()
    cell.pressed = False
    cell.tick()
    cell.pressed = True
    cell.tick(15)
    assert list(dict.fromkeys(cell.states)) == [STOPPING, RELEASED, ENGAGED]
    rest = cell.target
    assert cell.settle() == pytest.approx(rest, abs=1e-12)


# What goes wrong


def out_of_sight(cell: Cell) -> None:
    cell.hand = replace(cell.hand, tracked=False)


def in_sight(cell: Cell) -> None:
    cell.hand = replace(cell.hand, tracked=True)


def with_pose(made: np.ndarray) -> Callable[[Cell], None]:
    def spoil(cell: Cell) -> None:
        cell.teleoperation.see_hand(
            replace(cell.hand, pose=made, time=cell.hand.time + 1e-3), cell.now
        )
        cell.hand = replace(cell.hand, time=cell.hand.time + 1e-3)

    return spoil


def silent_tracker(cell: Cell) -> None:
    cell.sees = False
    cell.tick(6)


def silent_clutch(cell: Cell) -> None:
    cell.hears = False
    cell.tick(14)


def no_wrist_measured(cell: Cell) -> None:
    cell.time += 0.5


def set_back(cell: Cell) -> None:
    cell.time -= 10.0


def stuck(cell: Cell) -> None:
    cell.follows = False
    cell.glide((0.3, 0.0, 0.0), ticks=20)


def restored(cell: Cell) -> None:
    cell.sees = cell.hears = cell.follows = True


def nothing(cell: Cell) -> None:
    pass


LOSSES = {
    "out of sight": (out_of_sight, in_sight, "the hand is out of sight"),
    "another hand": (
        lambda cell: setattr(cell, "hand", replace(cell.hand, identity=8)),
        nothing,
        "another hand is seen than before",
    ),
    "jump": (lambda cell: cell.move((0.1, 0.0, 0.0)), nothing, "the hand jumped by 0.100 m"),
    "turn": (lambda cell: cell.move(turn=(0, 1.0, 0)), nothing, "the hand jumped by 1.00 rad"),
    "time of the hand": (
        lambda cell: setattr(cell, "hand", replace(cell.hand, time=-5.0)),
        nothing,
        "the tracker's time went back",
    ),
    "not finite": (with_pose(np.full((4, 4), np.nan)), nothing, "is not finite, or no rotation"),
    "a reflection": (
        with_pose(np.diag([1.0, 1.0, -1.0, 1.0])),
        nothing,
        "is not finite, or no rotation",
    ),
    "silent tracker": (silent_tracker, restored, "the tracker was silent for 0.12 s"),
    "silent clutch": (silent_clutch, restored, "the clutch was silent for 0.26 s"),
    "no measured wrist": (no_wrist_measured, nothing, "no wrist was measured for 0.52 s"),
    "set back": (set_back, nothing, "the time of the measured wrist went back"),
    "stuck": (stuck, restored, "the robot's wrist does not follow"),
    "by the caller": (
        lambda cell: cell.teleoperation.lose("an odd message"),
        nothing,
        "an odd message",
    ),
}


@pytest.mark.parametrize(("spoil", "mend", "reason"), LOSSES.values(), ids=LOSSES)
def test_what_is_lost_comes_back_by_clutching_again_only(cell, spoil, mend, reason):
    spoil(cell)
    cell.tick(12)
    assert cell.state is LOST
    assert reason in cell.teleoperation.reason
    assert cell.teleoperation.reason.endswith("; release the clutch, then press it again")
    assert cell.teleoperation.fault == cell.teleoperation.reason.split("; release")[0]
    mend(cell)
    cell.settle()
    rest = cell.target
    cell.states.clear()
    cell.glide((0.1, 0.05, 0.05), (0.3, 0.0, 0.0))  # the clutch is held all the time
    assert set(cell.states) == {LOST}
    assert np.array_equal(cell.target, rest)
    cell.press()
    assert (cell.state, cell.teleoperation.fault) == (ENGAGED, "")
    cell.glide((0.05, 0.0, 0.0))
    assert cell.settle()[:3, 3] == pytest.approx(rest[:3, 3] + [0.05, 0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize(
    "spoil", [out_of_sight, silent_tracker, silent_clutch], ids=lambda spoil: spoil.__name__
)
def test_a_moving_wrist_comes_to_rest_smoothly_where_something_is_lost(cell, spoil):
    cell.glide((0.2, 0.0, 0.0), ticks=10)
    spoil(cell)
    cell.tick(30)
    speeds = np.diff([target[0, 3] for target in cell.targets]) / TICK
    assert speeds.max() > 0.2
    assert speeds[-1] == 0.0
    limit = AXIS * cell.config.acceleration
    assert np.abs(np.diff(speeds)).max() / TICK <= limit + 1e-6


def test_without_a_hand_it_does_not_engage_also_when_one_comes_later():
    cell = Cell()
    out_of_sight(cell)
    cell.press()
    assert cell.state is LOST
    assert cell.teleoperation.fault == "no hand was in sight when the clutch was pressed"
    in_sight(cell)
    cell.tick(5)
    assert cell.state is LOST
    cell.press()
    assert cell.state is ENGAGED


def test_a_jump_while_it_is_released_does_not_matter():
    cell = Cell()
    cell.tick()
    cell.move((0.5, 0.0, 0.0))
    cell.press()
    assert cell.state is ENGAGED


def test_a_frame_that_comes_again_keeps_no_hand_alive(cell):
    for _ in range(6):
        cell.sees = False
        cell.teleoperation.see_hand(cell.hand, cell.now)
        cell.tick()
    assert cell.state is LOST
    assert "the tracker was silent" in cell.teleoperation.fault


# Where it stands


def test_a_wrist_that_sags_does_not_creep_from_clutch_to_clutch():
    cell = Cell()
    cell.follows = False
    cell.robot = pose(START - [0.0, 0.0, 0.01])
    cell.teleoperation.step(pose(START), cell.time, cell.now)
    for _ in range(5):
        cell.press()
        cell.tick(5)
    assert cell.target[:3, 3] == pytest.approx(START, abs=1e-12)


def test_a_robot_that_somebody_else_moves_takes_the_target_along():
    cell = Cell()
    cell.tick(5)
    cell.follows = False
    cell.robot = pose(shifted(y=0.1, z=0.1))
    assert cell.tick() == pytest.approx(cell.robot)
    cell.press()
    assert cell.settle() == pytest.approx(cell.robot)


def test_a_state_that_comes_again_moves_nothing(cell):
    cell.glide((0.1, 0.0, 0.0), ticks=5)
    again = cell.teleoperation.step(cell.robot, cell.time, cell.now)
    assert again == pytest.approx(cell.target, abs=1e-15)


@pytest.mark.parametrize("broken", [np.full((4, 4), np.inf), 2.0 * np.eye(4), np.eye(3)])
def test_a_measured_wrist_that_makes_no_sense_is_refused(cell, broken):
    with pytest.raises(ValueError, match="measured wrist"):
        cell.teleoperation.step(broken, cell.time + TICK, cell.now)
    assert pose_distance(cell.tick(), pose(START, (0, 0, 0.3)))[0] < 1e-9


def test_a_longer_gap_makes_no_longer_step(cell):
    cell.glide((0.2, 0.0, 0.0), ticks=10)
    before = cell.target
    cell.time += 0.15
    assert pose_distance(before, cell.tick())[0] <= 0.04 * cell.config.speed
