"""Coreference of names: which mentions refer to the same entity, in a document or all documents of a matter.

A `Mention` is the information in a span about its entity, without the position; `Identities` are the clusters
of any set of mentions. The result depends on the set only, not on the order of the mentions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from itertools import islice, pairwise, product

from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.entities.inflection import INFLECTED, list_nominatives
from lexveil.nlp.letters import HAN, LOWER
from lexveil.nlp.text import NormalizedText, Span
from lexveil.nlp.vocabulary import (
    FEMALE_TITLES,
    FOLDED_GENERATIONS,
    FOLDED_TITLES,
    LEGAL_FORMS,
    MALE_TITLES,
)

# A double-barrelled name is one word, and so is O'Hara.
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_PARTICLES = frozenset(
    """
    van von vom zu zum zur der den dem de del della dei di da das do dos du des la le ter ten bin bint ibn al
    el y e Ó Ní Nic Uí Mac ap Ap
    """.split()  # noqa: SIM905
)
_FOLDED_PARTICLES = frozenset(particle.casefold() for particle in _PARTICLES)
# Those that are no names in any language: Le, Du and Di are surnames in Vietnam and China.
_SURE_PARTICLES = frozenset(
    "de del della dei das dos des dem den der von vom van zu zum zur ter bin bint ibn".split()  # noqa: SIM905
)
_TITLE_BEFORE = re.compile(rf"(?i)\b({'|'.join(sorted(FEMALE_TITLES | MALE_TITLES))})\.?\s{{1,2}}$")
_HAN = re.compile(f"[{HAN}]+")
_SEX_ZH = re.compile(r"[^,，。；;、]{0,4}[,，]\s*([男女])")
# 张某, 张某某, 张某甲: how Chinese courts anonymize a name.
_ANONYMOUS_ZH = re.compile(rf"[{HAN}]{{1,2}}?某{{1,2}}")
# Opponents in a case, and neighbors in a Chinese list, are two different people.
_BETWEEN_DISTINCT = re.compile(
    r"(?i)诉|与|和|、|及|以及|,? (?:v\.?|vs\.?|versus|gegen|against) (?:(?:mrs?|ms|dr|herrn?|frau)\.? )?"
)
# No part of a name: a hyphen at the end of a line, the line end after that of a double name, a genitive.
_BROKEN = re.compile(rf"(?<=[^\W\d_])-\n[ \t]*(?=[{LOWER}])|(?<=-)\n[ \t]*|'[sS]\Z")
_LONGEST_BETWEEN = 20
_SHORTEST_GENITIVE = 4
_MOST_NOMINATIVES = 2000
_FEMALE_ENDINGS = "aа"


@dataclass(frozen=True, slots=True, order=True)
class Mention:
    """A name as a text writes it, ignoring case, width and punctuation.

    Attributes:
        type: the entity type.
        form: the folded name; "" for a person.
        words: a person's name in its usual order, folded, without title and generation.
        generation: a person's generation, such as "jr", or "".
        gender: `m`, `f` or "", by the title, the words next to the name, or the first name.
    """

    type: str
    form: str = field(default="", repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)
    generation: str = field(default="", repr=False)
    gender: str = ""

    @property
    def surface(self) -> str:
        """The folded name, the same for all spellings that are equal to this mention."""
        return " ".join((*self.words, self.generation)).strip() or self.form

    @property
    def is_chinese(self) -> bool:
        """True for a person's name in Chinese characters."""
        return bool(self.words) and len(self.words) == 1 and _HAN.fullmatch(self.words[0]) is not None


def read_mention(text: str, span: Span) -> Mention:
    """Return the mention in `span`, which is in characters of `text`."""
    written = text[span.start : span.end]
    if span.type != "PERSON":
        return Mention(span.type, _read_form(written))
    title, words, generation = _read_words(written)
    gender = _find_gender(text, span, words, _find_title_before(text, span) or title)
    return Mention("PERSON", "", words or (written,), generation, gender)


@lru_cache(maxsize=1 << 13)  # one document reads a name when it is found and when it is masked
def _read_form(written: str) -> str:
    return _fold(_BROKEN.sub("", NormalizedText.of(written).text))


