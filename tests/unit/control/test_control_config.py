"""The parameter file of the controller."""

from __future__ import annotations

import pytest

from dexgrasp_models.control.config import ControlConfig, load_control_config
from dexgrasp_models.tasks.assist_controller_config import AssistControllerConfig
from dexgrasp_models.tasks.goal_controller import GoalControllerConfig


def write(folder, text, monkeypatch):
    (folder / "control.yaml").write_text(text)
    monkeypatch.setenv("DEXGRASP_CONFIG_DIR", str(folder))


def test_the_shipped_file_loads_and_restates_defaults():
    others = {"graspgf": AssistControllerConfig(), "policy": GoalControllerConfig()}
    assert load_control_config() == ControlConfig(others=others)


def test_values_given_replace_defaults(tmp_path, monkeypatch):
    text = "control: {ros__parameters: {executor: {hold_time: 3.5}, approach: {openings: [1.0]}}}"
    write(tmp_path, text, monkeypatch)
    config = load_control_config()
    assert config.executor.hold_time == 3.5
    assert config.approach.openings == (1.0,)
    assert config.limits == ControlConfig().limits


def test_a_section_for_every_node_and_one_for_this_add_up(tmp_path, monkeypatch):
    text = """
/**: {ros__parameters: {executor: {hold_time: 3.5, lift_height: 0.1}}}
perception: {ros__parameters: {executor: {hold_time: 9.9}}}
/control: {ros__parameters: {executor: {lift_height: 0.3}}}
"""
    write(tmp_path, text, monkeypatch)
    config = load_control_config()
    assert (config.executor.hold_time, config.executor.lift_height) == (3.5, 0.3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("control: {ros__parameters: {executor: {hold: 1.0}}}", "no parameter hold"),
        ("control: {ros__parameters: {limits: {wrist_speed: 9.0}}}", "expected 0.01 to 2 m/s"),
        ("other: 1", r"must hold a mapping /\*\*: ros__parameters"),
        ("control: 1", "must hold a mapping control: ros__parameters"),
        ("control: {ros__parameters: {limits: 9}}", "needs names and values, not 9"),
    ],
)
def test_mistakes_are_named(tmp_path, monkeypatch, text, message):
    write(tmp_path, text, monkeypatch)
    with pytest.raises(ValueError, match=message):
        load_control_config()
