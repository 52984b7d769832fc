"""What the multilingual detector learns from: gold corpora, and sentences of our own with Faker's names.

For most languages there is no gold of judgments with names that may be used. The sentences
(`frames_multilingual.txt`) show the detector how people are introduced there; from the gold in English,
German and Portuguese it learns what a name in a judgment is.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any
from zlib import crc32

from lexveil.nlp.detector_training.german_names import add_names
from lexveil.nlp.detector_training.transformer import UNKNOWN, train_transformer
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan

OPERATING: Mapping[str, float] = {"balanced": 0.2, "strict": 0.15}
"""Chosen on the judgments of TAB that are held out."""
LAYERS = 6
"""Of the encoder's twelve: with all, it would read half as fast."""
EPOCHS = 1
COPIES = 45

_FRAMES = Path(__file__).with_name("frames_multilingual.txt")
_SLOT = re.compile(r"\{([nsfgtoad])\}")
_TYPES = {"t": "LOCATION", "o": "ORGANIZATION", "a": "ADDRESS", "d": "DATE"}
_LOCALES: Mapping[str, tuple[str, ...]] = {
    "bs": ("hr_HR",),
    "cs": ("cs_CZ",),
    "de": ("de_DE", "de_AT"),
    "en": ("en_GB", "en_US", "en_IN"),
    "es": ("es_ES", "es_MX"),
    "fr": ("fr_FR", "fr_BE"),
    "hr": ("hr_HR",),
    "it": ("it_IT",),
    "nl": ("nl_NL", "nl_BE"),
    "pl": ("pl_PL",),
    "pt": ("pt_BR", "pt_PT"),
    "ro": ("ro_RO",),
    "sr": ("hr_HR", "sl_SI"),
    "sv": ("sv_SE",),
}
# People from elsewhere stand before every court.
_ABROAD = ("tr_TR", "en_IN", "hu_HU", "pt_BR", "pl_PL", "fr_FR", "en_NG", "sk_SK", "de_DE", "id_ID")
_FROM_ABROAD, _HEAD_AND_TAIL, _CYRILLIC, _ONE_PARAGRAPH = 0.2, 0.6, 0.3, 0.4
_NAMES = 600
_SENTENCES = 12
_WINDOW = 800
# Characters of each language, so that none counts for more than the others together.
_GERMAN, _PORTUGUESE = 180_000, 280_000
_KEPT_WITHOUT_PEOPLE = 0.1
_DATES: Mapping[str, str] = {
    "bs": "{d}. marta {y}.|{d}. oktobra {y}.",
    "cs": "{d}. ledna {y}|{d}. září {y}",
    "de": "{d}. März {y}|{d}. Oktober {y}",
    "en": "{d} March {y}|October {d}, {y}",
    "es": "{d} de marzo de {y}|{d} de octubre de {y}",
    "fr": "{d} mars {y}|{d} septembre {y}",
    "hr": "{d}. ožujka {y}.|{d}. listopada {y}.",
    "it": "{d} marzo {y}|{d} ottobre {y}",
    "nl": "{d} maart {y}|{d} oktober {y}",
    "pl": "{d} marca {y} r.|{d} października {y} r.",
    "pt": "{d} de março de {y}|{d} de outubro de {y}",
    "ro": "{d} martie {y}|{d} octombrie {y}",
    "sr": "{d}. marta {y}. godine|{d}. oktobra {y}.",
    "sv": "{d} mars {y}|{d} oktober {y}",
}
_CYRILLIC_LETTERS = {
    "nj": "њ", "lj": "љ", "dž": "џ", "đ": "ђ", "ž": "ж", "č": "ч", "ć": "ћ", "š": "ш",
    **dict(zip("abvgdezijklmnoprstufhc", "абвгдезијклмнопрстуфхц", strict=True)),
}  # fmt: skip
_LETTER = re.compile("|".join(_CYRILLIC_LETTERS), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Frames:
    whole: tuple[str, ...]
    heads: tuple[str, ...]
    tails: tuple[str, ...]

    def draw(self, rng: random.Random) -> str:
        if self.heads and (not self.whole or rng.random() < _HEAD_AND_TAIL):
            return f"{rng.choice(self.heads)} {rng.choice(self.tails)}"
        return rng.choice(self.whole)


def train_multilingual(documents: Sequence[GoldDocument], seed: int, out: Path, copies: int = COPIES) -> None:
    """Train on the documents that are not held out and on sentences of our own; see `train_transformer`.

    Args:
        documents: prepared gold documents.
        seed: seed of everything random.
        out: folder to write.
        copies: how many documents of twelve sentences to write for each language.
    """
    train_transformer(
        assemble_documents(documents, seed, copies),
        seed,
        out,
        epochs=EPOCHS,
        operating=OPERATING,
        encoder="multilingual-e5-small",
        layers=LAYERS,
    )


class Names:
    """Faker's names of a locale; training and tests draw from different ones."""

    def __init__(self, locale: str, held_out: bool = False) -> None:
        """Draw them.

        Args:
            locale: a locale of Faker.
            held_out: draw those that training never uses, a quarter of the first names and of the surnames.
        """
        from faker import Faker

        fake = Faker(locale)
        fake.seed_instance(crc32(locale.encode()))
        self._fake: Any = fake

        def choose(names: set[str]) -> list[str]:
            return sorted(name for name in names if (crc32(name.encode()) % 4 == 0) == held_out)

        self.first = choose({fake.first_name() for _ in range(_NAMES)})
        self.last = choose({fake.last_name() for _ in range(_NAMES)})

    def draw_place(self, kind: str) -> str:
        """Return a town, a company or an address: the kinds t, o and a of the frames."""
        if kind == "t":
            return self._fake.city()
        if kind == "o":
            return self._fake.company()
        return " ".join(self._fake.address().split())

    def draw_full(self, language: str, rng: random.Random) -> str:
        """Return a full name in one of the ways in which they are written."""
        first, last = rng.choice(self.first), rng.choice(self.last)
        chance = rng.random()
        if language in ("es", "pt") and chance > 0.5:
            return f"{first} {last} {rng.choice(self.last)}"
        for share, name in (
            (0.06, f"{first[0]}. {last}"),
            (0.05, f"{first} {last}".upper()),
            (0.04, f"{last.upper()} {first}"),
            (0.06, f"{first} {rng.choice(self.first)} {last}"),
            (0.06, f"{first} {last}-{rng.choice(self.last)}"),
            (0.03, f"{first}-{rng.choice(self.first)} {last}"),
        ):
            chance -= share
            if chance < 0:
                return name
        return f"{first} {last}"


@cache
def load_names(locale: str, held_out: bool = False) -> Names:
    """Return the names of a locale; see `Names`."""
    return Names(locale, held_out)


def is_held_out(document: GoldDocument) -> bool:
    """Return True for a fifth of all documents, which training never reads: the benchmarks do."""
    return crc32(document.id.encode()) % 5 == 0


def assemble_documents(documents: Sequence[GoldDocument], seed: int, copies: int) -> list[GoldDocument]:
    """Return what to learn from: the documents, and sentences of our own with names.

    German documents are repeated with other names, since courts publish initials. Portuguese ones are cut to
    where people are; whether an organization in them is to be masked is unknown, since their corpus does not
    say.

    Args:
        documents: prepared gold documents; those that are held out are left out.
        seed: seed of all choices.
        copies: how many documents of twelve sentences to write for each language.
    """
    rng = random.Random(seed)
    kept = [document for document in documents if not is_held_out(document)]
    german = [document for document in kept if document.language == "de"]
    portuguese = [document for document in kept if document.language == "pt"]
    others = [document for document in kept if document.language not in ("de", "pt")]
    cut = [part for document in portuguese for part in _cut_portuguese(document, rng)]
    renamed = _join(_limit(add_names(german), _GERMAN, rng))
    # Judgments with gold for all types are few: they are read twice, split at other positions.
    return [*others, *others, *renamed, *_limit(cut, _PORTUGUESE, rng), *write_sentences(seed, copies)]


def _limit(documents: Sequence[GoldDocument], characters: int, rng: random.Random) -> list[GoldDocument]:
    """Return the documents in random order, as many as have this number of characters."""
    shuffled = rng.sample(documents, len(documents))
    ends = accumulate(len(document.text) for document in shuffled)
    return [document for document, end in zip(shuffled, ends, strict=True) if end <= characters]


def _join(sentences: Sequence[GoldDocument]) -> Iterator[GoldDocument]:
    """Yield documents of some sentences each: short inputs take nearly as long as long ones."""
    for first in range(0, len(sentences), _SENTENCES):
        text, spans = "", list[GoldSpan]()
        for sentence in sentences[first : first + _SENTENCES]:
            spans += (
                replace(span, start=span.start + len(text), end=span.end + len(text))
                for span in sentence.annotations[0]
            )
            text += f"{sentence.text}\n"
        yield GoldDocument(f"joined-{first}", text, "de", (tuple(spans),))


def _cut_portuguese(document: GoldDocument, rng: random.Random) -> Iterator[GoldDocument]:
    spans = [
        replace(span, type=UNKNOWN) if span.type == "ORGANIZATION" else span
        for span in document.annotations[0]
    ]
    for number, start in enumerate(range(0, len(document.text), _WINDOW)):
        end = start + _WINDOW
        inside = tuple(
            replace(span, start=span.start - start, end=span.end - start)
            for span in spans
            if start <= span.start and span.end <= end
        )
        if any(span.type == "PERSON" for span in inside) or rng.random() < _KEPT_WITHOUT_PEOPLE:
            yield GoldDocument(f"{document.id}-{number}", document.text[start:end], "pt", (inside,))


def write_sentences(seed: int, copies: int) -> Iterator[GoldDocument]:
    """Yield `copies` documents of twelve sentences for each language, some Serbian ones in Cyrillic."""
    rng = random.Random(seed)
    load_names.cache_clear()  # what Faker draws depends on what it has drawn before
    frames_of = _read_frames()
    # Bosnian is written like Croatian.
    for language, frames in sorted({**frames_of, "bs": frames_of["hr"]}.items()):
        for number in range(copies):
            document = _write(f"{language}-{number}", language, frames, rng)
            yield _write_cyrillic(document) if language == "sr" and rng.random() < _CYRILLIC else document


@cache
def _read_frames() -> dict[str, _Frames]:
    lines = [line for line in _FRAMES.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return {
        language: _Frames(
            *(tuple(line[4:] for line in lines if line.startswith(f"{language}{sign} ")) for sign in ":<>")
        )
        for language in {line[:2] for line in lines}
    }


def _write(name: str, language: str, frames: _Frames, rng: random.Random) -> GoldDocument:
    text, spans = "", list[GoldSpan]()
    end = " " if rng.random() < _ONE_PARAGRAPH else "\n"
    for _ in range(_SENTENCES):
        for index, piece in enumerate(_SLOT.split(frames.draw(rng))):
            shown = _draw(piece, language, rng) if index % 2 else piece
            if index % 2:
                kind = _TYPES.get(piece, "PERSON")
                spans.append(GoldSpan(len(text), len(text) + len(shown), kind, shown, "DIRECT"))
            text += shown
        text += end
    return GoldDocument(name, text, language, (tuple(spans),))


def _draw(kind: str, language: str, rng: random.Random) -> str:
    if kind == "d":
        if rng.random() < 0.5:
            return f"{rng.randint(1, 28):02}.{rng.randint(1, 12):02}.{rng.randint(1960, 2024)}"
        return rng.choice(_DATES[language].split("|")).format(d=rng.randint(1, 28), y=rng.randint(1960, 2024))
    if kind in "toa":
        return load_names(rng.choice(_LOCALES[language])).draw_place(kind)
    names = load_names(rng.choice(_ABROAD if rng.random() < _FROM_ABROAD else _LOCALES[language]))
    if kind == "n":
        return names.draw_full(language, rng)
    if kind == "g":
        decline = _decline_polish if language == "pl" else _decline_serbian
        return f"{decline(rng.choice(names.first), rng)} {decline(rng.choice(names.last), rng)}"
    return rng.choice(names.first if kind == "f" else names.last)


def _decline_polish(name: str, rng: random.Random) -> str:
    if name.endswith(("ski", "cki", "dzki")):
        return name + rng.choice(("ego", "emu", "m"))
    if name.endswith("ska") or name.endswith("cka"):
        return name[:-1] + rng.choice(("iej", "ą"))
    if name.endswith("a"):
        return name[:-1] + rng.choice(("y", "ę", "ą"))
    return name + rng.choice(("a", "owi", "em")) if name[-1].isalpha() and name[-1] not in "eiouy" else name


def _decline_serbian(name: str, rng: random.Random) -> str:
    if name.endswith("a"):
        return name[:-1] + rng.choice(("e", "i", "om"))
    return name + rng.choice(("a", "u", "om")) if name[-1].isalpha() and name[-1] not in "eiouy" else name


def _write_cyrillic(document: GoldDocument) -> GoldDocument:
    """Return a Serbian document in the other of its alphabets."""
    text, places = "", [0] * (len(document.text) + 1)
    last = 0
    for match in (*_LETTER.finditer(document.text), None):
        start, end = match.span() if match else (len(document.text), len(document.text))
        for place in range(last, start):
            places[place] = len(text) + place - last
        text += document.text[last:start]
        places[start:end] = [len(text)] * (end - start)
        if match:
            letter = _CYRILLIC_LETTERS.get(match.group().lower(), match.group())
            text += letter.upper() if match.group()[0].isupper() else letter
        last = end
    places[-1] = len(text)
    spans = tuple(
        replace(span, start=places[span.start], end=places[span.end]) for span in document.annotations[0]
    )
    return GoldDocument(document.id, text, document.language, (spans,))
