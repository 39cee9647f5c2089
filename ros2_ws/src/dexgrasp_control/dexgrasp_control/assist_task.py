"""One assisted grasp with what follows it, /assist: a `GraspTask` whose object goes over a box."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from geometry_msgs.msg import PointStamped

from dexgrasp_control.control_parameters import ControlParameters
from dexgrasp_control.grasp_task import GraspTask, Means, TellStage, WhyStop
from dexgrasp_control.preparation import GraspEnded, Preparation, Tell
from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_models.control.config import ControlConfig
from dexgrasp_models.control.controllers import CONTROLLERS, Need
from dexgrasp_models.control.types import Outcome, OutcomeKind
from dexgrasp_ros.conversions import MessageError


class AssistTask:
    """Turns a goal of /assist into what the grasp is carried out with.

    Args:
        grasp: carries it out.
        preparation: knows where frames are.
        config: of the controllers, and of the box.
        parameters: of the control node.

    Raises:
        ValueError: the controller of the parameters does not follow a person's wrist, or needs what
            this node is not given.
    """

    def __init__(
        self,
        grasp: GraspTask,
        preparation: Preparation,
        config: ControlConfig,
        parameters: ControlParameters,
    ) -> None:
        self._grasp = grasp
        self._preparation = preparation
        self._config = config
        self._controller = parameters.assisting
        if Need.WRIST_STREAM not in Means(self._controller, config).needs:
            raise ValueError(
                f"assisting is {self._controller}, which does not follow a person's wrist"
            )

    def carry_out(
        self, request: Assist.Goal, why_stop: WhyStop, tell_stage: TellStage
    ) -> tuple[Outcome, bool]:
        """The outcome, and whether an object is in the hand.

        Raises:
            GraspEnded: it was over before the robot moved.
        """
        means = Means(
            self._controller,
            self._config_with(request.policy),
            self._box(request.box, partial(tell_stage, "capture", 0.0)),
        )
        return self._grasp.carry_out(ExecuteGrasp.Goal(choose=True), why_stop, tell_stage, means)

    def _config_with(self, policy: str) -> ControlConfig:
        """The settings with the policy that is asked for."""
        if not policy:
            return self._config
        kind = CONTROLLERS[self._controller]
        settings = self._config.others.get(self._controller) or kind.config()
        try:
            settings = replace(settings, policy=policy)  # type: ignore[call-arg]
        except (TypeError, ValueError) as error:
            raise GraspEnded(
                OutcomeKind.BAD_GOAL, f"controller {self._controller} has no policy: {error}"
            ) from None
        return replace(self._config, others={**self._config.others, self._controller: settings})

    def _box(self, box: PointStamped, tell: Tell) -> np.ndarray:
        """(3,) middle of the opening in `world`, m."""
        frame = box.header.frame_id
        if not frame:
            return np.array(self._config.carry.box_position)
        point = np.array([box.point.x, box.point.y, box.point.z])
        if not np.isfinite(point).all():
            raise GraspEnded(OutcomeKind.BAD_GOAL, f"the box's place {point} is not finite")
        try:
            world_T_frame = self._preparation.frame_in_world(frame, tell)
        except MessageError as error:
            raise GraspEnded(OutcomeKind.BAD_GOAL, f"bad place of the box: {error}") from None
        return world_T_frame[:3, :3] @ point + world_T_frame[:3, 3]
