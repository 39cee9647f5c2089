"""What was seen, proposed and chosen, drawn over pictures of stages in which nothing moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dexgrasp_bringup.recording import Moment, Proposed, at_wall_time
from dexgrasp_bringup.summary import Interval
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_sim.pictures.overlays import Color, with_hand, with_path, with_points

CLOUD_COLOR: Color = (25, 80, 200)
PATH_COLOR: Color = (200, 30, 120)
CHOSEN_COLOR: Color = (40, 170, 70)

_OPACITY, _BEST_OPACITY = 0.35, 0.6


def with_proposals(picture: np.ndarray, camera: CameraModel, proposed: Proposed) -> np.ndarray:
    """The picture with the cloud and the hands at all grasps, from green (best) to red."""
    hand = load_hand()
    ranked = list(enumerate(proposed.grasps))
    for rank, grasp in reversed(ranked):
        opacity = _OPACITY if rank else _BEST_OPACITY
        color = rank_color(rank, len(ranked))
        picture = with_hand(picture, camera, grasp, hand, color, opacity)
    return with_points(picture, camera, proposed.points, CLOUD_COLOR)


def with_plan(
    picture: np.ndarray, camera: CameraModel, proposed: Proposed, palms: np.ndarray
) -> np.ndarray:
    """The picture with the cloud, the chosen grasp, and the palm's way to it.

    Args:
        picture: (H, W, 3) uint8, not changed.
        camera: that it was taken by.
        proposed: what there was to choose from.
        palms: (T, 4, 4) poses of the palm on its way, as in `way_to_the_grasp`. Without any, it is
            not known what was chosen, and only the cloud is drawn.
    """
    if len(palms):
        grasp = nearest(proposed.grasps, palms[-1])
        picture = with_hand(picture, camera, grasp, load_hand(), CHOSEN_COLOR, _BEST_OPACITY)
        picture = with_path(picture, camera, palms[:, :3, 3], PATH_COLOR)
    return with_points(picture, camera, proposed.points, CLOUD_COLOR)


def with_wrist_path(picture: np.ndarray, camera: CameraModel, palms: np.ndarray) -> np.ndarray:
    """The picture with the palm's way (T, 4, 4), as in `way_to_the_grasp`; T may be 0."""
    return with_path(picture, camera, palms[:, :3, 3], PATH_COLOR) if len(palms) else picture


def rank_color(rank: int, count: int) -> Color:
    """Of the grasp of a rank from 0 among some, as in rviz: from green to red."""
    worse = round(255 * rank / max(count - 1, 1))
    return worse, 255 - worse, 25


def nearest(grasps: Sequence[Grasp], palm: np.ndarray) -> Grasp:
    """The grasp whose palm pose is most like a pose (4, 4)."""
    return min(grasps, key=lambda grasp: float(np.linalg.norm(grasp.palm_pose - palm)))


def way_to_the_grasp(intervals: Sequence[Interval], moments: Sequence[Moment]) -> np.ndarray:
    """(T, 4, 4) poses of the palm from its first motion until the fingers close; T is 0 without."""
    starts = {interval.stage: interval.start for interval in reversed(intervals)}
    begin = "follow" if "follow" in starts else "pregrasp"
    if begin not in starts or "close" not in starts:
        return np.zeros((0, 4, 4))
    first, last = (at_wall_time(moments, starts[stage]) for stage in (begin, "close"))
    return np.array([moment.snapshot.wrist_pose for moment in moments[first : last + 1]])
