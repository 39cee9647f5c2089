"""What the servo process is started with."""

from __future__ import annotations

from dataclasses import dataclass, field

from dexgrasp_models.control.arm_following import FollowLimits
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.parameters import Parameters, parameter, text

RATE = 500.0
"""Hz, of a UR e-Series controller: of its states and of the set-points."""
PERIOD = 1.0 / RATE


@dataclass(frozen=True)
class ControllerSettings(Parameters):
    """Where the controller is, and how it is spoken with."""

    host: str = text("192.168.1.10", "address of the controller, or of an emulator of it")
    dashboard_port: int = parameter(29999, 1, 65535, "", "of the dashboard server at that address")
    late_limit: float = parameter(
        0.06, 0.02, 0.5, "s", "states that come later than this, or not at all, stop the arm"
    )
    watchdog_rate: float = parameter(
        20.0, 2.0, 100.0, "Hz", "the controller stops where set-points come more rarely"
    )
    lookahead_time: float = parameter(
        0.05, 0.03, 0.2, "s", "of servoJ: over how long the controller smooths the set-points"
    )
    servo_gain: float = parameter(
        300.0, 100.0, 2000.0, "", "of servoJ: how stiffly the controller follows them"
    )
    realtime_priority: int = parameter(
        20, 0, 80, "", "of the servo process (SCHED_FIFO), where the system grants it; 0: none"
    )
    reading_slack: float = parameter(
        0.0,
        0.0,
        0.002,
        "s",
        "the client looks for states every 0.1 ms; later by up to this, and then without real-time"
        " priority, it takes less of a processor",
    )


@dataclass(frozen=True)
class ServoSettings:
    """All that the servo process needs."""

    controller: ControllerSettings = field(default_factory=ControllerSettings)
    follow: FollowLimits = field(default_factory=FollowLimits)
    safety: SafetyLimits = field(default_factory=SafetyLimits)
