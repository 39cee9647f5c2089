"""Hand kinematics and distances, beside pytorch-kinematics and a mesh-distance library.

Forward kinematics: all link poses of the same URDF by pytorch-kinematics, without and with the
gradient of a scalar. Distances: points to the hand, by Open3D's exact distance to triangle meshes
of the same primitives, one scene a primitive, the points brought into its frame (the scheme of
UniDexGrasp's appendix A); it gives no gradient. Both sides must agree before they are timed.
All on one core, in processor time, so that other programs count little.

    python bench/hand_kinematics.py [--batch 256] [--points 256] [--repeats 20] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before libraries start threads

import numpy as np  # noqa: E402
import pytorch_kinematics  # noqa: E402
import torch  # noqa: E402
import trimesh  # noqa: E402
from reports import write_report  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402
from torch import Tensor  # noqa: E402

from dexgrasp_models.hand.distance import HandDistance  # noqa: E402
from dexgrasp_models.hand.kinematics import HandKinematics  # noqa: E402
from dexgrasp_models.hand.spec import HandSpec, load_hand  # noqa: E402
from dexgrasp_models.hand.urdf import hand_urdf  # noqa: E402
from dexgrasp_models.open3d_import import import_open3d  # noqa: E402
from dexgrasp_models.robot.links import Primitive  # noqa: E402

o3d = import_open3d()

WANTED_RATIO = 5.0
_MESH_SECTIONS = 32


class OtherKinematics:
    """pytorch-kinematics on the hand's URDF, the palm's pose multiplied on."""

    def __init__(self, hand: HandSpec) -> None:
        chain = pytorch_kinematics.build_chain_from_urdf(hand_urdf(hand).encode())
        self._chain = chain.to(dtype=torch.float32)
        self._columns = [hand.joint_index(name) for name in chain.get_joint_parameter_names()]
        self._links = hand.link_names

    def link_poses(self, palm_pose: Tensor, joints: Tensor) -> Tensor:
        """(B, L, 4, 4), as `HandKinematics.link_poses`."""
        frames = self._chain.forward_kinematics(joints[:, self._columns])
        matrices = torch.stack([frames[name].get_matrix() for name in self._links], dim=1)
        return palm_pose[:, None] @ matrices


class OtherDistance:
    """Open3D's distances to meshes of the primitives, signed by rays."""

    def __init__(self, hand: HandSpec) -> None:
        self._parts = []
        for index, link in enumerate(hand.links):
            for primitive in link.primitives:
                scene = o3d.t.geometry.RaycastingScene(nthreads=1)
                mesh = _mesh(primitive)
                scene.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
                pose = torch.as_tensor(primitive.pose.matrix, dtype=torch.float32)
                self._parts.append((index, pose, scene))

    def signed_distance(self, points: Tensor, link_poses: Tensor) -> Tensor:
        """(B, N), as `HandDistance.to_links`."""
        least = torch.full(points.shape[:2], torch.inf)
        for index, pose, scene in self._parts:
            frame = link_poses[:, index] @ pose
            local = (points - frame[:, None, :3, 3]) @ frame[:, :3, :3]
            found = scene.compute_signed_distance(o3d.core.Tensor(local.reshape(-1, 3).numpy()))
            least = torch.minimum(least, torch.from_numpy(found.numpy()).view(least.shape))
        return least


def _mesh(primitive: Primitive) -> trimesh.Trimesh:
    if primitive.kind == "box":
        return trimesh.creation.box(2 * np.array(primitive.size))
    radius, half_length = primitive.size
    count = [_MESH_SECTIONS, _MESH_SECTIONS]
    return trimesh.creation.capsule(2 * half_length, radius, count=count)


def median_ms(run: Callable[[], object], repeats: int) -> float:
    """Median processor time of repeated runs, after two to warm up."""
    times = []
    for _ in range(repeats + 2):
        start = time.process_time()
        run()
        times.append(1e3 * (time.process_time() - start))
    return float(np.median(times[2:]))


