"""What a start costs: CPU-seconds of whole commands, by process, and of a worker's first document.

    python -m benchmarks.start [--documents 20]

CPU time is that of the whole tree of processes, user and system. A first run, which is not measured, fills
the user's cache (the quantized detector, the public mean, topics and language tables) and compiles bytecode.
`worker_start` is all that a worker process has used when it has read and encoded its first document, a
sentence; a run's processes are distinguished by their command lines.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.contract import Figure, Outcome, run

_TICKS = os.sysconf("SC_CLK_TCK")
_SENTENCE = "On 3 May 2021 the court dismissed the claim of Ms Jane Roe, of 12 High Street, London."
# What the command lines of Lexveil's processes contain.
_KINDS = {
    "reader": "lexveil.nlp.readers.child",
    "worker": "multiprocessing.spawn",
    "server": "prefect.server",
}
_EVERY_SECONDS = 0.05


def load_as_worker(text: str) -> float:
    """Find the spans of a text and encode it, as a worker does; return this process's CPU-seconds."""
    from lexveil.pipeline.masking.detector import detect
    from lexveil.pipeline.models.encoding import encode_texts
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.stages import encode, ingest, mask

    del encode, ingest, mask  # the modules in which a shard's work is found
    settings = Settings()
    detect(settings.mask, [text])
    encode_texts([text], settings.train, "embedding")
    return time.process_time()


def measure_worker() -> float:
    """Start a worker of the real pool, once."""
    from lexveil.flows.runners.pool import WorkerPool

    with WorkerPool(1) as pool:
        (seconds,) = pool.ordered(load_as_worker, [_SENTENCE])
    return seconds


def measure_command(*arguments: str | Path) -> tuple[float, dict[str, float]]:
    """Run `lexveil` and return the CPU-seconds of all its processes, and those seen, by kind."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "lexveil.flows.cli", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment()
    )
    seen: dict[int, tuple[str, float]] = {}
    watch = threading.Thread(target=_watch, args=(process, seen))
    watch.start()
    if process.wait() != 0:
        raise RuntimeError(f"lexveil {arguments[0]} ended with {process.returncode}")
    watch.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    kinds: defaultdict[str, float] = defaultdict(float)
    for kind, seconds in seen.values():
        kinds[kind] += seconds
    total = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return total, {kind: round(seconds, 2) for kind, seconds in kinds.items()}


def _environment() -> dict[str, str]:
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**outside, "OMP_NUM_THREADS": "1", "LEXVEIL_WORKERS": "1"}


def _watch(process: subprocess.Popen[bytes], seen: dict[int, tuple[str, float]]) -> None:
    while process.returncode is None:
        parents: dict[int, int] = {}
        found: dict[int, tuple[str, float]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                line = (folder / "cmdline").read_text()
            except OSError:  # it has ended
                continue
            if not line:  # it is ending
                continue
            parents[int(folder.name)] = int(stat[1])
            kind = next((kind for kind, word in _KINDS.items() if word in line), "other")
            found[int(folder.name)] = kind, (int(stat[11]) + int(stat[12])) / _TICKS
        for pid, (kind, seconds) in found.items():
            if pid == process.pid:
                seen[pid] = "main", seconds
            elif _descends(pid, process.pid, parents) and seconds:
                seen[pid] = kind, seconds
        time.sleep(_EVERY_SECONDS)


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False


def measure(arguments: argparse.Namespace) -> Outcome:
    from fixtures.generate import generate

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, arguments.documents, arguments.seed)
        job = ("run", folder / "corpus", "--owner-field", "owner", "-w")
        measure_command(*job, folder / "first")
        whole, kinds = measure_command(*job, folder / "workspace")
        unchanged, unchanged_kinds = measure_command(*job, folder / "workspace")
        version, _ = measure_command("--version")
        shown, _ = measure_command("ledger", "show", "-w", folder / "workspace")
        (folder / "sentence.txt").write_text(_SENTENCE)
        detect, _ = measure_command("detect", folder / "sentence.txt", folder / "spans.jsonl")
        worker = min(measure_worker() for _ in range(arguments.repetitions))
    figures = {
        "worker_start": Figure(worker, 3.0, "CPU-s", "lower"),
        "unchanged_run": Figure(unchanged, 2.0, "CPU-s", "lower"),
        "version": Figure(version, None, "CPU-s", "lower"),
        "ledger_show": Figure(shown, None, "CPU-s", "lower"),
        "detect_sentence": Figure(detect, None, "CPU-s", "lower"),
        "run": Figure(whole, None, "CPU-s", "lower"),
        **{f"run_{kind}": Figure(seconds, None, "CPU-s", "lower") for kind, seconds in kinds.items()},
    }
    details: dict[str, Any] = {"unchanged_run": unchanged_kinds}
    sizes = {"documents": arguments.documents, "repetitions": arguments.repetitions}
    return Outcome(figures, sizes, [arguments.seed], details)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=3, help="starts of a worker; the least is shown")
    parser.add_argument("--seed", type=int, default=7)


if __name__ == "__main__":
    run(__doc__, measure, options)
