"""The multilingual detector beside the others, on text that none of them was trained on.

**Passages** (`gold/passages.txt`): natural sentences about invented people, in the detector's languages; by
language the share of the words of names that are masked, of addresses that are masked wholly, and of laws
and authorities that stay. **Addresses**: Serbian and Croatian sentences with Faker's addresses. Where
`../shared` lies beside the repository: **lener_br**, the share of the people mentioned in Brazilian judgments
that are masked wholly, and **TAB**, each on the documents that
`lexveil.nlp.detector_training.multilingual.is_held_out` keeps from training; `default` and `light` have seen
those of TAB.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contract import Figure, Outcome, run
from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.evaluation.gold import GoldDocument, read_gold
from lexveil.nlp.evaluation.scoring import score
from lexveil.nlp.taggers.contract import SENSITIVITIES
from lexveil.nlp.text import Span

PASSAGES = Path(__file__).parent / "gold" / "passages.txt"
CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"
DETECTORS = ("rules", "light", "default", "multilingual")
ADDRESSES = (
    "Tuženi stanuje u ulici {a}, gde mu je uručen poziv.",
    "Prebivalište: {a}.",
    "Nepokretnost na adresi {a} prodata je na javnoj prodaji.",
    "Dostaviti: svedoku, {a}",
    "Pretres stana na adresi {a} trajao je dva sata.",
    "Tužiteljica, sa stanom u {a}, traži isplatu.",
)
TARGETS = {"lener": 0.96, "addresses": 0.85}
_MARK = re.compile(r"\{(.+?)\}|\[\[(.+?)\]\]|<(.+?)>")
_WORD = re.compile(r"[^\W\d_]+")
_PARTICLES = frozenset("van de der von den la du le y i zu da do dos das".split())  # noqa: SIM905
Ranges = list[tuple[str, int, int]]
Probe = tuple[str, str, Ranges]
Found = Sequence[Sequence[Span]]
Counts = Counter[tuple[str, str, bool]]


def read_passages() -> Iterator[tuple[str, str, Ranges]]:
    """Yield language, text, and what is marked in it, as kind (name, law, address), start and end."""
    for line in PASSAGES.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line[:2], *_read(line[4:])


def _read(line: str) -> tuple[str, Ranges]:
    text, marks, last = "", Ranges(), 0
    for mark in _MARK.finditer(line):
        text += line[last : mark.start()]
        kind = "name" if mark[1] else "law" if mark[2] else "address"
        shown = mark[1] or mark[2] or mark[3]
        marks.append((kind, len(text), len(text) + len(shown)))
        text += shown
        last = mark.end()
    return text + line[last:], marks


def write_addresses(seed: int) -> Iterator[tuple[str, str, Ranges]]:
    """Yield sentences with addresses, of the same form as `read_passages`."""
    from faker import Faker

    fake = Faker("hr_HR")
    fake.seed_instance(seed)
    for frame in ADDRESSES * 8:
        address = f"{fake.street_name()} {fake.building_number()}, {fake.postcode()} {fake.city()}"
        yield "sr", *_read(frame.replace("{a}", f"<{address}>"))


def count(probes: Sequence[Probe], found: Found) -> Counts:
    """Count by language and kind what is right."""
    counts = Counts()
    for (language, text, marks), spans in zip(probes, found, strict=True):
        masked = bytearray(len(text))
        for span in spans:
            masked[span.start : span.end] = b"\x01" * (span.end - span.start)
        for kind, start, end in marks:
            if kind == "name":
                for word in _WORD.finditer(text, start, end):
                    if word.group() not in _PARTICLES:
                        counts[language, kind, all(masked[word.start() : word.end()])] += 1
            else:
                right = (
                    not any(masked[start:end])
                    if kind == "law"
                    else all(masked[place] for place in range(start, end) if text[place].isalnum())
                )
                counts[language, kind, right] += 1
    return counts


def held_out(name: str, file: str) -> list[GoldDocument]:
    """Return the documents of a corpus that training leaves out; none without the corpus."""
    from lexveil.nlp.detector_training.multilingual import is_held_out

    path = CORPORA / name / file
    return [one for one in read_gold(path) if is_held_out(one)] if path.exists() else []


def measure(arguments: argparse.Namespace) -> Outcome:
    """Measure each detector at both operating points."""
    passages, addresses = list(read_passages()), list(write_addresses(arguments.seed))
    corpora = {
        "lener": held_out("lener_br", "data.jsonl.zst"),
        "tab": held_out("tab", "echr_traindev113.json"),
    }
    figures: dict[str, Figure] = {}
    n = {"passages": len(passages), "addresses": len(addresses), **{k: len(v) for k, v in corpora.items()}}
    for model in arguments.detectors:
        for sensitivity in SENSITIVITIES:
            detector = Detector.load(model, sensitivity)
            where = f"{model} {sensitivity}"
            counts = count(passages, find(detector, [text for _, text, _ in passages]))
            for kind in ("name", "law", "address"):
                figures[f"{where} all {kind}"] = _share(counts, kind)
                for language in sorted({one for one, marked, _ in counts if marked == kind}):
                    figures[f"{where} {language} {kind}"] = _share(counts, kind, language)
                    n[f"{language} {kind}"] = counts[language, kind, True] + counts[language, kind, False]
            counts = count(addresses, find(detector, [text for _, text, _ in addresses]))
            figures[f"{where} addresses"] = _share(counts, "address", target=TARGETS["addresses"])
            if lener := corpora["lener"]:
                share = count_people(lener, find(detector, [one.text for one in lener]))
                figures[f"{where} lener"] = Figure(share, TARGETS["lener"], "share", "higher")
            if tab := corpora["tab"]:
                scores = score(tab, find(detector, [one.text for one in tab]))
                for name in ("er_di", "er_qi", "token_recall", "token_precision"):
                    value = getattr(scores, name) or 0.0
                    figures[f"{where} tab {name}"] = Figure(value, None, "share", "higher")
    return Outcome(figures, n, (arguments.seed,))


def find(detector: Detector, texts: Sequence[str]) -> Found:
    """Return the spans of each text."""
    return [detection.spans for detection in detector.detect_many(texts)]


def _share(counts: Counts, kind: str, language: str = "", target: float | None = None) -> Figure:
    """Return the share that is right, of one language or of all."""
    chosen = [
        (right, n) for (one, marked, right), n in counts.items() if marked == kind and language in ("", one)
    ]
    share = sum(n for right, n in chosen if right) / sum(n for _, n in chosen)
    return Figure(share, target, "share", "higher")


def count_people(documents: Sequence[GoldDocument], found: Found) -> float:
    """Return the share of the mentions of people that are wholly masked."""
    hidden = total = 0
    for document, spans in zip(documents, found, strict=True):
        covered = {place for span in spans for place in range(span.start, span.end)}
        for gold in document.annotations[0]:
            if gold.type == "PERSON":
                places = [at for at in range(gold.start, gold.end) if document.text[at].isalnum()]
                total += 1
                hidden += covered.issuperset(places)
    return hidden / total


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detectors", nargs="+", default=DETECTORS)
    parser.add_argument("--seed", type=int, default=5)


if __name__ == "__main__":
    run(__doc__, measure, _options)
