"""Parameters of the simulated cell's nodes."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_models.parameters import Parameters, flag, parameter, text


@dataclass(frozen=True)
class ObjectParameters(Parameters):
    """What lies on the table; the same for all nodes of a cell."""

    object: str = text("can", "object on the table: a generated shape, a mesh file or a folder")
    scale: float = parameter(1.0, 1e-4, 1e4, "", "factor on the size of the object")
    seed: int = parameter(0, 0, 2**31 - 1, "", "draws the object's pose and the cameras' noise")


@dataclass(frozen=True)
class CellParameters(ObjectParameters):
    """Parameters of the cell beside those of the scene (`SceneConfig`, from scene.yaml)."""

    address: str = text("127.0.0.1", "where the devices answer: an address of this machine alone")
    simulated_arm: bool = flag(
        True, "whether the arm's controller is simulated; else the arm follows /joint_states"
    )
    simulated_hand: bool = flag(
        True, "whether the hand's software is simulated; else the fingers follow /joint_states"
    )
