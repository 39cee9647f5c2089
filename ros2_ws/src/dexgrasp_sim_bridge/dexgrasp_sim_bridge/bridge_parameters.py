"""Parameters of the simulator bridge."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_models.parameters import Parameters, choice, flag, parameter, text
from dexgrasp_ros import contract
from dexgrasp_ros.parameters import settable_while_active


@dataclass(frozen=True)
class BridgeParameters(Parameters):
    """Parameters of the bridge beside those of the scene (`SceneConfig`, from scene.yaml)."""

    scene: str = choice("floating", ("floating", "arm"), "free hand, or hand on the arm")
    hand: str = choice(
        "coupled",
        ("coupled", "independent"),
        "18 actuators with coupled outer joints, or 22 independent ones",
    )
    cameras: str = text("cameras/four_d415.yaml", "camera rig, a file in config/ or a path")
    object: str = text("can", "object on the table: a generated shape, a mesh file or a folder")
    scale: float = parameter(1.0, 1e-4, 1e4, "", "factor on the size of the object")
    seed: int = parameter(0, 0, 2**31 - 1, "", "draws the object's pose and the cameras' noise")
    mode: str = choice(
        "real_time", ("real_time", "lock_step"), "who advances time: the clock or the controller"
    )
    real_time_rate: float = parameter(
        1.0, 0.01, 10.0, "", "simulated seconds per second in real time"
    )
    deadline: float = parameter(
        2.0, 0.01, 600.0, "s of wall time", "how long lock-step waits for a command"
    )
    patience: float = parameter(
        0.3,  # less than the controller's own patience, its state_timeout
        0.0,
        10.0,
        "s of wall time",
        "how long real time waits for a command that is late; 0: not at all",
    )
    commander_timeout: float = parameter(
        1.5,
        0.1,
        60.0,
        "s of simulated time",
        "a commander that has been silent for so long in real time is let go",
    )
    camera_rate: float = parameter(
        2.0, 0.1, 50.0, "Hz", "images of each camera per simulated second"
    )
    clock_rate: float = parameter(
        contract.CLOCK_RATE,
        1.0,
        1000.0,
        "Hz",
        "simulated time on /clock in real time; each message wakes every node",
    )
    camera_noise: bool = flag(True, "whether the depth images are noisy")
    camera_reliability: str = choice(
        "reliable", ("reliable", "best_effort"), "how images are offered; camera drivers do either"
    )
    disabled_cameras: tuple[str, ...] = settable_while_active(
        text((), "cameras that publish nothing, as if unplugged")
    )
