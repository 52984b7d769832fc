"""Who is who within a document: which spans name the same entity."""

from __future__ import annotations

from collections.abc import Sequence

from nlp.text import NormalisedText, Span


def _folded(text: str) -> str:
    return "".join(c for c in NormalisedText.of(text).text.casefold() if c.isalnum())


def cluster(text: str, spans: Sequence[Span]) -> list[int]:
    """The entity of each span, numbered from 0 by first appearance in `spans` over all types."""
    entities: dict[tuple[str, str], int] = {}
    return [entities.setdefault((s.type, _folded(text[s.start : s.end])), len(entities)) for s in spans]
