"""The whole pipeline in one process, without ROS: look, propose, plan, carry out.

    python examples/grasp_in_one_process.py [OBJECT] [SEED]

The simulator stands for the robot. What runs in between is what the graph's nodes call, so this is
the place to try a change of theirs, or to step through one with a debugger.
"""

import sys

from dexgrasp_models.objects import load_object
from dexgrasp_models.proposals.proposer import make_proposer
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.episodes.grasp_cell import GraspCell
from dexgrasp_sim.scene import load_scene


def main(thing: str = "can", seed: int = 0) -> bool:
    """Grasps a generated shape, or a mesh file or folder; whether it was lifted."""
    simulator = make_simulator(load_scene(scene="floating"), load_object(thing))
    simulator.reset(seed)
    cell = GraspCell(simulator)

    cloud = cell.fuse(cell.depth_frames())
    print(f"capture: {len(cloud.object_points)} points of the {thing}")

    grasps = make_proposer("learned", arm=cell.arm).propose(cloud, n=8, seed=seed)
    print(f"propose: {len(grasps)} grasps, the best with a score of {grasps[0].score:.2f}")

    plan = cell.plan(grasps, cloud)  # raises NoApproach where all are blocked
    print(f"plan: grasp with a score of {plan.grasp.score:.2f} can be approached")

    lift = cell.carry_out(plan)
    outcome = "lifted" if lift.success else f"lost at {lift.lost_at}: {lift.reason}"
    print(f"carry out: {outcome}, {100 * lift.raised:.1f} cm up after {simulator.time:.1f} s")
    return lift.success


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(not main(*given[:1], *map(int, given[1:2])))
