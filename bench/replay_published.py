"""Replay the published grasps of a DexGraspNet-like folder, and controls that must fall.

    python bench/replay_published.py [FOLDER] [--grasps 100] [--processes 2] [--out FILE.json]

FOLDER has `dataset/<object>.npy` and `meshdata/<object>/coacd/decomposed.obj`; by default it is
`dexgraspnet` in `$DEXGRASP_DATA` (or in `shared/data` beside the repository), and nothing is done
where that is missing. Hand with 22 independent actuators, friction 1, 0.1 kg.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from dexgrasp_sim.replay import replay

AIM = 0.85


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--grasps", type=int, default=None, help="of each object; default all")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.folder is None:
        beside = Path(__file__).resolve().parents[2] / "shared" / "data"
        options.folder = Path(os.environ.get("DEXGRASP_DATA") or beside) / "dexgraspnet"
        if not options.folder.is_dir():
            print(f"skipped: there are no published grasps in {options.folder}")
            return
    try:
        report = replay(
            options.folder, options.grasps, seed=options.seed, processes=options.processes
        )
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    for name, count in report["objects"].items():
        print(f"{count:5d} grasps of {name}")
    figures = list(next(iter(report["rates"].values())))
    print(f"\n{'':18s}" + "".join(f"{figure:>24s}" for figure in figures))
    for control, rates in report["rates"].items():
        print(f"{control:18s}" + "".join(f"{rates[figure]:24.3f}" for figure in figures))
    print(f"\naim: published grasps kept in contact in all six directions, at least {AIM}")
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
