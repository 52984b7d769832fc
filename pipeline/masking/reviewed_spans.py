"""Application of a reviewer's decisions to the spans of a document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from lexveil.nlp.recognizers.scores import REVIEWER
from lexveil.nlp.text import NormalizedText, Span
from lexveil.pipeline.masking.decisions import Decision

_BEYOND_LATIN = "\u2e80"  # from here on, scripts write no space between words


def apply_decisions(spans: Sequence[Span], decisions: Sequence[Decision], text: str) -> list[Span]:
    """Apply a reviewer's decisions to the spans of a document.

    A span that a reviewer made has score 1 and the recognizer `Reviewer`; an accepted span keeps its own.

    Args:
        spans: the spans that were found, in characters of `text`.
        decisions: the decisions about the document.
        text: the original text.

    Returns:
        The spans after review, sorted and without overlaps.
    """
    if not decisions:
        return list(spans)
    rejected = [decision for decision in decisions if decision.verdict == "reject"]
    upheld = [decision for decision in decisions if decision.verdict != "reject"]

    def is_rejected(start: int, end: int) -> bool:
        return any(decision.start <= start and end <= decision.end for decision in rejected)

    personal = {_fold(text, decision.start, decision.end) for decision in upheld}
    readable = {_fold(text, decision.start, decision.end) for decision in rejected} - personal
    kept = [
        span
        for span in spans
        if not is_rejected(span.start, span.end) and _fold(text, span.start, span.end) not in readable
    ]
    made = [*_make_spans(upheld, spans), *_repeat_added(upheld, text, is_rejected)]
    return _merge(made, kept)


def _make_spans(upheld: Sequence[Decision], spans: Sequence[Span]) -> Iterator[Span]:
    """Make the span of each accepted or added range; an accepted span keeps its score and recognizer."""
    by_range = {(span.start, span.end): span for span in spans}
    for decision in upheld:
        accepted = by_range.get((decision.start, decision.end)) if decision.verdict == "accept" else None
        if accepted is None:
            yield Span(decision.start, decision.end, decision.type, 1.0, REVIEWER)
        else:
            yield replace(accepted, type=decision.type)


def _repeat_added(
    upheld: Sequence[Decision], text: str, is_rejected: Callable[[int, int], bool]
) -> Iterator[Span]:
    """Make a span for every other occurrence of the strings that a reviewer added."""
    added = [decision for decision in upheld if decision.verdict == "add"]
    document = NormalizedText.of(text if added else "")
    for decision in added:
        for start, end in _find_identical(document, text[decision.start : decision.end]):
            if not is_rejected(start, end):
                yield Span(start, end, decision.type, 1.0, REVIEWER)


def _merge(made: Sequence[Span], kept: Sequence[Span]) -> list[Span]:
    """Merge overlapping spans, under the reviewer's type, so that nothing masked becomes readable."""
    ranked = sorted([(span, True) for span in made] + [(span, False) for span in kept], key=_get_position)
    result: list[tuple[Span, bool]] = []
    for span, by_reviewer in ranked:
        if not result or span.start >= result[-1][0].end:
            result.append((span, by_reviewer))
            continue
        last, last_by_reviewer = result[-1]
        leading = span if by_reviewer > last_by_reviewer else last
        union = replace(leading, start=min(last.start, span.start), end=max(last.end, span.end))
        result[-1] = (union, by_reviewer or last_by_reviewer)
    return [span for span, _ in result]


def _get_position(entry: tuple[Span, bool]) -> tuple[int, int]:
    return entry[0].start, -entry[0].end


def _fold(text: str, start: int, end: int) -> str:
    return " ".join(NormalizedText.of(text[start:end]).text.casefold().split())


def _find_identical(document: NormalizedText, surface: str) -> Iterator[tuple[int, int]]:
    """Find every occurrence of a string as whole words, in characters of the original text."""
    words = NormalizedText.of(surface).text.split()
    string = "".join(words)
    shortest = 2 if string[:1] >= _BEYOND_LATIN else 3
    if len(string) < shortest:
        return
    before = r"(?<!\w)" if string[0].isalnum() and string[0] < _BEYOND_LATIN else ""
    after = r"(?!\w)" if string[-1].isalnum() and string[-1] < _BEYOND_LATIN else ""
    for match in re.finditer(before + r"\s+".join(map(re.escape, words)) + after, document.text):
        yield document.to_original(match.start(), match.end())
