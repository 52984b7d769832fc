"""Names that a detector must find by context: frames of judgments and letters, filled with Faker's names.

German frames take names that no detector was trained on, a quarter of Faker's. French, Spanish, Italian,
Polish, Dutch, Portuguese and Serbian are read by rules alone. By language and operating point: the share of
the words of names that are masked, and the share of laws, courts and decisions in the frames that stay
readable. None of the frames was trained on; the rules for these languages were developed on these frames, so
their figures are development figures.
"""

from __future__ import annotations

import argparse
import random
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contract import Figure, Outcome, run

FRAMES = Path(__file__).parent / "gold"
LOCALES = {
    "fr": "fr_FR",
    "es": "es_ES",
    "it": "it_IT",
    "pl": "pl_PL",
    "nl": "nl_NL",
    "pt": "pt_BR",
    "sr": "hr_HR",
}
DOCUMENTS = 8
_SLOT = re.compile(r"\{([nsgftilk])\}|\[\[(.+?)\]\]")
_WORD = re.compile(r"[^\W\d_]+")
_PARTICLES = frozenset("van de der von den la du le y i zu da do dos das".split())  # noqa: SIM905


@dataclass
class Document:
    """A text, and the ranges of names and of laws in it."""

    text: str = ""
    names: list[tuple[int, int]] = field(default_factory=list)
    laws: list[tuple[int, int]] = field(default_factory=list)


def read_frames() -> dict[str, list[str]]:
    """Return the frames by language."""
    frames = {"de": _lines(FRAMES / "frames_de.txt")}
    for line in _lines(FRAMES / "frames_continental.txt"):
        frames.setdefault(line[:2], []).append(line[4:])
    return frames


def fill(frames: list[str], draw: Callable[[str], str]) -> Document:
    """Return one document of all frames, each a paragraph."""
    document = Document()
    for frame in frames:
        last = 0
        for slot in _SLOT.finditer(frame):
            document.text += frame[last : slot.start()]
            shown = slot[2] or draw(slot[1])
            kept = document.laws if slot[2] else document.names
            kept.append((len(document.text), len(document.text) + len(shown)))
            document.text += shown
            last = slot.end()
        document.text += frame[last:] + "\n\n"
    return document


def make_documents(language: str, frames: list[str], seed: int) -> Iterator[Document]:
    """Yield documents with names of the language. German ones are single frames: nothing is propagated."""
    if language == "de":
        from lexveil.nlp.detector_training.german_names import NamePool

        pool, rng = NamePool.load(held_out=True), random.Random(seed)
        for frame in frames * DOCUMENTS:
            closing = "Das Gericht hat die Sache geprüft und die Kosten verteilt."
            yield fill([frame, closing], lambda kind: pool.draw(kind, rng))
        return
    from faker import Faker

    fake = Faker(LOCALES[language])
    fake.seed_instance(seed + zlib.crc32(language.encode()))
    names = {
        "n": lambda: f"{fake.first_name()} {fake.last_name()}",
        "s": fake.last_name,
        "f": fake.first_name,
    }
    for _ in range(DOCUMENTS):
        yield fill(frames, lambda kind: names[kind]())


def measure(arguments: argparse.Namespace) -> Outcome:
    """Detect in the documents of each language at both operating points."""
    from lexveil.nlp.detection.detector import Detector

    figures: dict[str, Figure] = {}
    n: dict[str, int] = {}
    targets = {("de", "balanced"): 0.95, ("de", "strict"): 0.98}
    for sensitivity in ("balanced", "strict"):
        detector = Detector.load(arguments.detector, sensitivity)
        for language, frames in read_frames().items():
            documents = list(make_documents(language, frames, arguments.seed))
            words = found = laws = kept = 0
            texts = [document.text for document in documents]
            for document, detection in zip(documents, detector.detect_many(texts), strict=True):
                masked = bytearray(len(document.text))
                for span in detection.spans:
                    masked[span.start : span.end] = b"\x01" * (span.end - span.start)
                for start, end in document.names:
                    for word in _WORD.finditer(document.text, start, end):
                        if word.group() not in _PARTICLES:
                            words += 1
                            found += all(masked[word.start() : word.end()])
                laws += len(document.laws)
                kept += sum(not any(masked[start:end]) for start, end in document.laws)
            target = targets.get((language, sensitivity), 0.93 if sensitivity == "strict" else None)
            figures[f"{language} {sensitivity}"] = Figure(found / words, target, "share", "higher")
            n[f"{language} name words"] = words
            if laws:
                figures[f"{language} law kept, {sensitivity}"] = Figure(kept / laws, 0.95, "share", "higher")
                n[f"{language} laws"] = laws
    return Outcome(figures, n, (arguments.seed,))


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detector", default="default")
    parser.add_argument("--seed", type=int, default=5)


if __name__ == "__main__":
    run(__doc__, measure, _options)
