"""One process of several that learn by DAgger together: OUT."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from assist_toys import TINY, Ridge

from dexgrasp_learning.dagger import Dagger, DaggerConfig, Student
from dexgrasp_learning.rounds import train_rounds
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.tasks.assist_inputs import InputMaker
from dexgrasp_models.tasks.learned_assist import NetworkPolicy
from dexgrasp_models.training.objectives import LOSS
from dexgrasp_models.training.processes import Processes, joined
from dexgrasp_models.training.run import Run

CONFIG = DaggerConfig(
    rounds=3, episodes=8, updates=4, batch=32, learning_rate=3e-3, ema=0.9, expert_share=0.5
)


def main() -> None:
    """Three rounds in `whole`, and in `parts` one and then the others."""
    torch.set_num_threads(1)
    with joined("cpu") as processes:
        mean_gradient(processes)
        for name, rounds in (("whole", 3), ("parts", 1), ("parts", 3)):
            out = Path(sys.argv[1]) / name
            found = learner(out, processes)
            run = Run(out, "assist", checkpoint_every=0.0)
            train_rounds(found, rounds, run, judge=lambda _: {LOSS: 0.5}, processes=processes)
            processes.agreed(True)  # the leading one has written its checkpoint by then
            torch.save(found.network.state_dict(), out / f"network.{processes.rank}")


def mean_gradient(processes: Processes) -> None:
    """Of 0 and 1."""
    values = torch.nn.Parameter(torch.zeros(2, 3))
    values.grad = torch.full((2, 3), float(processes.rank))
    processes.average([values])
    assert torch.equal(values.grad, torch.full((2, 3), 0.5))


def learner(out: Path, processes: Processes | None = None) -> Dagger:
    """On the ridge; the first weights of another process than the leading one don't count."""
    processes = processes or Processes()
    torch.manual_seed(100 + processes.rank)
    network = AssistNetwork(replace(TINY, outputs="direct"))
    inputs = InputMaker(network, None, load_hand())
    return Dagger(
        Student(network, lambda seen: inputs(seen).named, lambda each: NetworkPolicy(each, None)),
        Ridge(),
        Ridge.drawn(processes.share(CONFIG.episodes, "episodes")),
        CONFIG,
        seed=0,
        folder=out / "states",
        processes=processes,
    )


if __name__ == "__main__":
    main()
