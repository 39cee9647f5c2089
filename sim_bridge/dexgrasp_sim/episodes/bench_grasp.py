"""``dexgrasp bench grasp``: how often the first choice lifts the object, and where it is lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dexgrasp_models.files import written_whole
from dexgrasp_models.jobs.kept_results import KeptResults
from dexgrasp_models.jobs.worker_processes import outcomes
from dexgrasp_models.objects import SHAPES, folders
from dexgrasp_sim.episodes.episode import EpisodeResult, EpisodeSettings, run_episode


def find_objects(source: str | None) -> list[str]:
    """Object sources for ``--objects``.

    Args:
        source: None for all generated shapes; a folder of objects, as `folders.find_objects`
            takes it; or names and files, by commas.

    Raises:
        ValueError: nothing found.
    """
    if source is None:
        return list(SHAPES)
    folder = Path(source)
    if not folder.is_dir():
        return [item.strip() for item in source.split(",") if item.strip()]
    return [str(path) for path in folders.find_objects(folder)]


def run_bench(
    settings: Sequence[EpisodeSettings],
    *,
    kept: KeptResults,
    workers: int | None = None,
    on_result: Callable[[EpisodeResult], None] | None = None,
) -> list[EpisodeResult]:
    """Runs all episodes, several at once, and keeps each result as soon as it is there.

    Args:
        settings: one entry an attempt.
        kept: finished attempts, which are not run again; takes the others.
        workers: processes; by default one a core.
        on_result: called after each attempt, finished earlier or now.

    Returns:
        The results, in the order of ``settings``.
    """
    keys = {_key(item): item for item in settings}
    results = {key: EpisodeResult.from_mapping(kept[key]) for key in keys if key in kept}
    if on_result is not None:
        for result in results.values():
            on_result(result)
    missing = [item for key, item in keys.items() if key not in results]
    with closing(outcomes(run_episode, missing, workers)) as finished:
        for item, result in finished:
            key = _key(item)
            results[key] = result
            kept.add(key, asdict(result))
            if on_result is not None:
                on_result(result)
    return [results[_key(item)] for item in settings]


def _key(settings: EpisodeSettings) -> str:
    return json.dumps(asdict(settings), sort_keys=True)


def summarise(results: Sequence[EpisodeResult], seed: int) -> dict[str, Any]:
    """Rates by object and failures by stage, ready for JSON.

    Objects lying flat (see `EpisodeResult.flat`) count in the totals and are also given apart.
    """
    objects: dict[str, dict[str, int]] = {}
    for result in results:
        row = objects.setdefault(result.object, {"attempts": 0, "successes": 0})
        row["attempts"] += 1
        row["successes"] += result.success
    return {
        "success_rate": _rate(results),
        "attempts": len(results),
        "objects": objects,
        "failures": dict(Counter(r.lost_at for r in results if not r.success).most_common()),
        "flat": _counts([r for r in results if r.flat]),
        "not_flat": _counts([r for r in results if not r.flat]),
        "seed": seed,
    }


def _rate(results: Sequence[EpisodeResult]) -> float:
    return sum(r.success for r in results) / len(results) if results else 0.0


def _counts(results: Sequence[EpisodeResult]) -> dict[str, float]:
    return {
        "attempts": len(results),
        "successes": sum(r.success for r in results),
        "success_rate": _rate(results),
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Writes the summary as JSON, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
