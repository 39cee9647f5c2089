"""Grasps with a played wrist and the controller graspgf, in process: how many lift the object.

What `dexgrasp demo --assist` does, without ROS: the wrist reaches for the best proposal along a
pattern that is held out, rests, and goes up; the policy closes the fingers. Success is told by the
simulator's true poses, as in `dexgrasp bench grasp`.

    python bench/assisted_grasp.py [--policy gated] [--objects can mug] [--poses 5] [--out JSON]

With `--teleoperated` the reach is a hand's (config/person.yaml), and the wrist what is made of it
as on the robot: a Leap's messages, their reader, the filter, and teleoperation with its clutch.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import torch
from reports import write_report

from dexgrasp_counterparts.leap_counterpart import told_hand
from dexgrasp_counterparts.leap_service import HAND
from dexgrasp_leap.frames import LeapFrame
from dexgrasp_leap.websocket_transport import read
from dexgrasp_leap.wrist_tracker import TrackingConfig, WristTracker
from dexgrasp_models.config import load_node_parameters
from dexgrasp_models.control.controllers import Need
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.control.teleoperation import (
    SeenHand,
    TeleoperationConfig,
    WristTeleoperation,
)
from dexgrasp_models.geometry.poses import through_quaternion
from dexgrasp_models.objects import load_object
from dexgrasp_models.perception.fusion import PerceptionError
from dexgrasp_models.proposals.proposer import PROPOSERS, make_proposer, proposer_config
from dexgrasp_models.proposals.reachability import NoProposalError
from dexgrasp_models.synthesis.object_surface import CloudError
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_controller_config import AssistControllerConfig
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.tasks.played_wrist import PlayConfig, PlayedWrist, reach_to
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.box import AT_REST, is_in_box
from dexgrasp_sim.episodes.grasp_cell import OFFERED, GraspCell
from dexgrasp_sim.episodes.lift import Lift
from dexgrasp_sim.scene import load_scene
from dexgrasp_sim.simulator import Simulator

OBJECTS = ("can", "bottle", "mug", "box", "bowl", "ball", "hammer", "camera")
POLICIES = ("gated", "gradient", "learned", "planned")
HIGHEST = 0.9
"""Metres that the palm must not exceed on its way."""
FRAME_US = 10_000
"""From one frame of the Leap Motion to the next."""
PRESSED_AFTER = 0.3
"""Seconds after which the clutch is pressed; the hand moves later."""
REST = 1.0
"""Seconds in which a released object comes to rest."""


def attempt(
    simulator: Simulator,
    seed: int,
    config: AssistControllerConfig,
    play: PlayConfig,
    carry: bool = False,
    teleoperated: bool = False,
) -> Lift:
    """One grasp, in a simulator that was reset; a lock-step run of the graph ends alike.

    With `carry` it is that of the action /assist, and the object is released over the box. With
    `teleoperated` a hand moves the wrist.
    """
    cell = GraspCell(simulator, "graspgf", OFFERED | {Need.WRIST_STREAM})
    cell.control = replace(cell.control, others={**cell.control.others, "graspgf": config})
    default = PROPOSERS.default
    try:
        cloud = cell.fuse(cell.depth_frames())
        proposer = make_proposer(default, proposer_config(default), arm=cell.arm)
        grasp = as_received(proposer.propose(cloud, 8, seed)[0])
    except (PerceptionError, CloudError, NoProposalError) as error:
        return Lift(False, "proposal", str(error))
    rng, task = np.random.default_rng(seed), AssistConfig()
    reach = reach_to(grasp, generate(rng).held_out, cell.hand, task, rng)
    start = through_quaternion(simulator.state().wrist_pose)
    played = PlayedWrist(start, reach, cloud.object_points, play, task, HIGHEST)
    began = simulator.time
    hand = TeleoperatedHand(played, cell.control.limits) if teleoperated else None

    def wrist(now: float) -> np.ndarray:
        elapsed = round(now - began, 9)
        if hand is not None:
            return hand.wrist(elapsed, simulator.state().wrist_pose)
        return played.pose(elapsed)

    return cell.carry_out(
        None,
        cloud.object_points,
        wrist=wrist,
        carry_above=cloud.scene_points if carry else None,
    )


class TeleoperatedHand:
    """A hand over a Leap Motion whose clutch is pressed, and what moves the robot's wrist of it.

    Args:
        played: where the wrist is to go; it begins after `PRESSED_AFTER`.
        limits: of the wrist.
    """

    def __init__(self, played: PlayedWrist, limits: SafetyLimits) -> None:
        self._played = played
        self._tracker = WristTracker(TrackingConfig())
        self._teleoperation = WristTeleoperation(TeleoperationConfig(), limits)
        self._frames = 0

    def wrist(self, time: float, measured: np.ndarray) -> np.ndarray:
        """(4, 4) where it is to be, `time` s after the start, and the robot's is measured."""
        while self._frames * FRAME_US <= 1e6 * time + 1.0:
            self._see(self._frames * FRAME_US)
            self._frames += 1
        self._teleoperation.see_clutch(time > PRESSED_AFTER, time)
        return self._teleoperation.step(measured, time, time)

    def _see(self, taken_us: int) -> None:
        told = HAND | told_hand(self._played.pose(1e-6 * taken_us), 1)
        frame = read(json.dumps({"timestamp": taken_us, "hands": [told]}))
        assert isinstance(frame, LeapFrame)
        wrist = self._tracker.see(frame, 1000 * taken_us)
        seen = SeenHand(wrist.pose, 1e-6 * taken_us, wrist.id, wrist.tracked)
        self._teleoperation.see_hand(seen, seen.time)


