"""Who is who: which mentions name the same entity, within a document or over all documents of a matter.

A `Mention` is what a span says of its entity, freed of its place; `Identities` are the clusters of any set
of mentions. The outcome depends on the set alone, not on the order in which mentions come in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, pairwise

from lexveil.nlp.letters import HAN
from lexveil.nlp.text import NormalizedText, Span
from lexveil.nlp.vocabulary import (
    FEMALE_TITLES,
    FOLDED_GENERATIONS,
    FOLDED_TITLES,
    LEGAL_FORMS,
    MALE_TITLES,
)

_WORD = re.compile(r"[^\W_]+")
_TITLE_BEFORE = re.compile(rf"(?i)\b({'|'.join(sorted(FEMALE_TITLES | MALE_TITLES))})\.?\s{{1,2}}$")
_HAN = re.compile(f"[{HAN}]+")
_SEX_ZH = re.compile(r"[^,，。；;、]{0,4}[,，]\s*([男女])")
# 张某, 张某某, 张某甲: how Chinese courts write a name that is not to be read.
_ANONYMOUS_ZH = re.compile(rf"[{HAN}]{{1,2}}?某{{1,2}}")
# Whoever stands against somebody, or in a Chinese list with them, is somebody else.
_BESIDE = re.compile(
    r"(?i)诉|与|和|、|及|以及|,? (?:v\.?|vs\.?|versus|gegen|against) (?:(?:mrs?|ms|dr|herrn?|frau)\.? )?"
)
_BESIDE_MOST = 20


@dataclass(frozen=True, slots=True, order=True)
class Mention:
    """How a text names an entity, without difference of case, width or punctuation.

    Attributes:
        form: the folded surface of everything but people.
        words: a person's name in its usual order, folded, without title and generation.
        gender: `m`, `f` or "", by title, by what stands beside the name, or by the first name.
    """

    type: str
    form: str = field(default="", repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)
    generation: str = field(default="", repr=False)
    gender: str = ""

    @property
    def surface(self) -> str:
        """The folded name, the same for all spellings that this mention stands for."""
        return " ".join((*self.words, self.generation)).strip() or self.form

    @property
    def chinese(self) -> bool:
        return bool(self.words) and len(self.words) == 1 and _HAN.fullmatch(self.words[0]) is not None


def mention_of(text: str, span: Span) -> Mention:
    """What `span` says of its entity."""
    surface = NormalizedText.of(text[span.start : span.end]).text
    if span.type != "PERSON":
        return Mention(span.type, _folded(surface))
    words = [m.group().casefold() for m in _WORD.finditer(surface)]
    title = _TITLE_BEFORE.search(text[max(0, span.start - 10) : span.start])
    word = title.group(1).lower() if title else next((w for w in words[:1] if w in FOLDED_TITLES), "")
    while len(words) > 1 and words[0] in FOLDED_TITLES:
        words.pop(0)
    generation = words.pop() if len(words) > 1 and words[-1] in FOLDED_GENERATIONS else ""
    words = _usual_order(surface, words)
    gender = "f" if word in FEMALE_TITLES else "m" if word in MALE_TITLES else ""
    if not gender and len(words) == 1 and _HAN.fullmatch(words[0]):
        sex = _SEX_ZH.match(text, span.end, span.end + 12)
        gender = {"男": "m", "女": "f"}[sex.group(1)] if sex else ""
    if not gender and len(words) > 1:
        gender = gender_of(words[0])
    return Mention("PERSON", "", tuple(words) or (text[span.start : span.end],), generation, gender)


def beside(text: str, spans: Sequence[Span], mentions: Sequence[Mention]) -> set[tuple[Mention, Mention]]:
    """Pairs of differently named people that the text sets beside each other, so that they are two."""
    pairs: set[tuple[Mention, Mention]] = set()
    for (a, first), (b, second) in pairwise(zip(spans, mentions, strict=True)):
        people = first.type == second.type == "PERSON" and first != second
        if people and b.start - a.end <= _BESIDE_MOST and _BESIDE.fullmatch(text, a.end, b.start):
            pairs.add((min(first, second), max(first, second)))
    return pairs


def cluster(text: str, spans: Sequence[Span]) -> list[int]:
    """The entity of each span, numbered from 0 by first appearance in `spans`, over all types."""
    mentions = [mention_of(text, span) for span in spans]
    identities = Identities(mentions, beside(text, spans, mentions))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(identities.entity(mention), len(numbers)) for mention in mentions]


class Identities:
    """Which of a set of mentions are the same entity.

    People: "John A. Smith", "J. Smith", "Smith J.", "J.A.S." and "Smith" are one as long as only one person
    of the set fits; a name that fits two stays an entity of its own, for a wrong guess would join two people.
    Other types: equal but for case, space and punctuation; a company also without its legal form.
    """

    def __init__(self, mentions: Iterable[Mention], apart: Iterable[tuple[Mention, Mention]] = ()) -> None:
        self._entity: dict[Mention, int] = {}
        self._members: list[list[Mention]] = []
        self._apart: dict[Mention, set[Mention]] = {}
        for a, b in apart:
            self._apart.setdefault(a, set()).add(b)
            self._apart.setdefault(b, set()).add(a)
        known = sorted(set(mentions))
        companies = _companies([m.form for m in known if m.type == "ORGANIZATION"])
        forms: dict[tuple[str, str], int] = {}
        for mention in known:
            if mention.type != "PERSON":
                form = companies.get(mention.form, mention.form)
                self._put(mention, forms.setdefault((mention.type, form), len(self._members)))
        self._place_people([m for m in known if m.type == "PERSON"])

    def __len__(self) -> int:
        return len(self._members)

    def entity(self, mention: Mention) -> int:
        """The number of a mention's entity; a mention that was not in the set gets an entity of its own."""
        if mention not in self._entity:
            self._put(mention, len(self._members))
        return self._entity[mention]

    def members(self, entity: int) -> Sequence[Mention]:
        return self._members[entity]

    def canonical(self, entity: int) -> Mention:
        """The fullest of an entity's mentions."""
        return min(self._members[entity], key=_fullest)

    def gender(self, entity: int) -> str:
        return next((m.gender for m in sorted(self._members[entity], key=_fullest) if m.gender), "")

    def _put(self, mention: Mention, entity: int) -> None:
        if entity == len(self._members):
            self._members.append([])
        self._members[entity].append(mention)
        self._entity[mention] = entity

    def _place_people(self, people: list[Mention]) -> None:
        """Fullest names first, so that a short one finds all whom it could mean."""
        index: dict[tuple[str, ...], list[int]] = {}
        for mention in sorted(people, key=_fullest):
            found = {entity for key in _lookups(mention) for entity in index.get(key, ())}
            fitting = list(islice((e for e in sorted(found) if self._may_be(e, mention)), 2))
            entity = fitting[0] if len(fitting) == 1 else len(self._members)
            self._put(mention, entity)
            for key in _keys(mention):
                bucket = index.setdefault(key, [])
                if not bucket or bucket[-1] != entity:
                    bucket.append(entity)

    def _may_be(self, entity: int, mention: Mention) -> bool:
        apart = self._apart.get(mention, ())
        return all(known not in apart and _compatible(mention, known) for known in self._members[entity])


