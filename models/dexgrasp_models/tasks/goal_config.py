"""Numbers of the goal-conditioned task (UniDexGrasp, Xu et al., CVPR 2023)."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.strict_hold import steps_of


@dataclass(frozen=True)
class GoalConfig(Parameters):
    """An episode: the hand comes from above, grasps as it is told, and lifts (3.3.1, C.1, C.3.2).

    Where no section is told the paper is silent; `docs/differences.md` says what was chosen.
    """

    rate: float = parameter(20.0, 1.0, 200.0, "Hz", "steps a second")
    horizon: int = parameter(200, 1, 10_000, "", "steps of an episode (Table 7)")
    start_height: float = parameter(0.35, 0.05, 1.0, "m", "of the palm above the table: h0 (3.3.1)")
    points: int = parameter(1024, 1, 16384, "", "of the object's cloud (C.1)")

    wrist_speed: float = parameter(0.6, 0.01, 5.0, "m/s", "at which an action of 1 moves the wrist")
    wrist_angular_speed: float = parameter(2.5, 0.01, 20.0, "rad/s", "and turns it")
    joint_speed: float = parameter(2.0, 0.01, 20.0, "rad/s", "most of a finger joint's target")
    wrist_lead: float = parameter(
        0.05, 0.001, 0.5, "m", "most that the wrist's target is ahead of the wrist"
    )
    wrist_lead_angle: float = parameter(0.3, 0.01, 3.0, "rad", "likewise of its turn")

    lift: float = parameter(0.3, 0.01, 1.0, "m", "from the object's start to its target (C.3.2)")
    tolerance: float = parameter(
        0.05, 0.001, 0.5, "m", "from the target, below which the object is there (C.3.2)"
    )

    hold_time: float = parameter(5.0, 0.1, 60.0, "s", "which the strict variant asks to hold")
    push: float = parameter(2.5, 0.0, 50.0, "N", "on the object meanwhile")

    @property
    def period(self) -> float:
        """s, of a step."""
        return 1.0 / self.rate

    @property
    def hold_steps(self) -> int:
        """Steps of the hold, at least `hold_time`."""
        return steps_of(self.hold_time, self.rate)


@dataclass(frozen=True)
class GoalRewardConfig(Parameters):
    """Weights (Table 7) and thresholds of the reward (Eq. 5 to 9)."""

    joints: float = parameter(0.1, 0.0, 100.0, "1/rad", "of the joints' distance: w_g,q")
    translation: float = parameter(0.6, 0.0, 100.0, "1/m", "of the hand's distance: w_g,t")
    rotation: float = parameter(0.1, 0.0, 100.0, "1/rad", "of the hand's angle: w_g,R")
    reach: float = parameter(0.5, 0.0, 100.0, "1/m", "of the fingers' distances: w_r")
    lift: float = parameter(0.1, 0.0, 100.0, "", "of going up with the object: w_l")
    move: float = parameter(2.0, 0.0, 100.0, "1/m", "of the object's way to its target: w_m")
    bonus: float = parameter(10.0, 0.0, 1000.0, "1/m", "how fast the bonus there falls: w_b")
    goal_reached: float = parameter(
        0.03,
        0.0,
        1.0,
        "m",
        "mean distance of the keypoints to the goal's below which it is reached",
    )
    fingers_reached: float = parameter(
        0.6, 0.0, 5.0, "m", "sum of the fingers' distances below which they have: lambda_f2"
    )
    near_target: float = parameter(
        0.05, 0.0, 1.0, "m", "of the object to its target, within which there is a bonus: lambda_0"
    )
