"""The main job: start the graph in simulation, grasp and lift the object, show what happened."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from dexgrasp_bringup.device_start import DeviceError, resume_drivers, wait_for_images
from dexgrasp_bringup.graph import GraphError, GraphNode, SimulationOptions, simulation_graph
from dexgrasp_bringup.grasp_client import GoalRefused, GraspClient, GraspRun, ServerLost
from dexgrasp_bringup.pictures import write_pictures
from dexgrasp_bringup.processes import GraphProcesses, graph_environment
from dexgrasp_bringup.recording import Moment, ProposalRecording, Proposed, Recording
from dexgrasp_bringup.summary import Interval, summarise
from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_models.files import written_whole

START_LIMIT = 600.0
"""Processor seconds that a node may use until it is active; the pieces of a new mesh can take
long. On a busy machine it gets them later."""
START_STALL = 60.0
"""Seconds of wall time after which a node that is not active and works on nothing is given up."""
_AT_WORK = 1.0
"""Processor seconds in `START_STALL` from which on a node is at work: one that waits uses less."""
STALL_TIMEOUT = 120.0
"""Seconds without a word of the control node after which a grasp is given up; it says several times
a second what it does or waits for, and gives up by itself what does not come."""

_FAREWELL = 0.5
"""Seconds of wall time for which the simulator is listened to after the end."""
_SHOWN = re.compile(r"\[(WARN|ERROR|FATAL)\]|Error:|Traceback|the scene is on http")


class DemoFailed(RuntimeError):
    """A part of the graph could not start, or broke; the message says which and why."""


@dataclass(frozen=True)
class _Stage:
    name: str
    start: float
    """Wall time, s, of the monotonic clock."""


class StageLog:
    """The stages of a grasp as the feedback tells them, printed as each one ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self.entered: list[_Stage] = []
        self.ended_at = 0.0
        self.heard_at = time.monotonic()
        self._message = ""

    def on_feedback(self, feedback: ExecuteGrasp.Feedback | Assist.Feedback) -> None:
        with self._lock:
            self.heard_at, self._message = time.monotonic(), feedback.message
            if not self.entered or self.entered[-1].name != feedback.stage:
                self._print_last()
                self.entered.append(_Stage(feedback.stage, time.monotonic()))

    def end(self) -> None:
        with self._lock:
            self.ended_at = time.monotonic()
            self._print_last()

    @property
    def current(self) -> str:
        """The present stage, and what it waits for."""
        stage = self.entered[-1].name if self.entered else "start"
        return f"{stage}: {self._message}" if self._message else stage

    def intervals(self) -> list[Interval]:
        """When each stage was."""
        ends = [*(stage.start for stage in self.entered), self.ended_at][1:]
        return [
            Interval(stage.name, stage.start, end)
            for stage, end in zip(self.entered, ends, strict=True)
        ]

    def _print_last(self) -> None:
        if self.entered:
            stage = self.entered[-1]
            self._console.print(f"  {stage.name:9} {time.monotonic() - stage.start:6.2f} s")


def run_demo(
    options: SimulationOptions, out: Path, console: Console | None = None, text: str = ""
) -> bool:
    """Runs the graph, grasps, lifts, and leaves ``result.json``, pictures and a video in `out`.

    A node that can't start or ends is a result, too: its outcome is ``failed``. With a text the
    grasp is the one that fits it (docs/language.md).

    Returns:
        Whether the object was lifted, and with `assist` came to rest in the box, by the simulator's
        true poses.

    Raises:
        GraphError: a node is not installed, or a text is given where a person moves the wrist.
    """
    if text and options.assist:
        raise GraphError(
            "a text chooses the grasp, and with assist a person does: leave out one of the two"
        )
    console = console or Console()
    out.mkdir(parents=True, exist_ok=True)
    for old in [out / "result.json", *out.glob("*.png"), *out.glob("grasp.*")]:
        old.unlink(missing_ok=True)
    environment = graph_environment()
    graph = simulation_graph(options)

    def show_problem(name: str, line: str) -> None:
        if _SHOWN.search(line):
            text = escape(_without_prefix(line))
            console.print(f"  [dim]{name}: {text}[/dim]", soft_wrap=True)

    console.print(
        f"[bold]{escape(options.object)}[/bold], {options.scene} scene, seed {options.seed},"
        f" {'the drivers' if options.drivers else options.mode.replace('_', ' ')}"
        f" (ROS_DOMAIN_ID={environment['ROS_DOMAIN_ID']})"
    )
    stages = StageLog(console)
    with (
        GraphProcesses(graph, environment, out / "logs", show_problem) as processes,
        GraspClient(int(environment["ROS_DOMAIN_ID"])) as client,
    ):
        recording = Recording(client.node, options.drivers)
        proposals = ProposalRecording(client.node)
        try:
            _wait_until_active(graph, processes, client, console)
            if options.drivers:
                alive = partial(_check_alive, processes)
                wait_for_images(options.rig, client, alive)
                resume_drivers(client, alive)
            goal = (
                Assist.Goal()
                if options.assist
                else ExecuteGrasp.Goal(choose=True, place=True, text=text)
            )
            outcome = _grasp(client, goal, processes, stages, console)
        except (DemoFailed, DeviceError) as error:
            outcome = ("failed", str(error))
        finally:
            stages.end()
        time.sleep(_FAREWELL)  # the last poses are still on their way, and what was released falls
        moments, proposed = recording.moments(), proposals.last()
        if options.viewer:
            lifted = _report(options, stages, moments, proposed, outcome, out, console)
            _leave_viewer_open(console)
            return lifted
    return _report(options, stages, moments, proposed, outcome, out, console)


