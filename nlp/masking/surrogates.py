"""Realistic stand-ins for names, companies and contacts: the same entity always gets the same one.

Which one it is follows from a keyed number that the caller gives for (entity, attempt): without the key
nobody can tell who is behind a surrogate, nor redraw it. Names come from Faker's lists, of the same script
as the name they stand for and of the same gender where it is known.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from lexveil.nlp.entities.identity import Mention
from lexveil.nlp.letters import HAN, has_han
from lexveil.nlp.text import NormalizedText
from lexveil.nlp.vocabulary import FOLDED_TITLES

# (type, folded name, attempt) -> a keyed number of any size.
Seed = Callable[[str, str, int], int]

_SCRIPTS = (
    (re.compile(r"[\u3040-\u30ff]"), "ja_JP"),
    (re.compile(r"[\uac00-\ud7af]"), "ko_KR"),
    (re.compile(f"[{HAN}]"), "zh_CN"),
    (re.compile(r"[\u0400-\u04ff]"), "ru_RU"),
    (re.compile(r"[\u0370-\u03ff]"), "el_GR"),
    (re.compile(r"[\u0590-\u05ff]"), "he_IL"),
    (re.compile(r"[\u0600-\u06ff]"), "ar_AA"),
)
_LANGUAGES = {"de": "de_DE", "fr": "fr_FR", "it": "it_IT", "es": "es_ES", "pl": "pl_PL", "pt": "pt_PT"}
_WORD = re.compile(r"[^\W_]+")
_TRIES = 64


@dataclass(frozen=True, slots=True)
class Surrogate:
    """What stands for one entity: a person's parts, or the whole text of anything else."""

    text: str = field(repr=False)
    first: str = field(default="", repr=False)
    middle: str = field(default="", repr=False)
    last: str = field(default="", repr=False)


class Surrogates:
    """Hands out surrogates within one scope (a document, a matter); no two entities share one.

    `names` gives the folded words of all names in the scope: no surrogate uses any of them, so none is
    taken for somebody who is in the case.
    """

    def __init__(self, seed: Seed, language: str, names: Callable[[], frozenset[str]]) -> None:
        self._seed = seed
        self._language = language
        self._names = names
        self._taken: set[str] = set()
        self._made: dict[int, Surrogate | None] = {}

    @cached_property
    def _real(self) -> frozenset[str]:
        return self._names()  # many in a long document, and needed for surrogates alone

    @cached_property
    def _surnames(self) -> frozenset[str]:
        return frozenset(word[0] for word in self._real if has_han(word[0]))

    def is_real(self, shown: str) -> bool:
        """Whether a text is a name of the scope itself."""
        return shown.casefold() in self._real

    def of(self, entity: int, canonical: Mention, surface: str, gender: str = "") -> Surrogate | None:
        """The surrogate of an entity; None where the lists hold none that is free."""
        if entity not in self._made:
            self._made[entity] = self._make(canonical, surface, gender)
        return self._made[entity]

    def _make(self, canonical: Mention, surface: str, gender: str) -> Surrogate | None:
        locale = locale_of(surface, self._language)
        for attempt in range(_TRIES):
            chosen = self._seed(canonical.type, canonical.surface, attempt)
            candidate = _candidate(canonical, locale, gender, chosen)
            folded = candidate.text.casefold()
            words = {folded, *_words(candidate.text), *_words(candidate.first), *_words(candidate.last)}
            # A Chinese surname stands alone in forms like 张某, so it should be nobody's of the case either.
            common = candidate.last in self._surnames and attempt < _TRIES // 2
            if folded not in self._taken and not words & self._real and not common:
                self._taken.add(folded)
                return candidate
        return None


def locale_of(surface: str, language: str) -> str:
    """Faker's locale for a name: by its script, and by the document's language where that is Latin."""
    found = next((locale for script, locale in _SCRIPTS if script.search(surface)), None)
    return found or _LANGUAGES.get(language, "en_US")