@lru_cache(maxsize=1 << 13)
def _read_words(written: str) -> tuple[str, tuple[str, ...], str]:
    """Return the title, the words and the generation of a person's name."""
    surface = _BROKEN.sub("", NormalizedText.of(written).text)
    found = [m.group() for m in _WORD.finditer(surface)]
    # "Casper van der Wielen" is "Wielen" without its particles, however often they are written.
    words = [word.casefold() for word in found if word not in _PARTICLES] or [w.casefold() for w in found]
    title = words[0] if words and words[0] in FOLDED_TITLES else ""
    while len(words) > 1 and words[0] in FOLDED_TITLES:
        words.pop(0)
    generation = words.pop() if len(words) > 1 and words[-1] in FOLDED_GENERATIONS else ""
    return title, tuple(_order_usually(surface, words)), generation


def find_distinct_pairs(
    text: str, spans: Sequence[Span], mentions: Sequence[Mention]
) -> set[tuple[Mention, Mention]]:
    """Return pairs of names that must be two people, because the text opposes or lists them.

    Args:
        text: the document.
        spans: its sorted spans.
        mentions: the mention in each span.
    """
    pairs: set[tuple[Mention, Mention]] = set()
    for (a, first), (b, second) in pairwise(zip(spans, mentions, strict=True)):
        people = first.type == second.type == "PERSON" and first != second
        close = b.start - a.end <= _LONGEST_BETWEEN
        if people and close and _BETWEEN_DISTINCT.fullmatch(text, a.end, b.start):
            pairs.add((min(first, second), max(first, second)))
    return pairs


class Identities:
    """The entities of a set of mentions.

    People: "John A. Smith", "J. Smith", "Smith J.", "J.A.S." and "Smith" are one entity if only one person in
        the set fits. A name that fits two people is an entity by itself, because a wrong guess would join two
        people. Other types: names are equal if they differ in case, space and punctuation only; a company
        also without its legal form.
    """

    def __init__(
        self,
        mentions: Iterable[Mention],
        apart: Iterable[tuple[Mention, Mention]] = (),
        language: str = "",
    ) -> None:
        """Cluster mentions.

        Args:
            mentions: the mentions, in any order.
            apart: pairs of mentions that refer to different entities.
            language: ISO 639-1 code of the documents: in German ones, "Quellners" may be Quellner's, and in
                Polish ones, "Kowalskiego" may be Kowalski's.
        """
        self._entity: dict[Mention, int] = {}
        self._members: list[tuple[Mention, ...]] = []
        self._canonical: dict[int, Mention] = {}
        self._apart: dict[Mention, set[Mention]] = {}
        for a, b in apart:
            self._apart.setdefault(a, set()).add(b)
            self._apart.setdefault(b, set()).add(a)
        known = sorted(set(mentions))
        companies = _match_stems([m.form for m in known if m.type == "ORGANIZATION"])
        forms: dict[tuple[str, str], int] = {}
        for mention in known:
            if mention.type != "PERSON":
                form = companies.get(mention.form, mention.form)
                self._assign(mention, forms.setdefault((mention.type, form), len(self._members)))
        people = [m for m in known if m.type == "PERSON"]
        inflected = _match_inflected(people, language)
        self._cluster_people(list({inflected.get(m, m) for m in people}))
        for mention, name in inflected.items():
            if mention not in self._entity:
                self._assign(mention, self._entity[name])

    def __len__(self) -> int:
        return len(self._members)

    def entity(self, mention: Mention) -> int:
        """Return the number of a mention's entity; a mention outside the set becomes a new entity."""
        if mention not in self._entity:
            self._assign(mention, len(self._members))
        return self._entity[mention]

    def members(self, entity: int) -> Sequence[Mention]:
        """Return the mentions of an entity."""
        return self._members[entity]

    def canonical(self, entity: int) -> Mention:
        """Return the most complete mention of an entity."""
        known = self._canonical.get(entity)
        if known is None:
            known = self._canonical[entity] = min(self._members[entity], key=_rank_completeness)
        return known

    def gender(self, entity: int) -> str:
        """Return `m`, `f` or "" for an entity, by its most complete mention with a gender."""
        ranked = sorted(self._members[entity], key=_rank_completeness)
        return next((mention.gender for mention in ranked if mention.gender), "")

    def _assign(self, mention: Mention, entity: int) -> None:
        if entity == len(self._members):
            self._members.append((mention,))
        else:
            self._members[entity] += (mention,)
        self._canonical.pop(entity, None)
        self._entity[mention] = entity

    def _cluster_people(self, people: list[Mention]) -> None:
        """Assign the most complete names first, so that a short name finds everyone it could mean."""
        # Hashes: as tuples, the keys of a large document's names take more memory than all names. Two keys
        # with one hash add a candidate that does not fit.
        wanted = {hash(key) for mention in people for key in _lookup_keys(mention)}
        index: dict[int, list[int]] = {}
        for mention in sorted(people, key=_rank_completeness):
            candidates = {entity for key in _lookup_keys(mention) for entity in index.get(hash(key), ())}
            fitting = list(islice((e for e in sorted(candidates) if self._fits(e, mention)), 2))
            entity = fitting[0] if len(fitting) == 1 else len(self._members)
            self._assign(mention, entity)
            for key in wanted.intersection(map(hash, _index_keys(mention))):
                bucket = index.setdefault(key, [])
                if not bucket or bucket[-1] != entity:
                    bucket.append(entity)

    def _fits(self, entity: int, mention: Mention) -> bool:
        apart = self._apart.get(mention, ())
        return all(known not in apart and _are_compatible(mention, known) for known in self._members[entity])


