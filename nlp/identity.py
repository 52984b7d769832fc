"""Who is who within a document: which spans name the same entity."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from nlp.text import NormalisedText, Span

_WORD = re.compile(r"[^\W_]+")
_TITLE_BEFORE = re.compile(r"(?i)\b(mr|mrs|ms|miss|sir|lord|lady|madam|herr|frau)\.?\s{1,2}$")
_FEMALE = frozenset({"mrs", "ms", "miss", "lady", "madam", "frau"})
_TITLES = _FEMALE | {"mr", "sir", "lord", "herr", "dr", "prof", "professor", "judge", "justice"}
_GENERATIONS = frozenset({"jr", "sr", "ii", "iii", "iv"})


@dataclass(frozen=True, slots=True)
class _Name:
    words: tuple[str, ...] = field(repr=False)
    generation: str = field(repr=False)
    gender: str


@dataclass(slots=True)
class _Person:
    names: list[_Name] = field(repr=False)

    def may_be(self, name: _Name) -> bool:
        return all(_compatible(name, known) for known in self.names)


def cluster(text: str, spans: Sequence[Span]) -> list[int]:
    """The entity of each span, numbered from 0 by first appearance in `spans`, over all types.

    People: "John A. Smith", "J. Smith" and "Smith" are one as long as only one person of the document
    fits; a name that fits two stays an entity of its own, for a wrong guess would join two people.
    Other types: equal but for case, space and punctuation.
    """
    names = [_name(text, span) if span.type == "PERSON" else None for span in spans]
    people = _people({name: None for name in names if name})
    entities: dict[tuple[str, str | int], int] = {}
    result: list[int] = []
    for span, name in zip(spans, names, strict=True):
        key = people[name] if name else _folded(text[span.start : span.end])
        result.append(entities.setdefault((span.type, key), len(entities)))
    return result


def _folded(surface: str) -> str:
    folded = NormalisedText.of(surface).text.casefold()
    return "".join(c for c in folded if c.isalnum()) or folded


def _name(text: str, span: Span) -> _Name:
    surface = NormalisedText.of(text[span.start : span.end]).text
    words = [m.group().casefold() for m in _WORD.finditer(surface)]
    title = _TITLE_BEFORE.search(text[max(0, span.start - 10) : span.start])
    word = title.group(1).lower() if title else next((w for w in words[:1] if w in _TITLES), "")
    while len(words) > 1 and words[0] in _TITLES:
        words.pop(0)
    generation = words.pop() if len(words) > 1 and words[-1] in _GENERATIONS else ""
    gender = "f" if word in _FEMALE else "m" if word in ("mr", "sir", "lord", "herr") else ""
    return _Name(tuple(words) or (surface.casefold(),), generation, gender)


def _people(names: dict[_Name, None]) -> dict[_Name, int]:
    """Longest names first, so that a short one finds all whom it could mean."""
    people: list[_Person] = []
    owner: dict[_Name, int] = {}
    by_word: dict[str, list[int]] = {}
    for name in sorted(names, key=lambda n: (-len(n.words), -sum(map(len, n.words)), not n.gender)):
        candidates = sorted({index for word in name.words for index in by_word.get(word, ())})
        fitting = [index for index in candidates if people[index].may_be(name)]
        if len(fitting) == 1:
            index = fitting[0]
            people[index].names.append(name)
        else:
            index = len(people)
            people.append(_Person([name]))
        owner[name] = index
        for word in name.words:
            if len(word) > 1 and index not in by_word.setdefault(word, []):
                by_word[word].append(index)
    return owner


def _compatible(a: _Name, b: _Name) -> bool:
    if a.gender and b.gender and a.gender != b.gender:
        return False
    if a.generation and b.generation and a.generation != b.generation:
        return False
    short, long = sorted((a.words, b.words), key=len)
    if short == long or (len(short) == len(long) and sorted(short) == sorted(long)):
        return True
    if len(short) == 1:
        return short[0] in (long[-1], long[0])
    if short[-1] != long[-1] or not _same_or_initial(short[0], long[0]):
        return False
    # The middle names that the shorter form has must stand, in order, in the longer.
    rest = iter(long[1:-1])
    return all(any(_same_or_initial(word, other) for other in rest) for word in short[1:-1])


def _same_or_initial(a: str, b: str) -> bool:
    return a == b or (len(a) == 1 and b.startswith(a)) or (len(b) == 1 and a.startswith(b))
