"""What is trained beside UniDexGrasp's teacher, by name: ablations and baselines (4.3, B.2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dexgrasp_learning.curriculum import CurriculumConfig
from dexgrasp_learning.imitation import ImitationConfig
from dexgrasp_models.nets.teacher_network import TeacherNetworkConfig


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
    bisector: bool = False
    """Whether it sees the bisector surface of hand and object in the place of the object, and is
    told no grasp."""
    demonstrated: int | None = None
    """Most transitions of demonstrations; None: as many as the settings say."""

    def network_of(self, config: TeacherNetworkConfig) -> TeacherNetworkConfig:
        """A network of the variant, otherwise as `config` says."""
        config = replace(config, canonical=self.canonical)
        if self.bisector:
            config = replace(config, encoder="bisector", told=False, acts="actions")
        return config

    def has(self, config: TeacherNetworkConfig) -> bool:
        """Whether a network is one of the variant."""
        return self.network_of(config) == config

    def curriculum_of(self, config: CurriculumConfig) -> CurriculumConfig:
        """Its curriculum, likewise."""
        return config.with_stages(self.stages)

    def imitation_of(self, config: ImitationConfig) -> ImitationConfig:
        """How it imitates, likewise."""
        most = config.transitions if self.demonstrated is None else self.demonstrated
        return replace(config, transitions=min(config.transitions, most))


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
    # As many demonstrations as IBS has in GraspGF (its C); UniDexGrasp doesn't tell.
    "ibs": replace(_ILAD, geometry="rewarded", bisector=True, demonstrated=15_000),
}
"""By the names that `dexgrasp train teacher --variant` takes: rows of Table 3."""