def delivered(simulator: Simulator) -> bool:
    """Whether the object comes to rest in the box; the hand stays where it is."""
    for _ in range(round(REST / simulator.config.control_period)):
        before = simulator.object_pose()
        simulator.step()
    pose = simulator.object_pose()
    speed = np.linalg.norm(pose[:3, 3] - before[:3, 3]) / simulator.config.control_period
    return bool(speed < AT_REST) and is_in_box(simulator.object_model, pose)


def as_received(grasp: Grasp) -> Grasp:
    """As it is when it has passed through a message."""
    return replace(grasp, palm_pose=through_quaternion(grasp.palm_pose))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--policy", default="gated", choices=POLICIES)
    parser.add_argument("--weights", default="", help="of the learned policy")
    parser.add_argument("--lift", default="person", choices=("person", "itself"))
    parser.add_argument("--scene", default="floating", choices=("floating", "arm"))
    parser.add_argument("--box", action="store_true", help="carry it over a box and release it")
    parser.add_argument("--teleoperated", action="store_true", help="a hand moves the wrist")
    parser.add_argument("--objects", nargs="+", default=OBJECTS)
    parser.add_argument("--poses", type=int, default=5, help="of each object")
    parser.add_argument("--set", nargs="*", default=(), help="settings, as rest_time=0.5")
    parser.add_argument("--out", type=Path, help="write the attempts to this JSON file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = {name: float(value) for name, value in (each.split("=") for each in arguments.set)}
    config = AssistControllerConfig(
        policy=arguments.policy, weights=arguments.weights, lift=arguments.lift, **settings
    )
    play = PlayConfig()
    if arguments.teleoperated:
        slow = load_node_parameters("person.yaml", "person")
        names = {field.name for field in fields(PlayConfig)} & slow.keys()
        play = PlayConfig(**{name: slow[name] for name in names})
    rows = []
    for name in arguments.objects:
        for seed in range(arguments.poses):
            scene = load_scene(scene=arguments.scene, box=arguments.box)
            simulator = make_simulator(scene, load_object(name))
            simulator.reset(seed)
            lift = attempt(simulator, seed, config, play, arguments.box, arguments.teleoperated)
            row = {"object": name, "seed": seed, **asdict(lift)}
            verdict = "lifted" if lift.success else f"lost at {lift.lost_at}: {lift.reason}"
            if arguments.box:
                row["in_box"] = delivered(simulator)
                verdict += ", in the box" if row["in_box"] else ", not in the box"
            rows.append(row)
            print(
                f"{name:8s} {seed:3d}  knocked {1e3 * lift.knocked:5.1f} mm  {verdict}", flush=True
            )
    lifted = sum(row["success"] for row in rows)
    print(f"{arguments.policy}, {arguments.scene}: {lifted} of {len(rows)} lifted")
    if arguments.box:
        print(f"{sum(row['in_box'] for row in rows)} of {len(rows)} in the box")
    report = {"settings": asdict(config), "scene": arguments.scene, "attempts": rows}
    write_report(arguments.out, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
