"""One process of several that learn by PPO together: OUT."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from assist_actor import actor, demonstrated
from assist_toys import TINY
from reach_environment import Reach
from rsl_rl.algorithms import PPO as RslPPO

from dexgrasp_learning.assist_training import actor_critic
from dexgrasp_learning.imitation import Imitation, ImitationConfig
from dexgrasp_learning.ppo import PPO, PPOConfig
from dexgrasp_learning.rounds import train_rounds
from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.training.processes import Processes, joined
from dexgrasp_models.training.run import Run

CONFIG = PPOConfig(environments=16, rollout=4, mini_batch=16, epochs=2, learning_rate=3e-3)


def main() -> None:
    """Three rounds in `whole`, in `parts` one and then the others, and in `apart` one in which no
    process has any gradients but its own."""
    torch.set_num_threads(1)
    with joined("cpu") as processes:
        mean_imitation(processes)
        for name, rounds in (("whole", 3), ("parts", 1), ("parts", 3)):
            trained(name, rounds, processes)
        RslPPO.reduce_parameters = lambda self: None
        trained("apart", 1, processes)


def mean_imitation(processes: Processes) -> None:
    """Each adds the mean gradient, cut afterwards, of what all are shown."""

    def gradients(seed: int, longest: float, processes: Processes | None = None) -> torch.Tensor:
        model = actor()
        optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
        config = ImitationConfig(batch=4)
        imitation = Imitation(
            model, optimiser, demonstrated(seed), config, longest, processes=processes
        )
        return torch.cat([each.flatten() for each in imitation.gradients()])

    mean = (gradients(0, 1e9) + gradients(1, 1e9)) / 2
    found = gradients(processes.rank, 0.5, processes)
    assert torch.allclose(found, 0.5 * mean / mean.norm(), atol=1e-6)


def trained(name: str, rounds: int, processes: Processes) -> None:
    """A run, and what each process has learned in it."""
    out, found = Path(sys.argv[1]) / name, learner(processes)
    run = Run(out, "assist", checkpoint_every=0.0)
    progress = train_rounds(found, rounds, run, processes=processes)
    steps = rounds * CONFIG.environments * Reach.max_episode_length
    assert progress.validation["agent_steps"] == steps
    processes.agreed(True)  # the leading one has written its checkpoint by then
    torch.save(found.state()["objective"], out / f"learned.{processes.rank}")


def learner(processes: Processes | None = None) -> PPO:
    """Of targets that are reached for; the first weights of another process than the leading one
    don't count."""
    processes = processes or Processes()
    torch.manual_seed(100 + processes.rank)
    drawn = Reach.drawn(processes.share(CONFIG.environments, "environments"))
    return PPO(
        actor_critic(AssistNetwork(TINY), None),
        Reach,
        lambda number: drawn,
        CONFIG,
        seed=0,
        processes=processes,
    )


if __name__ == "__main__":
    main()
