"""Strings that an office always wants masked, and strings that it never wants masked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from lexveil.nlp.letters import has_han
from lexveil.nlp.recognizers.own_rules import OwnRules
from lexveil.nlp.recognizers.scores import ALLOWED, CHECKED, DENIED
from lexveil.nlp.text import NormalizedText, Span, find_uncovered
from lexveil.nlp.vocabulary import LEGAL_WORDS

# A character of a word in a script with spaces: from U+2E80 on, scripts write none between words.
_SPACED = r"[^\W\u2e80-\U0003fffd]"
_WORD = re.compile(f"{_SPACED}+")
_LETTERS = re.compile(r"[^\W\d_]+")


class _Listed(NamedTuple):
    """A listed string: its type, its pattern, and the word without which no text holds it."""

    type: str
    pattern: re.Pattern[str]
    first: str


class StringLists:
    """The lists of an office.

    A string matches whole words, over any white space. Written in lower case it matches in any case, else as
    it is written and in capitals.
    """

    def __init__(self, rules: OwnRules) -> None:
        """Compile the lists of rules."""
        self._denied = [_compile(kind, string) for kind, strings in rules.deny for string in strings]
        self._allowed = [_compile("", string) for string in rules.allow]

    def split_allowed(self, text: str, spans: Sequence[Span]) -> tuple[list[Span], list[Span]]:
        """Return the spans to mask, and those within strings that are never masked.

        A string that shares a word with the name of a person who is masked in the text is masked: otherwise
        it would give the person away.

        Args:
            text: normalized text.
            spans: its sorted spans.
        """
        if not self._allowed:
            return list(spans), []
        ranges = [(start, end) for start, end, _ in _find(text, self._allowed)]
        inside = [span for span in spans if any(s <= span.start and span.end <= e for s, e in ranges)]
        if not inside:
            return list(spans), []
        covered = set(inside)
        people = [text[s.start : s.end] for s in spans if s.type == "PERSON" and s not in covered]
        people += [text[start:end] for start, end, kind in _find(text, self._denied) if kind == "PERSON"]
        names = {word for name in people for word in _fold_words(name)}
        free = {span for span in inside if not _is_named(text[span.start : span.end], people, names)}
        return [span for span in spans if span not in free], [span for span in spans if span in free]

    def settle(self, text: str, spans: Sequence[Span]) -> list[Span]:
        """Return all spans, sorted: spans to keep are marked, and spans of always-masked strings are added.

        Args:
            text: normalized text.
            spans: its sorted spans, without overlaps.
        """
        if not self._allowed and not self._denied:
            return list(spans)
        _, free = self.split_allowed(text, spans)
        freed = set(free)
        marked = [replace(span, recognizer=ALLOWED) if span in freed else span for span in spans]
        denied: list[Span] = []
        for start, end, kind in sorted(_find(text, self._denied), key=lambda one: (one[0], -one[1])):
            if not denied or start >= denied[-1].end:
                denied.append(Span(start, end, kind, CHECKED, DENIED))
        return sorted([*_cut(marked, denied), *denied]) if denied else marked


def _compile(kind: str, string: str) -> _Listed:
    words = NormalizedText.of(string).text.split()
    body = r"\s+".join(map(re.escape, words))
    if string != string.lower():
        capitals = r"\s+".join(re.escape(word.upper()) for word in words)
        body = f"(?:{body}|{capitals})"
    first = _WORD.match(words[0])
    before = f"(?<!{_SPACED})" if first else ""
    after = f"(?!{_SPACED})" if _WORD.match(words[-1][-1]) else ""
    flags = re.IGNORECASE if string == string.lower() else re.NOFLAG
    return _Listed(kind, re.compile(before + body + after, flags), _fold(first.group()) if first else "")


def _fold(word: str) -> str:
    """Fold a word such that words that match without regard to case become equal."""
    return word.casefold().replace("\u0307", "").replace("\u0131", "i")  # Turkish I


def _find(text: str, listed: Iterable[_Listed]) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, type) of each occurrence of a listed string."""
    entries = list(listed)
    words = {_fold(m.group()) for m in _WORD.finditer(text)} if entries else set[str]()
    for entry in entries:
        if not entry.first or entry.first in words:
            for match in entry.pattern.finditer(text):
                yield match.start(), match.end(), entry.type


def _fold_words(name: str) -> Iterator[str]:
    for match in _LETTERS.finditer(name):
        word = match.group().casefold()
        if len(word) > 1 and word not in LEGAL_WORDS:
            yield word


def _is_named(surface: str, people: Iterable[str], names: set[str]) -> bool:
    if has_han(surface):
        return any(surface in name or name in surface for name in people)
    return not names.isdisjoint(_fold_words(surface))


def _cut(spans: Iterable[Span], cuts: Sequence[Span]) -> Iterator[Span]:
    """Yield the parts of the spans that no cut covers."""
    covers = [(cut.start, cut.end) for cut in cuts]
    for span in spans:
        for start, end in find_uncovered(span.start, span.end, covers):
            yield replace(span, start=start, end=end)
