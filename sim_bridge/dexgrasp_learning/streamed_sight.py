"""What the perception node would stream in the environments: small depth images, fused."""

from __future__ import annotations

import numpy as np

from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.cameras import DepthFrame
from dexgrasp_models.perception.fusion import PerceptionError, load_fusion_config
from dexgrasp_models.perception.robot_mask import robot_distance
from dexgrasp_models.perception.streaming import fuse_stream, load_stream_config
from dexgrasp_models.perception.thinning import blocks_for, thinned_camera
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.noise import measure_depth


class StreamedSight:
    """Clouds of the present episodes, by the cameras of the scene.

    Images are drawn as small as the stream takes them. Each of their pixels has the noise of one of
    the full image, as if the others of its block had been left out.

    Args:
        environments: whose episodes are seen.
        seed: of the noise.
    """

    def __init__(self, environments: GoalEnvironments, seed: int = 0) -> None:
        self._environments, self._seed = environments, seed
        self._stream, self._fusion = load_stream_config(), load_fusion_config()
        self._hand = load_hand()
        physics = environments.physics
        drawn: dict[int, DepthCameras] = {}
        for item in physics.object_models:
            drawn[id(item)] = drawn.get(id(item)) or DepthCameras(environments.scene, item)
        self._cameras = [drawn[id(item)] for item in physics.object_models]
        rig = self._cameras[0].cameras.values()
        self._rig = [
            (each, thinned_camera(each, blocks_for(each.width, self._stream.columns)))
            for each in rig
        ]

    def cloud(self, index: int) -> np.ndarray:
        """(N, 3) m in `world`, of what stands on the table of an episode; none where too little is
        seen."""
        snapshot = self._environments.physics.snapshot(index)
        frames = []
        for number, (full, small) in enumerate(self._rig):
            hits, _ = self._cameras[index].cast(snapshot, small)
            noise = np.random.default_rng([self._seed, index, self._environments.steps, number])
            depth = measure_depth(
                hits.depth,
                hits.cosine,
                full.fx,
                self._environments.scene.noise,
                noise,
                full.depth_unit,
            )
            frames.append(DepthFrame(small, depth, snapshot.time))
        joints = np.array([snapshot.joints[name] for name in self._hand.finger_joints])
        robot = robot_distance(self._hand, snapshot.wrist_pose, joints)
        try:
            cloud = fuse_stream(frames, self._stream, self._fusion, robot_distance=robot)
        except PerceptionError:
            return np.zeros((0, 3))
        return cloud.points
