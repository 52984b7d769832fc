"""Surrogates: realistic replacements for names, companies and contacts, always the same one for an entity.

The choice depends on a keyed number that the caller provides for (entity, attempt): without the key, nobody
can identify the person behind a surrogate, or repeat the draw. Names come from Faker's lists, in the script
of the original name and of the same gender if it is known.
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

Seed = Callable[[str, str, int], int]
"""(type, folded name, attempt) to a keyed number of any size."""

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
    """The surrogate of one entity.

    Attributes:
        text: the whole surrogate.
        first: a person's first name, if the name can be split.
        middle: a person's middle initial with its period, or "".
        last: a person's surname.
    """

    text: str = field(repr=False)
    first: str = field(default="", repr=False)
    middle: str = field(default="", repr=False)
    last: str = field(default="", repr=False)


class Surrogates:
    """Source of surrogates within one scope (a document, a matter); no two entities share one."""

    def __init__(self, seed: Seed, language: str, names: Callable[[], frozenset[str]]) -> None:
        """Prepare to draw surrogates.

        Args:
            seed: keyed numbers for (type, folded name, attempt).
            language: ISO 639-1 code of the documents.
            names: returns the folded words of all names in the scope. No surrogate contains any of them, so
                that none is mistaken for somebody in the case.
        """
        self._seed = seed
        self._language = language
        self._names = names
        self._taken: set[str] = set()
        self._drawn: dict[int, Surrogate | None] = {}

    @cached_property
    def _real(self) -> frozenset[str]:
        # A long document has many names, and only surrogates need them.
        return self._names()

    @cached_property
    def _surnames(self) -> frozenset[str]:
        return frozenset(word[0] for word in self._real if has_han(word[0]))

    def is_real(self, shown: str) -> bool:
        """Return True if a text is a name in the scope."""
        return shown.casefold() in self._real

    def draw(self, entity: int, canonical: Mention, surface: str, gender: str = "") -> Surrogate | None:
        """Return the surrogate of an entity, or None if the lists contain no free one.

        Args:
            entity: number of the entity.
            canonical: its most complete mention.
            surface: the name as a text writes it, whose script the surrogate shares.
            gender: `m`, `f` or "".
        """
        if entity not in self._drawn:
            self._drawn[entity] = self._find_free(canonical, surface, gender)
        return self._drawn[entity]

    def _find_free(self, canonical: Mention, surface: str, gender: str) -> Surrogate | None:
        locale = choose_locale(surface, self._language)
        for attempt in range(_TRIES):
            number = self._seed(canonical.type, canonical.surface, attempt)
            candidate = _make_candidate(canonical, locale, gender, number)
            folded = candidate.text.casefold()
            words = {folded, *_words(candidate.text), *_words(candidate.first), *_words(candidate.last)}
            # A Chinese surname appears alone in forms like 张某, so nobody in the case should have it either.
            common = candidate.last in self._surnames and attempt < _TRIES // 2
            if folded not in self._taken and not words & self._real and not common:
                self._taken.add(folded)
                return candidate
        return None


def choose_locale(surface: str, language: str) -> str:
    """Return Faker's locale for a name: by its script, and for Latin script by the document's language."""
    by_script = next((locale for script, locale in _SCRIPTS if script.search(surface)), None)
    return by_script or _LANGUAGES.get(language, "en_US")


def render_surrogate(surrogate: Surrogate, canonical: Mention, mention: Mention, surface: str) -> str:
    """Return a person's surrogate in the form of one mention.

    The form is the surname alone, initials, capitals, or surname first.

    Args:
        surrogate: the person's surrogate.
        canonical: the person's most complete mention.
        mention: the mention to replace.
        surface: the text of the mention.
    """
    text = NormalizedText.of(surface).text
    if mention.is_chinese or not surrogate.first:
        return _render_undivided(surrogate, canonical, mention)
    parts = _select_parts(surrogate, canonical, mention)
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


def _select_parts(surrogate: Surrogate, canonical: Mention, mention: Mention) -> list[str]:
    """Return the surrogate's word, or its initial, for each word of the mention."""
    own = canonical.words
    middles = iter([surrogate.middle] if surrogate.middle else [])
    parts: list[str] = []
    for index, word in enumerate(mention.words):
        last = index == len(mention.words) - 1 and (len(mention.words) > 1 or word != own[0] or len(own) == 1)
        if last:
            whole = surrogate.last
        elif index == 0:
            whole = surrogate.first
        else:
            whole = next(middles, "")
        if whole:
            parts.append(f"{whole[0].upper()}." if len(word) == 1 else whole)
    return parts


def _render_undivided(surrogate: Surrogate, canonical: Mention, mention: Mention) -> str:
    name = mention.words[0] if mention.words else ""
    if "某" in name and canonical != mention:
        return surrogate.last + name[name.index("某") :]
    return surrogate.text


def _make_candidate(canonical: Mention, locale: str, gender: str, number: int) -> Surrogate:
    fake = _load_faker(locale)
    fake.seed_instance(number)
    if canonical.type == "PERSON":
        return _make_person(fake, locale, canonical, gender)
    if canonical.type == "ORGANIZATION":
        return Surrogate(_join_lines(fake.company()))
    if canonical.type == "LOCATION":
        return Surrogate(_join_lines(fake.city()))
    if canonical.type == "ADDRESS":
        return Surrogate(_join_lines(fake.address()))
    if canonical.type == "EMAIL":
        return Surrogate(f"{_make_word(number)}@example.org")
    if canonical.type == "URL":
        return Surrogate(f"https://{_make_word(number)}.example.org")
    # 555-0100 to 555-0199 are reserved for fiction in every area code.
    return Surrogate(f"+1 {fake.random_element(('212', '312', '415', '617'))}-555-01{fake.numerify('##')}")


def _make_person(fake: Any, locale: str, canonical: Mention, gender: str) -> Surrogate:
    last = str(fake.last_name())
    if gender == "m":
        first = str(fake.first_name_male())
    elif gender == "f":
        first = str(fake.first_name_female())
    else:
        first = str(fake.first_name())
    if locale in ("zh_CN", "ja_JP", "ko_KR"):
        return Surrogate(last + first, "", "", last)
    has_middle = len(canonical.words) > 2
    middle = str(fake.random_uppercase_letter()) if has_middle and locale in ("en_US", "de_DE") else ""
    return Surrogate(f"{first} {last}", first, middle + "." if middle else "", last)


def _make_word(number: int) -> str:
    letters = random.Random(number)
    return "".join(letters.choice("bcdfglmnprstvw") + letters.choice("aeiou") for _ in range(4))


def _join_lines(text: str) -> str:
    return ", ".join(part.strip() for part in text.splitlines() if part.strip())


def _words(text: str) -> Iterator[str]:
    return (m.group().casefold() for m in _WORD.finditer(text))


@cache
def _load_faker(locale: str) -> Any:
    from faker import Faker

    return Faker(locale)
