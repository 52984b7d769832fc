"""Label Chinese passages with names of people, as span-JSONL to train on.

`python -m lexveil.nlp.detector_training.chinese_labels FILE... --labels GOLD.json --out JUDGE.jsonl` writes
the documents of the development half with the labels of GOLD (`benchmarks/gold/judge_zh_50.json`), leaves out
the held-out half, and labels all others by the rules. With `--detector chinese.safetensors`, a detector reads
each passage too, and those where it contradicts the rules are left out. FILE is JSON lines with "text", plain
or packed, or a JSON list of records with "question" and "answer".
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexveil.nlp.batching import batch_by_count
from lexveil.nlp.detection.detector import Detection, Detector
from lexveil.nlp.readers.compression import open_regular, read_all, split_name
from lexveil.nlp.readers.contract import Limits
from lexveil.nlp.recognizers.person_zh import begins_with_surname
from lexveil.nlp.taggers.lattice import Lattice, LatticeTagger
from lexveil.nlp.text import NormalizedText, Span

_SHORTEST, _LONGEST = 30, 3000
_BEGINNING = 60  # characters by which a repeated passage is recognized
_HIDDEN = "PER"  # stands for names in some passages
_DOUBTED, _SURE = 0.15, 0.9
_LONGEST_PLAIN = 4
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Passage:
    """A text with the ranges of its people.

    Attributes:
        id: what tells it from others.
        text: the text.
        people: ranges of names; None if nobody has labeled it.
    """

    id: str
    text: str = field(repr=False)
    people: tuple[tuple[int, int], ...] | None = None


def read_passages(paths: Iterable[Path]) -> Iterator[Passage]:
    """Yield the passages of all files, each once."""
    seen: set[str] = set()
    for path in paths:
        with open_regular(path) as raw:
            content = read_all(raw, split_name(path.name)[1], Limits(max_text_bytes=1 << 30)).decode()
        for number, (name, text) in enumerate(_read_texts(content)):
            if text[:_BEGINNING] not in seen:
                seen.add(text[:_BEGINNING])
                yield Passage(name or f"{path.stem}-{number}", text)


def _read_texts(content: str) -> Iterator[tuple[str, str]]:
    if not content.startswith("["):
        records: list[dict[str, Any]] = [json.loads(line) for line in content.split("\n") if line]
        yield from ((str(record.get("id", "")), record["text"]) for record in records)
        return
    for record in json.loads(content):
        texts = (record.get("question", ""), record.get("answer", ""))
        yield from (
            ("", text) for text in texts if _SHORTEST <= len(text) <= _LONGEST and _HIDDEN not in text
        )


def add_labels(passages: Iterable[Passage], gold: Sequence[Mapping[str, Any]]) -> Iterator[Passage]:
    """Yield the passages, those of the development half with their labels, without the held-out half.

    Raises:
        ValueError: a passage is not the one that was labeled.
    """
    labeled = {entry["id"]: entry for entry in gold}
    for passage in passages:
        entry = labeled.get(passage.id)
        if entry is None:
            yield passage
            continue
        if hashlib.sha256(passage.text.encode()).hexdigest() != entry["sha256"]:
            raise ValueError("a record is not the one that was labeled")
        if entry["split"] == "development":
            people = tuple((start, end) for start, end, kind in entry["spans"] if kind == "PERSON")
            yield Passage(passage.id, passage.text, people)


def find_people(passages: Iterable[Passage], tagger: LatticeTagger | None) -> Iterator[Passage]:
    """Yield the passages with their people, those in doubt left out."""
    rules = Detector.load("rules")
    for batch in batch_by_count(passages, _BATCH):
        texts = [passage.text for passage in batch]
        detections = rules.detect_many(texts, language="zh")
        tagged = (
            tagger.tag([NormalizedText.of(text).text for text in texts]) if tagger else [[] for _ in texts]
        )
        for passage, detection, spans in zip(batch, detections, tagged, strict=True):
            people = passage.people or _agree(passage.text, detection, spans)
            if people is not None:
                yield Passage(passage.id, passage.text, people)


def _agree(text: str, detection: Detection, tagged: Iterable[Span]) -> tuple[tuple[int, int], ...] | None:
    """Return the people that rules and detector see; None if the detector sees one that cannot be trusted."""
    people = [(span.start, span.end) for span in detection.spans if span.type == "PERSON"]
    others = [(span.start, span.end) for span in detection.spans if span.type != "PERSON"]
    if len(NormalizedText.of(text).text) != len(text):
        return None
    for span in tagged:
        if _touches(span, people) or any(start <= span.start and span.end <= end for start, end in others):
            continue
        plain = span.end - span.start <= _LONGEST_PLAIN and begins_with_surname(text[span.start : span.end])
        if span.score < _SURE or not plain or _touches(span, others):
            return None
        people.append((span.start, span.end))
    return tuple(sorted(people))


def _touches(span: Span, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(start < span.end and span.start < end for start, end in ranges)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lexveil.nlp.detector_training.chinese_labels", description=__doc__
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels made by reading")
    parser.add_argument("--detector", type=Path, metavar="FILE", help="a detector that must agree")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    gold = json.loads(options.labels.read_text(encoding="utf-8"))["documents"] if options.labels else ()
    tagger = LatticeTagger(Lattice.load(options.detector), _DOUBTED) if options.detector else None
    with options.out.open("w", encoding="utf-8") as file:
        for passage in find_people(add_labels(read_passages(options.files), gold), tagger):
            spans = [{"start": start, "end": end, "type": "PERSON"} for start, end in passage.people or ()]
            record = {"id": passage.id, "text": passage.text, "language": "zh", "spans": spans}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
