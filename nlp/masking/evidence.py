"""Spans whose type rests on a model alone.

Where a policy keeps companies and places, a surname that a model takes for a company would stay readable. So
a type that a model alone assigned frees no span.
"""

from __future__ import annotations

from collections.abc import Sequence

from lexveil.nlp.entities.evidence import fold_letters, shows_type
from lexveil.nlp.recognizers.scores import LEARNED, PROPAGATION
from lexveil.nlp.text import Span


def find_unsupported(text: str, spans: Sequence[Span]) -> frozenset[Span]:
    """Return the spans whose type only a model claims. Pure.

    A span of a rule is supported, and so is every string of which the document supports a longer form
    elsewhere.

    Args:
        text: the document.
        spans: its sorted spans.
    """
    supported: dict[str, list[set[str]]] = {}
    unsure: list[Span] = []
    for span in spans:
        if span.recognizer in (LEARNED, PROPAGATION) and not shows_type(text, span):
            unsure.append(span)
        else:
            supported.setdefault(span.type, []).append(set(fold_letters(text[span.start : span.end])))
    return frozenset(
        span
        for span in unsure
        if not any(
            known.issuperset(fold_letters(text[span.start : span.end]) or {""})
            for known in supported.get(span.type, [])
        )
    )
