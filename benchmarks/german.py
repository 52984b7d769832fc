"""The German rules, without a learned detector, on `../shared/corpora/german_ler` (federal courts).

By type: the share of mentions that are wholly masked. Persons are reduced to initials in the corpus ("A.",
"B ..."), judges stand with their names, often as a sentence of one word that only a whole judgment could
explain. Law must stay: the share of citations (statutes, ordinances, treaties, decisions, literature) that no
span touches. The corpus on this machine has the published development sentences only: the rules were made
on those with an even number, and the odd ones were held out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from benchmarks.contract import Figure, Outcome, run

CORPUS = Path(__file__).parents[2] / "shared" / "corpora" / "german_ler" / "data.jsonl.zst"
PERSONAL = ("PER", "RR", "AN", "STR", "ST", "LDS", "UN", "ORG")
LAW = ("GS", "VO", "EUN", "VT", "RS", "LIT")
# A sentence that consists of one name gives no context.
_SENTENCE = 40


def measure(arguments: argparse.Namespace) -> Outcome:
    """Detect in one half of the sentences, each as a document of its own in German."""
    import zstandard

    from lexveil.nlp.detection.detector import Detector

    with CORPUS.open("rb") as packed:
        lines = zstandard.ZstdDecompressor().stream_reader(packed).read().decode().split("\n")
    parity = 0 if arguments.half == "development" else 1
    records = [json.loads(line) for line in lines if line][parity::2]
    detector = Detector.load("rules")
    begin = time.process_time()
    found = detector.detect_many([record["text"] for record in records])
    seconds = time.process_time() - begin
    all_, covered, touched, alone = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for record, detection in zip(records, found, strict=True):
        masked = bytearray(len(record["text"]))
        for span in detection.spans:
            masked[span.start : span.end] = b"\x01" * (span.end - span.start)
        for span in record["spans"]:
            kind, piece = span["type"], masked[span["start"] : span["end"]]
            if kind == "RR" and len(record["text"]) < _SENTENCE:
                kind = "RR alone"
                alone[kind] += 1
            all_[kind] += 1
            covered[kind] += all(piece)
            touched[kind] += any(piece)
    figures = {
        f"{kind} recall": Figure(covered[kind] / all_[kind], None, "share", "higher")
        for kind in (*PERSONAL, *alone)
        if all_[kind]
    }
    law = sum(all_[kind] for kind in LAW)
    figures["law kept"] = Figure(1 - sum(touched[kind] for kind in LAW) / law, 0.99, "share", "higher")
    for kind in LAW:
        figures[f"{kind} kept"] = Figure(1 - touched[kind] / all_[kind], None, "share", "higher")
    characters = sum(len(record["text"]) for record in records)
    figures["speed"] = Figure(characters / 1000 / seconds, None, "kchar/CPU-s", "higher")
    return Outcome(figures, {"sentences": len(records), **{kind: all_[kind] for kind in all_}}, ())


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--half", choices=("development", "held-out"), default="held-out")


if __name__ == "__main__":
    run(__doc__, measure, _options)
