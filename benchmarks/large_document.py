"""One document of 50 MB through ingest and masking, in a process of its own: peak memory and speed.

The document is made of synthetic matters (`fixtures.documents`), so it names thousands of different people,
as a data room's index or a class action's list would. The peak is of the process, or of it with the reader
that it starts, whichever is larger.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.contract import Figure, Outcome, run

GIB = 1 << 30


def write(path: Path, megabytes: float, seed: int) -> int:
    """Write a text of about `megabytes` million characters; returns how many it holds."""
    from fixtures.documents import documents

    length = 0
    with path.open("w", encoding="utf-8") as sink:
        for document in documents(10**9, seed):
            if length >= megabytes * 1e6:
                return length
            sink.write(document.text + "\n\n")
            length += len(document.text) + 2
    return length


def child(folder: Path, detector: str) -> None:
    """Ingest and mask the documents of `folder` in this process; print what it took."""
    from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio

    keep_model_libraries_out_of_presidio()  # as the command and its workers do
    from lexveil.pipeline.masking.vault import restore_pieces
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.stages.find import find
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask
    from lexveil.pipeline.workspace.workspace import Workspace

    settings = Settings.model_validate({"mask": {"detector": detector}})
    workspace = Workspace.create_or_open(folder / "workspace")
    took: dict[str, Any] = {}

    def timed(name: str, work: Any) -> Any:
        start = time.process_time()
        result = work()
        took[f"{name}_seconds"] = round(time.process_time() - start, 1)
        took[f"{name}_peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return result

    timed("ingest", lambda: ingest(workspace.with_settings(settings), [folder / "corpus"]))
    timed("find", lambda: find(workspace.with_settings(settings)))
    manifest = timed("mask", lambda: mask(workspace.with_settings(settings)))
    doc_id = str(workspace.with_settings(settings).catalogue.read().column("doc_id")[0])

    def compare() -> bool:
        """Restore the document as `lexveil restore` does, and compare it with its file piece by piece."""
        with (folder / "corpus" / "large.txt").open(encoding="utf-8") as source:
            pieces = restore_pieces(workspace.with_settings(settings), doc_id)
            return all(source.read(len(piece)) == piece for piece in pieces) and not source.read(1)

    same = timed("restore", compare)
    print(json.dumps({**took, "counts": manifest.counts(), "restored": same}))


def follow(command: list[str]) -> tuple[dict[str, Any], int]:
    """Run a command; return the JSON that it prints, and the MiB that it and its children held at once."""
    peak = 0
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # as workers have; several wait for each other busily
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=one_thread) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(count_resident, list_tree(process.pid))))
            time.sleep(0.2)
        assert process.stdout is not None
        return json.loads(process.stdout.read()), peak >> 20


def list_tree(pid: int) -> Iterator[int]:
    """Yield a process and all that it has started."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child_pid in children.read_text().split():
                yield from list_tree(int(child_pid))


def count_resident(pid: int) -> int:
    """Return the bytes of memory that a process holds; 0 if it has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def measure(arguments: argparse.Namespace) -> Outcome:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "corpus").mkdir()
        length = write(folder / "corpus" / "large.txt", arguments.megabytes, arguments.seed)
        command = [
            sys.executable,
            "-m",
            "benchmarks.large_document",
            "--child",
            name,
            "--detector",
            arguments.detector,
        ]
        took, together = follow(command)
    peak = max(took["mask_peak_mib"], together)
    seconds = took["find_seconds"] + took["mask_seconds"]
    return Outcome(
        figures={
            "peak_memory": Figure(peak, 1024, "MiB", "lower"),
            "restored": Figure(float(took["restored"]), 1, "share", "higher"),
            "kchar_per_cpu_second": Figure(round(length / 1000 / seconds, 1), None, "kchar/s", "higher"),
        },
        n={"characters": length},
        seeds=[arguments.seed],
        details={"detector": arguments.detector, "with_reader_mib": together, **took},
    )


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--megabytes", type=float, default=50)
    parser.add_argument("--detector", default="light")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)


if __name__ == "__main__":
    if "--child" in sys.argv:
        parser = argparse.ArgumentParser()
        options(parser)
        given = parser.parse_args()
        child(given.child, given.detector)
    else:
        run(__doc__, measure, options)
