"""Our rules against the recognizers that Presidio ships, family by family, on the same text.

Nothing learned takes part on either side. A gold span counts as found where every letter and digit of it is
covered by the family's spans; a span counts as right where it touches gold of the family. Presidio runs with
its predefined English recognizers and no threshold. Nothing was tuned on `presidio_synth`.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.contract import Figure, Outcome, run

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

CORPORA = Path(__file__).parents[2] / "shared" / "corpora"
SEED = 0
FIXTURES = 300


class _Family(NamedTuple):
    ours: frozenset[str]
    presidio: frozenset[str]
    gold: frozenset[str]


def _family(ours: str, presidio: str, gold: str) -> _Family:
    return _Family(frozenset(ours.split()), frozenset(presidio.split()), frozenset(gold.split()))


# ruff: noqa: E501  -- a table reads best on one line
# Presidio's kinds of a person's numbers in its English default set.
_NUMBERS = "US_SSN US_DRIVER_LICENSE US_ITIN US_PASSPORT UK_NHS UK_NINO MEDICAL_LICENSE US_MBI US_NPI"
FAMILIES = {
    "account": _family("ACCOUNT_NUMBER", "CREDIT_CARD IBAN_CODE US_BANK_NUMBER CRYPTO", "CREDIT_CARD IBAN_CODE ACCOUNT_NUMBER"),
    "identity": _family("ID_NUMBER", _NUMBERS, "US_SSN US_DRIVER_LICENSE ID_NUMBER"),
    "phone": _family("PHONE", "PHONE_NUMBER", "PHONE_NUMBER PHONE"),
    "email": _family("EMAIL", "EMAIL_ADDRESS", "EMAIL_ADDRESS EMAIL"),
    "ip_address": _family("IP_ADDRESS", "IP_ADDRESS MAC_ADDRESS", "IP_ADDRESS"),
    "url": _family("URL", "URL", "DOMAIN_NAME URL"),
    "date": _family("DATE BIRTH_DATE", "DATE_TIME", "DATE_TIME DATE BIRTH_DATE"),
    "age": _family("AGE", "AGE", "AGE"),
    "address": _family("ADDRESS", "LOCATION", "STREET_ADDRESS ADDRESS STR"),
    "case_number": _family("CASE_NUMBER", "", "CASE_NUMBER"),
    "family_member": _family("FAMILY_MEMBER", "", "FAMILY_MEMBER"),
}  # fmt: skip

Tagged = tuple[int, int, str]


class _Sample(NamedTuple):
    text: str
    gold: tuple[Tagged, ...]


def measure(_: argparse.Namespace) -> Outcome:
    figures: dict[str, Figure] = {}
    sizes: dict[str, int] = {}
    # Its check of e-mail domains tries the network, and logs that.
    logging.disable(logging.CRITICAL)
    shipped = _shipped()
    for corpus, samples in _corpora():
        texts = [sample.text for sample in samples]
        ours, presidio = _ours(texts), _presidio(shipped, texts)
        sizes[corpus] = len(samples)
        for name, family in FAMILIES.items():
            gold = sum(kind in family.gold for sample in samples for *_, kind in sample.gold)
            if not gold:
                continue
            sizes[f"{corpus}_{name}"] = gold
            key = f"{corpus}_{name}"
            recall, precision = _score(samples, presidio, family.gold, family.presidio)
            theirs = _f1(recall, precision)
            figures[f"{key}_presidio_recall"] = Figure(recall, None, "", "higher")
            figures[f"{key}_presidio_precision"] = Figure(precision, None, "", "higher")
            recall, precision = _score(samples, ours, family.gold, family.ours)
            figures[f"{key}_recall"] = Figure(recall, None, "", "higher")
            figures[f"{key}_precision"] = Figure(precision, None, "", "higher")
            # No family below Presidio's own, where it has one.
            figures[f"{key}_f1"] = Figure(_f1(recall, precision), theirs if theirs else None, "", "higher")
    return Outcome(figures, sizes, [SEED])


def _f1(recall: float, precision: float) -> float:
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def _score(
    samples: Sequence[_Sample], found: Sequence[list[Tagged]], gold: frozenset[str], kinds: frozenset[str]
) -> tuple[float, float]:
    """Recall over gold of the kinds `gold`, precision of the spans of `kinds`."""
    hits = wanted = right = given = 0
    for sample, spans in zip(samples, found, strict=True):
        mine = [(start, end) for start, end, kind in spans if kind in kinds]
        true = [(start, end) for start, end, kind in sample.gold if kind in gold]
        covered = {i for start, end in mine for i in range(start, end)}
        hits += sum(
            all(i in covered for i in range(start, end) if sample.text[i].isalnum()) for start, end in true
        )
        wanted += len(true)
        right += sum(any(s < end and start < e for s, e in true) for start, end in mine)
        given += len(mine)
    return hits / max(wanted, 1), right / max(given, 1)


def _ours(texts: Sequence[str]) -> list[list[Tagged]]:
    from lexveil.nlp.detection.detector import Detector

    detector = Detector.load(model="rules")
    return [[(s.start, s.end, s.type) for s in detection.spans] for detection in detector.detect_many(texts)]


def _shipped() -> list[EntityRecognizer]:
    from presidio_analyzer import EntityRecognizer, RecognizerRegistry

    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    return [
        r for r in registry.recognizers if isinstance(r, EntityRecognizer) and "Spacy" not in type(r).__name__
    ]


def _presidio(recognizers: Sequence[EntityRecognizer], texts: Sequence[str]) -> list[list[Tagged]]:
    """What Presidio's own patterns find, overlaps settled as its analyzer does."""
    from presidio_analyzer import EntityRecognizer

    none: Any = None
    return [
        [
            (r.start, r.end, r.entity_type)
            for r in EntityRecognizer.remove_duplicates(
                [
                    r
                    for recognizer in recognizers
                    for r in recognizer.analyze(text, recognizer.supported_entities, none) or []
                ]
            )
        ]
        for text in texts
    ]


def _corpora() -> Iterator[tuple[str, list[_Sample]]]:
    yield "fixtures", list(_fixtures())
    synth = CORPORA / "presidio_synth" / "data.jsonl.zst"
    if synth.exists():
        yield "presidio_synth", list(_records(synth))
    german = CORPORA / "german_ler" / "data.jsonl.zst"
    if german.exists():
        # Streets alone: Presidio has no recognizer for one.
        yield "german_ler", [s for s in _records(german) if any(kind == "STR" for *_, kind in s.gold)]


def _fixtures() -> Iterator[_Sample]:
    from fixtures.documents import documents

    for document in documents(FIXTURES, SEED):
        yield _Sample(document.text, tuple((s.start, s.end, s.type) for s in document.spans))


def _records(path: Path) -> Iterator[_Sample]:
    lines = subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout.decode()
    for line in lines.split("\n"):
        if line:
            record = json.loads(line)
            yield _Sample(record["text"], tuple((s["start"], s["end"], s["type"]) for s in record["spans"]))


if __name__ == "__main__":
    run(__doc__, measure)
