"""What an executor of commands takes: the simulator's checks, for drivers of a robot too.

Anybody may publish on a command topic. A command is taken from one commander at a time, fit for the
present state of the robot and within its bounds; any other is refused, with the reason.
docs/ros_graph.md says what that means for a commander.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseStamped
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_models.control.execution import ExecutionLimiter, Fault
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.conversions import NANOSECONDS, MessageError
from dexgrasp_ros.sender import Sender


class Refusal(Exception):
    """A command is not carried out.

    Attributes:
        sender: whose it is.
        topic: on which it came.
        fault: what is wrong with it.
    """

    def __init__(self, sender: Sender, topic: contract.Topic, fault: Fault) -> None:
        self.sender = sender
        self.topic = topic
        self.fault = fault
        super().__init__(f"{sender} on {topic.name}: {fault}")


@dataclass(frozen=True)
class Silence:
    """A commander whose commands have stopped.

    Attributes:
        commander: who.
        topic: on which its commands came.
        seconds: since the last that was taken, on the executor's clock.
    """

    commander: Sender
    topic: contract.Topic
    seconds: float


class _Claim:
    """Who commands one topic, from the first command that is taken to the last."""

    def __init__(self, topic: contract.Topic, begin: Callable[[], None]) -> None:
        self.topic = topic
        self.begin = begin
        self.commander: Sender | None = None
        self.heard_ns = 0
        self.answered_ns = 0

    def is_of(self, sender: Sender) -> bool:
        return self.commander is not None and self.commander.same_node(sender)

    def silence(self, now_ns: int) -> Silence | None:
        if self.commander is None:
            return None
        return Silence(self.commander, self.topic, (now_ns - self.heard_ns) / NANOSECONDS)


class CommandIntake:
    """Decides on the messages of the two command topics.

    Each topic has one commander at a time: the node whose command was taken first. It stays so
    until it lets go, has been silent for too long, or has left the graph. The clock is the
    executor's own, on which its measured states are stamped. Calls must not overlap.

    Args:
        joint_names: the 22 finger joints.
        limiter: the bounds of the robot.
        command_age: s; answers to older states are refused.
        silence_limit: s of silence after which a commander is let go.
        lock_step: whether only answers to the present state count.
        is_present: whether a publisher is still in the graph.
    """

    def __init__(
        self,
        joint_names: Sequence[str],
        limiter: ExecutionLimiter,
        *,
        command_age: float,
        silence_limit: float,
        lock_step: bool,
        is_present: Callable[[Sender], bool],
    ) -> None:
        self._joint_names = tuple(joint_names)
        self._limiter = limiter
        self._command_age = command_age
        self._silence_limit = silence_limit
        self._lock_step = lock_step
        self._is_present = is_present
        self._hand = _Claim(contract.HAND_COMMAND, limiter.begin_fingers)
        self._wrist = _Claim(contract.WRIST_TARGET, limiter.begin_wrist)

    @property
    def one_commander(self) -> bool:
        """Whether the same node commands hand and wrist."""
        return self._wrist.commander is not None and self._hand.is_of(self._wrist.commander)

    def finger_targets(self, message: JointTrajectory, sender: Sender, now_ns: int) -> np.ndarray:
        """The (22,) finger targets to go to, rad.

        Args:
            message: a trajectory with points; one without lets go, see `let_go`.
            sender: who published it.
            now_ns: the executor's clock.

        Raises:
            Refusal: it is not to be carried out.
        """
        ns = conversions.stamp_to_ns(message.header.stamp)
        self._check(self._hand, sender, ns, now_ns)
        try:
            targets = conversions.targets_from_message(message, self._joint_names)
        except MessageError as error:
            raise Refusal(sender, contract.HAND_COMMAND, Fault(str(error))) from None
        fault = self._limiter.finger_fault(targets)
        return self._take(self._hand, sender, (ns, now_ns), targets, fault)

    def wrist_target(self, message: PoseStamped, sender: Sender, now_ns: int) -> np.ndarray:
        """The (4, 4) pose of the palm in the world to go to; as `finger_targets`."""
        ns = conversions.stamp_to_ns(message.header.stamp)
        self._check(self._wrist, sender, ns, now_ns)
        try:
            target = conversions.world_pose_from_message(message)
        except MessageError as error:
            raise Refusal(sender, contract.WRIST_TARGET, Fault(str(error))) from None
        fault = self._limiter.wrist_fault(target)
        return self._take(self._wrist, sender, (ns, now_ns), target, fault)

    def let_go(self, sender: Sender) -> list[contract.Topic]:
        """Ends what a node commands; which topics that was.

        Raises:
            Refusal: the hand is commanded by another.
        """
        self._check_commander(self._hand, sender)
        return self._freed([claim for claim in self._claims if claim.is_of(sender)])

    def silent(self, now_ns: int) -> Silence | None:
        """The commander from whom nothing fresh has come for the longest time, if any."""
        silences = [s for claim in self._claims if (s := claim.silence(now_ns)) is not None]
        longest = max(silences, key=lambda silence: silence.seconds, default=None)
        told_after = min(self._command_age, self._silence_limit)
        return longest if longest and longest.seconds > told_after else None

    def end_silence(self, now_ns: int) -> list[contract.Topic]:
        """Lets go who has been silent for too long; on which topics that was."""
        return self._freed(
            [
                claim
                for claim in self._claims
                if (s := claim.silence(now_ns)) is not None and s.seconds > self._silence_limit
            ]
        )

    def reset(self) -> None:
        """Nobody commands, as at the start."""
        self._freed(self._claims)

    @property
    def _claims(self) -> list[_Claim]:
        return [self._hand, self._wrist]

    def _freed(self, claims: list[_Claim]) -> list[contract.Topic]:
        for claim in claims:
            claim.commander = None
        return [claim.topic for claim in claims]

    def _check(self, claim: _Claim, sender: Sender, ns: int, now_ns: int) -> None:
        self._check_commander(claim, sender)
        fault = self._stamp_fault(ns, now_ns)
        if fault is None and claim.is_of(sender) and 0 != ns < claim.answered_ns:
            late = (claim.answered_ns - ns) / NANOSECONDS
            fault = Fault("it answers an older state than the command before", f"by {late:.3f} s")
        if fault is not None:
            raise Refusal(sender, claim.topic, fault)
        if claim.commander is None:
            claim.begin()

    def _check_commander(self, claim: _Claim, sender: Sender) -> None:
        if claim.commander is None or claim.is_of(sender):
            return
        if not self._is_present(claim.commander):
            claim.commander = None
            return
        raise Refusal(sender, claim.topic, Fault(f"{claim.commander} commands"))

    def _stamp_fault(self, ns: int, now_ns: int) -> Fault | None:
        """A stamp of zero answers no state; it is taken where time goes on by itself."""
        seconds = (now_ns - ns) / NANOSECONDS
        if self._lock_step:
            if ns != now_ns:
                return Fault("it does not answer the present state", f"{seconds:.3f} s old")
        elif ns > now_ns:
            return Fault("it is stamped ahead of the clock", f"by {-seconds:.3f} s")
        elif ns != 0 and seconds > self._command_age:
            return Fault("it answers a state that is too old", f"{seconds:.3f} s old")
        return None

    def _take(
        self,
        claim: _Claim,
        sender: Sender,
        times: tuple[int, int],
        target: np.ndarray,
        fault: Fault | None,
    ) -> np.ndarray:
        if fault is not None:
            raise Refusal(sender, claim.topic, fault)
        claim.commander = sender
        claim.answered_ns, claim.heard_ns = times
        return target
