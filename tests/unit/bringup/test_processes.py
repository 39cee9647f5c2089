"""The demo's own process runner, on small processes instead of nodes."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy

from dexgrasp_bringup import processes
from dexgrasp_bringup.graph import GraphError, GraphNode, SimulationOptions, simulation_graph
from dexgrasp_bringup.processes import GraphProcesses, free_domain_id, node_command

SLEEP = "import time; time.sleep(60)"
DEAF = (
    f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); {SLEEP}"
)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Starts Python programs, by name, as if they were nodes."""

    def run(on_line: Callable = lambda name, line: None, **programs: str) -> GraphProcesses:
        monkeypatch.setattr(
            processes,
            "node_command",
            lambda node: [sys.executable, "-S", "-c", programs[node.name]],
        )
        graph = [
            GraphNode("package", "executable", name, commands=name == "mover") for name in programs
        ]
        return GraphProcesses(graph, dict(os.environ), tmp_path / "logs", on_line)

    return run


def until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_tells_which_process_ended_and_what_it_said(start: Callable) -> None:
    with start(good=SLEEP, bad="print('no mesh'); raise SystemExit(3)") as running:
        until(running.ended)
        until(lambda: running.last_lines("bad"))
        assert running.ended() == {"bad": 3}
        assert running.last_lines("bad") == ["no mesh"]


def test_output_goes_to_the_log_and_the_callback(start: Callable, tmp_path: Path) -> None:
    lines = []
    with start(lambda *line: lines.append(line), node="print('one'); print('two')") as running:
        until(running.ended)
        until(lambda: len(lines) == 2)
    assert lines == [("node", "one"), ("node", "two")]
    assert (tmp_path / "logs" / "node.log").read_text() == "one\ntwo\n"


def test_a_process_deaf_to_interrupts_is_killed_with_its_children(
    start: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "INTERRUPT_TIMEOUT", 0.5)
    child = (
        "import subprocess, sys;"
        f"child = subprocess.Popen([sys.executable, '-S', '-c', {DEAF!r}]);"
        f"print(child.pid, flush=True); {DEAF}"
    )
    with start(parent=child) as running:
        until(lambda: len(running.last_lines("parent")) == 3)
        pids = [int(line) for line in running.last_lines("parent") if line.isdigit()]
        assert all(is_running(pid) for pid in pids)
    until(lambda: not any(is_running(pid) for pid in pids))
    assert running.ended() == {"parent": -signal.SIGKILL}


def test_all_processes_end_when_the_block_raises(start: Callable) -> None:
    with pytest.raises(KeyboardInterrupt), start(one=SLEEP, two=SLEEP) as running:
        raise KeyboardInterrupt
    assert sorted(running.ended()) == ["one", "two"]


def test_what_moves_the_robot_ends_before_the_others_are_interrupted(
    start: Callable, tmp_path: Path
) -> None:
    def noted(seconds: float) -> str:
        """Takes its time to end, and notes when it was interrupted and when it ended."""
        return (
            "import signal, sys, time;"
            f"signal.signal(signal.SIGINT, lambda *_: (print('asked', time.monotonic()),"
            f" time.sleep({seconds}), print('ended', time.monotonic()), sys.exit(0)));"
            f"print('up', flush=True); {SLEEP}"
        )

    with start(other=noted(0.0), mover=noted(0.5)) as running:
        until(lambda: running.last_lines("other") and running.last_lines("mover"))
    (_, mover_ended), (other_asked, _) = (
        [
            float(line.split()[1])
            for line in (tmp_path / "logs" / f"{name}.log").read_text().splitlines()[1:]
        ]
        for name in ("mover", "other")
    )
    assert mover_ended < other_asked


