"""Grasps of objects to leaf through in the browser: no ROS, no simulator."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import numpy as np
import trimesh
import viser

from dexgrasp_models.data.grasps import Grasps, table_pose
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.robot.links import link_poses
from dexgrasp_viewer.link_figure import LinkFigure, move
from dexgrasp_viewer.scene import HAND_COLOR, OBJECT_COLOR

LoadSurface = Callable[[str, float], trimesh.Trimesh]
"""The surface of the object of a name at a scale, in its own frame, m."""


class GraspBrowser:
    """A list of objects, a slider over the chosen one's grasps, the hand, and its figures.

    The table is z = 0 of the scene, with the object's origin above the scene's. Without a table
    the object's frame is the scene's.

    Args:
        server: where it is shown.
        grasps: of any objects, at least one.
        load: finds the objects' surfaces; an object that it refuses with a ValueError is left out
            of the scene, and the panel says why.

    Attributes:
        object: which object is shown.
        number: which of its grasps, from 1.
        text: the figures of the grasp.
        hand_pose: (4, 4) of the palm in the scene.
    """

    def __init__(self, server: viser.ViserServer, grasps: Grasps, load: LoadSurface) -> None:
        self._grasps, self._load = grasps, load
        self._hand = load_hand()
        self._lock = Lock()  # viser calls back from several threads
        self._shown: tuple[str, float] | None = None
        rows = {
            name: np.flatnonzero(grasps.objects == index) for index, name in enumerate(grasps.names)
        }
        self._rows = {name: found for name, found in sorted(rows.items()) if len(found)}

        scene = server.scene
        scene.set_up_direction("+z")
        self._table = scene.add_grid("/table", width=1.0, height=1.0, cell_size=0.1)
        self._object = scene.add_frame("/object", show_axes=False)
        self._figure = LinkFigure(scene, "/hand", self._hand.links, HAND_COLOR)
        self._scene = scene

        gui = server.gui
        gui.configure_theme(control_width="medium", show_logo=False, show_share_button=False)
        self.object = gui.add_dropdown("Object", tuple(self._rows))
        self.number = gui.add_slider("Grasp", 1, 2, 1, 1)
        self.text = gui.add_markdown("")
        self.object.on_update(lambda _: self._choose())
        self.number.on_update(lambda _: self._show())
        self._choose()

    @property
    def row(self) -> int:
        """Which of the grasps is shown."""
        rows = self._rows[self.object.value]
        return int(rows[min(self.number.value, len(rows)) - 1])

    def _choose(self) -> None:
        """Another object: its first grasp."""
        count = len(self._rows[self.object.value])
        self.number.max = max(count, 2)  # a slider needs a range
        self.number.disabled = count < 2
        self.number.value = 1  # type: ignore[misc]  # viser means it to be set
        self._show()

    def _show(self) -> None:
        with self._lock:
            row, grasps = self.row, self._grasps
            name, scale = self.object.value, float(grasps.scales[row])
            problem = self._show_object(name, scale)
            plane = grasps.planes[row]
            self._table.visible = on_table = bool(grasps.has_table[row])
            world_T_object = table_pose(plane) if on_table else np.eye(4)
            move(self._object, world_T_object)
            angles = dict(zip(self._hand.finger_joints, grasps.joints[row], strict=True))
            self.hand_pose = world_T_object @ grasps[[row]].palm_poses[0]
            self._figure.pose(self.hand_pose, link_poses(self._hand.links, angles))
            title = f"**{name}**, scale {scale:.3g}, grasp {self.number.value}"
            figures = [f"- {key}: {grasps.figures[key][row]:.4g}" for key in sorted(grasps.figures)]
            self.text.content = "\n\n".join(filter(None, [title, problem, "\n".join(figures)]))

    def _show_object(self, name: str, scale: float) -> str:
        """Put an object's surface into the scene; what was wrong with it."""
        if self._shown == (name, scale):
            return ""
        try:
            mesh = self._load(name, scale)
        except ValueError as error:
            self._object.visible, self._shown = False, None
            return str(error)
        self._scene.add_mesh_simple(
            "/object/surface", mesh.vertices, mesh.faces, color=OBJECT_COLOR, flat_shading=False
        )
        self._object.visible, self._shown = True, (name, scale)
        return ""
