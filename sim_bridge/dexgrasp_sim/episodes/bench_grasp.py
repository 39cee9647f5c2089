"""``dexgrasp bench grasp``: how often the first choice lifts the object, and where it is lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dexgrasp_models.evaluation.intervals import wilson
from dexgrasp_models.files import written_whole
from dexgrasp_models.jobs.kept_results import KeptResults
from dexgrasp_models.jobs.worker_processes import outcomes
from dexgrasp_models.objects import LIBRARY_PREFIX, SHAPES, folders
from dexgrasp_models.objects.library import split_names
from dexgrasp_sim.episodes.episode import EpisodeResult, EpisodeSettings, run_episode
from dexgrasp_sim.episodes.resting import Lying


def find_objects(source: str | None, split: str | None = None) -> list[str]:
    """Object sources for ``--objects`` or ``--split``.

    Args:
        source: None for all generated shapes; a folder of objects, as `folders.find_objects`
            takes it; or names and files, by commas.
        split: of the library, in the place of a source.

    Raises:
        ValueError: nothing found, no such split, or both are given.
    """
    if split is not None:
        if source is not None:
            raise ValueError("--objects and --split both say which objects; give one of them")
        return [LIBRARY_PREFIX + name for name in split_names(split)]
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
    values = asdict(settings)
    if settings.digest:
        del values["weights"]  # the same wherever they lie
    return json.dumps(values, sort_keys=True)


def summarise(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """Rates of all attempts, by object and by how the object was placed, ready for JSON.

    Returns:
        `all`; `objects`, by their names; `lying`, by `Lying`, the groups that occur. Each has
        attempts, successes, success_rate, low and high (its 95 % interval, `wilson`);
        raised_and_kept, the successes by the rule of earlier figures; and lost_at, how many were
        lost at each stage.
    """
    return {
        "all": _counts(results),
        "objects": {
            name: _counts([r for r in results if r.object == name])
            for name in dict.fromkeys(r.object for r in results)
        },
        "lying": {
            str(group): _counts(of_group)
            for group in Lying
            if (of_group := [r for r in results if r.lying == group])
        },
    }


def _counts(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    successes = sum(r.success for r in results)
    rate = successes / len(results)
    return {
        "attempts": len(results),
        "successes": successes,
        "success_rate": rate,
        **wilson(rate, len(results))._asdict(),
        "raised_and_kept": sum(r.raised_and_kept for r in results),
        "lost_at": dict(Counter(r.lost_at for r in results if not r.success).most_common()),
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Writes the summary as JSON, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
