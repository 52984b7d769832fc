"""Reduce competing findings to one sorted sequence of spans without overlaps."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lexveil.nlp.letters import has_han
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import Span, find_line, find_uncovered

_SURE = 0.75
_UNMISTAKABLE = 0.95
# What citations consist of: a model may give the finding of a rule a probability near 1.
_IN_LAW = frozenset({"PERSON", "DATE"})
# The name of an account, which is no part of the name before it: "ada.roe".
_HANDLE = re.compile(r"[^\W\d_]+[._][^\W\d_]{2,}")
_CELL_EDGE = re.compile(r"[\t|]")
_EDGE = " \t\n,;:.()[]\"'-"
# Text that may stand between two parts of one name of the type.
_JOINTS = {
    "PERSON": re.compile(r"[ \n]?(?:[A-Z]\.?[ ]){0,2}|-"),
    "ADDRESS": re.compile(r",?[ \n]{0,3}"),
    "ORGANIZATION": re.compile(r" ?"),
}


def drop_touching(spans: Iterable[Span], ranges: Sequence[tuple[int, int]]) -> list[Span]:
    """Drop spans that touch a range, such as a citation, unless they are unmistakable.

    An e-mail address, for example, is kept everywhere. A probability near 1 is no check digit: a learned
    detector never reaches into a range.

    Args:
        spans: findings in any order.
        ranges: sorted [start, end) ranges, none overlapping.
    """
    return [span for span in spans if _is_unmistakable(span) or not enters(span.start, span.end, ranges)]


def enters(start: int, end: int, ranges: Sequence[tuple[int, int]]) -> bool:
    """Return True if [start, end) shares a character with one of some sorted ranges, none overlapping."""
    index = bisect_left(ranges, (end,)) - 1
    return index >= 0 and ranges[index][1] > start


def resolve_overlaps(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return sorted spans without overlaps: the sure before the guessed, the longer first, then by score.

    What is a date and more, such as a birth date, is not just a date.

    Where a losing span reaches beyond the winner, the rest of it is kept: no character that any recognizer
    found becomes readable.
    """
    accepted: list[Span] = []
    starts: list[int] = []
    order = sorted(
        set(spans), key=lambda s: (_is_guess(s), s.start - s.end, s.type == "DATE", -s.score, *_order(s))
    )
    for span in order:
        first = max(0, bisect_right(starts, span.start) - 1)
        near = accepted[first : bisect_left(starts, span.end, first)]
        if span.start < span.end and not any(other.end > span.start for other in near):
            index = bisect_left(starts, span.start)
            starts.insert(index, span.start)
            accepted.insert(index, span)
            continue
        for start, end in [*find_uncovered(span.start, span.end, ((s.start, s.end) for s in near))]:
            whole = (start, end) == (span.start, span.end)
            kept = (start, end) if whole else _trim(text, start, end)
            if kept:
                index = bisect_left(starts, kept[0])
                starts.insert(index, kept[0])
                accepted.insert(index, span if whole else replace(span, start=kept[0], end=kept[1]))
    return _join_parts(text, accepted)


def _order(span: Span) -> tuple[int, int, str, float, str]:
    return span.start, span.end, span.type, span.score, span.recognizer


def _is_unmistakable(span: Span) -> bool:
    return span.score >= _UNMISTAKABLE and span.type not in _IN_LAW and span.recognizer != LEARNED


def _is_guess(span: Span) -> bool:
    # Rules know types better than a model that knows few of them.
    return span.score < _SURE or span.recognizer == LEARNED


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Strip white space and punctuation from the edges, but keep the point of an initial or of "Inc."."""
    whole = text[start:end]
    kept = whole.strip(_EDGE)
    if not kept or not any(c.isalnum() or c in "×*" for c in kept):
        return None
    start += whole.index(kept)
    end_kept = start + len(kept)
    if text[end_kept:end] and text[end_kept] == "." and text[end_kept - 1].isalpha():
        end_kept += 1
    return start, end_kept


def _join_parts(text: str, spans: list[Span]) -> list[Span]:
    """Join neighboring spans that are parts of one name."""
    joined: list[Span] = []
    for span in spans:
        last = joined[-1] if joined else None
        if last and _belong_together(text, last, span):
            joined[-1] = replace(last, end=span.end, score=max(last.score, span.score))
        else:
            joined.append(span)
    return joined


def _belong_together(text: str, last: Span, span: Span) -> bool:
    joint = _JOINTS.get(span.type)
    if joint is None or last.type != span.type or not joint.fullmatch(text, last.end, span.start):
        return False
    if text[last.end : last.end + 1] == "\n" and _CELL_EDGE.search(find_line(text, last.start, last.end)):
        return False  # the last cell of a row and the first of the next
    if any(_HANDLE.fullmatch(text, one.start, one.end) for one in (last, span)):
        return False
    if span.type != "PERSON" or not has_han(text[span.start : span.end]):
        return True
    # Chinese names may follow each other without a space; with one, single characters are parts of one name.
    sizes = {last.end - last.start, span.end - span.start}
    return last.end < span.start and (1 in sizes or not has_han(text[last.start : last.end]))
