"""A controller of one's own in a grasp cell: it is given what its kind asks for."""

from __future__ import annotations

import numpy as np
import pytest
from own_package import code_of, look_again, write_package

from dexgrasp_models.control.controllers import CONTROLLERS
from dexgrasp_models.objects import load_object
from dexgrasp_models.proposals.analytic import AnalyticProposer
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.episodes.grasp_cell import GraspCell
from dexgrasp_sim.scene import load_scene

FEELING = """
SEEN = []

class Feeling(Straight):
    def step(self, observation):
        SEEN.append(observation)
        return super().step(observation)

NEEDS = frozenset({Need.GOAL, Need.CLOUD, Need.EFFORTS, Need.TACTILE})
FEELING = ControllerKind(StraightConfig, Feeling, needs=NEEDS)
WATCHED = ControllerKind(StraightConfig, Straight, needs=frozenset({Need.WRIST_STREAM}))
"""


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    code = code_of("A controller") + FEELING
    offers = ["feeling = feeling_controller:FEELING", "watched = feeling_controller:WATCHED"]
    write_package(tmp_path, "feeling_controller", code, CONTROLLERS.group, offers)
    monkeypatch.syspath_prepend(tmp_path)
    look_again(CONTROLLERS, monkeypatch)


def cell(controller: str) -> GraspCell:
    simulator = make_simulator(load_scene(), load_object("can"))
    simulator.reset(0)
    return GraspCell(simulator, controller)


def test_it_goes_to_the_goal_and_feels(own_package):
    feeling = cell("feeling")
    cloud = feeling.fuse(feeling.depth_frames())
    plan = feeling.plan(AnalyticProposer().propose(cloud, 8, 0), cloud)
    lift = feeling.carry_out(plan, cloud.object_points)
    assert not lift.success  # it ends where it would have to close
    state = feeling.simulator.state()
    assert np.linalg.norm(state.wrist_pose[:3, 3] - plan.grasp.palm_pose[:3, 3]) < 0.02
    from feeling_controller import SEEN

    assert len(SEEN) > 20
    for observation in SEEN:
        assert observation.goal is plan.grasp
        assert observation.object_points is cloud.object_points
        assert observation.state.efforts.shape == (22,)
        assert observation.tactile is not None
    efforts = np.array([observation.state.efforts for observation in SEEN])
    assert np.isfinite(efforts).all()
    assert np.abs(efforts).max() > 1e-3  # the drives hold the fingers up


def test_what_no_cell_offers_is_told(own_package):
    with pytest.raises(ValueError, match="watched needs a person's wrist, which is not offered"):
        cell("watched")
