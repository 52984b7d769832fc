"""People that a learned detector mistakes for something else, and words that it mistakes for numbers.

It decides that a word must be masked far more reliably than which type the word has: a surname becomes a
company, a nickname a people. The document itself often shows the type.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lexveil.nlp.entities.evidence import shows_type
from lexveil.nlp.letters import has_han
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import Span, find_line
from lexveil.nlp.vocabulary import COURTESY_TITLES, JURISDICTIONS, LEGAL_WORDS, OFFICE_TITLES

_NO_NAMES = LEGAL_WORDS | JURISDICTIONS
_MISTAKABLE = frozenset({"ORGANIZATION", "LOCATION", "ADDRESS", "DEMOGRAPHIC", "MISC", "QUANTITY"})
_NAMES = frozenset({"PERSON", "ORGANIZATION"})
_LINE = 4  # words: a shorter line may be a caption with a name
_CAPITAL = re.compile(r"[a-z] [A-Z]")
_WORD = re.compile(r"[^\W\d_]+")
_NAME_WORDS = 5
_TITLED = re.compile(rf"(?i:\b(?:{'|'.join((*COURTESY_TITLES, *OFFICE_TITLES))})\.? )\Z")
_LONGEST_TITLE = 24
# A title that the detector mistook for part of the name.
_LEADING = re.compile(r"(?:(?:Herrn?|Frau|Fräulein|Eheleute) )+(?=[^\W\d_])")
# The rest of a double name: "Tahir-wala", not "Tahir-led".
_REST = re.compile(
    r"-(?!(?:led|based|owned|born|style|type|like|related|era)\b)[^\W\d_]+(?:-[^\W\d_]+)*(?![\w@])"
)
# Between two parts of one name on one line.
_JOINT = re.compile(r"[ -]|(?: [A-Z]\.)? ")


def retype_people(text: str, spans: Sequence[Span], written: str = "") -> list[Span]:
    """Return the spans with type PERSON for those of a learned detector that must be people.

    These are names without any sign of their type that follow a title, stand beside a part of a person's
    name, consist of words of people's names, or are written in lower case.

    Args:
        text: normalized text.
        spans: its sorted spans, without overlaps.
        written: the text as it was before passages without capitals got some; by default the same.
    """
    names = {
        word
        for span in spans
        if span.type == "PERSON"
        for word in _find_words(text, span)
        if word[0].isupper() and len(word) > 2 and word.lower() not in _NO_NAMES
    }
    result: list[Span] = []
    for index, span in enumerate(spans):
        before = result[-1] if result else None
        after = spans[index + 1] if index + 1 < len(spans) else None
        if _may_be_person(text, span) and (
            names.issuperset(_find_words(text, span))
            or _TITLED.search(text, max(0, span.start - _LONGEST_TITLE), span.start)
            or _continues(text, before, span)
            or _continues(text, span, after)
            or (written and written[span.start : span.end] != text[span.start : span.end])
        ):
            span = replace(span, type="PERSON")
        if span.type == "PERSON":
            title = _LEADING.match(text, span.start, span.end)
            rest = _REST.match(text, span.end)
            start, end = title.end() if title else span.start, rest.end() if rest else span.end
            span = replace(span, start=start, end=end)
        result.append(span)
    return result


def widen_people(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the spans with Chinese names as long as the longer of what a rule and a learned detector see.

    Chinese has no spaces, so both may miss the end of a name. A rule's name that a learned one overlaps gets
    the characters of both, unless the latter overlaps several: then the rules tell people apart.
    """
    named = [span for span in spans if span.type == "PERSON" and has_han(text[span.start : span.end])]
    rules = sorted({(span.start, span.end) for span in named if span.recognizer != LEARNED})
    starts = [start for start, _ in rules]
    longest = max((end - start for start, end in rules), default=0)
    widened: dict[tuple[int, int], tuple[int, int]] = {}
    for span in named:
        if span.recognizer == LEARNED:
            around = rules[bisect_left(starts, span.start - longest) : bisect_left(starts, span.end)]
            touched = [(start, end) for start, end in around if end > span.start]
            first = min((start for start, _ in touched), default=0)
            last = max((end for _, end in touched), default=0)
            # Readings of one name by several rules share its beginning.
            if len({start for start, _ in touched}) == 1:
                for one in touched:
                    widened[one] = min(first, span.start), max(last, span.end)
    return [
        replace(span, start=position[0], end=position[1])
        if span.type == "PERSON" and (position := widened.get((span.start, span.end)))
        else span
        for span in spans
    ]


def drop_contradicted(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return the spans without the findings of a learned detector that their own letters contradict.

    A name has a capital, in a text that has any. In a line of capitals, where these prove nothing, a quantity
    has a digit or a word for a number.
    """
    has_capitals = _CAPITAL.search(text) is not None
    return [span for span in spans if not _is_contradicted(text, span, has_capitals)]


def _is_contradicted(text: str, span: Span, has_capitals: bool) -> bool:
    if span.recognizer != LEARNED:
        return False
    if span.type == "QUANTITY":
        line = find_line(text, span.start, span.end)
        return line.isupper() and len(line.split()) >= _LINE and not shows_type(text, span)
    surface = text[span.start : span.end]
    # The second half of a hyphenated name begins a line in lower case.
    follows_space = text[max(0, span.start - 1) : span.start] in ("", " ")
    lower = follows_space and surface.islower() and not any(c.isdigit() for c in surface)
    return span.type in _NAMES and lower and has_capitals


def _may_be_person(text: str, span: Span) -> bool:
    if span.recognizer != LEARNED or span.type not in _MISTAKABLE:
        return False
    words = _find_words(text, span)
    named = 0 < len(words) <= _NAME_WORDS and all(word[0].isupper() for word in words)
    return named and not any(c.isdigit() for c in text[span.start : span.end]) and not shows_type(text, span)


def _continues(text: str, first: Span | None, second: Span | None) -> bool:
    """Return True if one of two spans is a person and nothing but a space or a hyphen separates them."""
    if first is None or second is None or "PERSON" not in (first.type, second.type):
        return False
    return _JOINT.fullmatch(text, first.end, second.start) is not None


def _find_words(text: str, span: Span) -> list[str]:
    return [m.group() for m in _WORD.finditer(text, span.start, span.end)]
