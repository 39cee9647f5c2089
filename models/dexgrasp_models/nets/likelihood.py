"""Log-likelihood of grasps under models of rotation: UniDexGrasp, Eq. 1 and C.3.1."""

from __future__ import annotations

import math

from torch import Tensor

from dexgrasp_models.geometry.so3_grid import SO3_VOLUME


def rotation_log_likelihood(scores: Tensor, grid_scores: Tensor) -> Tensor:
    """log p(R|X) from unnormalised log densities, normalised over an equivolumetric grid (Eq. 1).

    The density is with respect to a volume of SO(3) of pi^2, so that the even distribution has
    -log(pi^2) = -2.289. The paper's Eq. 1 asks for R in the grid; a grid that contains it comes
    from :func:`~dexgrasp_models.geometry.so3_grid.so3_grid`, and makes no difference where the grid
    resolves the density. The same normalises the flows on SO(3) of Table 9.

    The likelihood of a whole grasp is log p(R|X) + log p(t, theta | R^-1 X) (C.3.1), the latter as
    its model gives it; its value depends on the units of t and theta.

    Args:
        scores: (...) model output f(X, R) for the rotations asked about.
        grid_scores: (..., M) output for the whole grid, with the same X.

    Returns:
        (...) nats; differentiable.

    Raises:
        ValueError: the shapes don't fit together.
    """
    if grid_scores.shape[:-1] != scores.shape:
        raise ValueError(
            f"expected scores (...) and grid scores (..., M), got {tuple(scores.shape)} and "
            f"{tuple(grid_scores.shape)}"
        )
    cell = SO3_VOLUME / grid_scores.shape[-1]
    return scores - grid_scores.logsumexp(dim=-1) - math.log(cell)
