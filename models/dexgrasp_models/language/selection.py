"""Grasps chosen by a text among those that a proposer offers (UniDexGrasp, sec. 4.4).

The paper takes the proposals whose images are most similar to the text. Here the similarity is put
together with how likely a grasp is to lift the object, so that of grasps which fit the text alike
the better one comes first: the score is

    log P(success) + weight log P(grasp | text),

the first from the proposer's ranking, the second from CLIP, which is trained to tell the image that
belongs to a text among several: a softmax over the proposals of their similarity to the text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch.nn import functional

from dexgrasp_models.language.clip import Clip, load_clip
from dexgrasp_models.language.grasp_images import VIEWS, GraspRenderer
from dexgrasp_models.parameters import Parameters, parameter, text
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.proposals.proposer import Proposer
from dexgrasp_models.proposals.rank import rank_order
from dexgrasp_models.synthesis.types import Grasp


@dataclass(frozen=True)
class LanguageConfig(Parameters):
    """Settings of :class:`LanguageSelector`."""

    weights: str = text(
        "", "folder of CLIP, as published or fine-tuned; without it a text is refused"
    )
    weight: float = parameter(1.0, 0, 100, "", "of the text against the proposer's own ranking")
    pool: int = parameter(64, 1, 1024, "", "grasps that the text chooses among")
    views: int = parameter(VIEWS, 1, 16, "", "images of each of them")


class LanguageSelector:
    """Ranks a proposer's grasps by a text as well.

    Args:
        config: settings.
        clip: in the place of the one in `config.weights`.

    Attributes:
        timings: seconds that each stage of the last ranking took.

    Raises:
        WeightsError: there are no weights, or they can't be used; the message says what to get.
    """

    def __init__(self, config: LanguageConfig | None = None, clip: Clip | None = None) -> None:
        self.config = config or LanguageConfig()
        self._clip = clip or load_clip(self.config.weights)
        self._renderer = GraspRenderer(self.config.views, self._clip.image_side)
        self.timings: dict[str, float] = {}

    def propose(
        self, proposer: Proposer, cloud: FusedCloud, text: str, n: int, seed: int
    ) -> list[Grasp]:
        """At most ``n`` of the proposer's grasps that can be carried out, best first.

        Args:
            proposer: any one; asked for `config.pool` grasps, or more where ``n`` is more.
            cloud: object points and normals in ``world``.
            text: how to grasp what, such as "a robot hand grasping the mug by the handle".
            n: how many.
            seed: as for the proposer.

        Raises:
            CloudError, NoProposalError: as of the proposer.
            ValueError: ``n`` is not positive, or the text is blank.
        """
        if n < 1:
            raise ValueError(f"n = {n}: ask for at least one grasp")
        grasps = proposer.propose(cloud, max(n, self.config.pool), seed)
        return self.rank(grasps, cloud, text)[:n]

    @torch.no_grad()
    def rank(self, grasps: Sequence[Grasp], cloud: FusedCloud, text: str) -> list[Grasp]:
        """The grasps, best first by the score above.

        Their figures get `success_log_odds`, the proposer's score, and `text_cosine`, the mean
        over the views of the cosine between image and text.

        Args:
            grasps: of one object, with log-odds of success for scores; at least one.
            cloud: its object points and normals in ``world``.
            text: see `propose`.

        Raises:
            ValueError: the text is blank.
        """
        if not text.strip():
            raise ValueError("the text is blank: say how to grasp what, or leave it out")
        started = perf_counter()
        images = list(
            self._renderer.draw(
                cloud.object_points,
                cloud.object_normals,
                np.array([grasp.palm_pose for grasp in grasps]),
                np.array([grasp.joints for grasp in grasps]),
            )
        )
        drawn = perf_counter()
        features = self._clip.grasp_features(images)
        cosines = (features @ self._clip.text_features([text])[0]).double()
        self.timings = {"images": drawn - started, "clip": perf_counter() - drawn}
        odds = torch.tensor([grasp.score for grasp in grasps], dtype=torch.float64)
        fit = functional.log_softmax(self._clip.scale.double() * cosines, dim=0)
        scores = functional.logsigmoid(odds) + self.config.weight * fit
        return [
            dataclasses.replace(
                grasps[index],
                score=float(scores[index]),
                figures=grasps[index].figures
                | {"success_log_odds": grasps[index].score, "text_cosine": float(cosines[index])},
            )
            for index in rank_order(scores)
        ]
