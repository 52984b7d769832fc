"""What was found once is found everywhere in the document.

One mention left readable gives the person away, whatever was done to the others.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from lexveil.nlp.letters import UPPER, has_han
from lexveil.nlp.recognizers.scores import GUESSED, LEARNED
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import (
    COMPOUND_SURNAMES_ZH,
    FOLDED_GENERATIONS,
    JURISDICTIONS,
    LEGAL_FORM_LETTERS,
    LEGAL_FORMS,
    LEGAL_WORDS,
)

_TYPES = frozenset(
    {
        "PERSON",
        "ORGANIZATION",
        "ADDRESS",
        "LOCATION",
        "CASE_NUMBER",
        "ID_NUMBER",
        "ACCOUNT_NUMBER",
        "PLATE",
        "PHONE",
        "EMAIL",
    }
)
_SCORE = 0.7
# What a model holds for less likely than not may be masked where it stands, but is no news of other places.
_LIKELY = 0.5
# Tokens of so many characters are in memory at once; no name is longer than what is looked ahead.
_STRETCH, _AHEAD = 1 << 18, 1 << 10
_SMALL = re.compile(r"(?<![\w.@/-])[^\W\d_]+(?![\w@]|[.-]\w)")
_TOKEN = re.compile(r"[^\W_]+")
_SPACE = re.compile(r"\s")
# Between the parts of one name: a space, a point, a hyphen, an apostrophe, at most a line end.
_JOINT = re.compile(r"[ .,'/&:()-]{0,3}\n?[ .'(-]{0,2}")
# `Acme Holdings Ltd ("Acme")`
_ALIAS = re.compile(
    rf"[ ,]{{0,2}}\((?:(?:hereinafter|hereafter|also|known as|together with its affiliates|the),? ){{0,3}}"
    rf"(?:\"(?:the )?([{UPPER}][\w&.' -]{{1,30}}?)\"|([{UPPER}]{{2,8}})\))"
)
# `"Term" means`, `(the "Term")`: what a contract defines is a role or a thing.
_DEFINED = re.compile(
    r"\"([^\"\n]{2,60})\",? (?:means|mean|shall mean|shall have|has the|have the|refers|is defined|includes)|"
    r"\((?:[\w ,]{0,40}(?:the|an?|each) )\"([^\"\n]{2,40})\""
)
# A capital inside of a sentence, where only a name has one.
_IN_SENTENCE = re.compile(r"[a-z,] $")
_INITIALS = re.compile(r"(?:\b[A-Z]\.[ -]?){1,3}$")
_FORM_WORDS = LEGAL_FORMS | LEGAL_FORM_LETTERS


def propagate(text: str, spans: Sequence[Span]) -> list[Span]:
    """Every further mention in `text` (normalised) of what `spans` hold, word for word.

    A person is also found by the surname or the first name alone, where the document nowhere
    uses that word in lower case (a "Mr Bond" must not mask every bond).
    """
    han: dict[str, str] = {}
    names: dict[tuple[str, ...], str] = {}
    for surface, kind in _surfaces(text, spans):
        if has_han(surface):
            han.setdefault(surface, kind)
        else:
            names.setdefault(tuple(m.group() for m in _TOKEN.finditer(surface)), kind)
    return [*_mentions(text, names), *_han_mentions(text, han)]


def _surfaces(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, str]]:
    for span in spans:
        if span.recognizer == LEARNED and span.score < _LIKELY:
            continue
        if span.type in _TYPES:
            yield text[span.start : span.end], span.type
        if span.type in ("ORGANIZATION", "PERSON"):
            alias = _ALIAS.match(text, span.end)
            if alias:
                yield alias.group(1) or alias.group(2), span.type


def _written_small(text: str) -> set[str]:
    """Words in lower case; those inside an address of the web or of e-mail are names as often as not."""
    return {m.group() for m in _SMALL.finditer(text) if m.group().islower()}


def plausible(text: str, spans: Sequence[Span]) -> list[Span]:
    """Without the model's guesses that the document itself takes back.

    A guess goes when each of its capitalised words is a word of drafting, is written small elsewhere
    in the document, or belongs to a term that the document defines.
    """
    lower = _written_small(text)
    defined = {
        m.group().lower()
        for term in _DEFINED.finditer(text)
        for m in _TOKEN.finditer(term.group(1) or term.group(2))
    }

    def common(word: str) -> bool:
        folded = word.lower()
        return any(
            form in known
            for form in (folded, folded.removesuffix("s"))
            for known in (lower, defined, LEGAL_WORDS)
        )

    def kept(span: Span) -> bool:
        words = [m.group() for m in _TOKEN.finditer(text, span.start, span.end)]
        return any(not common(word) for word in words if word[0].isupper())

    return [span for span in spans if span.score > GUESSED or kept(span)]


def _mentions(text: str, names: dict[tuple[str, ...], str]) -> Iterator[Span]:
    if not names:
        return
    lower = _written_small(text)
    wanted: dict[str, list[tuple[tuple[str, ...], str, bool]]] = {}
    for name, kind in names.items():
        for form, sure in _forms(name, kind, lower):
            bucket = wanted.setdefault(form[0].casefold(), [])
            if (form, kind, sure) not in bucket:
                bucket.append((form, kind, sure))
    for bucket in wanted.values():
        bucket.sort(key=lambda item: -len(item[0]))
    for tokens, own in _stretches(text):
        for index, (word, start, _) in enumerate(tokens[:own]):
            for form, kind, sure in wanted.get(word.casefold(), ()):
                end = _match(text, tokens, index, form)
                if end and (sure or _IN_SENTENCE.search(text, max(0, start - 3), start)):
                    initials = _INITIALS.search(text, max(0, start - 12), start) if kind == "PERSON" else None
                    yield Span(initials.start() if initials else start, end, kind, _SCORE, "Propagation")
                    break


def _stretches(text: str) -> Iterator[tuple[list[tuple[str, int, int]], int]]:
    """Stretch by stretch (word, start, end) of its tokens and of some behind it, and how many are its own."""
    start = 0
    while start < len(text):
        space = _SPACE.search(text, start + _STRETCH, start + 2 * _STRETCH)
        end = space.end() if space else min(len(text), start + 2 * _STRETCH)
        tokens = [(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text, start, end + _AHEAD)]
        own = bisect_left(tokens, end, key=lambda token: token[1])
        yield tokens, own
        start = end


def _forms(name: Sequence[str], kind: str, lower: set[str]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The name and its shorter forms, each with whether the document uses it for nothing else."""
    if not name:
        return
    first, last = name[0], name[-1]
    if len(name) > 1 or any(c.isdigit() for c in first):
        if sum(map(len, name)) >= 4:
            yield tuple(name), True
    elif _unambiguous(first, lower):
        yield (first,), True
    if kind == "ORGANIZATION":
        stem = list(name)
        while len(stem) > 1 and stem[-1].lower() in _FORM_WORDS:
            stem.pop()
        if len(stem) < len(name) and (len(stem) > 1 or _unambiguous(first, lower)):
            yield tuple(stem), True
    if kind == "PERSON" and len(name) > 1:
        if len(name) > 2 and last.lower() in FOLDED_GENERATIONS:
            last = name[-2]
        yield (first, last), True
        if _unambiguous(first, lower):
            yield (first,), True
        if len(last) >= 2 and last[0].isupper() and last.lower() not in JURISDICTIONS:
            yield (last,), len(last) >= 3 and _unambiguous(last, lower)


def _unambiguous(word: str, lower: set[str]) -> bool:
    folded = word.lower()
    return (
        len(word) >= 3
        and word[0].isupper()
        and folded not in lower
        and folded not in LEGAL_WORDS
        and folded not in JURISDICTIONS
    )


def _match(text: str, tokens: list[tuple[str, int, int]], index: int, form: tuple[str, ...]) -> int | None:
    """The end of `form` at token `index`; capitals must stand where the form has them."""
    if index + len(form) > len(tokens):
        return None
    for offset, wanted in enumerate(form):
        word, start, _ = tokens[index + offset]
        if word.casefold() != wanted.casefold() or (wanted[0].isupper() and not word[0].isupper()):
            return None
        if offset and not _JOINT.fullmatch(text, tokens[index + offset - 1][2], start):
            return None
    return tokens[index + len(form) - 1][2]


def _han_mentions(text: str, names: dict[str, str]) -> Iterator[Span]:
    for name, kind in names.items():
        # One character of a name is a word of the language.
        if len(name) < 2 or name in COMPOUND_SURNAMES_ZH:
            continue
        start = text.find(name)
        while start >= 0:
            yield Span(start, start + len(name), kind, _SCORE, "Propagation")
            start = text.find(name, start + len(name))
