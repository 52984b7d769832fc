"""Find every other mention of a name that was found once in a document.

One mention left readable gives the person away, even if all others are masked.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence, Set
from functools import lru_cache
from typing import NamedTuple

import ahocorasick

from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.entities.inflection import INFLECTED, share_nominative
from lexveil.nlp.letters import LOWER, UPPER, has_han, strip_accents
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.scores import GUESSED, LEARNED, PROPAGATION, SHAPED
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import (
    AMBIGUOUS_NAMES,
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
# A finding that the model itself considers unlikely is masked where it is, but not searched for elsewhere,
# unless it begins with a first name.
_LIKELY = 0.5
_LOWER_WORD = re.compile(r"(?<![\w.@/-])[^\W\d_]+(?![\w@]|[.-]\w)")
_WORD = re.compile(r"[^\W_]+")
# Between the parts of one name: a space, a point, a hyphen, an apostrophe, at most one line end.
_JOINT = re.compile(r"[ .,'/&:()_-]{0,3}\n?[ .'(-]{0,2}")
# `Acme Holdings Ltd ("Acme")`, `Karl Roe (im Folgenden: K.R.)`, "Ada Roe (AR)"
_SO_CALLED = "|".join(
    (
        r"hereinafter|hereafter|also|known(?: in \w+ \w+)? as|together with its affiliates|the",
        r"referred to(?: herein)? as|im Folgenden|im Weiteren|nachfolgend|künftig|fortan|kurz|genannt",
        r"ci-après|dénommée?|désignée?|en adelante|en lo sucesivo|di seguito|in prosieguo|doravante",
        r"hierna|verder|dalej|zwan[ya]|u daljem tekstu|u nastavku|dále jen(?:om)?",
    )
)
_SHORT = rf"[{UPPER}]{{2,8}}|[{UPPER}][a-z]{{0,2}}[{UPPER}]{{1,3}}|(?:[{UPPER}]\. ?){{2,4}}"
_ALIAS = re.compile(
    rf"[ ,]{{0,2}}[(\[](?:(?:{_SO_CALLED})[,:]? ){{0,3}}"
    rf"(?:\"(?:the )?([{UPPER}][\w&.' -]{{1,30}}?)\"|({_SHORT}))[)\]]"
)
# 'Rebecca "Bex" Roe'
_MAIDEN = 8
# "Ada Roe-Poe" may be called Roe.
_FIRST_HALF = re.compile(rf" ([{UPPER}][^\W\d_]{{3,}})-[{UPPER}][^\W\d_]+\Z")
_NICKNAME = re.compile(r"[\"(]([^\W\d_]{3,})[\")]")
# `"Term" means`, `(the "Term")`: a term defined by a contract is a role or a thing.
_DEFINED = re.compile(
    r"\"([^\"\n]{2,60})\",? (?:means|mean|shall mean|shall have|has the|have the|refers|is defined|includes)|"
    r"\((?:[\w ,]{0,40}(?:the|an?|each) )\"([^\"\n]{2,40})\""
)
# A capitalized word within a sentence, where only names are capitalized.
_WITHIN_SENTENCE = re.compile(r"[a-z,] $")
# Names take no article: "the Page limit" is not about Ms Page.
_ARTICLE = re.compile(r"\b(?:[Tt]he|[Aa]n?|[Ee]ach|[Tt]his|[Tt]hat|[Ee]very|[Nn]o|[Aa]ny|[Ss]uch) \Z")
# A quotation without capitals, a message of a chat without capitals.
_LOWER_PLACE = re.compile(
    r"\"([a-zäöü][^\"A-ZÄÖÜ\n]{2,200})\"|"
    r"(?m:^\[?\d[\d./:, ]{3,24}(?:[AaPp][Mm])?\]?(?: -)? [^:\n]{1,30}: ([^\nA-ZÄÖÜ]{3,})$)"
)
# "from Jordan" is about the country.
_IN_COUNTRY = re.compile(r"\b(?:in|from|to|of|near|via|en|au|du|de|in|aus|nach|von|a|w|do|z) \Z")
_INITIALS = re.compile(r"(?:\b[A-Z]\.[ -]?){1,3}$")
_FORM_WORDS = LEGAL_FORMS | LEGAL_FORM_LETTERS


_TWO_LETTERS = re.compile(rf"[{UPPER}][{LOWER}]")  # Li, Wu, Ng


class _Form(NamedTuple):
    """A name, or a shorter form of it, to search for.

    Attributes:
        words: the words of the form, as they are written.
        type: the entity type.
        certain: the document uses these words for nothing else; otherwise a match counts only within a
            sentence.
    """

    words: tuple[str, ...]
    type: str
    certain: bool


def propagate(
    text: str, spans: Sequence[Span], known: Iterable[tuple[str, str]] = (), language: str = ""
) -> list[Span]:
    """Return all further mentions in `text` (normalized) of the names in `spans`, word for word.

    Args:
        text: the text.
        spans: names that were found in it.
        known: further names with their types, which the text need not have.
        language: ISO 639-1 code of the text, or "": in many languages, names have cases.

    A person is also found by the surname or the first name alone, unless the document uses that word in lower
    case anywhere (a "Mr Bond" must not mask every bond).
    """
    han: dict[str, str] = {}
    names: dict[tuple[str, ...], str] = {}
    for name, kind in (*_collect_names(text, spans), *known):
        if has_han(name):
            han.setdefault(name, kind)
        else:
            names.setdefault(tuple(m.group() for m in _WORD.finditer(name)), kind)
    inflected = _find_inflected(text, names, language) if language in INFLECTED else ()
    return [
        *_find_mentions(text, names, language),
        *_find_han_mentions(text, han),
        *inflected,
        *_find_initials(text, spans),
        *_find_lower(text, names, language),
    ]


def _find_initials(text: str, spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the initials by which the text calls people after it has introduced them: "Ada Roe (AR)"."""
    aliases: set[str] = set()
    start, end = 0, -1
    for span in spans:
        if span.type == "PERSON":
            # "Ada Roe geb. Poe (AR)"
            start, end = start if 0 <= span.start - end <= _MAIDEN else span.start, span.end
            bracket = text[span.end : span.end + 2].strip(" ,")[:1]
            alias = _ALIAS.match(text, span.end) if bracket in ("(", "[") else None
            given = (alias.group(1) or alias.group(2)).strip() if alias else ""
            if _are_initials(given, text[start:end]):
                aliases.add(given)
    for alias in sorted(aliases):
        letters = [re.escape(letter) for letter in alias if letter.isalpha()]
        shown = r"\. ?".join(letters) + r"\." if "." in alias else "".join(letters)
        for match in re.finditer(rf"(?<![\w.]){shown}(?!\w)", text):
            yield Span(match.start(), match.end(), "PERSON", SHAPED, PROPAGATION)


