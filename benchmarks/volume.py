"""Finding and masking of generated documents: characters a CPU-second, one process, warm.

    python -m benchmarks.volume [--documents 400] [--detector light]

The stages run as a worker runs them, on the documents of `fixtures.documents`, which are English and Chinese
(a sixth). A first, small workspace loads the detector and compiles the patterns, and is not measured. CPU
time is that of this process, the least of several rounds, each in a workspace of its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: one thread is measured

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks.contract import Figure, Outcome, run

_WARM = 40


def measure_stages(folder: Path, documents: int, seed: int, detector: str) -> tuple[int, float, float]:
    """Ingest, find and mask generated documents in `folder`.

    Returns:
        The number of characters, and the CPU-seconds of finding and of masking.
    """
    from fixtures.documents import documents as generate
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.stages.find import find
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask
    from lexveil.pipeline.workspace.workspace import Workspace

    folder.mkdir()
    characters = 0
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as sink:
        for one in generate(documents, seed):
            characters += len(one.text)
            sink.write(json.dumps({"id": one.id, "text": one.text}) + "\n")
    settings = Settings.model_validate({"mask": {"detector": detector}})
    workspace = Workspace.create_or_open(folder / "workspace").with_settings(settings)
    ingest(workspace, [folder / "corpus.jsonl"])
    begin = time.process_time()
    find(workspace)
    found = time.process_time()
    mask(workspace)
    return characters, found - begin, time.process_time() - found


def measure(arguments: argparse.Namespace) -> Outcome:
    from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio

    keep_model_libraries_out_of_presidio()  # as the command and its workers do
    finding = masking = float("inf")
    characters = 0
    with tempfile.TemporaryDirectory() as name:
        measure_stages(Path(name) / "warm", _WARM, arguments.seed + 1, arguments.detector)
        for number in range(arguments.rounds):
            characters, find_seconds, mask_seconds = measure_stages(
                Path(name) / str(number), arguments.documents, arguments.seed, arguments.detector
            )
            finding, masking = min(finding, find_seconds), min(masking, mask_seconds)
    kchars = characters / 1000
    target = 250 if arguments.detector == "light" else None
    return Outcome(
        figures={
            "find_and_mask": Figure(kchars / (finding + masking), target, "kchar/s", "higher"),
            "find": Figure(kchars / finding, None, "kchar/s", "higher"),
            "mask": Figure(kchars / masking, None, "kchar/s", "higher"),
        },
        n={"documents": arguments.documents, "characters": characters, "rounds": arguments.rounds},
        seeds=[arguments.seed],
        details={"detector": arguments.detector},
    )


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=400)
    parser.add_argument("--detector", default="light")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)


if __name__ == "__main__":
    run(__doc__, measure, options)