def test_one_that_moves_the_robot_and_does_not_end_holds_nothing_up_for_long(
    start: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MOTION_TIMEOUT", 0.2)
    monkeypatch.setattr(processes, "INTERRUPT_TIMEOUT", 3.0)  # enough for the other
    with start(other=SLEEP, mover=DEAF) as running:
        until(lambda: running.last_lines("mover"))
    assert running.ended() == {"other": -signal.SIGINT, "mover": -signal.SIGKILL}


@pytest.fixture
def first_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """That whoever asks in this process finds first; reserved by nobody."""
    monkeypatch.setattr(random.SystemRandom, "randrange", lambda *_: 41)
    reserved: deque[socket.socket] = deque()
    monkeypatch.setattr(processes, "_reserved", reserved)
    first = free_domain_id()
    reserved.pop().close()
    yield first
    for each in reserved:
        each.close()


def test_domain_in_use_is_not_chosen(first_domain: int) -> None:
    for participant in (0, 7):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("", 7410 + 250 * first_domain + 2 * participant))
            assert free_domain_id() != first_domain
    assert free_domain_id() == first_domain
    assert 1 <= first_domain <= 101


def test_domain_that_another_has_just_chosen_is_not_chosen(first_domain: int) -> None:
    code = (
        "import random; random.SystemRandom.randrange = lambda *_: 41;"
        "from dexgrasp_bringup.processes import free_domain_id;"
        "print(free_domain_id(), flush=True); input()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        assert int(one.stdout.readline()) == first_domain
        assert free_domain_id() != first_domain
        one.communicate("\n")
    assert free_domain_id() == first_domain


def test_a_process_gives_domains_back_that_it_chose_long_ago(first_domain: int) -> None:
    chosen = [free_domain_id() for _ in range(20)]
    assert all(len(set(chosen[n : n + 8])) == 8 for n in range(12))
    assert first_domain in chosen[8:]


def test_command_keeps_the_types_of_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "executable_path", lambda *_: Path("/bin/node"))
    node = GraphNode("p", "node", "n", parameters={"text": "1", "real": 2.0, "flag": True})
    assert node_command(node) == [
        "/bin/node", "--ros-args", "-r", "__node:=n",
        "-p", 'text:="1"', "-p", "real:=2.0", "-p", "flag:=true",
    ]  # fmt: skip


def test_command_names_the_namespace_and_what_becomes_relative_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "executable_path", lambda *_: Path("/bin/node"))
    node = GraphNode("p", "node", "n", namespace="lab/cell1", log_level="debug")
    assert node_command(node) == [
        "/bin/node", "--ros-args", "-r", "__node:=n", "-r", "__ns:=/lab/cell1",
        "-r", "/clock:=clock", "-r", "/tf:=tf", "-r", "/tf_static:=tf_static",
        "--log-level", "debug",
    ]  # fmt: skip


def test_every_node_of_the_graph_is_installed_and_has_its_file() -> None:
    for node in simulation_graph(SimulationOptions(viewer=True)):
        assert Path(node_command(node)[0]).is_file()


def test_what_knows_texts_is_told_where_clip_is() -> None:
    def proposals(**options: str) -> GraphNode:
        nodes = simulation_graph(SimulationOptions(**options))
        return next(node for node in nodes if node.name == "proposals")

    assert proposals(clip="/weights").parameters["language.weights"] == "/weights"
    assert "language.weights" not in proposals().parameters


def test_a_node_that_is_not_installed_is_named() -> None:
    with pytest.raises(GraphError, match="dexgrasp_none/nothing is not installed"):
        node_command(GraphNode("dexgrasp_none", "nothing", "nothing"))


@pytest.mark.parametrize(
    "path", ["/tmp/杯子.stl", "/tmp/\U0001f600.stl", '/tmp/it\'s "a".stl', "1"]
)
def test_any_path_reaches_the_node(monkeypatch, path):
    monkeypatch.setattr(processes, "executable_path", lambda *_: Path("node"))
    command = node_command(GraphNode("package", "executable", "it", parameters={"object": path}))
    context = rclpy.Context()
    rclpy.init(args=command[1:], context=context)
    try:
        node = rclpy.create_node("it", context=context)
        assert node.declare_parameter("object", "").value == path
        node.destroy_node()
    finally:
        context.shutdown()
