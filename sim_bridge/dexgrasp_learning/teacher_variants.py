"""What is trained beside UniDexGrasp's teacher, by name: ablations and baselines (4.3, B.2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TeacherVariant:
    """What a teacher has of what the paper proposes."""

    canonical: bool = True
    """State canonicalisation (SC)."""
    stages: int = 3
    """Of the object curriculum (OCL), before all objects."""
    imitates: bool = True
    """Whether demonstrations are learned from beside the reward, as in DAPG and ILAD."""
    geometry: str = "imitated"
    """What the encoder of the object's points learns from: `imitated`, as in ILAD, or `rewarded`,
    as the rest of the network."""
    classifies: bool = True
    """Whether the encoder also learns to tell categories apart (cls)."""


_ILAD = TeacherVariant(canonical=False, stages=0, classifies=False)

OURS = "ours"
VARIANTS: Mapping[str, TeacherVariant] = {
    OURS: TeacherVariant(),
    "without_sc": TeacherVariant(canonical=False),
    "without_cls": TeacherVariant(classifies=False),
    "without_ocl": TeacherVariant(stages=0),
    "one_stage": TeacherVariant(stages=1),
    "two_stages": TeacherVariant(stages=2),
    "ppo": replace(_ILAD, imitates=False, geometry="rewarded"),
    "dapg": replace(_ILAD, geometry="rewarded"),
    "ilad": _ILAD,
}
"""By the names that `dexgrasp train teacher --variant` takes: rows of Table 3."""