def _match_inflected(people: Sequence[Mention], language: str) -> dict[Mention, Mention]:
    """Map names in another case to the same in the nominative, or to what may be it."""
    if language == "de":
        return _match_genitives(people)
    return _match_cases(people, language) if language in INFLECTED else {}


def _match_cases(people: Sequence[Mention], language: str) -> dict[Mention, Mention]:
    """Map each name to a nominative that another name of the set has or shares.

    Whole names decide first, and lone words follow the words of these.
    """
    whole = {person.words for person in people if len(person.words) > 1}
    matched = _choose_nominatives(whole, language)
    words: dict[str, str] = {}
    for name in sorted(whole):
        words.update(zip(name, matched[name], strict=True))
    owners = {own: own for own in words.values()}
    for word, own in words.items():
        for nominative in list_nominatives(word, language):
            owners.setdefault(nominative, own)
    lone = {person.words for person in people if len(person.words) == 1}
    for name, nominative in _choose_nominatives(lone, language).items():
        (word,) = name
        options = (word, *sorted(list_nominatives(word, language)))
        owner = words.get(word) or next((owners[option] for option in options if option in owners), None)
        matched[name] = (owner,) if owner else nominative
    return {
        person: _rename(person, matched[person.words])
        for person in people
        if matched[person.words] != person.words
    }


def _rename(person: Mention, words: tuple[str, ...]) -> Mention:
    """Return a mention with other words; another first name may be that of the other gender."""
    gender = person.gender if len(words) == 1 or words[0] == person.words[0] else guess_gender(words[0])
    return replace(person, words=words, gender=gender)


