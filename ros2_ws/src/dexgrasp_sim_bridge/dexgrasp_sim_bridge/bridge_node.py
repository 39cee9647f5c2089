"""The node that lets the ROS graph run against a simulator, behind the contract of the hardware.

Real time: the simulation follows the wall clock and waits for a late command, but not for long.
Lock-step: the state of a tick is published, and the simulation goes on only when the command with
exactly that stamp has come. docs/ros_graph.md tells who waits for whom, and when.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ManagedNode, when_active
from dexgrasp_ros.node_process import main
from dexgrasp_ros.parameters import (
    current_parameters,
    declare_parameters,
)
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.cameras.camera_process import CameraProcess
from dexgrasp_sim.interface import SimulatorError
from dexgrasp_sim.scene import load_scene
from dexgrasp_sim_bridge.bridge_cameras import BridgeCameras
from dexgrasp_sim_bridge.bridge_commands import BridgeCommands
from dexgrasp_sim_bridge.bridge_health import BridgeHealth
from dexgrasp_sim_bridge.bridge_parameters import BridgeParameters
from dexgrasp_sim_bridge.bridge_transforms import BridgeTransforms
from dexgrasp_sim_bridge.command_inbox import CommandInbox

HEARTBEAT = 0.1
"""Seconds of wall time between two publications of a state at which lock-step stands still."""
RESET_PATIENCE = 10.0
"""Seconds of wall time that a reset may take."""
LATE = 0.5
"""Periods by which a tick in real time may be late before it counts as missed."""
LOST = 50
"""Missed periods after which real time is given up catching up, and goes on from now.

