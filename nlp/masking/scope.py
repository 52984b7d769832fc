"""Replacement of each entity, the same throughout a scope: one document, or all documents of one matter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, product

from lexveil.nlp.entities.identity import Identities, Mention, find_distinct_pairs, read_mention
from lexveil.nlp.entities.roles import find_roles, merge_roles
from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.masking.surrogates import Seed, Surrogate, Surrogates, render_surrogate
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import COMPOUND_SURNAMES_ZH

_TOKEN = re.compile(rf"\[({'|'.join(ENTITY_TYPES)})_([0-9]{{1,9}})\]")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
# First number of entities that are not in the other documents of a matter.
_LATE_NUMBERS = 1_000_000


@dataclass(frozen=True, slots=True)
class DocumentNames:
    """The names in a document, without its text: the only input of a matter's scope.

    Attributes:
        mentions: (mention, its role by the surrounding words).
        apart: pairs of mentions that must be two different people.
        taken: tokens that the document itself contains, as (type, number).
    """

    mentions: frozenset[tuple[Mention, str]]
    apart: frozenset[tuple[Mention, Mention]] = frozenset()
    taken: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def read(cls, text: str, spans: Sequence[Span]) -> DocumentNames:
        """Return the names in the sorted spans of a text."""
        mentions = [read_mention(text, span) for span in spans]
        return cls(
            frozenset(zip(mentions, find_roles(text, spans), strict=True)),
            frozenset(find_distinct_pairs(text, spans, mentions)),
            frozenset((kind, int(number)) for kind, number in _TOKEN.findall(text)),
        )


class Scope:
    """The entities of one or more documents, their roles, and the texts that replace them.

    In a single document numbers and letters follow the first appearance. In a matter (`seeded`) they follow
    the seed: they are the same in all documents, whatever the order of processing, and do not reveal the
    order in which names appear.
    """

    def __init__(
        self, documents: Iterable[DocumentNames], seed: Seed, language: str = "", seeded: bool = False
    ) -> None:
        """Cluster the names of documents.

        Args:
            documents: the names in each document.
            seed: keyed numbers for (type, folded name, attempt).
            language: ISO 639-1 code of the documents, which decides the language of surrogates.
            seeded: number entities by the seed, as for a matter.
        """
        # One at a time: the names of all pieces of a large document take more memory than its text.
        mentions: dict[Mention, str] = {}
        apart: set[tuple[Mention, Mention]] = set()
        self._taken: set[tuple[str, int]] = set()
        for document in documents:
            merge_roles(document.mentions, mentions)
            apart |= document.apart
            self._taken |= document.taken
        self._identities = Identities(mentions, apart, language)
        self._roles = merge_roles((self.entity(mention), role) for mention, role in mentions.items())
        self._numbers: dict[int, int] = {}
        self._last_number: dict[str, int] = {}
        self._initials: dict[int, str] = {}
        self._used_initials: set[str] = set()
        self._seed = seed
        self._surrogates = Surrogates(seed, language, self._collect_words)
        self._drawn_types: set[str] = set()
        self._seeded = seeded
        self._ranked = self._rank_by_seed() if seeded else ()
        for entity in self._ranked:
            self._numbers[entity] = self._take_number(self.canonical(entity).type)

    def entity(self, mention: Mention) -> int:
        """Return the number of a mention's entity."""
        return self._identities.entity(mention)

    def canonical(self, entity: int) -> Mention:
        """Return the most complete mention of an entity."""
        return self._identities.canonical(entity)

    def role(self, entity: int) -> str:
        """Return the role of an entity, or "" for types without roles."""
        return self._roles.get(entity, "")

    def token(self, entity: int) -> str:
        """Return a token such as `[PERSON_1]`; numbers that a document itself uses in tokens are skipped."""
        kind = self.canonical(entity).type
        if entity not in self._numbers:
            self._numbers[entity] = (
                self._choose_late_number(entity) if self._seeded else self._take_number(kind)
            )
        return f"[{kind}_{self._numbers[entity]}]"

    def surrogate(self, entity: int, mention: Mention, surface: str) -> str | None:
        """Return an entity's surrogate in the form of a mention, or None if no name is free."""
        canonical = self.canonical(entity)
        if canonical.type not in self._drawn_types:
            self._drawn_types.add(canonical.type)
            for other in self._ranked:
                if self.canonical(other).type == canonical.type:
                    self._draw(other, "")
        surrogate = self._draw(entity, surface)
        if surrogate is None or canonical.type != "PERSON":
            return surrogate.text if surrogate else None
        shown = render_surrogate(surrogate, canonical, mention, surface)
        return None if self._surrogates.is_real(shown) else shown

    def initials(self, entity: int) -> str:
        """Return a person's initials, as courts publish them; the second J.S. in a scope becomes J.T."""
        if entity not in self._initials:
            people = [other for other in self._ranked if self.canonical(other).type == "PERSON"]
            for other in (*people, entity):
                if other not in self._initials:
                    candidates = _propose_initials(self.canonical(other))
                    self._initials[other] = next(c for c in candidates if c not in self._used_initials)
                    self._used_initials.add(self._initials[other])
        return self._initials[entity]

    def _draw(self, entity: int, surface: str) -> Surrogate | None:
        canonical = self.canonical(entity)
        gender = self._identities.gender(entity)
        return self._surrogates.draw(entity, canonical, surface or canonical.surface, gender)

    def _take_number(self, kind: str) -> int:
        self._last_number[kind] = self._skip_taken(kind, self._last_number.get(kind, 0) + 1)
        return self._last_number[kind]

    def _choose_late_number(self, entity: int) -> int:
        """Return the number of an entity that was found after the matter's names were collected."""
        canonical = self.canonical(entity)
        offset = self._seed(canonical.type, canonical.surface, -1) % _LATE_NUMBERS
        return self._skip_taken(canonical.type, _LATE_NUMBERS + offset)

    def _skip_taken(self, kind: str, number: int) -> int:
        while (kind, number) in self._taken:
            number += 1
        return number

    def _collect_words(self) -> frozenset[str]:
        """Return the folded names and words of names of all entities."""
        return frozenset(
            word
            for entity in range(len(self._identities))
            for mention in self._identities.members(entity)
            for word in (*mention.words, mention.form, mention.surface)
            if word
        )

    def _rank_by_seed(self) -> tuple[int, ...]:
        def rank(entity: int) -> tuple[int, Mention]:
            canonical = self.canonical(entity)
            return self._seed(canonical.type, canonical.surface, -1), canonical

        return tuple(sorted(range(len(self._identities)), key=rank))


def _propose_initials(person: Mention) -> Iterator[str]:
    """Yield the person's initials, then variants with other letters and numbers, without end."""
    words = list(person.words)
    if person.is_chinese:
        surname = words[0][:2] if words[0][:2] in COMPOUND_SURNAMES_ZH else words[0][:1]
        yield f"{surname}某"
        yield from (f"{surname}某{stem}" for stem in _STEMS)
        yield from (f"{surname}某{number}" for number in count(1))
    first, last = (
        (words[0][:1].upper(), words[-1][:1].upper()) if len(words) > 1 else ("", words[0][:1].upper())
    )
    for one, other in product(_rotate_alphabet(first) if first else ("",), _rotate_alphabet(last)):
        yield f"{one}.{other}." if one else f"{other}."
    yield from (f"{first}.{last}.{number}" if first else f"{last}.{number}" for number in count(2))


def _rotate_alphabet(letter: str) -> Sequence[str]:
    index = _LETTERS.find(letter)
    return (letter, *_LETTERS) if index < 0 else _LETTERS[index:] + _LETTERS[:index]
