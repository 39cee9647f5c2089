"""What `dexgrasp eval policy` compares, by name: planned executor, expert, student, a control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dexgrasp_learning.followed_policy import FollowedPolicy
from dexgrasp_learning.goal_environments import GoalEnvironments, GoalResults
from dexgrasp_learning.goal_policy import GoalPolicy
from dexgrasp_learning.model_predictive import ModelPredictiveConfig, ModelPredictivePolicy
from dexgrasp_learning.seen_environments import SeenEnvironments
from dexgrasp_learning.student_sight import StudentPolicy, StudentSight
from dexgrasp_learning.teacher_sight import TeacherPolicy
from dexgrasp_models.control.approach_plan import ApproachPlan
from dexgrasp_models.control.config import ControlConfig, load_control_config
from dexgrasp_models.control.executor import PlannedExecutor
from dexgrasp_models.control.following import FollowConfig
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import Observation, RobotState
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.goal_action import actions_to
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_expert import ExpertConfig, ToldPlans, Wanted, wanted_next
from dexgrasp_models.tasks.goal_observation import GoalObservation
from dexgrasp_models.tasks.goal_plans import TellingConfig, plan_told, told_grasps
from dexgrasp_models.tasks.goal_teacher import load_teacher
from dexgrasp_models.tasks.learned_edits import LearnedEdits
from dexgrasp_models.tasks.learned_goal import LearnedStudent
from dexgrasp_sim.interface import BatchPhysics

Plans = Sequence[ApproachPlan | None]
"""Of N episodes; None where there is no way to the grasp."""


@dataclass(frozen=True)
class CarryingOut:
    """Settings of the rows that carry out a plan, or learned to."""

    telling: TellingConfig = field(default_factory=TellingConfig)
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    deeper: float = 0.01
    """m, of the rows planned_deeper and student_deeper: see `ApproachConfig`."""
    follow: FollowConfig = field(default_factory=FollowConfig)
    """Of the rows that go along with objects that are moved."""
    mpc: ModelPredictiveConfig = field(default_factory=ModelPredictiveConfig)
    weights: str = ""
    """File of the student's."""
    weights_digest: str = ""
    """Of that file, by which results of others are told apart."""
    teacher: str = ""
    """File of the teacher's weights."""
    teacher_digest: str = ""
    """Likewise."""
    edits: str = ""
    """File of the weights that edit plans."""
    edits_digest: str = ""
    """Likewise."""


def plans_of(
    episodes: ToldEpisodes, task: GoalConfig, settings: CarryingOut, deeper: float | None = None
) -> Plans:
    """The way to each grasp, alike for all rows but those that plan anew.

    Args:
        episodes: N.
        task: whose these are.
        settings: how grasps are carried out.
        deeper: m, in the place of that of `config/control.yaml`.

    Raises:
        GraspDataError: how the hand presses from a grasp is not known.
    """
    hand, approach = load_hand(), load_control_config().approach
    if deeper is not None:
        approach = replace(approach, deeper=deeper)
    grasps = told_grasps(episodes, hand, settings.telling)
    return plan_told(grasps, episodes, hand, task.lift, approach)


def run_told(
    environments: GoalEnvironments,
    episodes: ToldEpisodes,
    policy: GoalPolicy,
    pushes: np.ndarray | None = None,
    vary: Callable[[BatchPhysics], None] | None = None,
) -> GoalResults:
    """How N episodes end with a policy.

    Args:
        environments: where it acts.
        episodes: as they are.
        policy: that acts.
        pushes: (N, 3) m in `world`, by which each object is moved along the table once the hand is
            half-way down to its goal; None: it isn't.
        vary: makes the scenes differ from the configuration, once they have begun.

    Raises:
        ValueError, MeshError: as `GoalEnvironments`.
    """
    seen = environments.begin(episodes)
    if vary is not None:
        vary(environments.physics)
    policy.begin(len(episodes))
    halfway = 0.5 * (episodes.hands + episodes.goal_wrists)[:, 2, 3]
    left = np.full(len(episodes), pushes is not None)
    while environments.steps < environments.config.horizon:
        due = np.flatnonzero(left & (environments.state.wrists[:, 2, 3] <= halfway))
        if pushes is not None and len(due):
            environments.move_objects(due, pushes[due])
            left[due] = False
        seen, _ = environments.step(policy.actions(seen))
    return environments.finish()