def _report(
    options: SimulationOptions,
    stages: StageLog,
    moments: list[Moment],
    proposed: Proposed | None,
    outcome: tuple[str, str],
    out: Path,
    console: Console,
) -> bool:
    """Writes and prints what happened; returns whether the object was lifted."""
    result = summarise(options, stages.intervals(), moments, *outcome)
    if moments:
        write_pictures(options, stages.intervals(), moments, proposed, out, console)
    with written_whole(out / "result.json") as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    _print_result(result, out, console)
    return result["success"]


def _wait_until_active(
    graph: Sequence[GraphNode], processes: GraphProcesses, client: GraspClient, console: Console
) -> None:
    waiting = [node.name for node in graph]
    started = time.monotonic()
    progress = StartProgress()
    with console.status("starting") as status:
        while waiting:
            _check_alive(processes)
            progress.check({name: processes.processor_seconds(name) for name in waiting})
            waiting = client.inactive(waiting, timeout=0.2)
            status.update(
                f"starting: waiting for {', '.join(waiting)}, {time.monotonic() - started:.0f} s"
            )
    console.print(f"  {'start':9} {time.monotonic() - started:6.2f} s")


class StartProgress:
    """Watches whether nodes that are not active yet are at work."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, float]] = {}

    def check(self, processor_seconds: Mapping[str, float]) -> None:
        """Takes what each of them has used since its start, s.

        Raises:
            DemoFailed: one works on nothing, or on something that has no end.
        """
        now = time.monotonic()
        for name, used in processor_seconds.items():
            if used > START_LIMIT:
                raise DemoFailed(f"{name} is not active after {used:.0f} s of processor time")
            looked, before = self._since.setdefault(name, (now, used))
            if used - before >= _AT_WORK:
                self._since[name] = now, used
            elif now - looked > START_STALL:
                raise DemoFailed(
                    f"{name} is not active, and has done nothing for {START_STALL:g} s"
                )


def _grasp(
    client: GraspClient,
    goal: ExecuteGrasp.Goal | Assist.Goal,
    processes: GraphProcesses,
    stages: StageLog,
    console: Console,
) -> tuple[str, str]:
    """Sends the goal and waits; returns the outcome and its reason."""
    try:
        run = client.grasp(goal, stages.on_feedback)
    except GoalRefused as error:
        raise DemoFailed(str(error)) from error
    try:
        with console.status("capture") as status:
            _wait_for_end(run, processes, stages, status)
    except DemoFailed:
        run.cancel()
        raise
    except ServerLost as error:
        _check_alive(processes)
        raise DemoFailed(str(error)) from error
    return run.result.outcome, run.result.reason


def _wait_for_end(run: GraspRun, processes: GraphProcesses, stages: StageLog, status: Any) -> None:
    stages.heard_at = time.monotonic()
    while not run.wait(0.1):
        status.update(escape(stages.current))
        if processes.ended() and not run.wait(3.0):  # the controller may still say why
            _check_alive(processes)
        if time.monotonic() - stages.heard_at > STALL_TIMEOUT:
            raise DemoFailed(
                f"no word of the grasp for {STALL_TIMEOUT:g} s, during {stages.current}"
            )


def _check_alive(processes: GraphProcesses) -> None:
    for name, status in processes.ended().items():
        lines = processes.last_lines(name)
        last = _without_prefix(next((line for line in reversed(lines) if line.strip()), ""))
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        raise DemoFailed(f"{name} {how}: {last}" if last else f"{name} {how}")


def _leave_viewer_open(console: Console) -> None:
    console.print("The viewer stays open; Ctrl-C ends.")
    try:
        while True:
            time.sleep(1.0)
    except KeyboardInterrupt:
        return


def _print_result(result: dict[str, Any], out: Path, console: Console) -> None:
    done = "lifted" if result["in_box"] is None else "lifted into the box"
    verdict = f"[green]{done}" if result["success"] else f"[red]not {done}"
    console.print(
        f"[bold]{verdict}[/][/bold]: {escape(result['outcome'])}, {escape(result['reason'])}",
        soft_wrap=True,
    )
    if result["real_time_factor"] is not None:
        console.print(
            f"  raised {result['lift_height_m']:.3f} m,"
            f" real-time factor {result['real_time_factor']:.2f}"
        )
    console.print(f"  {', '.join(sorted(path.name for path in out.iterdir()))} in {out}/")


def _without_prefix(line: str) -> str:
    """A line of rclpy's log without its severity, time and node name."""
    return re.sub(r"^\[\w+\] \[[\d.]+\] \[[\w.]+\]: ", "", line)
