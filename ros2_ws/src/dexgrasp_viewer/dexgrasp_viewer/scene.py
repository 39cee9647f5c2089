"""The grasping scene as viser shows it: arrays in, scene objects out, no ROS.

Everything is in `world` (metres, z up, the table at z = 0). Poses are (4, 4) homogeneous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import viser

from dexgrasp_models.arm.mounting import Mounting
from dexgrasp_models.arm.spec import ArmSpec
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_models.robot.link_meshes import link_mesh, posed
from dexgrasp_models.robot.links import link_poses
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_viewer.assist_figure import AssistFigure
from dexgrasp_viewer.link_figure import LinkFigure, move, position_and_wxyz

Color = tuple[int, int, int]

OBJECT_COLOR: Color = (240, 140, 50)
SCENE_COLOR: Color = (150, 155, 165)
HAND_COLOR: Color = (215, 205, 190)
ARM_COLOR: Color = (140, 165, 190)
PICKED_COLOR: Color = (60, 180, 90)
OTHER_COLOR: Color = (90, 140, 220)
PICKED_OPACITY = 0.55
OTHER_OPACITY = 0.12

CAMERA_COLOR: Color = (70, 75, 85)

_FRUSTUM_DEPTH = 0.06
"""How far in front of a camera its image is shown, m."""

ProposalsShown = Literal["picked", "all", "none"]


class GraspScene:
    """The objects of the scene; each method shows the newest of one thing.

    Attributes:
        assist: a person's wrist, and what assists it.
        actuators: names of the hand's.
    """

    def __init__(
        self,
        scene: viser.SceneApi,
        hand: HandSpec,
        arm: ArmSpec,
        mounting: Mounting,
        cameras: Sequence[CameraModel],
    ) -> None:
        self._scene = scene
        self._hand = hand
        self._arm = arm
        self._mounting = mounting
        self._hand_meshes = [link_mesh(link) for link in hand.links]
        scene.set_up_direction("+z")
        scene.add_grid("/table", width=1.2, height=1.2, cell_size=0.1, section_size=0.6)
        self.assist = AssistFigure(scene, hand)
        self.actuators = hand.actuators
        self._hand_figure = LinkFigure(scene, "/hand", hand.links, HAND_COLOR)
        self._forearm_figure = LinkFigure(scene, "/forearm", hand.mount.links, HAND_COLOR)
        self._arm_figure = LinkFigure(scene, "/arm", arm.links, ARM_COLOR)
        self._wrist_target = scene.add_frame(
            "/wrist_target", axes_length=0.06, axes_radius=0.002, visible=False
        )
        self._frusta = {camera.name: self._add_camera(camera) for camera in cameras}
        self._proposals: list[viser.MeshHandle] = []

    # The robot

    def show_hand(self, palm_pose: np.ndarray, angles: Mapping[str, float]) -> None:
        """The hand, by the palm's pose (4, 4) and joint angles in rad by name."""
        self._hand_figure.pose(palm_pose, link_poses(self._hand.links, angles))

    def show_arm(self, palm_pose: np.ndarray, angles: Mapping[str, float]) -> None:
        """The arm by its joint angles, and the forearm that holds the palm; nothing without angles.

        Args:
            palm_pose: (4, 4) of the palm.
            angles: rad by name; may hold other joints too.
        """
        if not all(name in angles for name in self._arm.joint_names):
            return
        self._arm_figure.pose(self._mounting.world_T_base, link_poses(self._arm.links, angles))
        mount = self._hand.mount
        forearm = palm_pose @ np.linalg.inv(mount.root_T_palm)
        self._forearm_figure.pose(forearm, np.array(list(mount.link_poses.values())))

    def show_wrist_target(self, pose: np.ndarray) -> None:
        """Where the palm is commanded to, (4, 4)."""
        move(self._wrist_target, pose)
        self._wrist_target.visible = True

    # What the cameras see

    def show_object_cloud(self, points: np.ndarray) -> None:
        """The object's points (N, 3)."""
        self._show_cloud("/clouds/object", points, OBJECT_COLOR, size=0.004)

    def show_scene_cloud(self, points: np.ndarray) -> None:
        """The points (N, 3) of all else."""
        self._show_cloud("/clouds/scene", points, SCENE_COLOR, size=0.003)

    def show_camera_image(self, camera: str, image: np.ndarray | None) -> None:
        """An (H, W, 3) uint8 image in a camera's frustum; None takes it away.

        Raises:
            KeyError: the rig has no such camera.
        """
        self._frusta[camera].image = image

    # Proposals

    def show_proposals(self, grasps: Sequence[Grasp], picked: int, shown: ProposalsShown) -> None:
        """Translucent hands in place of the former ones (see `pick_proposal`)."""
        for node in self._proposals:
            node.remove()
        self._proposals = [
            self._add_proposal(f"/proposals/{rank}", grasp) for rank, grasp in enumerate(grasps)
        ]
        self.pick_proposal(picked, shown)

    def pick_proposal(self, picked: int, shown: ProposalsShown) -> None:
        """Shows the proposal of rank `picked` (from 0), or all with the others faint, or none."""
        for rank, node in enumerate(self._proposals):
            node.visible = shown == "all" or (shown == "picked" and rank == picked)
            node.color = PICKED_COLOR if rank == picked else OTHER_COLOR
            node.opacity = PICKED_OPACITY if rank == picked else OTHER_OPACITY

    def _add_proposal(self, name: str, grasp: Grasp) -> viser.MeshHandle:
        angles = dict(zip(self._hand.finger_joints, grasp.joints, strict=True))
        poses = grasp.palm_pose @ link_poses(self._hand.links, angles)
        mesh = posed(self._hand_meshes, poses)
        return self._scene.add_mesh_simple(
            name, mesh.vertices, mesh.faces, visible=False, cast_shadow=False, receive_shadow=False
        )

    def _add_camera(self, camera: CameraModel) -> viser.CameraFrustumHandle:
        position, wxyz = position_and_wxyz(camera.world_T_optical)
        return self._scene.add_camera_frustum(
            f"/cameras/{camera.name}",
            fov=2.0 * np.arctan(0.5 * camera.height / camera.fy),
            aspect=camera.width / camera.height,
            scale=_FRUSTUM_DEPTH,
            thickness=0.0015,
            color=CAMERA_COLOR,
            cast_shadow=False,
            position=position,
            wxyz=wxyz,
        )

    def _show_cloud(self, name: str, points: np.ndarray, color: Color, size: float) -> None:
        finite = points[np.isfinite(points).all(axis=1)]
        # float16 would round a position 0.5 m from the origin to 0.25 mm.
        self._scene.add_point_cloud(
            name,
            finite,
            np.array(color, np.uint8),
            point_size=size,
            point_shape="circle",
            precision="float32",
        )
