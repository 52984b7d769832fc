"""Evidence besides a model's guess that a span is what its type claims.

A learned detector takes a surname for a company, a nickname for a people and a first name for a place. So the
span itself, or the words right before it, must show the type: a legal form, the word for an institution, a
known place, digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lexveil.nlp.letters import has_han
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import (
    DEMONYMS,
    INSTITUTION_STEMS,
    INSTITUTION_WORDS,
    JURISDICTIONS,
    LEGAL_FORMS,
    PLACES,
    PUBLIC_ACRONYMS,
    PUBLIC_BODY,
    TIME_WORDS,
)

_WORD = re.compile(r"[^\W\d_]+")
_KNOWN_PLACES = JURISDICTIONS | PLACES
_ORGANIZATIONS = LEGAL_FORMS | (PUBLIC_BODY - PUBLIC_ACRONYMS) | INSTITUTION_WORDS
_BEFORE = 40
_CONTEXT: dict[str, re.Pattern[str]] = {
    "ORGANIZATION": re.compile(
        r"\b(?:M/[Ss]|Messrs)\.? *\Z|\b(?:[Cc]ompany|[Ff]irm|[Ff]irma|[Ss]ociété|[Bb]ank|[Tt]he) \Z"
    ),
    "LOCATION": re.compile(
        r"\b(?:village|town|city|district|region|province|county|taluka?|tehsil|prison|"
        r"(?:[Ll]ive[sd]?|[Ll]iving|[Rr]esid(?:es?|ed|ing)|[Bb]orn|[Ss]ituated|[Ll]ocated) (?:in|at|near)|"
        r"(?:wohnt|geboren) in)(?: the| der| of)? \Z"
    ),
    "CASE_NUMBER": re.compile(
        r"\b(?:[Nn]o|NO|[Nn]r|Az|[Cc]ase|[Aa]pplication|[Pp]etition|[Aa]ppeal|[Ss]uit)s?\b[.: ]*\Z"
    ),
}
_FORM = re.compile(r"\b(?:[A-Z]\.){2,}|\be\.V\b|\bA/S\b|&(?! (?i:ors|anr|others|another)\b)")
# Capitals without a vowel or with a digit: an abbreviation rather than a surname.
_ACRONYM = re.compile(r"[B-DF-HJ-NP-TV-XZ]{3,6}|[A-Z]{2,5}\d+")
_CASE = re.compile(r"\d\s*(?:/|of|OF)\s*(?:\d|[A-Z])|[A-Z]{1,4}[.-]? ?\d+[/-]\d|\d+ [A-Z]{1,3} \d+|§")


def shows_type(text: str, span: Span) -> bool:
    """Return True if the span or the words before it show its type, or if the type needs no proof."""
    surface = text[span.start : span.end]
    if has_han(surface):
        return True
    words = fold_letters(surface)
    before = text[max(0, span.start - _BEFORE) : span.start]
    # "the Quill" may be a company; in "the shop of Quill", the article says nothing about the name.
    introduced = surface[:1].isupper() or surface.islower() or surface[:1].isdigit()
    if introduced and span.type in _CONTEXT and _CONTEXT[span.type].search(before):
        return True
    match span.type:
        case "ORGANIZATION":
            return _is_institution(surface, words)
        case "LOCATION":
            return " ".join(words) in _KNOWN_PLACES or _has(words, PLACES)
        case "DEMOGRAPHIC":
            return surface.islower() or _has(words, DEMONYMS)
        case "CASE_NUMBER":
            return _CASE.search(surface) is not None
        case "DATE" | "QUANTITY":
            return surface.islower() or any(c.isdigit() for c in surface) or _has(words, TIME_WORDS)
        case "MISC":
            return surface.islower() or not words
        case _:
            return True


def _is_institution(surface: str, words: Sequence[str]) -> bool:
    return (
        surface.islower()
        or any(word.isupper() and word.casefold() in PUBLIC_ACRONYMS for word in _WORD.findall(surface))
        or _FORM.search(surface) is not None
        or _ACRONYM.fullmatch(surface) is not None
        or _has(words, _ORGANIZATIONS)
        or " ".join(words) in JURISDICTIONS
        or any(_has_stem(word) for word in words)
    )


def _has_stem(word: str) -> bool:
    """Return True for a compound with an institution; Bankole is a surname."""
    return any(
        word.endswith(stem) or (word.startswith(stem) and stem != "bank") for stem in INSTITUTION_STEMS
    )


def _has(words: Iterable[str], known: frozenset[str]) -> bool:
    return any(word in known or word.removesuffix("s") in known for word in words)


def fold_letters(surface: str) -> list[str]:
    """Return the words of a text in lower case, without digits and punctuation."""
    return [m.group().casefold() for m in _WORD.finditer(surface)]
