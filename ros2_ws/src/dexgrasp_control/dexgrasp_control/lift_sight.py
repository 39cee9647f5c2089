"""Asks the cameras, while the object is held up, whether it left the table."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point
from std_srvs.srv import Trigger

from dexgrasp_control.cloud_input import CloudInput
from dexgrasp_control.preparation import CLOUD_TIMEOUT, Tell
from dexgrasp_control.service_call import NoAnswer, ServiceCall
from dexgrasp_interfaces.srv import Capture
from dexgrasp_models.control.lift_check import LiftCheckConfig, Sight, seen_lift
from dexgrasp_models.control.types import RobotState

_SURROUNDING = 0.15
"""Metres around the object within which it is looked for: it may have been pushed away."""


class LiftSight:
    """Lets perception look, and gives its word to a `Sight`.

    Args:
        capture_with: perception's service that takes a region.
        capture: the one that doesn't, for where the other is not offered.
        clouds: what perception publishes.
        config: when an object counts as lifted.
    """

    def __init__(
        self,
        capture_with: ServiceCall,
        capture: ServiceCall,
        clouds: CloudInput,
        config: LiftCheckConfig,
    ) -> None:
        self._capture_with = capture_with
        self._capture = capture
        self._clouds = clouds
        self._config = config

    def look(
        self, sight: Sight, before: np.ndarray, start: np.ndarray, state: RobotState, tell: Tell
    ) -> int:
        """Concludes ``sight``; gives the stamp of the clouds that were taken for it, or -1.

        Args:
            sight: to be concluded, without a verdict where the cameras give none.
            before: (N, 3) points of the object on the table, in `world`, m.
            start: (4, 4) palm pose when the lift began.
            state: the present one.
            tell: called while it waits; what it raises leaves the sight without a verdict.
        """
        stamp, remark = -1, "interrupted"
        verdict = None
        try:
            rise = float(state.wrist_pose[2, 3] - start[2, 3])
            received = self._clouds.received
            response = self._answer(before, rise, tell)
            if not response.success:
                remark = response.message
            elif not self._clouds.wait_for_newer(received, CLOUD_TIMEOUT):
                remark = "no cloud came"
            else:
                stamp = self._clouds.stamp
                held, _ = self._clouds.points
                verdict = seen_lift(before, held, rise, self._config)
                remark = "" if verdict else f"only {len(held)} points seen"
        except NoAnswer as error:
            remark = str(error)
        finally:
            sight.conclude(verdict, remark)
        return stamp

    def _answer(self, before: np.ndarray, rise: float, tell: Tell) -> Capture.Response:
        """The response of either service, of which only `success` and `message` are used."""
        if self._capture_with.client.service_is_ready():
            low, high = before.min(axis=0) - _SURROUNDING, before.max(axis=0) + _SURROUNDING
            high[2] += rise
            request = Capture.Request(region_min=_point(low), region_max=_point(high))
            return self._capture_with(request, tell)
        if not self._capture.client.service_is_ready():
            raise NoAnswer(f"{self._capture.name} is not there")
        return self._capture(Trigger.Request(), tell)


def _point(values: np.ndarray) -> Point:
    x, y, z = (float(value) for value in values)
    return Point(x=x, y=y, z=z)
