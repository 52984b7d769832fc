"""Gold of several corpora -> documents that teach one detector one convention.

What is trained on a text must be what the detector is asked about it: titles are no part of a name, a role
("Borrower") is nobody, and kinds that have their own rules (a telephone number) are left to them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from lexveil.nlp.detection.language import language_of
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan, read_gold
from lexveil.nlp.vocabulary import LEGAL_WORDS

LEARNT_TYPES = frozenset(
    {
        "PERSON",
        "ORGANIZATION",
        "LOCATION",
        "ADDRESS",
        "DATE",
        "CASE_NUMBER",
        "DEMOGRAPHIC",
        "QUANTITY",
        "MISC",
    }
)
_TITLES = re.compile(r"(?:M(?:r|rs|s)\b\.?\s+)+")
_WORD = re.compile(r"[^\W\d_]+")
# Of documents in which nothing is marked, as of shuffled sentences, a part says enough.
_EMPTY_SHARE = 0.15


def read_documents(paths: Iterable[Path], decisions: Path | None, seed: int) -> list[GoldDocument]:
    """The prepared documents of gold files, and of a folder in which reviewers' decisions lie as gold.

    Raises:
        lexveil.nlp.evaluation.gold.GoldError: a file can't be used.
    """
    files = [*paths, *(sorted(decisions.glob("*.jsonl")) if decisions else ())]
    documents = [prepared(document) for path in files for document in read_gold(path)]
    return thinned(documents, seed)


def thinned(documents: Sequence[GoldDocument], seed: int) -> list[GoldDocument]:
    """All documents in which something is marked, and a part of the others."""
    rng = random.Random(seed)
    return [document for document in documents if any(document.annotations) or rng.random() < _EMPTY_SHARE]


def prepared(document: GoldDocument) -> GoldDocument:
    """The same document in the convention of the detectors, with its language."""
    annotations = tuple(
        tuple(kept for span in annotation if (kept := _kept(document.text, span)))
        for annotation in document.annotations
    )
    language = document.language or language_of(document.text)
    return replace(document, language=language, annotations=annotations)


def _kept(text: str, span: GoldSpan) -> GoldSpan | None:
    if span.type not in LEARNT_TYPES:
        return None
    if span.type == "PERSON":
        words = [word.lower() for word in _WORD.findall(text, span.start, span.end)]
        if words and all(word in LEGAL_WORDS or word.removesuffix("s") in LEGAL_WORDS for word in words):
            return None
        title = _TITLES.match(text, span.start, span.end)
        if title and title.end() < span.end:
            return replace(span, start=title.end())
    return span
