"""Where configuration files are found, and how missing and malformed ones are reported."""

from __future__ import annotations

import pytest

from dexgrasp_models.config import find_config, load_config


def test_given_folder_comes_before_the_repository(tmp_path, monkeypatch):
    monkeypatch.delenv("DEXGRASP_CONFIG_DIR", raising=False)
    in_repository = find_config("mounting.yaml")
    (tmp_path / "mounting.yaml").write_text("{}")
    monkeypatch.setenv("DEXGRASP_CONFIG_DIR", str(tmp_path))
    assert find_config("mounting.yaml") == tmp_path / "mounting.yaml" != in_repository


def test_installed_share_folder_is_searched_last(tmp_path, monkeypatch):
    share = tmp_path / "share" / "dexgrasp_bringup" / "config"
    share.mkdir(parents=True)
    (share / "only_installed.yaml").write_text("{a: 1}")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    assert load_config("only_installed.yaml") == {"a": 1}


def test_missing_file_names_the_folders_searched(tmp_path, monkeypatch):
    monkeypatch.setenv("DEXGRASP_CONFIG_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        find_config("nothing.yaml")


@pytest.mark.parametrize(
    ("content", "message"), [("[1, 2]", "must hold a mapping"), ("{a: [", "not valid YAML")]
)
def test_malformed_files_are_refused(tmp_path, monkeypatch, content, message):
    (tmp_path / "bad.yaml").write_text(content)
    monkeypatch.setenv("DEXGRASP_CONFIG_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=message):
        load_config("bad.yaml")
