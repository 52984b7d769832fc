"""What stands for whom, the same throughout a scope: one document, or all documents of one matter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, product

from lexveil.nlp.entities.identity import Identities, Mention, beside, mention_of
from lexveil.nlp.entities.roles import of_entities, roles
from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.masking.surrogates import Seed, Surrogate, Surrogates, rendered
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import COMPOUND_SURNAMES_ZH

_TOKEN = re.compile(rf"\[({'|'.join(ENTITY_TYPES)})_([0-9]{{1,9}})\]")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_LATECOMER = 1_000_000


@dataclass(frozen=True, slots=True)
class Named:
    """What a document says of its entities, freed of its text: all that the scope of a matter is made of.

    Attributes:
        mentions: (mention, its role by what stands around it).
        apart: pairs of people that the document sets beside each other.
        taken: tokens that the document itself writes, as (type, number).
    """

    mentions: frozenset[tuple[Mention, str]]
    apart: frozenset[tuple[Mention, Mention]] = frozenset()
    taken: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def of(cls, text: str, spans: Sequence[Span]) -> Named:
        """What the (sorted) spans of a text say of its entities."""
        mentions = [mention_of(text, span) for span in spans]
        return cls(
            frozenset(zip(mentions, roles(text, spans), strict=True)),
            frozenset(beside(text, spans, mentions)),
            frozenset((kind, int(number)) for kind, number in _TOKEN.findall(text)),
        )


class Scope:
    """The entities of one or many documents, their roles, and what is written in their place.

    Numbers and letters of one document go by first appearance. Those of a matter (`seeded`) go by the
    seed: they are the same in all its documents whatever the order of the work, and don't tell in what order
    names came up.
    """

    def __init__(
        self, documents: Iterable[Named], seed: Seed, language: str = "", seeded: bool = False
    ) -> None:
        found = list(documents)
        self._identities = Identities(
            (mention for document in found for mention, _ in document.mentions),
            {pair for document in found for pair in document.apart},
        )
        self._roles = of_entities(
            (self.entity(mention), role) for document in found for mention, role in document.mentions
        )
        self._taken = {token for document in found for token in document.taken}
        self._numbers: dict[int, int] = {}
        self._last: dict[str, int] = {}
        self._initials: dict[int, str] = {}
        self._used: set[str] = set()
        self._seed = seed
        self._surrogates = Surrogates(seed, language, self._words)
        self._drawn: set[str] = set()
        self._seeded = seeded
        self._ranked = self._by_seed() if seeded else ()
        for entity in self._ranked:
            self._numbers[entity] = self._next_number(self.canonical(entity).type)

    def entity(self, mention: Mention) -> int:
        return self._identities.entity(mention)

    def canonical(self, entity: int) -> Mention:
        return self._identities.canonical(entity)

    def role(self, entity: int) -> str:
        return self._roles.get(entity, "")

    def token(self, entity: int) -> str:
        """Such as `[PERSON_1]`; a number that a document itself writes in a token is passed over."""
        canonical = self.canonical(entity)
        if entity not in self._numbers:
            self._numbers[entity] = (
                # Found after the matter's names were gathered: the other documents don't know of it.
                self._free(
                    canonical.type,
                    _LATECOMER + self._seed(canonical.type, canonical.surface, -1) % _LATECOMER,
                )
                if self._seeded
                else self._next_number(canonical.type)
            )
        return f"[{canonical.type}_{self._numbers[entity]}]"

    def surrogate(self, entity: int, mention: Mention, surface: str) -> str | None:
        """What realistically stands for an entity in the form of a mention; None where nothing is free."""
        canonical = self.canonical(entity)
        if canonical.type not in self._drawn:
            self._drawn.add(canonical.type)
            for other in self._ranked:
                if self.canonical(other).type == canonical.type:
                    self._draw(other, "")
        found = self._draw(entity, surface)
        if found is None or canonical.type != "PERSON":
            return found.text if found else None
        shown = rendered(found, canonical, mention, surface)
        return None if self._surrogates.is_real(shown) else shown

    def initials(self, entity: int) -> str:
        """A person's initials, as courts publish them; the second J.S. of a scope becomes J.T."""
        if entity not in self._initials:
            people = [other for other in self._ranked if self.canonical(other).type == "PERSON"]
            for other in (*people, entity):
                if other not in self._initials:
                    forms = _initial_forms(self.canonical(other))
                    self._initials[other] = next(form for form in forms if form not in self._used)
                    self._used.add(self._initials[other])
        return self._initials[entity]

    def _draw(self, entity: int, surface: str) -> Surrogate | None:
        canonical = self.canonical(entity)
        gender = self._identities.gender(entity)
        return self._surrogates.of(entity, canonical, surface or canonical.surface, gender)

    def _next_number(self, kind: str) -> int:
        self._last[kind] = self._free(kind, self._last.get(kind, 0) + 1)
        return self._last[kind]

    def _free(self, kind: str, number: int) -> int:
        while (kind, number) in self._taken:
            number += 1
        return number

    def _words(self) -> frozenset[str]:
        return frozenset(
            word
            for entity in range(len(self._identities))
            for mention in self._identities.members(entity)
            for word in (*mention.words, mention.form, mention.surface)
            if word
        )

    def _by_seed(self) -> tuple[int, ...]:
        def rank(entity: int) -> tuple[int, Mention]:
            canonical = self.canonical(entity)
            return self._seed(canonical.type, canonical.surface, -1), canonical

        return tuple(sorted(range(len(self._identities)), key=rank))


def _initial_forms(person: Mention) -> Iterator[str]:
    """The person's initials, then with other letters in their place, without end."""
    words = list(person.words)
    if person.chinese:
        surname = words[0][:2] if words[0][:2] in COMPOUND_SURNAMES_ZH else words[0][:1]
        yield f"{surname}某"
        yield from (f"{surname}某{stem}" for stem in _STEMS)
        yield from (f"{surname}某{number}" for number in count(1))
    first, last = (
        (words[0][:1].upper(), words[-1][:1].upper()) if len(words) > 1 else ("", words[0][:1].upper())
    )
    for one, other in product(_letters_from(first) if first else ("",), _letters_from(last)):
        yield f"{one}.{other}." if one else f"{other}."
    yield from (f"{first}.{last}.{number}" if first else f"{last}.{number}" for number in count(2))


def _letters_from(letter: str) -> Sequence[str]:
    place = _LETTERS.find(letter)
    return (letter, *_LETTERS) if place < 0 else _LETTERS[place:] + _LETTERS[:place]
