"""What dexgrasp depends on may be used in an Apache-2.0 project."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESTRICTIVE = re.compile(r"(?<!L)(?<!Lesser )(GPL|General Public License)|non-?commercial", re.I)
DATA = {".yaml", ".safetensors", ".obj", ".stl", ".npz", ".npy"}
PERMISSIVE = re.compile(r"\b(Apache|BSD|MIT|ISC|MPL|PSF|Python|zlib|Public Domain)\b", re.I)


def fits(licence: str) -> bool:
    """Whether a licence, or one of several to choose from, asks for nothing that Apache-2.0 does
    not give."""
    return not RESTRICTIVE.search(licence) or bool(PERMISSIVE.search(licence))


def licence(name: str) -> str:
    """What a distribution says of its licence; "" where it says nothing."""
    about = distribution(name).metadata
    classifiers = [c for c in about.get_all("Classifier") or [] if c.startswith("License")]
    return about.get("License-Expression") or "; ".join(classifiers) or about.get("License") or ""


@pytest.mark.parametrize(
    "lock",
    ["requirements.txt", "requirements-ray.txt", "requirements-warp.txt", "requirements-docs.txt"],
)
def test_every_pinned_package_fits(lock):
    pins = re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.M)
    assert pins
    bad = {}
    for name in pins:
        try:
            if not fits(found := licence(name)):
                bad[name] = found[:80]
        except PackageNotFoundError:
            continue  # an option that is not installed
    assert not bad


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GPL-2.0-only", False),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", False),
        ("AGPL-3.0-or-later", False),
        ("Free for non-commercial use", False),
        ("Public Domain; BSD License; GNU General Public License (GPL)", True),
        ("LGPL-2.1-or-later", True),
        ("GNU Lesser General Public License v3", True),
        ("Apache-2.0", True),
        ("", True),
    ],
)
def test_licences_are_told_apart(text, expected):
    assert fits(text) is expected


def test_the_notice_names_all_data_that_comes_along():
    """Data of packages, the shipped grasps, pictures, and the message of another project."""
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    named = [ROOT / path for path in re.findall(r"\b[\w.-]+/[\w./-]*\w", notice)]
    named = [path for path in named if path.exists()]
    data = [
        *ROOT.glob("datasets/*/*.safetensors"),
        *ROOT.glob("docs/**/*.png"),
        *ROOT.glob("compat/*/msg/*"),
        *(path for path in ROOT.glob("models/dexgrasp_models/**/*") if path.suffix in DATA),
    ]
    assert data
    unnamed = [path for path in data if not any(path.is_relative_to(place) for place in named)]
    assert not unnamed