def make_inputs(hand: HandSpec, batch: int, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Palm poses (B, 4, 4), joints (B, 22) and points (B, N, 3) about the hands."""
    rng = np.random.default_rng(seed)
    palm = torch.eye(4).repeat(batch, 1, 1)
    palm[:, :3, :3] = torch.as_tensor(Rotation.random(batch, random_state=rng).as_matrix())
    palm[:, :3, 3] = torch.as_tensor(rng.uniform(-0.3, 0.3, (batch, 3)))
    joints = torch.as_tensor(rng.uniform(*hand.limits.T, (batch, 22)), dtype=torch.float32)
    spread = rng.normal([0, 0, 0.06], [0.05, 0.05, 0.07], (batch, count, 3))
    around = torch.as_tensor(spread, dtype=torch.float32)
    return palm, joints, around @ palm[:, :3, :3].transpose(1, 2) + palm[:, None, :3, 3]


def with_gradient(function: Callable[..., Tensor], *inputs: Tensor) -> Callable[[], object]:
    """A run of `function` and of its gradient, for a random weighting of what it gives."""
    inputs = tuple(value.clone().requires_grad_() for value in inputs)
    weights = torch.randn_like(function(*inputs))
    return lambda: torch.autograd.grad((function(*inputs) * weights).sum(), inputs)


def compare(arguments: argparse.Namespace) -> list[dict]:
    """One row for each measured operation."""
    hand = load_hand()
    ours, theirs = HandKinematics(hand), OtherKinematics(hand)
    distance, mesh_distance = HandDistance(ours), OtherDistance(hand)
    palm, joints, points = make_inputs(hand, arguments.batch, arguments.points, arguments.seed)
    poses = ours.link_poses(palm, joints)

    pose_error = (poses - theirs.link_poses(palm, joints)).abs().max().item()
    if pose_error > 1e-5:
        raise RuntimeError(f"the link poses differ by {pose_error:g}")
    errors = (distance.to_links(points, poses) - mesh_distance.signed_distance(points, poses)).abs()
    # Where one of its rays meets an edge of a mesh, Open3D takes a point for inside that is not.
    agreeing = (errors < 1e-4).float().mean().item()
    if agreeing < 0.99:
        raise RuntimeError(f"only {agreeing:.1%} of the distances agree to 0.1 mm")

    def row(name: str, reference: str, mine: Callable, other: Callable, repeats: int) -> dict:
        times = median_ms(mine, arguments.repeats), median_ms(other, repeats)
        return {
            "operation": name,
            "reference": reference,
            "dexgrasp_ms": times[0],
            "reference_ms": times[1],
            "ratio": times[1] / times[0],
        }

    with torch.no_grad():
        forward = row(
            "forward kinematics",
            "pytorch-kinematics",
            lambda: ours.link_poses(palm, joints),
            lambda: theirs.link_poses(palm, joints),
            arguments.repeats,
        )
    backward = row(
        "forward kinematics with gradient",
        "pytorch-kinematics",
        with_gradient(ours.link_poses, palm, joints),
        with_gradient(theirs.link_poses, palm, joints),
        arguments.repeats,
    )
    few = max(2, arguments.repeats // 10)
    signed = row(
        "signed distance",
        "Open3D meshes",
        lambda: distance.to_links(points, poses),
        lambda: mesh_distance.signed_distance(points, poses),
        few,
    )
    gradient = row(
        "signed distance with gradient",
        "Open3D meshes, no gradient",
        with_gradient(distance.to_links, points, poses),
        lambda: mesh_distance.signed_distance(points, poses),
        few,
    )
    return [forward, backward, signed, gradient]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=256, help="hands at once")
    parser.add_argument("--points", type=int, default=256, help="points to each hand")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)

    rows = compare(arguments)
    print(f"batch {arguments.batch}, {arguments.points} points each, one core; median, ms")
    print(f"{'operation':34s} {'dexgrasp':>9s} {'reference':>10s} {'ratio':>6s}")
    for row in rows:
        print(
            f"{row['operation']:34s} {row['dexgrasp_ms']:9.2f} {row['reference_ms']:10.2f}"
            f" {row['ratio']:6.1f}  {row['reference']}"
        )
    passed = all(row["ratio"] >= WANTED_RATIO for row in rows)
    print(f"at least {WANTED_RATIO:g} times as fast throughout: {'yes' if passed else 'no'}")
    report = {
        "wanted_ratio": WANTED_RATIO,
        "passed": passed,
        "batch": arguments.batch,
        "points": arguments.points,
        "seed": arguments.seed,
        "operations": rows,
    }
    write_report(arguments.out, report)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
