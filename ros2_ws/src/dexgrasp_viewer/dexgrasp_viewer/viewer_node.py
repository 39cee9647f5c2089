"""The viewer node: topics of the contract in, a page in the browser out, buttons back."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable
from dataclasses import dataclass

import viser

from dexgrasp_models.arm.mounting import load_mounting
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.config import find_config
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.parameters import Parameters, choice, parameter, text
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_ros import contract
from dexgrasp_ros.node import ManagedNode
from dexgrasp_ros.node_process import main
from dexgrasp_viewer.graph_commands import GraphCommands
from dexgrasp_viewer.graph_view import GraphView
from dexgrasp_viewer.grasp_watch import GraspWatch
from dexgrasp_viewer.panel import IMAGE_KINDS, Commands, Panel
from dexgrasp_viewer.scene import GraspScene
from dexgrasp_viewer.web_server import start_server

_VIEWPOINT = (0.25, -1.35, 0.75)
_LOOK_AT = (0.0, 0.0, 0.1)
_FIELD_OF_VIEW = 0.8


@dataclass(frozen=True)
class ViewerParameters(Parameters):
    """Parameters of the viewer node; see config/viewer.yaml."""

    host: str = text(
        "localhost",
        "address to listen on; with 0.0.0.0 everybody in the network can press the buttons",
    )
    port: int = parameter(8080, 0, 65535, "", "port to listen on; 0: any free one")
    rig: str = text("cameras/four_d415.yaml", "the cameras: a file in config/, or an absolute path")
    rate: float = parameter(12.0, 1.0, 30.0, "Hz", "how often the page is updated")
    image_rate: float = parameter(2.0, 0.1, 30.0, "Hz", "how often the cameras' images are updated")
    image_width: int = parameter(213, 16, 1920, "pixels", "what images are reduced to")
    images: str = choice("depth", IMAGE_KINDS, "the images shown at first; the page can change it")
    proposals: int = parameter(
        0, 0, 256, "", "grasps to ask for; 0: as many as the proposer's configuration says"
    )


class ViewerNode(ManagedNode):
    """Opens the page, feeds it at a steady rate while a browser looks, and carries out its buttons.

    Without a browser, nothing but the progress of grasps is subscribed to. Buttons are pressed in
    viser's threads: they are queued, and carried out in the node's own.
    """

    parameters_type = ViewerParameters

    def __init__(self) -> None:
        super().__init__("viewer")
        self._server: viser.ViserServer | None = None
        self._pressed: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stage = "none yet"
        self._reply = ""

    def configure(self) -> None:
        """Reads the descriptions of the robot and the cameras."""
        self._hand, self._arm, self._mounting = load_hand(), load_arm(), load_mounting()
        self._cameras = load_rig(find_config(self.parameters.rig))
        self._commands = GraphCommands(self, self._note_reply)
        self._watches = [GraspWatch(self, kind, self._note_stage) for kind in contract.ACTIONS]

    def activate(self) -> None:
        """Opens the page."""
        p = self.parameters
        self._server = server = start_server(p.host, p.port, label="dexgrasp")
        server.initial_camera.position = _VIEWPOINT
        server.initial_camera.look_at = _LOOK_AT
        server.initial_camera.fov = _FIELD_OF_VIEW
        scene = GraspScene(server.scene, self._hand, self._arm, self._mounting, self._cameras)
        self._panel = Panel(server.gui, self._buttons(), p.images)
        cameras = [camera.name for camera in self._cameras]
        self._view = GraphView(
            self, scene, self._panel, self._hand.finger_joints, cameras, p.image_width
        )
        self._updates = [
            self.create_timer(1.0 / p.rate, self._update, clock=self.steady_clock),
            self.create_timer(1.0 / p.image_rate, self._update_images, clock=self.steady_clock),
        ]
        self.get_logger().info(f"the scene is on http://{p.host}:{server.get_port()}")

    def deactivate(self) -> None:
        """Closes the page."""
        for timer in self._updates:
            self.destroy_timer(timer)
        self._view.unfollow()
        assert self._server is not None
        self._server.stop()
        self._server = None

    def _buttons(self) -> Commands:
        def queued(command: Callable[[], None]) -> Callable[[], None]:
            return lambda: self._pressed.put(command)

        return Commands(
            capture=queued(self._commands.capture),
            propose=queued(lambda: self._commands.propose(self.parameters.proposals)),
            grasp_best=queued(lambda: self._commands.grasp(None)),
            grasp_picked=queued(self._grasp_picked),
            assist=queued(self._commands.assist),
            close_hand=queued(self._commands.close_hand),
            stop=queued(self._commands.stop),
            change_choice=queued(lambda: self._view.change_choice()),
        )

    def _grasp_picked(self) -> None:
        proposal = self._view.picked_grasp
        if proposal is None:
            self._note_reply("grasp: there are no proposals yet")
        else:
            self._commands.grasp(proposal)

    def _note_stage(self, text: str) -> None:
        self._stage = text

    def _note_reply(self, text: str) -> None:
        self._reply = text

    def _update(self) -> None:
        while not self._pressed.empty():
            self._pressed.get()()
        for watch in self._watches:
            watch.look()
        assert self._server is not None
        watched = bool(self._server.get_clients())
        if watched != self._view.following:
            self._view.follow() if watched else self._view.unfollow()
        if not watched:
            return
        with self._server.atomic():
            self._panel.show_stage(self._stage)
            self._panel.show_reply(self._reply)
            self._view.update()

    def _update_images(self) -> None:
        if self._view.following:
            self._view.update_images()


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(ViewerNode))


if __name__ == "__main__":
    run()