def _choose_nominatives(names: set[tuple[str, ...]], language: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return for each name its nominative: one of the names, else one that is none and that several share."""
    options = {name: _list_nominative_names(name, language) for name in names}
    votes = Counter(nominative for found in options.values() for nominative in found)
    chosen = {
        name: max(found, key=lambda one, name=name: (one in names, votes[one], one == name, one))
        for name, found in options.items()
    }
    taken = {own for name, own in chosen.items() if own != name}
    alone = [name for name, own in chosen.items() if own == name and name not in taken]
    shared = Counter(one for name in alone for one in options[name] if one not in names)
    for name in alone:
        best = max(options[name], key=lambda one: (shared[one], one))
        if shared[best] > 1:
            chosen[name] = best
    return chosen


def _list_nominative_names(name: tuple[str, ...], language: str) -> list[tuple[str, ...]]:
    """Return what a name may be in the nominative.

    All words of a man's name have the same case, while many a woman's surname has none: "Ane Horvat" is Ana
    Horvat, but "Ivana Horvat" is not Ivan. In Finnish, only the surname changes.
    """
    last_alone = language == "fi"
    found: list[tuple[str, ...]] = [name]
    options = [sorted(list_nominatives(word, language)) for word in name]
    for nominative in islice(product(*options), _MOST_NOMINATIVES):
        kept = [word for word, own in zip(name, nominative, strict=True) if word == own]
        changed = [own for word, own in zip(name, nominative, strict=True) if word != own]
        if changed and (not kept or last_alone or all(own[-1] in _FEMALE_ENDINGS for own in changed)):
            found.append(nominative)
    return found


def _match_genitives(people: Sequence[Mention]) -> dict[Mention, Mention]:
    """Map names with a final s to the same name without it, if the set has such a surname.

    A lone name after a title ("Herr Adams") is not mapped: there, German would rather write "von Herrn Adam".
    """
    surnames = {person.words[-1] for person in people}
    matched: dict[Mention, Mention] = {}
    for person in people:
        *first, last = person.words
        genitive = len(last) > _SHORTEST_GENITIVE and last.endswith("s") and last[:-1] in surnames
        if genitive and (first or not person.gender):
            matched[person] = replace(person, words=(*first, last[:-1]))
        elif len(first) == 1 and first[0].endswith("s") and first[0][:-1] in surnames:
            # "Quellners Fahrrad": the noun was mistaken for a surname.
            matched[person] = replace(person, words=(first[0][:-1],))
    return matched


def _find_title_before(text: str, span: Span) -> str:
    """Return the title before a name, in lower case, or ""."""
    before = _TITLE_BEFORE.search(text[max(0, span.start - 10) : span.start])
    return before.group(1).lower() if before else ""


def _find_gender(text: str, span: Span, words: Sequence[str], title: str) -> str:
    if title in FEMALE_TITLES:
        return "f"
    if title in MALE_TITLES:
        return "m"
    if len(words) > 1:
        return guess_gender(words[0])
    if len(words) == 1 and _HAN.fullmatch(words[0]):
        sex = _SEX_ZH.match(text, span.end, span.end + 12)
        return {"男": "m", "女": "f"}[sex.group(1)] if sex else ""
    return ""


def _rank_completeness(mention: Mention) -> tuple[object, ...]:
    """Return a sort key that puts the most complete mention first."""
    anonymous = mention.is_chinese and "某" in mention.words[0]
    whole = [word for word in mention.words if len(word) > 1]
    return (
        anonymous,
        -len(whole),
        -len(mention.words),
        -sum(map(len, mention.words)),
        not mention.gender,
        mention,
    )


def _fold(surface: str) -> str:
    folded = surface.casefold()
    return "".join(c for c in folded if c.isalnum()) or folded


def _match_stems(forms: Sequence[str]) -> dict[str, str]:
    """Map company names without a legal form to the only name in the set that adds one."""
    full_names: dict[str, list[str]] = {}
    for form in forms:
        for ending in LEGAL_FORMS:
            if form.endswith(ending) and len(form) >= len(ending) + 4:
                full_names.setdefault(form.removesuffix(ending), []).append(form)
    known = set(forms)
    return {stem: names[0] for stem, names in full_names.items() if len(names) == 1 and stem in known}


def _order_usually(surface: str, words: list[str]) -> list[str]:
    """Turn the words of "Smith, John A." and "Smith J." into those of "John A. Smith" and "J. Smith"."""
    before, comma, _ = surface.partition(",")
    if comma:
        family = sum(word not in _PARTICLES for word in _WORD.findall(before))
        family = min(max(1, family), len(words) - 1) if len(words) > 1 else 0
        return words[family:] + words[:family]
    if len(words) > 1 and len(words[0]) > 1 and not _HAN.match(words[0]):
        initials = len(words)
        while initials > 1 and len(words[initials - 1]) == 1:
            initials -= 1
        return words[initials:] + words[:initials]
    return words


@cache
def _load_first_names() -> tuple[frozenset[str], frozenset[str]]:
    """Return the first names that are given to men only, and to women only, in English and German."""
    from faker.providers.person.de_DE import Provider as German
    from faker.providers.person.en_GB import Provider as British
    from faker.providers.person.en_US import Provider as American

    countries = (American, British, German)
    male = {str(name).casefold() for country in countries for name in country.first_names_male}
    female = {str(name).casefold() for country in countries for name in country.first_names_female}
    return frozenset(male - female), frozenset(female - male)


def guess_gender(first_name: str) -> str:
    """Return `m` or `f` if a first name (folded) is given to one gender only, else ""."""
    male, female = _load_first_names()
    return "m" if first_name in male else "f" if first_name in female else ""


def _are_all_initials(words: Sequence[str]) -> bool:
    return len(words) > 1 and all(len(word) == 1 for word in words)


def _index_keys(mention: Mention) -> set[tuple[str, ...]]:
    """Return the keys under which later, shorter names find a person."""
    words = list(mention.words)
    keys: set[tuple[str, ...]] = {("name", words[0][0], words[-1])}
    keys |= {("word", part) for word in (words[0], words[-1]) for part in (word, *word.split("-"))}
    keys.add(("initials", words[0][0], words[-1][0]))
    if len(words) > 1:
        keys |= {("set", *sorted(words)), ("end", *words[-2:])}
    if mention.is_chinese:
        keys |= {("surname", words[0][:1]), ("surname", words[0][:2])}
    return keys


def _lookup_keys(mention: Mention) -> set[tuple[str, ...]]:
    """Return the keys under which the people that a mention could mean are indexed."""
    words = mention.words
    if mention.is_chinese and _ANONYMOUS_ZH.fullmatch(words[0]):
        return {("surname", words[0].rstrip("某")), ("word", words[0])}
    if _are_all_initials(words):
        return {("initials", words[0], words[-1]), ("name", words[0], words[-1])}
    if len(words) == 1:
        return {("word", words[0])}
    keys = {("name", words[0][0], words[-1]), ("set", *sorted(words))}
    if _may_be_surname(words):
        keys.add(("end", *words[-2:]))
    if words[0] in _FOLDED_PARTICLES:
        keys.add(("word", words[-1]))
    return keys


def _are_compatible(a: Mention, b: Mention) -> bool:
    """Return True if two mentions may name the same person."""
    if a.gender and b.gender and a.gender != b.gender:
        return False
    if a.generation and b.generation and a.generation != b.generation:
        return False
    if a.is_chinese and b.is_chinese:
        return _are_compatible_chinese(a.words[0], b.words[0])
    for initials, name in ((a.words, b.words), (b.words, a.words)):
        if _are_all_initials(initials) and not _are_all_initials(name):
            return _are_initials_of(initials, name)
    words = _drop_particle(a.words), _drop_particle(b.words)
    return _are_compatible_words(*sorted(words, key=lambda words: (len(words), words)))


def _are_compatible_words(short: Sequence[str], long: Sequence[str]) -> bool:
    if short == long or (len(short) == len(long) and sorted(short) == sorted(long)):
        return True
    if len(short) == 1:
        return any(short[0] in (word, *word.split("-")) for word in (long[-1], long[0]))
    if _may_be_surname(short) and tuple(long[-len(short) :]) == tuple(short):
        return True
    if short[-1] != long[-1] or not _match_or_abbreviate(short[0], long[0]):
        return False
    # The middle names of the shorter form must be, in order, among those of the longer one.
    rest = iter(long[1:-1])
    return all(any(_match_or_abbreviate(word, other) for other in rest) for word in short[1:-1])


def _drop_particle(words: Sequence[str]) -> Sequence[str]:
    """Return a name without a particle at its beginning, which counts as a word in capitals: DE OLIVEIRA."""
    return words[1:] if len(words) > 1 and words[0] in _SURE_PARTICLES else words


def _may_be_surname(words: Sequence[str]) -> bool:
    """Return True if words may be a surname alone: De Oliveira, Le Goff, León Marqués."""
    return words[0] in _FOLDED_PARTICLES or not is_given_name(words[0])


def _are_compatible_chinese(a: str, b: str) -> bool:
    if a == b:
        return True
    for hidden, name in ((a, b), (b, a)):
        if _ANONYMOUS_ZH.fullmatch(hidden) and not _ANONYMOUS_ZH.fullmatch(name):
            surname = hidden.rstrip("某")
            # 张某 may be any 张; 张某某 has two more characters than the surname.
            return name.startswith(surname) and (len(hidden) - len(surname) == 1 or len(hidden) == len(name))
    return False


def _are_initials_of(initials: Sequence[str], name: Sequence[str]) -> bool:
    """Return True for J.A.S. and J.S. if the name is John A. Smith, but not for J.B.S."""
    first = [word[0] for word in name]
    if list(initials) == first:
        return True
    return len(name) > 2 and list(initials) == [first[0], first[-1]]


def _match_or_abbreviate(a: str, b: str) -> bool:
    """Return True if two words are equal, or one is the initial or the first half of the other."""
    short, long = sorted((a, b), key=len)
    return short == long or (len(short) == 1 and long.startswith(short)) or long.startswith(f"{short}-")