def _find_lower(text: str, names: Iterable[tuple[str, ...]], language: str) -> Iterator[Span]:
    """Yield first names and surnames in quotations and messages that are written without capitals.

    In English, first names of a list that are no words count too.
    """
    places = [place.span(place.lastindex or 0) for place in _LOWER_PLACE.finditer(text)]
    if not places:
        return
    known = {
        word.casefold()
        for name in names
        for word in (*name[:1], *name[-1:])  # a name of signs alone has no word
        if len(word) >= 3 and word.casefold() not in LEGAL_WORDS and not word.isdigit()
    }
    for start, end in places:
        for word in _WORD.finditer(text, start, end):
            if word.group() in known or (language in ("en", "") and _is_only_a_name(word.group())):
                yield Span(word.start(), word.end(), "PERSON", _SCORE, PROPAGATION)


def _is_only_a_name(word: str) -> bool:
    """Return True for a first name that is no word of English."""
    return is_given_name(word) and not is_ordinary(word) and word not in AMBIGUOUS_NAMES


def _are_initials(alias: str, name: str) -> bool:
    """Return True if an alias consists of first letters of the words of a name, from the first word on."""
    firsts = [word[0].casefold() for word in _WORD.findall(name)]
    letters = [letter.casefold() for letter in alias if letter.isalpha()]
    if len(letters) < 2 or letters[0] not in firsts[:1]:
        return False
    rest = iter(firsts)
    return len(letters) <= len(firsts) and all(letter in rest for letter in letters)


def drop_implausible(text: str, spans: Sequence[Span]) -> list[Span]:
    """Drop guesses of a model that the document itself contradicts.

    A guess is dropped if each of its capitalized words is a word of legal drafting, appears in lower case
    elsewhere in the document, or belongs to a term that the document defines.
    """
    lower = _lower_words(text)
    defined = {
        m.group().lower()
        for term in _DEFINED.finditer(text)
        for m in _WORD.finditer(term.group(1) or term.group(2))
    }

    def is_common(word: str) -> bool:
        folded = word.lower()
        return any(
            form in known
            for form in (folded, folded.removesuffix("s"))
            for known in (lower, defined, LEGAL_WORDS)
        )

    def is_plausible(span: Span) -> bool:
        words = [m.group() for m in _WORD.finditer(text, span.start, span.end)]
        # Chinese has no capitals: its document contradicts no guess.
        return any(has_han(word) or (word[0].isupper() and not is_common(word)) for word in words)

    return [span for span in spans if span.score > GUESSED or is_plausible(span)]


