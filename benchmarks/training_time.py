"""CPU time of training the default model, embeddings included, beside another version of Lexveil.

    python -m benchmarks.training_time --against FOLDER [--sizes 100 500]

FOLDER is a checkout of the other version with its `.venv`. Both ingest and mask (by rules) the same
provisions of real contracts; what is measured is `lexveil train`, which encodes the masked texts and trains:
CPU time of all its processes, user and system, with one worker and one thread, the two versions in turns. The
cost of a document is the difference between two sizes; `ratio` is that of 10,000 documents, start included.
No text is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.contract import Figure, Outcome, run
from benchmarks.encrypted_real import CORPORA, PROVISIONS, records_of

MANY = 10_000
_SETTINGS = "[ingest]\nowner_field = 'owner'\n[mask]\ndetector = 'rules'\n"
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "LEXVEIL_WORKERS": "1"}


def measure_training(lexveil: Path, size: int, folder: Path) -> float:
    """Ingest and mask so many provisions, train on them, and return the CPU-seconds of the training."""
    folder.mkdir()
    (folder / "lexveil.toml").write_text(_SETTINGS, encoding="utf-8")
    with (folder / "records.jsonl").open("w", encoding="utf-8") as file:
        for record in list(records_of(PROVISIONS))[:size]:
            line = {"text": record["text"], "label": record["label"], "owner": record["meta"]["contract"]}
            file.write(json.dumps(line) + "\n")
    _call(lexveil, folder, "ingest", "records.jsonl", "-w", "workspace")
    _call(lexveil, folder, "mask", "-w", "workspace")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _call(lexveil, folder, "train", "-w", "workspace")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _call(lexveil: Path, folder: Path, *arguments: str) -> None:
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [lexveil, *arguments],
        cwd=folder,
        env={**outside, **_ENVIRONMENT},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(
            f"{lexveil} {arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}"
        )


def measure(arguments: argparse.Namespace) -> Outcome:
    if not (CORPORA / PROVISIONS / "data.jsonl.zst").is_file():
        raise SystemExit("no ../shared/corpora: nothing to measure on")
    versions = {"here": Path(sys.executable).with_name("lexveil")}
    if arguments.against is not None:
        versions["other"] = arguments.against.resolve() / ".venv" / "bin" / "lexveil"
    few, many = sorted(arguments.sizes)
    seconds: dict[str, dict[int, float]] = {name: {} for name in versions}
    with tempfile.TemporaryDirectory() as place:
        for size in (few, many):
            for name, lexveil in versions.items():
                seconds[name][size] = measure_training(lexveil, size, Path(place, f"{name}{size}"))
    figures: dict[str, Figure] = {}
    whole: dict[str, float] = {}
    for name, found in seconds.items():
        each = (found[many] - found[few]) / (many - few)
        whole[name] = found[many] + (MANY - many) * each
        figures[f"{name}_document"] = Figure(1000 * each, None, "CPU-ms", "lower")
        figures[f"{name}_of_10000"] = Figure(whole[name], None, "CPU-s", "lower")
    if "other" in whole:
        figures["ratio"] = Figure(whole["here"] / whole["other"], 1.3, "x", "lower")
    details: dict[str, Any] = {"seconds": seconds}
    return Outcome(figures, {"few": few, "many": many}, [], details)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--against", type=Path, help="checkout of another version, with its .venv")
    parser.add_argument("--sizes", type=int, nargs=2, default=[100, 500], help="numbers of documents")


if __name__ == "__main__":
    run(__doc__, measure, options)
