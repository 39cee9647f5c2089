"""The rows of UniDexGrasp's Tables 1, 2 and 9: which networks each is made of, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dexgrasp_models.evaluation.networks import NetworkFolder
from dexgrasp_models.evaluation.sources import Factorised, Source, Whole
from dexgrasp_models.nets.adaptation import Adaptation, AdaptationConfig
from dexgrasp_models.nets.baselines.cvae import grasptta_adaptation
from dexgrasp_models.nets.losses import HandBody
from dexgrasp_models.nets.types import GraspTensors

ANALYTIC = "analytic"
"""The row beside the paper's, which needs no weights."""


@dataclass(frozen=True)
class NetworkRow:
    """How a row is made of networks."""

    title: str
    """As the paper's tables have it."""
    needs: tuple[str, ...]
    """The recipes whose weights it is made of."""
    source: Callable[[Mapping[str, Any]], Source]
    """From the networks by their recipes' names."""
    adaptation: Callable[[HandBody, AdaptationConfig], Adaptation] | None = None
    """What moves the samples until they touch as `contact` says; None leaves them as they are."""
    refined: bool = False
    """Whether it proposes as the learned proposer does, and not as the paper."""


def _glow(name: str) -> Callable[[Mapping[str, Any]], Source]:
    def source(networks: Mapping[str, Any]) -> Source:
        flow = networks[name]
        return Factorised(
            networks["ipdf"],
            lambda clouds, rotations, count, generator: (
                flow.sample(clouds, rotations, count, generator=generator).grasps
            ),
            flow.log_prob,
        )

    return source


def _decoupled(networks: Mapping[str, Any]) -> Source:
    return Factorised(
        networks["ipdf"], networks["decoupled"].sample, networks["decoupled"].log_prob
    )


def _cvae_given_rotation(networks: Mapping[str, Any]) -> Source:
    cvae = networks["cvae_given_rotation"]
    return Factorised(
        networks["ipdf"],
        lambda clouds, rotations, count, generator: cvae.sample(
            clouds, count, generator, rotations
        ),
    )


def _prohmr(networks: Mapping[str, Any]) -> Source:
    def log_density(clouds: Tensor, grasps: GraspTensors) -> Tensor:
        generator = torch.Generator().manual_seed(0)  # of an integral's samples
        return networks["prohmr"].log_density(clouds, grasps, generator=generator)

    return Whole(networks["prohmr"], log_density)


def _contact_adaptation(hand: HandBody, config: AdaptationConfig) -> Adaptation:
    return Adaptation(hand, config=config)


def _grasptta_adaptation(hand: HandBody, config: AdaptationConfig) -> Adaptation:
    return grasptta_adaptation(hand, replace(config, target_interval=1))


ROWS: dict[str, NetworkRow] = {
    "grasptta": NetworkRow(
        "GraspTTA (C + T)",
        ("cvae", "contact"),
        lambda networks: Whole(networks["cvae"]),
        _grasptta_adaptation,
    ),
    "ddg": NetworkRow("DDG", ("ddg",), lambda networks: Whole(networks["ddg"])),
    "r_c_t": NetworkRow(
        "R + C + T",
        ("ipdf", "cvae_given_rotation", "contact"),
        _cvae_given_rotation,
        _contact_adaptation,
    ),
    "relie": NetworkRow(
        "ReLie + T",
        ("relie", "contact"),
        lambda networks: Whole(networks["relie"], networks["relie"].log_prob),
        _contact_adaptation,
    ),
    "prohmr": NetworkRow("ProHMR + T", ("prohmr", "contact"), _prohmr, _contact_adaptation),
    "decoupled": NetworkRow(
        "decoup.T", ("ipdf", "decoupled", "contact"), _decoupled, _contact_adaptation
    ),
    "without_tta": NetworkRow("w/o TTA", ("ipdf", "joint"), _glow("joint")),
    "glow": NetworkRow(
        "not end-to-end", ("ipdf", "glow", "contact"), _glow("glow"), _contact_adaptation
    ),
    "full": NetworkRow(
        "ours (R + GL + T)", ("ipdf", "joint", "contact"), _glow("joint"), _contact_adaptation
    ),
    "refined": NetworkRow(
        "ours, refined", ("ipdf", "joint", "contact"), _glow("joint"), refined=True
    ),
}
"""By the names that `dexgrasp eval proposals --rows` takes; see also `ANALYTIC`."""

ROW_NAMES = (*ROWS, ANALYTIC)
"""Of all rows, in the order of the tables."""


def check_rows(names: Sequence[str]) -> None:
    """Whether there are such rows.

    Raises:
        ValueError: there is none of a name, or none at all.
    """
    unknown = [name for name in names if name not in ROW_NAMES]
    if unknown or not names:
        raise ValueError(f"no row {', '.join(unknown)}; the rows are {', '.join(ROW_NAMES)}")


def needs(names: Sequence[str]) -> list[str]:
    """The recipes whose weights some rows are made of."""
    return sorted({recipe for name in names if name in ROWS for recipe in ROWS[name].needs})


def missing_weights(names: Sequence[str], folder: NetworkFolder) -> dict[str, list[str]]:
    """The recipes that rows lack weights of, by the names of such rows."""
    found = {name: folder.missing(ROWS[name].needs) for name in names if name in ROWS}
    return {name: missing for name, missing in found.items() if missing}
