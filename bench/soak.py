"""What the graph keeps after many grasps: memory, threads and descriptors of each node.

    python bench/soak.py [--goals 200] [--captures 200] [--object can] [--scene floating]
        [--params-file FILE] [--out FILE]

Starts the graph of `dexgrasp demo` once, captures and grasps again and again with a reset between
two grasps, and prints what each node's process has at intervals. A node's memory goes up and down
by a few MB with what it has just done, so growth is told from the median of the second to fourth
tenth of the goals, when everything has been loaded, to that of the last three. A capture that is
refused, and a goal without an answer, are counted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from reports import write_report
from rich.console import Console
from rich.table import Table
from running_graph import RunningGraph, parsed, wait_for_end

GOAL_TIMEOUT = 600.0
"""Seconds in which a goal has to be answered; far more than one takes on a busy machine."""
_console = Console(stderr=True)


def main() -> None:
    """Print a table, and write all figures as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--goals", type=int, default=200)
    parser.add_argument("--captures", type=int, default=200)
    arguments, options = parsed(parser)
    with tempfile.TemporaryDirectory() as logs, RunningGraph(options, Path(logs)) as graph:
        graph.wait_until_active()
        figures = {"options": vars(arguments) | {"out": None}}
        figures["captures"] = _captures(graph, arguments.captures)
        figures["goals"] = {"outcomes": {}, "samples": []}
        figures["tracebacks"] = tracebacks(Path(logs))
        for figures["goals"] in _goals(graph, arguments.goals):
            figures["tracebacks"] = tracebacks(Path(logs))
            write_report(arguments.out, figures)  # as a run takes an hour and more
    print_tables(figures)


def _captures(graph: RunningGraph, count: int) -> dict[str, Any]:
    """How many of some captures in a row were refused, and why."""
    refused = []
    for index in range(count):
        response = graph.capture()
        if not response.success or "no image" in response.message:
            refused.append(response.message)
        if (index + 1) % 20 == 0:
            _console.print(f"{index + 1} captures, {len(refused)} without some image")
    return {"asked": count, "short_of_images": refused}


def _goals(graph: RunningGraph, count: int) -> Iterator[dict[str, Any]]:
    """What came of the goals so far, and what the nodes' processes had; at each sample."""
    outcomes: dict[str, int] = {}
    samples: list[dict[str, Any]] = []
    every = max(1, count // 20)
    for index in range(count):
        result = wait_for_end(graph.start_grasp(place=False), GOAL_TIMEOUT)
        outcome = result.outcome if result else "no answer"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        graph.reset()
        if (index + 1) % every == 0:
            samples.append({"goals": index + 1, **usage(graph)})
            _console.print(f"{index + 1} goals: {outcomes}; {samples[-1]}")
            yield {"outcomes": outcomes, "samples": samples}


def usage(graph: RunningGraph) -> dict[str, dict[str, float]]:
    """MB resident, threads and descriptors of each node's own process."""
    return {name: kept(graph.processes.process(name)) for name in graph.names}


def kept(process: psutil.Process) -> dict[str, float]:
    """MB resident, threads and descriptors of a process."""
    return {
        "MB": round(process.memory_info().rss / 2**20, 1),
        "threads": process.num_threads(),
        "descriptors": process.num_fds(),
    }


def tracebacks(logs: Path) -> int:
    """How many of Python's tracebacks the nodes have printed."""
    return sum(path.read_text().count("Traceback") for path in logs.glob("*.log"))


def print_tables(figures: dict[str, Any]) -> None:
    """Figures of `main`, for people."""
    console = Console()
    captures, goals = figures["captures"], figures["goals"]
    short = captures["short_of_images"]
    console.print(f"captures: {captures['asked']}, {len(short)} refused or short of an image")
    for message in short[:5]:
        console.print(f"  {message}")
    console.print(f"goals: {goals['outcomes']}; tracebacks: {figures['tracebacks']}")
    samples = goals["samples"]
    if len(samples) < 10:
        return
    tenth = len(samples) // 10
    early, late = samples[tenth : 4 * tenth], samples[-3 * tenth :]
    table = Table("node", "MB", "growth", "threads", "descriptors")
    for name in (key for key in samples[0] if key != "goals"):

        def values(period: list[dict[str, Any]], what: str, name: str = name) -> list[float]:
            return [sample[name][what] for sample in period]

        before, after = (statistics.median(values(period, "MB")) for period in (early, late))
        table.add_row(
            name,
            f"{before:.0f} -> {after:.0f}",
            f"{100 * (after / before - 1):+.1f} %",
            *(
                f"{max(values(early, what))} -> {max(values(late, what))}"
                for what in ("threads", "descriptors")
            ),
        )
    console.print(
        f"goals {early[0]['goals']} to {early[-1]['goals']} -> {late[0]['goals']} to"
        f" {late[-1]['goals']}: median memory, most threads and descriptors"
    )
    console.print(table)


if __name__ == "__main__":
    main()
