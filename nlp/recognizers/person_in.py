# ruff: noqa: E501  -- patterns read best on one line
"""Names of people as Indian courts introduce them: "PW-3 Ramesh s/o Late Shri Mohan @ Munna"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.recognizers.base import ENGLISH, LABELED, SHAPED, Finding, RuleRecognizer
from lexveil.nlp.recognizers.given_name import is_common
from lexveil.nlp.recognizers.person import NAME, TITLE, split_names

_RELATED = re.compile(r"(?<![\w/])(?:[SsDdWwCcHh]|[Ww]d)/[Oo](?![\w/])[.:]?")
_AFTER = re.compile(rf"[ \n]?(?:(?:[Ll]ate|LATE|the|{TITLE})\.? )*({NAME})")
_BEFORE = re.compile(rf"({NAME}),?[ \n]?\Z")
_LONGEST_BEFORE = 80
_AFTER_NUMBER = r"[ -]?\d{1,2}[,:]?[ \n](?:namely,? )?"
# "A" apart from words in any case: else each "a" would be tried.
_NUMBERS = (
    ENGLISH.compile(
        rf"\b(?:[PDC]\.? ?W\.?|(?i:accused|defendant|plaintiff|respondent|petitioner|appellant|witness)(?: ?[Nn]os?\.?)?){_AFTER_NUMBER}"
    ),
    ENGLISH.compile(rf"\bA{_AFTER_NUMBER}"),
)
_NUMBERED = re.compile(rf"(?:{TITLE}\.? )*({NAME})")
# "and one Munna came": somebody whom nobody knows better
_ONE = ENGLISH.compile(
    rf"\b(?:and|by|with|to|that|from|of|for|against|namely|as),? one ({NAME})(?= [a-z]|[,.;)]|\n)"
)
_NAMELY = ENGLISH.compile(rf"\bnamely,? ({NAME}(?:(?:,| and|, and) {NAME})*)")
_ALIAS = re.compile(rf"(?<=[\w,]) ?@ ?({NAME})(?![\w.]*@)")


class IndianPersonRecognizer(RuleRecognizer):
    """Names beside their relatives, their numbers and their nicknames."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names of people in `text`."""
        for start, end, score in _find_introduced(text):
            yield from split_names(text, start, end, score, single=True)


def _find_introduced(text: str) -> Iterator[tuple[int, int, float]]:
    if "/o" in text or "/O" in text:
        for mark in _RELATED.finditer(text):
            first = max(0, mark.start() - _LONGEST_BEFORE)
            for name in (_BEFORE.search(text, first, mark.start()), _AFTER.match(text, mark.end())):
                if name:
                    yield *name.span(1), LABELED
    for pattern in _NUMBERS:
        for number in pattern.finditer(text):
            name = _NUMBERED.match(text, number.end())
            if name:
                yield *name.span(1), SHAPED
    yield from ((*one.span(1), SHAPED) for one in _ONE.finditer(text) if not is_common(one[1].casefold()))
    yield from ((*names.span(1), SHAPED) for names in _NAMELY.finditer(text))
    if "@" in text:
        for alias in _ALIAS.finditer(text):
            yield *alias.span(1), SHAPED
