"""Memory of a process that proposes again and again: told every so many proposals.

    python bench/proposer_memory.py [--proposals 200] [--every 20] [--proposer learned]
        [--threads 2]

Objects change and each proposal is made in a thread of its own, as in a node. A process that keeps
nothing has the same memory at the end as after the first few proposals.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil
import torch
from proposer import cloud_of

from dexgrasp_models.proposals.proposer import make_proposer
from dexgrasp_models.proposals.reachability import NoProposalError

OBJECTS = ("can", "box", "ball", "hammer")


def main() -> None:
    """Print the resident memory, and what it is to that after the first stretch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proposals", type=int, default=200)
    parser.add_argument("--every", type=int, default=20, help="proposals between two lines")
    parser.add_argument("--proposer", default="learned")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    proposer = make_proposer(arguments.proposer)
    clouds = [cloud_of(name) for name in OBJECTS]
    process, first = psutil.Process(), 0.0

    def propose(index: int) -> None:
        with suppress(NoProposalError):
            proposer.propose(clouds[index % len(clouds)], 8, index)

    for index in range(arguments.proposals):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(propose, index).result()
        if (index + 1) % arguments.every == 0:
            resident = process.memory_info().rss / 2**20
            first = first or resident
            print(
                f"{index + 1:5d} proposals  {resident:7.0f} MB  {resident / first:.3f}"
                f"  {process.num_threads()} threads",
                flush=True,
            )


if __name__ == "__main__":
    main()