def _collect_names(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, str]]:
    """Yield (name, type) of each span to propagate, and of the alias that follows it in parentheses."""
    for span in spans:
        if span.recognizer == LEARNED and span.score < _LIKELY and not _begins_with_given_name(text, span):
            continue
        if span.type in _TYPES:
            yield text[span.start : span.end], span.type
        if span.type in ("ORGANIZATION", "PERSON"):
            alias = _ALIAS.match(text, span.end)
            # "Ada Roe (CEO)" has an office, "Acme Holdings (AH)" a short name.
            if alias and (alias.group(1) or span.type == "ORGANIZATION"):
                yield alias.group(1) or alias.group(2), span.type
        if span.type == "PERSON":
            half = _FIRST_HALF.search(text, span.start, span.end)
            if half:
                yield half.group(1), "PERSON"
            yield from ((nickname, "PERSON") for nickname in _NICKNAME.findall(text, span.start, span.end))


def _begins_with_given_name(text: str, span: Span) -> bool:
    """Return True for a person of several words of which the first is a first name of a list."""
    words = _WORD.findall(text, span.start, span.end) if span.type == "PERSON" else []
    return len(words) > 1 and is_given_name(words[0].casefold())


@lru_cache(maxsize=1)
def _lower_words(text: str) -> frozenset[str]:
    """Return the words in lower case, without those in web and e-mail addresses, which are often names."""
    return frozenset(filter(str.islower, set(_LOWER_WORD.findall(text))))


@lru_cache(maxsize=1 << 12)
def _fold(word: str) -> str:
    """Return a word in lower case, without accents and with one i: Turkish writes İ and ı beside I and i."""
    if word.isascii():
        return word.lower()
    return "".join(map(strip_accents, word.casefold())).replace("ı", "i")


def _find_mentions(text: str, names: dict[tuple[str, ...], str], language: str) -> Iterator[Span]:
    if not names:
        return
    lower = _lower_words(text)
    if language == "de":
        names = names | {(form,): "PERSON" for form in _list_genitives(names, lower)}
    by_first_word = _index_forms(names, lower)
    for first, word in _find_words(text, by_first_word):
        for form in by_first_word[_fold(word)]:
            end = _match_form(text, first, form.words)
            if end and (form.certain or _is_within_sentence(text, first)):
                start = _include_initials(text, first, language) if form.type == "PERSON" else first
                yield Span(start, end, form.type, _SCORE, PROPAGATION)
                break


def _list_genitives(names: dict[tuple[str, ...], str], lower: Set[str]) -> Iterator[str]:
    """Yield the genitives of German first names and surnames: "Ingeborgs Anspruch"."""
    for name, kind in names.items():
        for word in (name[0], name[-1]) if kind == "PERSON" and len(name) > 1 else ():
            if _is_unambiguous(word, lower) and len(word) > 3 and word[-1] not in "sxzß":
                yield f"{word}s"


def _find_words(text: str, folded: Container[str]) -> Iterator[tuple[int, str]]:
    """Yield each place where one of some words stands, in whatever case, with the word as it is written."""
    automaton = ahocorasick.Automaton()
    for word in set(_WORD.findall(text)):
        if _fold(word) in folded:
            automaton.add_word(word, word)
    if not automaton:
        return
    automaton.make_automaton()
    for last, word in automaton.iter(text):
        first = last - len(word) + 1
        if not (text[last + 1 : last + 2].isalnum() or (first and text[first - 1].isalnum())):
            yield first, word


def _find_inflected(text: str, names: dict[tuple[str, ...], str], language: str) -> Iterator[Span]:
    """Yield the first names and surnames of the people in `names` in another case."""
    lower = _lower_words(text)
    by_beginning: dict[str, set[str]] = {}
    for name, kind in names.items():
        for word in (name[0], name[-1]) if kind == "PERSON" and name else ():
            if _is_unambiguous(word, lower):
                by_beginning.setdefault(word[:2].casefold(), set()).add(word.casefold())
    for match in _WORD.finditer(text):
        known = by_beginning.get(match.group()[:2].casefold())
        word = match.group().casefold()
        if (
            known
            and word not in known
            and _is_unambiguous(match.group(), lower)
            and any(share_nominative(word, other, language) for other in known)
        ):
            yield Span(match.start(), match.end(), "PERSON", _SCORE, PROPAGATION)


