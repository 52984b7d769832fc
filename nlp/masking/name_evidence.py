# ruff: noqa: E501  -- patterns read best on one line
"""Readable English words that are probably names, by all that speaks for and against it together.

A rule needs one sign that suffices: "Harper told", "Mr Harper". Here each sign of a word, of its neighbors and
of its document has a weight, so that several weak ones suffice as well: a surname, which is also an ordinary
word, that a sentence begins with and that did something. The weights are those of a logistic regression:
`python -m benchmarks.name_evidence` trains it and prints them. A word is told, never masked, by its sum.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from functools import lru_cache
from typing import NamedTuple

from lexveil.nlp.entities.given_names import is_given_name, may_be_given_name
from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.masking.folding import fold_words
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.rare_words import (
    find_words,
    is_after_article,
    is_after_cue,
    is_common_surname,
    is_english,
    is_followed_by_act,
    is_foreign,
    is_gloss,
    is_no_name,
)
from lexveil.nlp.text import CUT
from lexveil.nlp.vocabulary import AMBIGUOUS_NAMES, JURISDICTIONS, PLACES, TIME_WORDS

WEIGHTS: Mapping[str, float] = {
    "first name": 3.13,
    "after a first name": 2.62,
    "rare word": 2.55,
    "listed": 2.42,
    "after a cue": 2.2,
    "before a comma": 1.37,
    "after a title": 1.33,
    "before an act": 1.19,
    "listed, after a first name": 1.13,
    "before a verb": 1.12,
    "after a masked name": 1.03,
    "before a name": 0.78,
    "first name and word": 0.78,
    "after a word": 0.73,
    "listed, after a masked name": 0.66,
    "after a label": 0.64,
    "after initials": 0.61,
    "before an apposition": 0.6,
    "before a first name": 0.55,
    "after his": 0.45,
    "listed, before an act": 0.44,
    "listed, before a verb": 0.37,
    "before is": 0.35,
    "after that": 0.27,
    "listed, after initials": 0.23,
    "English word": 0.18,
    "before and a masked name": 0.18,
    "after to": 0.17,
    "before and": -0.25,
    "time": -0.27,
    "long": -0.34,
    "after an initial": -0.38,
    "before a number": -0.42,
    "after in": -0.46,
    "surname and word": -0.82,
    "after an article": -1.07,
    "before a capital": -1.09,
    "after of": -1.14,
    "gloss": -1.16,
    "in lower case elsewhere": -1.26,
    "after a capital": -1.51,
    "after an article elsewhere": -1.9,
    "word of drafting": -3.08,
}
BIAS = -3.34
THRESHOLD = -0.5

_AROUND = 40
_LONG = 12
# Ends of the text before a word.
_BEFORE = {
    "after a word": rf"(?:[^\W\d]|[,;:)\"'{CUT}]) ",
    "after a title": r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Shri|Smt|Kumari|Late|Judge|Justice|Officer|Sir|Lady|Lord|Master)\.? ",
    "after an initial": rf"(?<![{UPPER}]\. )\b[{UPPER}]\. ",
    "after initials": rf"\b[{UPPER}]\. ?[{UPPER}]\. ",
    "after a label": r"\w: ",
    "after in": r"\b(?:in|at|near|from|into|on|under|within) ",
    "after of": r"\bof ",
    "after to": r"\b(?:to|by|with|against|between|for) ",
    "after and": r"\b(?:and|or|nor) ",
    "after that": r"\b(?:as|than|that) ",
    "after a masked name": rf"{CUT} ",
    "after a masked name and comma": rf"{CUT}, ",
    "after his": r"\b(?:his|her|my|that) ",
}
# Beginnings of the text after it.
_AFTER = {
    "before a verb": r" (?:[a-z]+ed|drove|sat|gave|told|said|saw|went|came|took|left|made|knew|wrote|was|is|had|has|did|does|will|would|could|can|says|met|held|felt|thought|found|began|spoke)\b",
    "before is": r" (?:is|was|has|had|will|would|can|could|did|does|and)\b",
    "before an apposition": r", (?:(?:the|an?|his|her|their|who|whom|whose|aged|then|also|our|my) |(?:son|daughter|wife) )",
    "before 's": r"['’]s\b",
    "before and a masked name": rf",? (?:and|or) {CUT}",
    "before a number": r" \d",
    "before a comma": r"[,;]",
    "before a period": r"\.",
    "before and": r" (?:and|or) ",
}
_LAST = re.compile(rf"(?<![\w'’-])([{UPPER}][\w'’-]*) \Z")
_NEXT = re.compile(rf" ([{UPPER}][\w'’-]*)")
# What a word may be the surname of: a capitalized word, an initial, a masked name.
_NAMED = re.compile(rf"(?:(?<![\w'’-])[{UPPER}][{LOWER}]+|\b[{UPPER}]\.|{CUT}) \Z")
# Signs that weigh more where a list of names has the word.
_TOGETHER = frozenset(
    (
        "before an act",
        "before a verb",
        "after initials",
        "after a first name",
        "after a masked name",
        "after that",
    )
)
_WHERE = ("after in", "after of")
_BEFORE_PATTERNS = [(name, re.compile(rf"(?:{pattern})\Z")) for name, pattern in _BEFORE.items()]
_AFTER_PATTERNS = [(name, re.compile(pattern)) for name, pattern in _AFTER.items()]
# A row of a table, an item of a list.
_NUMBERED = re.compile(r"\d[ .:)]{0,2}\Z")
_SOMEWHERE = re.compile(r"\b(?:in|at|near|from|into|within|village|town|city|street) \Z", re.IGNORECASE)
_PLACES = PLACES | JURISDICTIONS
# "[PERSON_1], Tehsildar, recorded it": an office, not a name.
_OFFICE = re.compile(rf"{CUT}, \Z")


class Evidence(NamedTuple):
    """What speaks for and against a word's being a name.

    Attributes:
        start: start of the word.
        end: its end.
        signs: the signs that it has, keys of `WEIGHTS`.
    """

    start: int
    end: int
    signs: frozenset[str]


def find_likely_names(text: str, lower: Set[str]) -> Iterator[tuple[int, int]]:
    """Yield the words that are probably names.

    Args:
        text: normalized English text with `CUT` in place of what is masked.
        lower: folded words that the document also writes in lower case.
    """
    for one in collect_evidence(text, lower):
        if BIAS + sum(WEIGHTS.get(sign, 0.0) for sign in one.signs) > THRESHOLD:
            yield one.start, one.end


def collect_evidence(text: str, lower: Set[str]) -> Iterator[Evidence]:
    """Yield each capitalized word that may be a name at all; see `find_likely_names`."""
    words = [match for match in find_words(text) if not match.group().isupper()]
    terms = {match.group() for match in words if is_after_article(text, match.start())}
    for match in words:
        start, end = match.span()
        own = _describe_word(match.group())
        is_term = match.group() in terms
        if _is_thing(text, start, end, own, is_term):
            continue
        signs = {*own, *_describe_neighbors(text, start, end)}
        signs |= {f"listed, {sign}" for sign in _TOGETHER.intersection(signs) if "listed" in own}
        if "place" in own and not signs.isdisjoint(_WHERE):
            signs.add("place where something is")
        if any(word in lower or word.removesuffix("s") in lower for word in fold_words(match.group())[:1]):
            signs.add("in lower case elsewhere")
        if is_term:
            signs.add("after an article elsewhere")
        yield Evidence(start, end, frozenset(signs))


def _is_thing(text: str, start: int, end: int, own: Set[str], is_term: bool) -> bool:
    """Return True for what is no person's name, whatever its neighbors are."""
    before = text[max(0, start - _AROUND) : start]
    if _NUMBERED.search(before) or (text.startswith(",", end) and _OFFICE.search(before)):
        return True
    last = _LAST.search(before)
    if last and f"{last.group(1)} {text[start:end]}".casefold() in _PLACES:
        return True
    if "listed" in own:
        return False
    if "word of drafting" in own:  # it may be a surname only beside a first name or initials
        return _NAMED.search(before) is None
    return is_term or _SOMEWHERE.search(before) is not None or is_foreign(text, start, end)


