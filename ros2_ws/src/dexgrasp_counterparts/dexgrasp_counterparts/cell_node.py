"""The node of a simulated cell whose devices are driven by their real drivers.

The physics runs on the wall clock. Counterparts of the arm's controller and of the hand's software,
in processes of their own, speak their devices' protocols, and move and measure the joints. Of ROS
there is what no device tells: where object and joints truly are, and the robot's description and
transforms, which robot_state_publisher gives on hardware.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from dexgrasp_counterparts.cell_parameters import CellParameters
from dexgrasp_counterparts.hand_counterpart import HandCounterpart
from dexgrasp_counterparts.own_computer import take_precedence
from dexgrasp_counterparts.simulated_robot import SimulatedRobot
from dexgrasp_counterparts.ur_controller import UrController
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ConfigurationError, ManagedNode, when_active
from dexgrasp_ros.node_process import main
from dexgrasp_ros.parameters import current_parameters, declare_parameters
from dexgrasp_sim.backends import make_physics
from dexgrasp_sim.scene import load_scene
from dexgrasp_sim_bridge.bridge_health import BridgeHealth
from dexgrasp_sim_bridge.bridge_transforms import BridgeTransforms

PERIOD = 0.005
"""s, of the physics: from one set-point of the joints to the next."""
TICKS = round(1.0 / (contract.CONTROL_RATE * PERIOD))
"""From one publication to the next."""
LOST = 40
"""Periods after which time that was lost, on a busy machine, is not made up for."""
ROSBRIDGE_PORT = 9090


class CellNode(ManagedNode):
    """A simulated robot behind the protocols of its devices; what no device tells on topics."""

    parameters_type = CellParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("sim_cell", **options)
        self._scene = declare_parameters(self, load_scene(), leave_out=_NOT_PARAMETERS)
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()  # of the physics, for the services

    # Lifecycle

    def configure(self) -> None:
        """Builds the physics and all publishers; no device answers yet."""
        p = self.parameters
        self._scene = dataclasses.replace(
            current_parameters(self, self._scene),
            scene="arm",
            control_period=PERIOD,
            timestep=PERIOD,
        )
        self.hardware_id = f"{self._scene.backend}, devices at {p.address}"
        self._hand = load_hand()
        self._arm_joints = load_arm().joint_names
        self._physics = make_physics(self._scene, load_object(p.object, p.scale))
        self._health = BridgeHealth(self, PERIOD, 1.0)

        def publisher(topic: contract.Topic) -> Any:
            return self.create_lifecycle_publisher(topic.type, topic.name, topic.qos)

        self._joint_states = publisher(contract.SIM_JOINT_STATES)
        self._object_pose = publisher(contract.OBJECT_POSE)
        self._transforms = BridgeTransforms(self, "arm")
        self.create_service(Trigger, contract.RESET_SERVICE, self._on_reset)
        states = contract.JOINT_STATES
        if not (p.simulated_arm and p.simulated_hand):
            self.create_subscription(states.type, states.name, self._on_joint_state, states.qos)

    def activate(self) -> None:
        """Begins at home with the object on the table; the devices answer from now on.

        Raises:
            ConfigurationError: their addresses are taken.
        """
        p = self.parameters
        self.neighbours.refuse_publishers((contract.OBJECT_POSE, contract.SIM_JOINT_STATES))
        self._physics.reset(p.seed)
        self._start_pose = self._physics.object_pose()
        self._robot = SimulatedRobot(self._physics, self._hand)
        self._devices: list[UrController | HandCounterpart] = []
        self._start_devices()
        self._stop.clear()
        self._thread = threading.Thread(target=self._guarded, name="physics")
        self._thread.start()

    def deactivate(self) -> None:
        """The devices are switched off."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._end_devices()
        self._robot.close()

    def _start_devices(self) -> None:
        p = self.parameters
        starts: list[Callable[[], UrController | HandCounterpart]] = []
        if p.simulated_arm:
            starts.append(lambda: UrController(p.address, robot=self._robot.arm))
        if p.simulated_hand:
            starts.append(lambda: self._hand_counterpart(p.address))
        try:
            for start in starts:
                self._devices.append(start())
        except OSError as error:
            self._end_devices()
            raise ConfigurationError(
                f"the devices' counterparts can't be started at {p.address}: does another cell run"
                " there? Give this one another `address`, as 127.0.0.2"
            ) from error

    def _hand_counterpart(self, address: str) -> HandCounterpart:
        hand = HandCounterpart(None, address, ROSBRIDGE_PORT, robot=self._robot.fingers)
        hand.start()
        return hand

    def _end_devices(self) -> None:
        while self._devices:
            self._devices.pop().kill()

    # The thread of the physics

    def _guarded(self) -> None:
        take_precedence()  # what moves does not wait for a processor
        try:
            self._run()
        except Exception as error:
            self.fail(error)

    def _run(self) -> None:
        due, tick, lost = time.monotonic(), 0, 0
        while not self._stop.is_set():
            with self._lock:
                if tick % TICKS == 0:
                    self._publish(tick // TICKS)
                self._robot.obey()
                self._physics.step()
                self._robot.measure()
            tick += 1
            due += PERIOD
            late = time.monotonic() - due
            if late > LOST * PERIOD:
                due, lost = due + late, lost + 1
            time.sleep(max(0.0, -late))
            self._health.real_time_tick(times_lost=lost, tick=tick)

    def _publish(self, number: int) -> None:
        ns = self.get_clock().now().nanoseconds
        physics = self._physics
        positions, velocities = physics.joint_positions(), physics.joint_velocities()
        self._object_pose.publish(
            conversions.pose_stamped(physics.object_pose(), ns, conversions.WORLD)
        )
        self._joint_states.publish(
            conversions.joint_state(
                list(positions), list(positions.values()), list(velocities.values()), ns
            )
        )
        self._transforms.publish_if_due(number, ns, positions, physics.state().wrist_pose)

    # ROS callbacks

    @when_active
    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """The robot stays: its drivers would find it somewhere else."""
        with self._lock:
            self._physics.place_object(self._start_pose)
        response.success, response.message = True, "the object is back"
        return response

    def _on_joint_state(self, message: JointState) -> None:
        """A device that is real moves its part of the simulated robot along."""
        if not self.active:
            return
        p = self.parameters
        for simulated, names, move in (
            (p.simulated_arm, self._arm_joints, self._robot.move_arm),
            (p.simulated_hand, self._hand.finger_joints, self._robot.move_fingers),
        ):
            if simulated or set(names).isdisjoint(message.name):
                continue
            try:
                joints, _ = conversions.joints_from_message(message, names)
            except conversions.MessageError as error:
                self._health.warn(f"a state on /joint_states can't be followed: {error}")
                continue
            if np.isfinite(joints).all():  # whoever uses the states tells of others
                with self._lock:
                    move(joints)


_NOT_PARAMETERS = ("scene", "cameras", "control_period", "timestep")
"""Of the scene."""


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(CellNode))


if __name__ == "__main__":
    run()
