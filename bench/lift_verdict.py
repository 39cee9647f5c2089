"""How often the verdict on a lift is wrong, by the cameras and by the grip, for weakened grasps.

    python bench/lift_verdict.py [--objects can,box,...] [--seeds 4] [--first-seed 100]
        [--grasps 4] [--scene floating]

Each scene has a mass and a friction drawn from its seed; the analytic proposer gives the grasps,
with little effort, and all but the first of a scene are weakened (`perturbation.weaken`). Each is
carried out in one process. The cameras are asked once, in the middle of the hold; the grip is
judged at the end of lift and hold. What is true, the simulator's poses tell at the end: the object
counts as lifted where it has risen by at least half of the palm's rise, 0.1 of 0.2 m. A grasp that
the executor gives up is held for one more second before that is asked.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dexgrasp_models.control.approach_plan import NoApproach
from dexgrasp_models.control.lift_check import LiftCheckConfig, LiftVerdict, seen_lift
from dexgrasp_models.control.limits import GuardedController
from dexgrasp_models.control.types import OutcomeKind, Phase, RobotState
from dexgrasp_models.objects import SHAPES, load_object
from dexgrasp_models.perception.fusion import FusedCloud, PerceptionError
from dexgrasp_models.proposals.analytic import AnalyticProposer
from dexgrasp_models.proposals.reachability import NoProposalError
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.episodes.grasp_cell import GraspCell
from dexgrasp_sim.episodes.perturbation import weaken
from dexgrasp_sim.scene import load_scene

MASSES = (0.1, 0.1, 0.3)
FRICTIONS = (0.4, 0.7, 1.0, 1.0)
EFFORT = EnergyConfig(batch=24, iterations=60)
LINGERING_TICKS = 50
LEAST_RISE = 0.02
"""Metres that the palm must have risen for anything to be lifted."""

_console = Console(stderr=True)  # progress; what is found goes to the standard output


@dataclass(frozen=True)
class Attempt:
    """One grasp that was carried out."""

    label: str
    lifted: bool
    """By the simulator's poses."""
    reached: bool
    """The executor did not give it up before the end of the hold."""
    cameras: LiftVerdict | None
    grip: bool

    def said(self, by: str) -> bool:
        """What the graph says where it has cameras, or has none."""
        if by == "cameras" and self.cameras is not None:
            return self.reached and self.cameras.lifted
        return self.grip


class Watcher:
    """Looks with the cameras in the middle of the hold."""

    def __init__(self, cell: GraspCell, before: FusedCloud) -> None:
        self._cell = cell
        self._before = before
        self._looked = False
        self.verdict: LiftVerdict | None = None
        self.palm_before_lift = np.inf
        self.outcome: OutcomeKind | None = None
        self.reached = False

    def __call__(self, state: RobotState, controller: GuardedController) -> None:
        """Takes what happens at each tick."""
        if controller.phase is Phase.LIFT and not np.isfinite(self.palm_before_lift):
            self.palm_before_lift = state.wrist_pose[2, 3]
        if controller.phase is Phase.HOLD and controller.progress >= 0.5 and not self._looked:
            self._looked = True
            self.verdict = self._look(state)
        self.reached = controller.phase is Phase.HOLD and controller.progress >= 1.0
        self.outcome = None if controller.outcome is None else controller.outcome.kind

    def _look(self, state: RobotState) -> LiftVerdict | None:
        try:
            held = self._cell.fuse(self._cell.depth_frames()).object_points
        except PerceptionError:
            return None
        rise = float(state.wrist_pose[2, 3] - self.palm_before_lift)
        return seen_lift(self._before.object_points, held, rise, LiftCheckConfig())


def attempt(cell: GraspCell, cloud: FusedCloud, grasp: Grasp, label: str) -> Attempt | None:
    """Carries a grasp out; None where it can't be approached."""
    simulator = cell.simulator
    try:
        plan = cell.plan([grasp], cloud)
    except NoApproach:
        return None
    start = simulator.object_pose()[2, 3]
    watcher = Watcher(cell, cloud)
    cell.carry_out(plan, observe=watcher)
    simulator.step(LINGERING_TICKS)  # what has been given up too early, is still held then
    palm_rise = simulator.state().wrist_pose[2, 3] - watcher.palm_before_lift
    raised = simulator.object_pose()[2, 3] - start
    return Attempt(
        label,
        lifted=bool(palm_rise >= LEAST_RISE and raised >= 0.5 * palm_rise),
        reached=watcher.reached,
        cameras=watcher.verdict,
        grip=watcher.reached and watcher.outcome is OutcomeKind.SUCCEEDED,
    )


def scene_attempts(name: str, seed: int, count: int, scene: str) -> list[Attempt]:
    """The attempts of one scene."""
    rng = np.random.default_rng([seed, *name.encode()])
    mass, friction = float(rng.choice(MASSES)), float(rng.choice(FRICTIONS))
    config = load_scene(scene=scene, object_mass=mass, friction=friction)
    simulator = make_simulator(config, load_object(name, 1.0))
    simulator.reset(seed)
    cell = GraspCell(simulator)
    try:
        cloud = cell.fuse(cell.depth_frames())
        grasps = AnalyticProposer(EFFORT, arm=cell.arm).propose(cloud, count, seed)
    except (PerceptionError, NoProposalError) as error:
        _console.print(f"{name} {seed}: {error}")
        return []
    saved = simulator.save_state()
    found = []
    for index in range(count):
        simulator.restore_state(saved)
        grasp = grasps[index % len(grasps)]
        if index:
            grasp = weaken(grasp, cell.hand.limits, rng)
        found.append(attempt(cell, cloud, grasp, f"{name} {seed}.{index}"))
    return [each for each in found if each is not None]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", default=",".join(SHAPES))
    parser.add_argument("--seeds", type=int, default=4, help="scenes of each object")
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--grasps", type=int, default=4, help="of each scene")
    parser.add_argument("--scene", default="floating", choices=("floating", "arm"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    scenes = [(name, seed) for name in arguments.objects.split(",") for seed in seeds]
    attempts: list[Attempt] = []
    with Progress(console=_console, transient=True) as progress:
        for name, seed in progress.track(scenes, description="scenes"):
            attempts += scene_attempts(name, seed, arguments.grasps, arguments.scene)
    report(attempts)


def report(attempts: list[Attempt]) -> None:
    """Print how often each verdict agrees with the simulator's poses, and where it doesn't."""
    lifted = sum(each.lifted for each in attempts)
    silent = sum(each.reached and each.cameras is None for each in attempts)
    table = Table(
        title=f"{len(attempts)} grasps, {lifted} lifted, {silent} without a camera verdict"
    )
    for column in ("verdict by", "false successes", "false failures"):
        table.add_column(column)
    console = Console()
    for by in ("cameras", "grip"):
        wrong = Counter(
            (each.lifted, each.label) for each in attempts if each.said(by) != each.lifted
        )
        failures = sum(was_lifted for was_lifted, _ in wrong)
        share = f"{failures} of {lifted} ({100 * failures / max(lifted, 1):.0f} %)"
        table.add_row(by, str(len(wrong) - failures), share)
        for was_lifted, label in sorted(wrong):
            console.print(f"{by}: {label} was {'' if was_lifted else 'not '}lifted")
    console.print(table)


if __name__ == "__main__":
    main()
