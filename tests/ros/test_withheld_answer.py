"""In lock-step a state that is told again while the cameras look is answered once, and in order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.clock import Clock

from dexgrasp_control.robot_link import RobotLink
from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.hand.spec import load_hand

TICK = 20_000_000  # ns


class Recorder:
    """In a publisher's place."""

    def __init__(self) -> None:
        self.stamps: list[int] = []

    def publish(self, message: Any) -> None:
        stamp = message.header.stamp
        self.stamps.append(stamp.sec * 1_000_000_000 + stamp.nanosec)


class Steps:
    """In a motion's place: remembers the states that it was stepped with."""

    def __init__(self) -> None:
        self.controller = SimpleNamespace(stage="hold", outcome=None, follows_wrist=True)
        self.waits_for_sight, self.withheld, self.answered_ns = True, None, -1
        self.times: list[float] = []

    def lacks_wrist(self, ns: int) -> bool:
        return False

    def step(self, state: RobotState, now: float) -> Command:
        self.times.append(state.time)
        return Command(state.wrist_pose, state.joints)


@pytest.fixture
def link() -> RobotLink:
    node = SimpleNamespace(
        create_lifecycle_publisher=lambda kind, name, qos: Recorder(), get_clock=Clock
    )
    parameters = SimpleNamespace(lock_step=True, state_timeout=60.0)
    return RobotLink(node, parameters, load_hand(), (), lambda text: None, lambda *stage: None)


def tell(link: RobotLink, ns: int) -> None:
    link._state_ns = ns
    link._state = RobotState(ns * 1e-9, np.eye(4), np.zeros(22), np.zeros(22))
    link._answer()


def test_what_is_told_again_is_answered_once_and_nothing_older_afterwards(link):
    motion = Steps()
    link.start(motion)
    for _ in range(5):  # the simulator repeats the moment at which it waits
        tell(link, TICK)
        link._watch()
    assert motion.times == [pytest.approx(0.02)]
    assert link._hand_command.stamps == []
    motion.waits_for_sight = False
    tell(link, TICK)  # once more, before the watch has looked
    link._watch()
    assert link._hand_command.stamps == [TICK]
    tell(link, 2 * TICK)
    tell(link, 3 * TICK)
    link._watch()
    assert link._hand_command.stamps == [TICK, 2 * TICK, 3 * TICK]
    assert motion.times == sorted(motion.times)