class PlannedPolicy:
    """The planned executor, which sees nothing of the object once it has a plan.

    Where there is no plan the hand stays where it begins.

    Args:
        environments: whose episodes it acts in.
        plans: of these.
        control: whose executor it is.
    """

    def __init__(
        self,
        environments: SeenEnvironments,
        plans: Plans,
        control: ControlConfig | None = None,
    ) -> None:
        self._environments, self._plans = environments, plans
        control = control or load_control_config()
        self._config = replace(control.executor, lift_height=environments.config.lift)
        self._hand = load_hand()

    def begin(self, count: int) -> None:
        """Each hand begins with its plan."""
        period = self._environments.config.period

        def executor(plan: ApproachPlan | None) -> PlannedExecutor | None:
            if plan is None:
                return None
            setup = ControllerSetup(period, plan, self._hand, place=False)
            return PlannedExecutor(self._config, setup)

        self._executors = [executor(plan) for plan in self._plans]

    def actions(self, seen: GoalObservation) -> np.ndarray:
        """(N, 24) in [-1, 1]."""
        environments = self._environments
        state, time = environments.state, environments.steps * environments.config.period
        wrists, joints = environments.wrist_targets, environments.targets
        wanted = wrists.copy()
        for row, executor in enumerate(self._executors):
            if executor is not None:
                robot = RobotState(
                    time, state.wrists[row], state.joints[row], state.joint_velocities[row]
                )
                command = executor.step(Observation(robot))
                wanted[row], joints[row] = command.wrist_target, command.finger_targets
        return actions_to(
            wrists, wanted, joints, environments.frames, self._hand, environments.config
        )


class ExpertPolicy:
    """The expert, which acts by the present state and its plan alone.

    Args:
        environments: where it acts.
        episodes: in which.
        plans: of these.
        config: of the expert.
    """

    def __init__(
        self,
        environments: GoalEnvironments,
        episodes: ToldEpisodes,
        plans: Plans,
        config: ExpertConfig | None = None,
    ) -> None:
        self._environments = environments
        self._config = config or ExpertConfig()
        self._hand = load_hand()
        self._plans = ToldPlans.of(plans, episodes.hands, self._hand)

    def begin(self, count: int) -> None:
        """It remembers nothing."""

    def actions(self, seen: GoalObservation) -> np.ndarray:
        """(N, 24) in [-1, 1]."""
        return self.actions_for(self.wanted())

    def wanted(self) -> Wanted:
        """The targets that it wants next."""
        environments = self._environments
        task = environments.config
        return wanted_next(
            environments.state,
            environments.targets,
            self._plans,
            task.lift,
            task.rate,
            self._hand,
            self._config,
        )

    def actions_for(self, wanted: Wanted) -> np.ndarray:
        """(N, 24) that lead there."""
        now = self._environments
        return actions_to(
            now.wrist_targets, wanted.wrists, wanted.joints, now.frames, self._hand, now.config
        )


class StillPolicy:
    """Leaves wrist and fingers where they begin.

    Args:
        environments: whose episodes it acts in.
    """

    def __init__(self, environments: GoalEnvironments) -> None:
        self._environments = environments

    def begin(self, count: int) -> None:
        """It remembers nothing."""

    def actions(self, seen: GoalObservation) -> np.ndarray:
        """(N, 24) in [-1, 1]."""
        now = self._environments
        wrists = now.wrist_targets
        return actions_to(wrists, wrists, now.targets, now.frames, load_hand(), now.config)


@dataclass(frozen=True)
class GoalRow:
    """How a row acts.

    Attributes:
        title: as the tables have it.
        make: the policy, from the environments and episodes that it acts in, their plans, and how
            these are carried out.
        learned: whether it has weights, and sees what the cameras saw.
        follows: whether its goals go along with what the cameras stream.
    """

    title: str
    make: Callable[[GoalEnvironments, ToldEpisodes, Plans, CarryingOut], GoalPolicy]
    learned: bool = False
    follows: bool = False

    @property
    def sees(self) -> bool:
        """Whether it needs the cameras' first look."""
        return self.learned or self.follows