Shorter delays are made up for: a tick takes a tenth of its period, and every one still waits for
its command."""


class BridgeNode(ManagedNode):
    """A simulated robot, object and cameras on the topics of the contract.

    One thread owns the simulator; ROS callbacks only leave commands and requests for it.
    """

    parameters_type = BridgeParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("sim_bridge", **options)
        # The scene's own parameters have the defaults of scene.yaml; some are the bridge's, too.
        self._scene = declare_parameters(self, load_scene(), leave_out=("scene", "hand", "cameras"))
        declare_parameters(self, self._scene.noise, prefix="noise.", leave_out=("enabled",))
        self._limits = declare_parameters(self, load_control_config().limits, prefix="limits.")
        self._given_up = False
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._reset_asked = threading.Event()
        self._reset_done = threading.Event()

    # Lifecycle

    def configure(self) -> None:
        """Builds the simulator and all publishers."""
        p = self.parameters
        noise = current_parameters(self, self._scene.noise, prefix="noise.")
        self._scene = dataclasses.replace(
            current_parameters(self, self._scene),
            scene=p.scene,
            hand=p.hand,
            cameras=p.cameras,
            noise=dataclasses.replace(noise, enabled=p.camera_noise),
        )
        self.hardware_id = f"{self._scene.backend}, {p.scene} scene"
        period = self._scene.control_period
        self._tick_ns = conversions.seconds_to_ns(period)
        # In lock-step the controller's clock is that of the state which it answers.
        every_tick = p.mode == "lock_step"
        self._clock_ticks = 1 if every_tick else max(1, round(1.0 / (p.clock_rate * period)))
        hand = load_hand()
        object_model = load_object(p.object, p.scale)
        self._simulator = make_simulator(self._scene, object_model)
        self._health = BridgeHealth(self, period, p.real_time_rate)
        self._commands = BridgeCommands(
            self,
            self._health,
            hand,
            self._limits,
            period=period,
            silence_limit=p.commander_timeout,
            lock_step=p.mode == "lock_step",
            now_ns=lambda: self._now_ns,
        )
        self._begin()

        def publisher(topic: contract.Topic):
            return self.create_lifecycle_publisher(topic.type, topic.name, topic.qos)

        self._clock_output = publisher(contract.CLOCK)
        self._joint_states = publisher(contract.JOINT_STATES)
        self._wrist_pose = publisher(contract.WRIST_POSE)
        self._object_pose = publisher(contract.OBJECT_POSE)
        self._camera_output = BridgeCameras(
            self,
            self._simulator,
            # In lock-step time stands still while the cameras look.
            None if p.mode == "lock_step" else CameraProcess(self._scene, object_model),
            period_ticks=max(1, round(1.0 / (p.camera_rate * period))),
            reliable=p.camera_reliability == "reliable",
        )
        self._transforms = BridgeTransforms(self, p.scene)
        self.create_waiting_service(Trigger, contract.RESET_SERVICE, self._on_reset)

    def activate(self) -> None:
        self.neighbours.refuse_publishers((contract.CLOCK, contract.JOINT_STATES))
        self._stop.clear()
        self._camera_output.wait_until_idle()
        loop = self._run_lock_step if self.parameters.mode == "lock_step" else self._run_real_time
        self._thread = threading.Thread(target=self._guarded, args=(loop,), name="simulation")
        self._thread.start()

    def deactivate(self) -> None:
        self._stop.set()
        while self._thread is not None and self._thread.is_alive():
            self._commands.inbox.interrupt()  # it may be waiting for a command
            self._thread.join(HEARTBEAT)
        self._commands.end()
        self._camera_output.wait_until_idle()

    def cleanup(self) -> None:
        self._commands.close()
        self._camera_output.close()

    @when_active
    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._reset_done.clear()
        self._reset_asked.set()
        asked = time.monotonic()
        while not self._reset_done.wait(HEARTBEAT) and time.monotonic() - asked < RESET_PATIENCE:
            # A loop that waits for a command takes notice. Its controller may let go later.
            self._commands.inbox.interrupt()
        response.success = self._reset_done.is_set()
        response.message = (
            "time is 0 and the object is back"
            if response.success
            else f"no reset in {RESET_PATIENCE:g} s"
        )
        return response

    # The simulation thread

    def _guarded(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Exception as error:
            self.fail(error)

    def _run_real_time(self) -> None:
        period = self._scene.control_period / self.parameters.real_time_rate
        due = time.monotonic()
        missed = 0
        while not self._stop.is_set():
            if not self._reset_if_asked():
                self._publish()
            due += period
            self._stop.wait(max(0.0, due - time.monotonic()))
            self._wait_for_controller()
            self._commands.watch()
            if not self._step():
                due = time.monotonic()
                continue
            late = time.monotonic() - due
            if late > LATE * period:
                missed += 1
            # Nor is time made up for without the controller, which would find itself left behind.
            if late > LOST * period or self._given_up:
                due = time.monotonic()
            self._health.real_time_tick(
                missed_deadlines=missed, tick=self._ticks, images=self._image_rate
            )

    def _wait_for_controller(self) -> None:
        """On a busy machine the simulation does not run away from its controller.

        Commands that come a tick late now and then would shake the hand. A controller that has
        not come within the patience is not waited for again until it comes.
        """
        patience = 0.0 if self._given_up else self.parameters.patience
        self._given_up = not self._commands.wait_for_answer(self._now_ns, patience)

    def _run_lock_step(self) -> None:
        self._publish()
        while not self._stop.is_set():
            if self._reset_if_asked():
                continue
            inbox = self._commands.inbox
            engaged = inbox.engaged
            timeout = self.parameters.deadline if engaged else HEARTBEAT
            if self._wait_for_command(inbox, timeout):
                if self._step():
                    self._publish()
            elif self._interrupted:
                continue
            elif engaged and inbox.engaged:
                seconds = self._now_ns / conversions.NANOSECONDS
                self._stand_still(
                    f"no command for the state at {seconds:.3f} s came within"
                    f" {self.parameters.deadline:g} s"
                )
            elif not engaged:
                self._publish_state()
                self._camera_output.repeat(self._now_ns, self._disabled_cameras)
                self._health.well("lock-step, waiting for a controller", tick=self._ticks)

    def _wait_for_command(self, inbox: CommandInbox, timeout: float) -> bool:
        """Whether the present state is answered within ``timeout`` s of wall time.

        An engaged controller may keep time standing still to have the cameras look: whoever asks
        for images and states meanwhile gets those of this moment.
        """
        deadline = time.monotonic() + timeout
        engaged = inbox.engaged
        while not inbox.wait_for(self._now_ns, min(timeout, HEARTBEAT)):
            left = deadline - time.monotonic()
            if left <= 0.0 or inbox.engaged != engaged or self._interrupted:
                return False
            if engaged:
                self._publish_state()
                self._camera_output.repeat(self._now_ns, self._disabled_cameras)
        return True

    @property
    def _interrupted(self) -> bool:
        return self._stop.is_set() or self._reset_asked.is_set()

    def _step(self) -> bool:
        """One tick of the robot; False, at the next reset, if the physics went wrong."""
        self._simulator.set_targets(self._commands.next())
        try:
            self._simulator.step()
        except SimulatorError as error:
            self._stand_still(str(error))
            return False
        self._ticks += 1
        return True

    def _stand_still(self, fault: str) -> None:
        """Nothing moves after a fault, until a reset."""
        self._health.fault(
            f"{fault}: the simulation stands still until"
            f" {self.resolve_service_name(contract.RESET_SERVICE)} is called",
            tick=self._ticks,
        )
        while not self._stop.is_set() and not self._reset_asked.wait(HEARTBEAT):
            pass

    def _reset_if_asked(self) -> bool:
        """Begins anew if that was asked, and publishes the first state before the answer."""
        if not self._reset_asked.is_set():
            return False
        self._begin()
        self._camera_output.start_anew()
        self._health.mended()
        self._reset_asked.clear()
        self._publish()
        self._reset_done.set()
        return True

    def _begin(self) -> None:
        """Puts the scene and the clock back to the start, with nobody in command."""
        self._simulator.reset(self.parameters.seed)
        self._ticks = 0
        state = self._simulator.state()
        self._commands.begin(Command(state.wrist_pose, state.joints))

    # Output

    @property
    def _now_ns(self) -> int:
        return self._ticks * self._tick_ns

    @property
    def _image_rate(self) -> str:
        asked = self.parameters.camera_rate * self.parameters.real_time_rate
        rate = self._camera_output.rate
        got = "nobody looks" if rate is None else f"got {rate:.2g} Hz"
        return f"asked {asked:g} Hz, {got}"

    @property
    def _disabled_cameras(self) -> tuple[str, ...]:
        return tuple(self.get_parameter_or("disabled_cameras").value or ())

    def _publish(self) -> None:
        """Everything that is due at this tick."""
        state = self._publish_state()
        self._camera_output.publish_if_due(self._ticks, self._now_ns, self._disabled_cameras)
        self._transforms.publish_if_due(
            self._ticks, self._now_ns, self._simulator.joint_positions(), state.wrist_pose
        )

    def _publish_state(self) -> RobotState:
        ns = self._now_ns
        state = self._simulator.state()
        self._commands.measure(state)
        world = conversions.WORLD
        if self._ticks % self._clock_ticks == 0:
            self._clock_output.publish(Clock(clock=conversions.ns_to_stamp(ns)))
        self._joint_states.publish(self._joint_state(ns))
        self._wrist_pose.publish(conversions.pose_stamped(state.wrist_pose, ns, world))
        self._object_pose.publish(
            conversions.pose_stamped(self._simulator.object_pose(), ns, world)
        )
        return state

    def _joint_state(self, ns: int) -> JointState:
        """Fingers first."""
        simulator = self._simulator
        positions = simulator.joint_positions()
        velocities, efforts = simulator.joint_velocities(), simulator.efforts()
        return conversions.joint_state(
            list(positions),
            list(positions.values()),
            [velocities[name] for name in positions],
            ns,
            [efforts[name] for name in positions],
        )


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(BridgeNode))


if __name__ == "__main__":
    run()
