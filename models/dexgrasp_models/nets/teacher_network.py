"""The teacher's network in the goal-conditioned task (UniDexGrasp, CVPR 2023: 3.3.1 and B.2.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, cat, nn

from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.nets.bisector_encoder import BisectorConfig
from dexgrasp_models.nets.cloud_encoders import ENCODERS, encoded, new_encoder, prepared_clouds
from dexgrasp_models.nets.pointnet import PointNetConfig
from dexgrasp_models.nets.standardised_states import StandardisedStates, policy_head
from dexgrasp_models.parameters import Parameters, choice, flag, parameter


@dataclass(frozen=True)
class TeacherNetworkConfig(Parameters):
    """Settings of :class:`TeacherNetwork`. The defaults are those of the paper (B.2.1)."""

    told: bool = flag(True, "whether it is told a grasp; else it grasps as it likes (Table 8)")
    canonical: bool = flag(
        True,
        "whether it sees and acts in the frame of the first hand (3.3.1), not of the world",
    )
    acts: str = choice(
        "actions",
        ("actions", "moves"),
        "by motor commands (C.1), or as a student: where to from the grasp that is told, how fast",
    )
    encoder: str = choice(
        "pointnet",
        ENCODERS,
        "what encodes the object's points, or the bisector surface of hand and object: IBS, B.2.2",
    )
    pointnet: PointNetConfig = field(default_factory=PointNetConfig)
    basis_points: BasisPointsConfig = field(default_factory=BasisPointsConfig)
    bisector: BisectorConfig = field(default_factory=BisectorConfig)
    features: tuple[int, ...] = parameter(
        (512, 64), 1, 65536, "", "layers from the encoder to the features", any_length=True
    )
    widths: tuple[int, ...] = parameter(
        (1024, 1024, 512, 512), 1, 65536, "", "hidden layers of the MLP", any_length=True
    )
    categories: int = parameter(
        0, 0, 100_000, "", "that the features are told apart by; 0: they aren't"
    )

    @classmethod
    def paper(cls) -> TeacherNetworkConfig:
        """PointNet and the widths of B.2.1."""
        return cls(pointnet=PointNetConfig(align_input=False, batch_norm=False))

    @classmethod
    def small(cls) -> TeacherNetworkConfig:
        """Basis points about the object and narrower layers, for a few CPU cores."""
        around = BasisPointsConfig(centre=(0.0, 0.0, 0.0), widths=(256, 128))
        return cls(
            acts="moves",
            encoder="basis_points",
            basis_points=around,
            bisector=BisectorConfig.small(),
            features=(64,),
            widths=(512, 256),
        )


class TeacherNetwork(StandardisedStates):
    """From true states and an object's points to actions, not bounded.

    States are `dexgrasp_models.tasks.goal_teacher.teacher_states`; they are standardised by means
    and deviations that `fit_standardisation` takes before training.
    """

    def __init__(self, config: TeacherNetworkConfig, states: int, outputs: int) -> None:
        """
        Args:
            config: settings.
            states: numbers of a state.
            outputs: numbers of an action; 1 of a critic.

        Raises:
            ValueError: it acts by moves from a grasp that it isn't told.
        """
        if config.acts == "moves" and not config.told:
            raise ValueError("moves are from a grasp that is told: without one, acts is actions")
        super().__init__(states)
        self.config = config
        self.encoder = new_encoder(config)
        layers: list[nn.Module] = []
        width = self.encoder.features
        for after in config.features:
            layers += [nn.Linear(width, after), nn.ELU()]
            width = after
        self.project = nn.Sequential(*layers)
        self.classifier = nn.Linear(width, config.categories) if config.categories else None
        self.head = policy_head(states + width, config.widths, outputs)

    def prepared(self, clouds: Tensor) -> Tensor:
        """What of the encoder doesn't learn.

        Args:
            clouds: (B, P, 3) of the objects in their own frames, m; of `bisector`
                `HandBisector.features`.

        Returns:
            (B, K) nearness of the basis points; of other encoders what is given.

        Raises:
            ValueError: clouds have another shape, or aren't finite.
        """
        return prepared_clouds(self.encoder, clouds)

    def features(self, clouds: Tensor) -> Tensor:
        """(B, F) of clouds that went through `prepared`."""
        return self.project(encoded(self.encoder, clouds))

    def categories(self, clouds: Tensor) -> Tensor:
        """(B, C) logits of the categories, likewise.

        Raises:
            ValueError: it was not made to tell any.
        """
        if self.classifier is None:
            raise ValueError("this network tells no categories: make it with some")
        return self.classifier(self.features(clouds))

    def of_features(self, states: Tensor, features: Tensor) -> Tensor:
        """(B, A) actions, of states (B, S) and features (B, F).

        Raises:
            ValueError: shapes don't fit, or something isn't finite.
        """
        return self.head(cat((self.standardised(states), features), dim=-1))

    def actions(self, states: Tensor, clouds: Tensor) -> Tensor:
        """(B, A) of clouds that went through `prepared`."""
        return self.of_features(states, self.features(clouds))

    def forward(self, states: Tensor, clouds: Tensor) -> Tensor:
        """As `actions`, of clouds (B, P, 3)."""
        return self.actions(states, self.prepared(clouds))