def _fullest(mention: Mention) -> tuple[object, ...]:
    anonymous = mention.chinese and "某" in mention.words[0]
    whole = [word for word in mention.words if len(word) > 1]
    return (
        anonymous,
        -len(whole),
        -len(mention.words),
        -sum(map(len, mention.words)),
        not mention.gender,
        mention,
    )


def _folded(surface: str) -> str:
    folded = surface.casefold()
    return "".join(c for c in folded if c.isalnum()) or folded


def _companies(forms: Sequence[str]) -> dict[str, str]:
    """Company names -> the same without a legal form, where exactly one company has that stem."""
    stems: dict[str, list[str]] = {}
    for form in forms:
        for ending in LEGAL_FORMS:
            if form.endswith(ending) and len(form) >= len(ending) + 4:
                stems.setdefault(form.removesuffix(ending), []).append(form)
    return {stem: long[0] for stem, long in stems.items() if len(long) == 1 and stem in set(forms)}


def _usual_order(surface: str, words: list[str]) -> list[str]:
    """ "Smith, John A." and "Smith J." as "John A. Smith" and "J. Smith"."""
    before, comma, _ = surface.partition(",")
    if comma:
        family = len(_WORD.findall(before))
        family = min(max(1, family), len(words) - 1) if len(words) > 1 else 0
        return words[family:] + words[:family]
    if len(words) > 1 and len(words[0]) > 1 and not _HAN.match(words[0]):
        initials = len(words)
        while initials > 1 and len(words[initials - 1]) == 1:
            initials -= 1
        return words[initials:] + words[:initials]
    return words