def _index_forms(names: dict[tuple[str, ...], str], lower: Set[str]) -> dict[str, list[_Form]]:
    """Return the forms of all names by their first word (folded), the longest first."""
    by_first_word: dict[str, list[_Form]] = {}
    for name, kind in names.items():
        for form in _list_forms(name, kind, lower):
            bucket = by_first_word.setdefault(_fold(form.words[0]), [])
            if form not in bucket:
                bucket.append(form)
    for bucket in by_first_word.values():
        bucket.sort(key=lambda form: -len(form.words))
    return by_first_word


def _list_forms(name: Sequence[str], kind: str, lower: Set[str]) -> Iterator[_Form]:
    """Yield the name and its shorter forms; `lower` holds the document's lower-case words."""
    if not name:
        return
    first = name[0]
    if len(name) > 1 or any(c.isdigit() for c in first):
        if sum(map(len, name)) >= 4:
            yield _Form(tuple(name), kind, True)
    elif _is_unambiguous(first, lower):
        yield _Form((first,), kind, True)
    elif kind == "PERSON" and _TWO_LETTERS.fullmatch(first) and _is_unambiguous(first, lower, shortest=2):
        yield _Form((first,), kind, False)
    if kind == "ORGANIZATION":
        yield from _list_company_forms(name, lower)
    if kind == "PERSON" and len(name) > 1:
        yield from _list_person_forms(name, lower)


def _list_company_forms(name: Sequence[str], lower: Set[str]) -> Iterator[_Form]:
    """Yield the name without its legal form."""
    stem = list(name)
    while len(stem) > 1 and stem[-1].lower() in _FORM_WORDS:
        stem.pop()
    if len(stem) < len(name) and (len(stem) > 1 or _is_unambiguous(name[0], lower)):
        yield _Form(tuple(stem), "ORGANIZATION", True)


def _list_person_forms(name: Sequence[str], lower: Set[str]) -> Iterator[_Form]:
    """Yield first name and surname, each also alone."""
    first, last = name[0], name[-1]
    if len(name) > 2 and last.lower() in FOLDED_GENERATIONS:
        last = name[-2]
    yield _Form((first, last), "PERSON", True)
    if _is_unambiguous(first, lower):
        yield _Form((first,), "PERSON", True)
    elif first.casefold() in JURISDICTIONS and is_given_name(first.casefold()):  # Jordan, Georgia
        yield _Form((first,), "PERSON", False)
    if len(last) >= 2 and last[0].isupper() and last.lower() not in JURISDICTIONS:
        yield _Form((last,), "PERSON", len(last) >= 3 and _is_unambiguous(last, lower))


def _is_unambiguous(word: str, lower: Set[str], shortest: int = 3) -> bool:
    folded = word.lower()
    return (
        len(word) >= shortest
        and word[0].isupper()
        and folded not in lower
        and folded not in LEGAL_WORDS
        and folded not in JURISDICTIONS
    )


def _match_form(text: str, first: int, form: tuple[str, ...]) -> int | None:
    """Return the end of `form` at a word; where the form has a capital, the text must have one too."""
    end = first
    for number, expected in enumerate(form):
        found = _WORD.search(text, end)
        if found is None:
            return None
        word = found.group()
        if _fold(word) != _fold(expected) or (expected[0].isupper() and not word[0].isupper()):
            return None
        if number and not _JOINT.fullmatch(text, end, found.start()):
            return None
        end = found.end()
    return end


def _is_within_sentence(text: str, start: int) -> bool:
    within = _WITHIN_SENTENCE.search(text, max(0, start - 3), start) is not None
    if _IN_COUNTRY.search(text, max(0, start - 8), start):
        return False
    return within and _ARTICLE.search(text, max(0, start - 8), start) is None


def _include_initials(text: str, start: int, language: str) -> int:
    initials = _INITIALS.search(text, max(0, start - 12), start)
    if initials is None or (language == "fr" and initials.group().strip() == "M."):  # Monsieur
        return start
    return initials.start()


def _find_han_mentions(text: str, names: dict[str, str]) -> Iterator[Span]:
    for name, kind in names.items():
        # A single character of a name is also a word of the language.
        if len(name) < 2 or name in COMPOUND_SURNAMES_ZH:
            continue
        start = text.find(name)
        while start >= 0:
            yield Span(start, start + len(name), kind, _SCORE, PROPAGATION)
            start = text.find(name, start + len(name))
