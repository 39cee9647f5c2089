"""Whether the arm may be moved, by what Universal Robots' ROS 2 driver says of it."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_arm_driver.controller_health import mode_trouble

_SAFE = (1, 2)  # normal, reduced
_SAFETY = {
    3: "protective stop: find its cause, unlock it on the pendant",
    4: "recovery mode: move the joints back into their limits on the pendant",
    5: "safeguard stop: close the safeguard, reset it",
    6: "emergency stop of the system: release the button, switch the arm on again",
    7: "emergency stop: release the button, switch the arm on again",
    8: "violation of the safety limits: see the pendant",
    9: "fault of the safety system: see the pendant",
    10: "a joint's identity is to be confirmed: see the pendant",
    12: "safeguard stop in automatic mode: close the safeguard, reset it",
    13: "stop by the enabling switch: press it",
}
"""Modes of ur_dashboard_msgs/SafetyMode in which the arm stands."""
_PAUSED = 1.0
"""Per cent of speed, below which the arm stands."""
_FULL = 99.0


@dataclass(frozen=True)
class DriverStatus:
    """The newest word on each; None before the first.

    Attributes:
        robot_mode, safety_mode: as ur_dashboard_msgs defines them.
        program_running: whether set-points are taken.
        speed_scaling: per cent of the programmed speed.
    """

    robot_mode: int | None = None
    safety_mode: int | None = None
    program_running: bool | None = None
    speed_scaling: float | None = None

    @property
    def untold(self) -> list[str]:
        """Names of those that nothing is known of."""
        return [name for name, value in vars(self).items() if value is None]

    @property
    def trouble(self) -> str:
        """Why the arm can't be moved, and what to do; empty where it can, as far as is told."""
        if self.safety_mode is not None and self.safety_mode not in _SAFE:
            return _SAFETY.get(self.safety_mode, f"safety mode {self.safety_mode}: see the pendant")
        if self.robot_mode is not None and (trouble := mode_trouble(self.robot_mode)):
            return trouble
        if self.program_running is False:
            return (
                "the program on the controller is stopped: play the one with External Control at"
                " the pendant, or call the driver's resend_robot_program"
            )
        if self.speed_scaling is not None and not self.speed_scaling >= _PAUSED:
            return "the program is paused at the pendant, or the speed slider is at 0: play it"
        return ""

    @property
    def warning(self) -> str:
        """What slows the arm down; empty where nothing does."""
        if self.speed_scaling is not None and self.speed_scaling < _FULL:
            return "the speed slider of the pendant is not at 100 %: the arm lags behind"
        return ""
