"""Ranked grasps for a point cloud: no ROS, no simulator.

    python examples/propose_for_a_cloud.py                  # a can that is made here
    python examples/propose_for_a_cloud.py my_cloud.ply     # metres, z up, the table at z = 0

A proposer takes the points of the object that cameras saw, with normals, and gives grasps that the
hand can carry out, the best first.
"""

import sys
from pathlib import Path

import numpy as np
import trimesh

from dexgrasp_models.perception.cloud_file import read_object_cloud
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.proposals.proposer import make_proposer


def can() -> FusedCloud:
    """1024 points on a can of 6.6 cm diameter and 12 cm height that stands on the table."""
    mesh = trimesh.creation.cylinder(radius=0.033, height=0.12)
    mesh.apply_translation((0.0, 0.0, 0.06))
    points, faces = trimesh.sample.sample_surface(mesh, 1024, seed=0)
    return FusedCloud(points.astype(np.float32), mesh.face_normals[faces].astype(np.float32))


def main(path: str | None = None) -> None:
    """Proposes for the cloud in a file, or for the can, and prints the grasps."""
    cloud = read_object_cloud(Path(path)) if path else can()
    proposer = make_proposer("learned")  # "analytic": without networks
    grasps = proposer.propose(cloud, n=5, seed=0)
    print(f"{len(cloud.object_points)} points, {len(grasps)} grasps by {proposer.name}, best first")
    for rank, grasp in enumerate(grasps, start=1):
        position = ", ".join(f"{value:.3f}" for value in grasp.palm_pose[:3, 3])
        penetration = 1000.0 * grasp.figures["penetration"]
        print(
            f"{rank}. score {grasp.score:.2f}, palm at ({position}) m,"
            f" {penetration:.1f} mm in the object"
        )


if __name__ == "__main__":
    main(*sys.argv[1:2])
