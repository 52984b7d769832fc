"""Prepare gold documents of several corpora, so that a detector learns one convention.

The training must mark what the detector is asked to find: titles are not part of a name, a role ("Borrower")
is not a person, and types with rules of their own (a telephone number) are left to the rules.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from lexveil.nlp.detection.language import detect_language
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan, read_gold
from lexveil.nlp.vocabulary import LEGAL_WORDS

LEARNED_TYPES = frozenset(
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
# Share that is used of the documents without annotations; shuffled sentences, for example, teach little more.
_EMPTY_SHARE = 0.15


def read_documents(
    paths: Iterable[Path], decisions: Path | None, seed: int, *, thin: bool = True
) -> list[GoldDocument]:
    """Read and prepare the documents of gold files and of a review folder.

    Args:
        paths: gold files.
        decisions: folder in which reviewers' decisions are stored as gold files, or None.
        seed: seed of the choice among documents without annotations.
        thin: leave most documents without annotations out.

    Raises:
        lexveil.nlp.evaluation.gold.GoldError: a file cannot be used.
    """
    files = [*paths, *(sorted(decisions.glob("*.jsonl")) if decisions else ())]
    documents = [prepare_document(document) for path in files for document in read_gold(path)]
    return thin_unmarked(documents, seed) if thin else documents


def thin_unmarked(documents: Sequence[GoldDocument], seed: int) -> list[GoldDocument]:
    """Return all documents with annotations, and a random share of the others."""
    rng = random.Random(seed)
    return [document for document in documents if any(document.annotations) or rng.random() < _EMPTY_SHARE]


def prepare_document(document: GoldDocument) -> GoldDocument:
    """Return the document in the convention of the detectors, with its language."""
    annotations = tuple(
        tuple(adapted for span in annotation if (adapted := _adapt_span(document.text, span)))
        for annotation in document.annotations
    )
    language = document.language or detect_language(document.text)
    return replace(document, language=language, annotations=annotations)


def _adapt_span(text: str, span: GoldSpan) -> GoldSpan | None:
    """Return the span without titles, or None if it is not for a learned detector."""
    if span.type not in LEARNED_TYPES:
        return None
    if span.type == "PERSON":
        words = [word.lower() for word in _WORD.findall(text, span.start, span.end)]
        if words and all(word in LEGAL_WORDS or word.removesuffix("s") in LEGAL_WORDS for word in words):
            return None
        title = _TITLES.match(text, span.start, span.end)
        if title and title.end() < span.end:
            return replace(span, start=title.end())
    return span
