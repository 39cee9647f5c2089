"""The trained primitive of GraspGF for a control loop: from what is seen to a direction."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.nets.checks import checked_rotations
from dexgrasp_models.nets.graspgf import QUERY_TIME, GraspGF, GraspGFConfig, wrist_frame
from dexgrasp_models.nets.threads import one_thread
from dexgrasp_models.nets.weights import WEIGHTS, load_network

PRIMITIVE = WEIGHTS / "graspgf.safetensors"
"""Of the primitive that comes with the package."""


class GraspGradient:
    """Which way the fingers are more likely to hold the object, for the wrist where it is now.

    Attributes:
        network: in evaluation mode, on the device.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] = PRIMITIVE,
        *,
        time: float = QUERY_TIME,
        device: torch.device | str = "cpu",
    ) -> None:
        """
        Args:
            weights: file that `dexgrasp train graspgf` left; default: what comes with the package.
            time: of the diffusion, in (0, 1]: the density is smoothed with this time's noise.
            device: of the network, and of what the batched form takes and gives.

        Raises:
            WeightsError: the file is missing, or doesn't fit the network.
            ValueError: the time is out of range.
        """
        if not 0 < time <= 1:
            raise ValueError(f"the time of the query must be in (0, 1], got {time:g}")
        network, self.metadata = load_network(weights, GraspGFConfig, GraspGF)
        self.network = network.to(device).eval()
        self._time, self._device = time, torch.device(device)

    def gradient(
        self, points: np.ndarray, wrist_pose: np.ndarray, joints: np.ndarray
    ) -> np.ndarray:
        """Of one hand, on one thread.

        Args:
            points: (N, 3) of the object in the world, m, spread evenly; without the table.
            wrist_pose: (4, 4) of `rh_palm` in the world.
            joints: (22,) rad.

        Returns:
            (18,) gradient of the log density in the angles of `HandSpec.actuators`, 1/rad.

        Raises:
            ValueError: as `gradients`.
        """
        with one_thread():
            one = (self._tensor(values)[None] for values in (points, wrist_pose, joints))
            return self.gradients(*one)[0].cpu().numpy()

    @torch.no_grad()
    def gradients(self, points: Tensor, wrist_poses: Tensor, joints: Tensor) -> Tensor:
        """Of B hands, each with a cloud of its own.

        Args:
            points: (B, N, 3), as `gradient`.
            wrist_poses: (B, 4, 4).
            joints: (B, 22).

        Returns:
            (B, 18).

        Raises:
            ValueError: shapes don't fit, there are no points, a pose is none, or something isn't
                finite.
        """
        return self.network.gradient(_seen(points, wrist_poses), joints, self._time)

    @torch.no_grad()
    def gradients_in_wrists(self, points: Tensor, angles: Tensor) -> Tensor:
        """Of B hands that are seen from their wrists.

        Args:
            points: (B, N, 3) of the objects in the wrists' frames, m, spread evenly.
            angles: (B, 18) in the order of `HandSpec.actuators`, rad.

        Returns:
            (B, 18), as `gradients`.

        Raises:
            ValueError: there are no points, or one isn't finite.
        """
        device = self._device
        features = self.network.encoder(points.to(device))
        return self.network.gradient_of_angles(features, angles.to(device), self._time)

    def postures(self, points: Tensor, wrist_poses: Tensor, generator: torch.Generator) -> Tensor:
        """(B, 22) joints of a grasp with each wrist, drawn by the probability-flow ODE.

        Arguments and errors as `gradients`.
        """
        return self.network.sample(_seen(points, wrist_poses), generator)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=self._device)


def _seen(points: Tensor, wrist_poses: Tensor) -> Tensor:
    """(B, N, 3) in the wrists' frames."""
    if wrist_poses.shape != (len(points), 4, 4):
        raise ValueError(
            f"expected wrist poses ({len(points)}, 4, 4), got {tuple(wrist_poses.shape)}"
        )
    if points.dim() != 3 or points.shape[2] != 3:
        raise ValueError(f"expected points (B, N, 3), got {tuple(points.shape)}")
    if not torch.isfinite(wrist_poses).all():
        raise ValueError("wrist poses must be finite")
    rotations = checked_rotations(wrist_poses[:, :3, :3])
    return wrist_frame(points, rotations, wrist_poses[:, :3, 3])
