"""What every measurement here writes in the same way."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from dexgrasp_models.files import written_whole


def write_report(path: Path | None, report: dict[str, Any]) -> None:
    """To a JSON file, if one is wanted, with the processor that it was measured on."""
    if path is None:
        return
    told = {"processor": platform.processor() or platform.machine(), **report}
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
