"""Spans whose type rests on a model alone.

If a policy keeps companies and places, a surname that a model mistakes for a company would stay readable. So
a type that only a model has assigned keeps no span readable.
"""

from __future__ import annotations

from collections.abc import Sequence

from lexveil.nlp.entities.evidence import fold_letters, shows_type
from lexveil.nlp.recognizers.scores import LEARNED, PROPAGATION
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import LEGAL_WORDS

_NAMES = frozenset({"ORGANIZATION", "LOCATION"})


def find_unsupported(text: str, spans: Sequence[Span]) -> frozenset[Span]:
    """Return the spans whose type only a model claims. Pure.

    A span of a rule is supported, and so is every string of which the document supports a longer form
    elsewhere.

    Args:
        text: the document.
        spans: its sorted spans.
    """
    people = {
        word
        for span in spans
        if span.type == "PERSON"
        for word in fold_letters(text[span.start : span.end])
        if len(word) > 2 and word not in LEGAL_WORDS
    }
    # By type and word: the sets of words that hold it.
    supported: dict[tuple[str, str], set[frozenset[str]]] = {}
    unsure: list[tuple[Span, frozenset[str]]] = []
    for span in spans:
        words = frozenset(fold_letters(text[span.start : span.end]))
        named = span.type in _NAMES and len(words) == 1 and not people.isdisjoint(words)
        if span.recognizer in (LEARNED, PROPAGATION) and (named or not shows_type(text, span)):
            unsure.append((span, words))
        else:
            for word in words:
                supported.setdefault((span.type, word), set()).add(words)

    def is_supported(span: Span, words: frozenset[str]) -> bool:
        holders = [supported.get((span.type, word), set[frozenset[str]]()) for word in words]
        return bool(holders) and any(known >= words for known in min(holders, key=len))

    return frozenset(span for span, words in unsure if not is_supported(span, words))