@cache
def _first_names() -> tuple[frozenset[str], frozenset[str]]:
    """First names that are given to men only, and to women only, in English and German."""
    from faker.providers.person.de_DE import Provider as German
    from faker.providers.person.en_GB import Provider as British
    from faker.providers.person.en_US import Provider as American

    countries = (American, British, German)
    male = {str(name).casefold() for country in countries for name in country.first_names_male}
    female = {str(name).casefold() for country in countries for name in country.first_names_female}
    return frozenset(male - female), frozenset(female - male)


def gender_of(first_name: str) -> str:
    """`m` or `f` where a first name (folded) is given to one gender only, else ""."""
    male, female = _first_names()
    return "m" if first_name in male else "f" if first_name in female else ""


def _all_initials(words: Sequence[str]) -> bool:
    return len(words) > 1 and all(len(word) == 1 for word in words)


def _keys(mention: Mention) -> set[tuple[str, ...]]:
    """Under which a person is found by later, shorter names."""
    words = list(mention.words)
    keys: set[tuple[str, ...]] = {("word", words[0]), ("word", words[-1]), ("name", words[0][0], words[-1])}
    keys.add(("initials", words[0][0], words[-1][0]))
    if len(words) > 1:
        keys.add(("set", *sorted(words)))
    if mention.chinese:
        keys |= {("surname", words[0][:1]), ("surname", words[0][:2])}
    return keys


def _lookups(mention: Mention) -> set[tuple[str, ...]]:
    words = mention.words
    if mention.chinese and _ANONYMOUS_ZH.fullmatch(words[0]):
        return {("surname", words[0].rstrip("某")), ("word", words[0])}
    if _all_initials(words):
        return {("initials", words[0], words[-1]), ("name", words[0], words[-1])}
    if len(words) == 1:
        return {("word", words[0])}
    return {("name", words[0][0], words[-1]), ("set", *sorted(words))}


def _compatible(a: Mention, b: Mention) -> bool:
    if a.gender and b.gender and a.gender != b.gender:
        return False
    if a.generation and b.generation and a.generation != b.generation:
        return False
    if a.chinese and b.chinese:
        return _compatible_chinese(a.words[0], b.words[0])
    short, long = sorted((a.words, b.words), key=lambda words: (len(words), words))
    if short == long or (len(short) == len(long) and sorted(short) == sorted(long)):
        return True
    for initials, name in ((a.words, b.words), (b.words, a.words)):
        if _all_initials(initials) and not _all_initials(name):
            return _are_initials(initials, name)
    if len(short) == 1:
        return short[0] in (long[-1], long[0])
    if short[-1] != long[-1] or not _same_or_initial(short[0], long[0]):
        return False
    # The middle names that the shorter form has must stand, in order, in the longer.
    rest = iter(long[1:-1])
    return all(any(_same_or_initial(word, other) for other in rest) for word in short[1:-1])


def _compatible_chinese(a: str, b: str) -> bool:
    if a == b:
        return True
    for hidden, name in ((a, b), (b, a)):
        if _ANONYMOUS_ZH.fullmatch(hidden) and not _ANONYMOUS_ZH.fullmatch(name):
            surname = hidden.rstrip("某")
            # 张某 stands for any 张; 张某某 for one with two more characters.
            return name.startswith(surname) and (len(hidden) - len(surname) == 1 or len(hidden) == len(name))
    return False


def _are_initials(initials: Sequence[str], name: Sequence[str]) -> bool:
    """J.A.S. and J.S. are John A. Smith; J.B.S. is somebody else."""
    first = [word[0] for word in name]
    if list(initials) == first:
        return True
    return len(name) > 2 and list(initials) == [first[0], first[-1]]


def _same_or_initial(a: str, b: str) -> bool:
    return a == b or (len(a) == 1 and b.startswith(a)) or (len(b) == 1 and a.startswith(b))
