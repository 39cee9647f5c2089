"""Numbers of the human-assisting task (GraspGF, Wu et al., NeurIPS 2023)."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_models.parameters import Parameters, choice, parameter
from dexgrasp_models.tasks.strict_hold import steps_of

_FINGERS = ("FF", "MF", "RF", "LF")
AUTO_CLOSE_JOINTS = {
    "j3_and_thumb": (*(f"rh_{finger}J3" for finger in _FINGERS), "rh_THJ1"),
    "flexors": (
        *(f"rh_{finger}{joint}" for finger in _FINGERS for joint in ("J3", "J0")),
        "rh_THJ2",
        "rh_THJ1",
    ),
}
"""Actuators that close by themselves at the end of an episode, by the name of the choice."""


@dataclass(frozen=True)
class AssistConfig(Parameters):
    """An episode: the wrist comes, the hand closes by itself, and is raised (2, 4.1, 4.2, A.1).

    Where no section is told the paper is silent; `docs/differences.md` says what was chosen.
    """

    rate: float = parameter(20.0, 1.0, 200.0, "Hz", "steps a second")
    horizon: int = parameter(50, 2, 1000, "", "steps of the policy, while the wrist comes (4.1)")
    max_change: float = parameter(
        0.05, 0.001, 1.0, "rad", "greatest change of a joint's target in one step (A.1)"
    )
    history: int = parameter(5, 1, 50, "", "wrist poses that are seen, the present one last (2)")
    points: int = parameter(1024, 1, 16384, "", "points of the object's cloud (A.1)")

    auto_close: float = parameter(0.1, 0.0, 1.0, "rad", "by which joints close at the end (4.1)")
    auto_close_joints: str = choice(
        "j3_and_thumb", tuple(AUTO_CLOSE_JOINTS), "which do: a part of each finger's (4.1)"
    )
    close_steps: int = parameter(30, 1, 1000, "", "steps in which they do")
    settle_steps: int = parameter(20, 0, 1000, "", "steps from then to the lift")

    lift_height: float = parameter(1.0, 0.01, 2.0, "m", "by which the wrist is raised (4.1)")
    lift_speed: float = parameter(0.3, 0.01, 5.0, "m/s", "at which it is")
    least_rise: float = parameter(
        0.1, 0.0, 2.0, "m", "the object is lifted where it rises by more (4.2)"
    )
    most_slip: float = parameter(
        0.05, 0.0, 1.0, "m", "and its distance from the hand changes by less (4.2)"
    )

    hold_time: float = parameter(5.0, 0.1, 60.0, "s", "which the strict variant asks to hold")
    push: float = parameter(2.5, 0.0, 50.0, "N", "on the object meanwhile")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.least_rise < self.lift_height:
            raise ValueError(
                f"AssistConfig.least_rise = {self.least_rise} m can't be reached by a lift of "
                f"{self.lift_height} m: expected less"
            )

    @property
    def lift_steps(self) -> int:
        """Steps of the lift, so that none is faster than `lift_speed`."""
        return steps_of(self.lift_height / self.lift_speed, self.rate)

    @property
    def hold_steps(self) -> int:
        """Steps of the hold, at least `hold_time`."""
        return steps_of(self.hold_time, self.rate)


@dataclass(frozen=True)
class AssistRewardConfig(Parameters):
    """Weights of the reward (Eq. 7; B.2)."""

    following: float = parameter(0.09, 0.0, 100.0, "1/rad", "of following the gradient: lambda_a")
    following_every: int = parameter(
        5, 1, 1000, "", "steps from one such reward to the next, and from one of the next two's"
    )
    fingertips: float = parameter(
        0.0, 0.0, 100.0, "1/m", "of the fingertips' distance to the cloud: the baselines' (4.3)"
    )
    hint: float = parameter(
        0.0, 0.0, 100.0, "1/rad", "of the distance to the posture that is told: PPO (Goal)'s (4.3)"
    )
    rise: float = parameter(0.5, 0.0, 100.0, "1/m", "of the object's rise: lambda_h")
    success: float = parameter(1.0, 0.0, 100.0, "", "instead of the others: lambda_s")
