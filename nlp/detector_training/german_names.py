"""German sentences with names, to train on: courts publish initials, so their texts show no names.

The sentences are frames of our own and sentences of a gold corpus. The names in both are replaced by
Faker's, which belong to nobody.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan

_FRAMES = Path(__file__).with_name("frames_de.txt")
_SLOT = re.compile(r"\{([nsgft])\}")
# What a gold corpus has instead of a name: letters, with a period or an ellipsis.
_INITIALS = re.compile(r"[A-ZÄÖÜ]\w?(?:\.|…| ?\.\.\.)?(?: [A-ZÄÖÜ]\w?(?:\.|…)?)*")
# After these, German uses the surname alone.
_BEFORE_SURNAME = re.compile(r"(?:Herrn?|Frau|Dr\.|Prof\.|Richter(?:in)?) \Z")
_HYPHENATED, _PARTICLE = 0.06, 0.04
_RENAMED_COPIES, _FRAME_COPIES = 5, 45


@dataclass(frozen=True, slots=True)
class NamePool:
    """Names to draw from; each draw is a new combination.

    Attributes:
        first: first names.
        last: surnames.
        towns: towns.
    """

    first: Sequence[str]
    last: Sequence[str]
    towns: Sequence[str]

    @classmethod
    def load(cls, held_out: bool = False) -> NamePool:
        """Return Faker's names of German-speaking countries, and of people who came to them.

        Args:
            held_out: return those that training never uses, a quarter of them.
        """
        from faker import Faker

        first: set[str] = set()
        last: set[str] = set()
        towns: set[str] = set()
        for locale in ("de_DE", "de_AT", "de_CH", "tr_TR", "pl_PL", "hr_HR", "it_IT", "fr_FR", "en_GB"):
            fake = Faker(locale)
            fake.seed_instance(1)
            n = 1500 if locale.startswith("de") else 120
            first.update(fake.first_name() for _ in range(n))
            last.update(fake.last_name() for _ in range(n))
            towns.update(fake.city() for _ in range(200) if locale == "de_DE")

        def choose(names: set[str]) -> list[str]:
            return sorted(name for name in names if (crc32(name.encode()) % 4 == 0) == held_out)

        return cls(choose(first), choose(last), choose(towns))

    def draw(self, kind: str, rng: random.Random) -> str:
        """Return the text of a slot: n, s, g, f or t, as in the frames."""
        if kind == "t":
            return rng.choice(self.towns)
        surname = self._draw_surname(rng)
        match kind:
            case "f":
                return self._draw_first(rng)
            case "s":
                return surname
            case "g":
                full = rng.random() < 0.5
                genitive = f"{surname}'" if surname.endswith(("s", "ß", "x", "z")) else f"{surname}s"
                return f"{self._draw_first(rng)} {genitive}" if full else genitive
            case _:
                return f"{self._draw_first(rng)} {surname}"

    def _draw_first(self, rng: random.Random) -> str:
        name = rng.choice(self.first)
        return f"{name}-{rng.choice(self.first)}" if rng.random() < _HYPHENATED else name

    def _draw_surname(self, rng: random.Random) -> str:
        name = rng.choice(self.last)
        if rng.random() < _HYPHENATED:
            return f"{name}-{rng.choice(self.last)}"
        return f"von {name}" if rng.random() < _PARTICLE else name


def add_names(documents: Sequence[GoldDocument]) -> list[GoldDocument]:
    """Return the documents, copies of them with other names, and frames with names: always the same names."""
    renamed = rename_people(documents, 1, _RENAMED_COPIES)
    return [*documents, *renamed, *write_frames(2, _FRAME_COPIES)]


def write_frames(seed: int, copies: int) -> Iterator[GoldDocument]:
    """Yield documents of ten random frames each, filled with names; a frame occurs about `copies` times."""
    lines = _FRAMES.read_text(encoding="utf-8").splitlines()
    frames = [line for line in lines if line and not line.startswith("#")]
    pool, rng = NamePool.load(), random.Random(seed)
    for number in range(copies * len(frames) // 10):
        text, spans = "", list[GoldSpan]()
        for frame in rng.sample(frames, 10):
            for index, piece in enumerate(_SLOT.split(frame)):
                shown = pool.draw(piece, rng) if index % 2 else piece
                if index % 2:
                    kind = "LOCATION" if piece == "t" else "PERSON"
                    start = len(text)
                    spans.append(GoldSpan(start, start + len(shown), kind, shown, "DIRECT"))
                text += shown
            text += "\n"
        yield GoldDocument(f"frames-{number}", text, "de", (tuple(spans),))


def rename_people(documents: Sequence[GoldDocument], seed: int, copies: int) -> Iterator[GoldDocument]:
    """Yield `copies` copies of each document that names people, with other names in their places."""
    pool, rng = NamePool.load(), random.Random(seed)
    for document in documents:
        for number in range(copies):
            if any(span.type == "PERSON" for annotation in document.annotations for span in annotation):
                yield _rename(document, number, pool, rng)


def _rename(document: GoldDocument, number: int, pool: NamePool, rng: random.Random) -> GoldDocument:
    text, spans, last = "", list[GoldSpan](), 0
    for span in document.annotations[0]:
        if span.start < last:
            continue
        text += document.text[last : span.start]
        shown = document.text[span.start : span.end]
        if span.type == "PERSON":
            is_short = _INITIALS.fullmatch(shown) is not None and not _BEFORE_SURNAME.search(text)
            shown = pool.draw("n" if " " in shown or (is_short and rng.random() < 0.7) else "s", rng)
        spans.append(replace(span, start=len(text), end=len(text) + len(shown)))
        text += shown
        last = span.end
    return GoldDocument(
        f"{document.id}-{number}", text + document.text[last:], document.language, (tuple(spans),)
    )