@lru_cache(maxsize=1 << 14)
def _describe_word(word: str) -> frozenset[str]:
    """Return the signs of a word."""
    folded = re.sub(r"['’]s?\Z", "", word.casefold())
    signs = {
        sign
        for sign, found in (
            ("first name", is_given_name(folded)),
            ("first name and word", not is_given_name(folded) and may_be_given_name(folded)),
            ("surname", is_common_surname(folded)),
            ("surname and word", folded in AMBIGUOUS_NAMES),
        )
        if found
    }
    if signs:
        signs.add("listed")
    parts = folded.split("-")
    if is_no_name(folded) or any(map(is_ordinary, parts)):
        signs.add("word of drafting")
    elif any(map(is_english, parts)):
        signs.add("English word")
    else:
        signs.add("rare word")
    if folded in _PLACES:
        signs.add("place")
    if folded in TIME_WORDS:
        signs.add("time")
    if "-" in folded:
        signs.add("hyphen")
    if len(folded) > _LONG:
        signs.add("long")
    return frozenset(signs)


@lru_cache(maxsize=1 << 12)
def _classify_neighbor(word: str) -> str:
    folded = word.casefold()
    if is_given_name(folded):
        return "a first name"
    return "a name" if may_be_given_name(folded) or is_common_surname(folded) else "a capital"


def _describe_neighbors(text: str, start: int, end: int) -> Iterator[str]:
    """Yield the signs of what stands around a word."""
    before = text[max(0, start - _AROUND) : start]
    after = text[end : end + _AROUND]
    yield from (name for name, pattern in _BEFORE_PATTERNS if pattern.search(before))
    yield from (name for name, pattern in _AFTER_PATTERNS if pattern.match(after))
    for place, neighbor in (("after", _LAST.search(before)), ("before", _NEXT.match(after))):
        if neighbor:
            yield f"{place} {_classify_neighbor(neighbor.group(1))}"
    if is_after_cue(before):
        yield "after a cue"
    if is_followed_by_act(text, end):
        yield "before an act"
    if is_after_article(text, start):
        yield "after an article"
    if is_gloss(text, start, end):
        yield "gloss"
