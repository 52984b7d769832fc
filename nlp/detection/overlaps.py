"""Many findings about the same characters -> one row of spans, sorted, none over another."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lexveil.nlp.letters import HAN
from lexveil.nlp.recognizers.base import LEARNT
from lexveil.nlp.text import Span

_SURE = 0.75
_UNDENIABLE = 0.95
_EDGE = " \t\n,;:.()[]\"'-"
_HAN = re.compile(rf"[{HAN}]")
_JOINTS = {
    "PERSON": re.compile(r"[ \n]?(?:[A-Z]\.?[ ]){0,2}"),
    "ADDRESS": re.compile(r",?[ \n]{0,3}"),
    "ORGANIZATION": re.compile(r" ?"),
}


def outside(spans: Iterable[Span], ranges: Sequence[tuple[int, int]]) -> list[Span]:
    """Spans that touch no range; what can't be mistaken (an e-mail address, say) stays all the same.

    A probability near 1 is no check digit: a learnt detector never reaches into a range.
    """
    starts = [start for start, _ in ranges]

    def touches(span: Span) -> bool:
        index = bisect_left(starts, span.end) - 1
        return index >= 0 and ranges[index][1] > span.start

    def undeniable(span: Span) -> bool:
        return span.score >= _UNDENIABLE and span.type != "PERSON" and span.recognizer != LEARNT

    return [span for span in spans if undeniable(span) or not touches(span)]


def resolve(text: str, spans: Iterable[Span]) -> list[Span]:
    """Settle overlaps: the sure before the guessed, the longer before the shorter, then by score.

    What a loser covers beyond the winner stays covered: no character that somebody found becomes
    readable by settling.
    """
    accepted: list[Span] = []
    order = sorted(set(spans), key=lambda s: (_is_guess(s), s.start - s.end, -s.score, s))
    for span in order:
        for start, end in _uncovered(span, accepted):
            whole = (start, end) == (span.start, span.end)
            kept = (start, end) if whole else _trim(text, start, end)
            if kept:
                insort(accepted, replace(span, start=kept[0], end=kept[1]))
    return _joined(text, accepted)


def _is_guess(span: Span) -> bool:
    # Rules know types better than a model that knows few of them.
    return span.score < _SURE or span.recognizer == LEARNT


def _uncovered(span: Span, accepted: list[Span]) -> list[tuple[int, int]]:
    index = bisect_right(accepted, span.start, key=lambda s: s.start)
    if index and accepted[index - 1].end > span.start:
        index -= 1
    pieces: list[tuple[int, int]] = []
    start = span.start
    while index < len(accepted) and accepted[index].start < span.end:
        if accepted[index].start > start:
            pieces.append((start, accepted[index].start))
        start = max(start, accepted[index].end)
        index += 1
    if start < span.end:
        pieces.append((start, span.end))
    return pieces


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Without white space and punctuation at the edges, but with the point of an initial or "Inc."."""
    whole = text[start:end]
    kept = whole.strip(_EDGE)
    if not kept or not any(c.isalnum() or c in "×*" for c in kept):
        return None
    start += whole.index(kept)
    end_kept = start + len(kept)
    if text[end_kept:end] and text[end_kept] == "." and text[end_kept - 1].isalpha():
        end_kept += 1
    return start, end_kept


def _joined(text: str, spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        last = joined[-1] if joined else None
        joint = _JOINTS.get(span.type)
        if (
            last
            and joint
            and last.type == span.type
            and joint.fullmatch(text, last.end, span.start)
            and not (
                last.end == span.start and span.type == "PERSON" and _HAN.search(text, span.start, span.end)
            )
        ):
            joined[-1] = replace(last, end=span.end, score=max(last.score, span.score))
        else:
            joined.append(span)
    return joined