def _student(
    now: SeenEnvironments, told: ToldEpisodes, plans: Plans, how: CarryingOut
) -> StudentPolicy:
    student = LearnedStudent(how.weights, now.config)
    return StudentPolicy(now, told, student, StudentSight(now, how.telling))


def _planned(
    now: SeenEnvironments, told: ToldEpisodes, plans: Plans, how: CarryingOut
) -> PlannedPolicy:
    return PlannedPolicy(now, plans)


def _edited(
    now: SeenEnvironments, told: ToldEpisodes, plans: Plans, how: CarryingOut
) -> PlannedPolicy:
    """Where there is no way to the edited grasp, the plan stays as it is."""
    goals = LearnedEdits(how.edits).goals(told)
    anew = plans_of(replace(told, goals=goals), now.config, how)
    return PlannedPolicy(now, [new or old for new, old in zip(anew, plans, strict=True)])


def _planned_deeper(
    now: SeenEnvironments, told: ToldEpisodes, plans: Plans, how: CarryingOut
) -> PlannedPolicy:
    return PlannedPolicy(now, plans_of(told, now.config, how, how.deeper))


def _student_deeper(
    now: SeenEnvironments, told: ToldEpisodes, plans: Plans, how: CarryingOut
) -> StudentPolicy:
    palms = told.goal_wrists
    for row, plan in enumerate(plans_of(told, now.config, how, how.deeper)):
        if plan is not None:
            palms[row] = plan.grasp.palm_pose
    return _student(now, told.aimed(palms), plans, how)


def _tracked(
    make: Callable[[SeenEnvironments, ToldEpisodes, Plans, CarryingOut], GoalPolicy],
) -> Callable[[GoalEnvironments, ToldEpisodes, Plans, CarryingOut], GoalPolicy]:
    def made(
        now: GoalEnvironments, told: ToldEpisodes, plans: Plans, how: CarryingOut
    ) -> FollowedPolicy:
        return FollowedPolicy(now, told, lambda seen: make(seen, told, plans, how), how.follow)

    return made


def _following(
    now: GoalEnvironments, told: ToldEpisodes, plans: Plans, how: CarryingOut
) -> StudentPolicy:
    student = LearnedStudent(how.weights, now.config)
    told = replace(told, looks=told.clouds)
    return StudentPolicy(now, told, student, StudentSight(now, how.telling, follows=True))


def _teacher(
    now: GoalEnvironments, told: ToldEpisodes, plans: Plans, how: CarryingOut
) -> TeacherPolicy:
    return TeacherPolicy(now, load_teacher(how.teacher), how.telling)


ROWS: Mapping[str, GoalRow] = {
    "planned": GoalRow("planned executor, open loop", _planned),
    "planned_edited": GoalRow("planned executor, plans edited", _edited),
    "planned_deeper": GoalRow("planned executor, 1 cm deeper", _planned_deeper),
    "planned_tracked": GoalRow("planned executor, tracked", _tracked(_planned), follows=True),
    "expert": GoalRow(
        "expert, of state and plan",
        lambda now, told, plans, how: ExpertPolicy(now, told, plans, how.expert),
    ),
    "teacher": GoalRow("teacher, true states", _teacher),
    "student": GoalRow("student, cloud of the look", _student, learned=True),
    "student_deeper": GoalRow("student, told 1 cm deeper", _student_deeper, learned=True),
    "student_tracked": GoalRow("student, tracked", _tracked(_student), learned=True, follows=True),
    "following": GoalRow("student, full cloud that follows the object", _following, learned=True),
    "mpc": GoalRow(
        "MP: CEM + MPC in the simulator itself",
        lambda now, told, plans, how: ModelPredictivePolicy(now, how.mpc),
    ),
    "still": GoalRow("no policy", lambda now, told, plans, how: StillPolicy(now)),
}
"""By the names that `--rows` takes."""
