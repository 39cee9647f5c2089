"""A node that does nothing, also as a process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_ros.node import ManagedNode
from dexgrasp_ros.node_process import main


@dataclass(frozen=True)
class ToyParameters(Parameters):
    size: float = parameter(1.0, 0.0, 9.0, "", "how large it is")


class ToyNode(ManagedNode):
    parameters_type = ToyParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("toy", **options)


if __name__ == "__main__":
    sys.exit(main(ToyNode))
