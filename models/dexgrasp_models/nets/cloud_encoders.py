"""What encodes the object for a policy, and what of that can be prepared once for a cloud."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from dexgrasp_models.nets.basis_points import BasisPoints, BasisPointsConfig
from dexgrasp_models.nets.bisector_encoder import BisectorConfig, BisectorEncoder
from dexgrasp_models.nets.checks import checked_clouds
from dexgrasp_models.nets.pointnet import PointNet, PointNetConfig

ENCODERS = ("pointnet", "basis_points", "bisector")
"""By the names that settings have for them; `bisector` sees the hand beside the object."""

CloudEncoder = PointNet | BasisPoints | BisectorEncoder


class EncoderSettings(Protocol):
    """Of a network: which encoder, and the settings of each."""

    @property
    def encoder(self) -> str: ...
    @property
    def pointnet(self) -> PointNetConfig: ...
    @property
    def basis_points(self) -> BasisPointsConfig: ...
    @property
    def bisector(self) -> BisectorConfig: ...


def new_encoder(config: EncoderSettings) -> CloudEncoder:
    """The one that is asked for, of `ENCODERS`."""
    if config.encoder == "pointnet":
        return PointNet(config.pointnet)
    if config.encoder == "bisector":
        return BisectorEncoder(config.bisector)
    return BasisPoints(config.basis_points)


def prepared_clouds(encoder: CloudEncoder, clouds: Tensor) -> Tensor:
    """What of an encoder doesn't learn, for a cloud to be kept or shared by networks.

    Args:
        encoder: of `new_encoder`.
        clouds: (B, P, 3), m; of `bisector` (B, S, 13) of `HandBisector.features`.

    Returns:
        (B, K) nearness of the basis points; of others what is given.

    Raises:
        ValueError: clouds have another shape, or aren't finite.
    """
    if isinstance(encoder, BasisPoints):
        return encoder.nearness(clouds)
    if isinstance(encoder, BisectorEncoder):
        return encoder.checked(clouds)
    return checked_clouds(clouds)


def encoded(encoder: CloudEncoder, prepared: Tensor) -> Tensor:
    """(B, C) features of what went through `prepared_clouds`."""
    return encoder.mlp(prepared) if isinstance(encoder, BasisPoints) else encoder(prepared)