def rendered(surrogate: Surrogate, canonical: Mention, mention: Mention, surface: str) -> str:
    """A person's surrogate in the form of one mention: surname alone, initials, capitals, surname first."""
    text = NormalizedText.of(surface).text
    if mention.chinese or not surrogate.first:
        return _rendered_chinese(surrogate, canonical, mention)
    parts = _parts(surrogate, canonical, mention)
    titles = [m.group() for m in _WORD.finditer(text) if m.group().casefold() in FOLDED_TITLES]
    if mention.generation:
        parts.append(
            mention.generation.capitalize()
            if mention.generation in ("jr", "sr")
            else mention.generation.upper()
        )
    if text.isupper() and any(len(part) > 1 for part in parts):
        parts = [part.upper() for part in parts]
    if "," in text and len(parts) > 1:
        parts = [f"{parts[-1]},", *parts[:-1]]
    elif all(len(part.rstrip(".")) == 1 for part in parts) and len(parts) > 1:
        parts = ["".join(parts)]
    return " ".join([*titles, *parts])


def _parts(surrogate: Surrogate, canonical: Mention, mention: Mention) -> list[str]:
    own = canonical.words
    middles = iter([surrogate.middle] if surrogate.middle else [])
    parts: list[str] = []
    for place, word in enumerate(mention.words):
        last = place == len(mention.words) - 1 and (len(mention.words) > 1 or word != own[0] or len(own) == 1)
        if last:
            whole = surrogate.last
        elif place == 0:
            whole = surrogate.first
        else:
            whole = next(middles, "")
        if whole:
            parts.append(f"{whole[0].upper()}." if len(word) == 1 else whole)
    return parts


def _rendered_chinese(surrogate: Surrogate, canonical: Mention, mention: Mention) -> str:
    name = mention.words[0] if mention.words else ""
    if "某" in name and canonical != mention:
        return surrogate.last + name[name.index("某") :]
    return surrogate.text


def _candidate(canonical: Mention, locale: str, gender: str, chosen: int) -> Surrogate:
    fake = _faker(locale)
    fake.seed_instance(chosen)
    if canonical.type == "PERSON":
        return _person(fake, locale, canonical, gender)
    if canonical.type == "ORGANIZATION":
        return Surrogate(_single_line(fake.company()))
    if canonical.type == "LOCATION":
        return Surrogate(_single_line(fake.city()))
    if canonical.type == "ADDRESS":
        return Surrogate(_single_line(fake.address()))
    if canonical.type == "EMAIL":
        return Surrogate(f"{_latin_word(chosen)}@example.org")
    if canonical.type == "URL":
        return Surrogate(f"https://{_latin_word(chosen)}.example.org")
    # 555-0100 to 555-0199 are kept free for fiction in every area code.
    return Surrogate(f"+1 {fake.random_element(('212', '312', '415', '617'))}-555-01{fake.numerify('##')}")


def _person(fake: Any, locale: str, canonical: Mention, gender: str) -> Surrogate:
    last = str(fake.last_name())
    if gender == "m":
        first = str(fake.first_name_male())
    elif gender == "f":
        first = str(fake.first_name_female())
    else:
        first = str(fake.first_name())
    if locale in ("zh_CN", "ja_JP", "ko_KR"):
        return Surrogate(last + first, "", "", last)
    whole = len(canonical.words) > 2
    middle = str(fake.random_uppercase_letter()) if whole and locale in ("en_US", "de_DE") else ""
    return Surrogate(f"{first} {last}", first, middle + "." if middle else "", last)


def _latin_word(chosen: int) -> str:
    letters = random.Random(chosen)
    return "".join(letters.choice("bcdfglmnprstvw") + letters.choice("aeiou") for _ in range(4))


def _single_line(text: str) -> str:
    return ", ".join(part.strip() for part in text.splitlines() if part.strip())


def _words(text: str) -> Iterator[str]:
    return (m.group().casefold() for m in _WORD.finditer(text))


@cache
def _faker(locale: str) -> Any:
    from faker import Faker

    return Faker(locale)
