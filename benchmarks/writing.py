# ruff: noqa: E501, SIM905  -- lists of words and tables of endings read best on one line
"""Names as people write them: in capitals, surname first, with initials, in the cases of their language.

Frames of `benchmarks/gold/frames_writing.txt` are filled with names of Faker in each way of writing, and
masked with the preset `balanced`. By group and language: the share of the words of names that are masked; the
share of documents in which all mentions of a person have one pseudonym; the share of what is no name (law,
words at the beginning of sentences) that stays; the share of masked words of people that are no names; the
share of the leaks with verdict PASS, where a language is served.

The frames with "!" and another seed are for the check: the rules were made with the others in view.
"""

from __future__ import annotations

import argparse
import random
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from benchmarks.contract import Figure, Outcome, run
from benchmarks.frames import FRAMES
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.settings import MaskSettings

LOCALES = {
    "en": ("en_GB", "en_US", "en_IE"),
    "de": ("de_DE",),
    "fr": ("fr_FR",),
    "es": ("es_ES",),
    "it": ("it_IT",),
    "nl": ("nl_NL",),
    "pt": ("pt_BR",),
    "pl": ("pl_PL",),
    "cs": ("cs_CZ",),
    "hr": ("hr_HR",),
    "sr": ("hr_HR",),
    "fi": ("fi_FI",),
    "in": ("en_IN",),
}
PARTICLES = {
    "en": "van der Berg|de la Cruz|al-Hassan|ibn Khalid|bin Rashid|Ní Dhomhnaill|Ó Briain|O'Sullivan|Mac Giolla|von Trapp|della Rovere|Smith-Jones|St John|del Bosque|D'Souza|ap Rhys",
    "de": "von der Heide|vom Stein|zu Guttenberg|van den Berg|Müller-Schmidt|de Maizière|von Bülow-Roth|el Sayed",
    "fr": "de La Tour|du Bellay|Le Goff|d'Estrées|Lévy-Bruhl|des Essarts|de Saint-Just",
    "es": "de la Fuente|del Río|García y Vega|de los Ríos|Ruiz-Gallardón|de León Marqués",
    "nl": "van der Meer|van 't Hoff|de Vries|ter Horst|van den Broek|Jansen-Bakker",
}
OFFICES = {
    "pt": "Câmara|Conselho|Tribuna|Vara|Castelo|Prefeito",
    "es": "Iglesias|Castillo|Cortes|Juzgado|Casas|Alcalde|Banco",
    "en": "Church|Banks|Court|Marshall|Chambers|House|Constable|Parrish|Bishop|Sheriff",
    "fr": "Lacour|Lévêque|Maire|Chambre|Leduc|Bailly|Prévost",
}
CLOSINGS = {
    "en": "The court has considered the matter and reserved its decision on costs.",
    "in": "The court has considered the matter and reserved its decision on costs.",
    "de": "Das Gericht hat die Sache geprüft und die Kosten verteilt.",
    "fr": "La décision sera rendue à une date qui sera communiquée aux parties par le greffe.",
    "es": "La decisión se comunicará a las partes por escrito dentro de los plazos que marca la ley.",
    "it": "La decisione sarà comunicata alle parti per iscritto entro i termini che la legge prevede.",
    "nl": "De beslissing wordt binnen zes weken schriftelijk aan de partijen meegedeeld.",
    "pt": "A decisão será comunicada às partes por escrito dentro do prazo que a lei prevê.",
    "pl": "Orzeczenie zostanie doręczone stronom na piśmie w terminie, który przewiduje ustawa.",
    "cs": "Rozhodnutí bude účastníkům doručeno písemně ve lhůtě, kterou stanoví zákon.",
    "hr": "Odluka će se strankama dostaviti pisanim putem u roku koji je propisan zakonom.",
    "sr": "Одлука ће странкама бити достављена писменим путем у року који је прописан законом.",
    "fi": "Päätös annetaan asianosaisille kirjallisesti laissa säädetyssä määräajassa.",
}
_BREAKS = {
    "nbsp": lambda name: name.replace(" ", "\u00a0"),
    "zero-width": lambda name: "\u200b".join(name),
    "zero-width one": lambda name: name[:2] + "\u200d" + name[2:-2] + "\ufeff" + name[-2:],
    "soft hyphen": lambda name: re.sub(r"(\w{3})(?=\w{2})", "\\1\u00ad", name),
    "full width": lambda name: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name),
    "small capitals": lambda name: name.translate(_SMALL),
    "all small capitals": lambda name: name.lower().translate(_SMALL),
    "mathematical": lambda name: "".join(chr(ord(c) + 0x1D3BF) if "A" <= c <= "Z" else chr(ord(c) + 0x1D3B9) if "a" <= c <= "z" else c for c in name),
    "ligature": lambda name: re.sub("ffi|ffl|ff|fi|fl|st", lambda m: _LIGATURES[m.group()], name),
    "decomposed": lambda name: unicodedata.normalize("NFD", name),
    "entity": lambda name: "".join(f"&#{ord(c)};" if ord(c) > 126 or c == "'" else c for c in name).replace(" ", "&nbsp;"),
    "curly": lambda name: name.replace("'", "\u2019"),
    "line": lambda name: name.replace(" ", "\n"),
    "hyphenated": lambda name: re.sub(r"(\w{3,})(?=\w{3}\Z)", "\\1-\n", name),
    "spaced": lambda name: " ".join(name.replace(" ", " ").upper()),
}  # fmt: skip
_SMALL = dict(zip(map(ord, "abcdefghijklmnoprstuvwyz"), "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", strict=True))
_LIGATURES = {"ffi": "ﬃ", "ffl": "ﬄ", "ff": "ﬀ", "fi": "ﬁ", "fl": "ﬂ", "st": "ﬆ"}
# Names that have what a way of writing changes.
_FITTING = {
    "ligature": r"ff|fi|fl|st",
    "decomposed": r"[^\W\d_a-zA-Z]",
    "entity": r"[^\W\d_a-zA-Z]|'",
    "curly": "'",
}
_WOMEN = r"Mrs|Ms|Frau|Mme|Madame|Smt\.|Kumari|Mst\.|señora|Mevrouw"
_TITLES = rf"\b(?:{_WOMEN}|Mr|Herrn?|M\.|Monsieur|señor|senhor|Sri|Shri|Sh\.|Sardar)"
_MOST_ATTEMPTS = 200
_SLOT = re.compile(r"\{([a-zA-Z])([gdi]?)(\d?)\}|\[\[(.+?)\]\]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_SMALL_WORDS = frozenset("van der den de la du des del los le y al ibn bin von vom zu ter el ap t d della Ní Ó O D Mac St Le La".split())  # fmt: skip
_LATIN = "A B V G D Đ E Ž Z I J K L M N O P R S T Ć U F H C Č Š a b v g d đ e ž z i j k l m n o p r s t ć u f h c č š".split()  # fmt: skip
_CYRILLIC = "А Б В Г Д Ђ Е Ж З И Ј К Л М Н О П Р С Т Ћ У Ф Х Ц Ч Ш а б в г д ђ е ж з и ј к л м н о п р с т ћ у ф х ц ч ш".split()  # fmt: skip


@dataclass
class Document:
    """A text, the ranges of the names in it with the number of the person, and the ranges that must stay."""

    group: str
    language: str
    text: str = ""
    names: list[tuple[int, int, str]] = field(default_factory=list)
    kept: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Person:
    """A name: Faker's, or with a surname of a list."""

    first: str
    last: str
    initials: str
    female: bool


def read_frames(check: bool) -> list[tuple[str, str, str]]:
    """Return (group, language, frame)."""
    frames: list[tuple[str, str, str]] = []
    for line in (FRAMES / "frames_writing.txt").read_text(encoding="utf-8").splitlines():
        head, found, frame = line.partition(": ")
        if found and not line.startswith("#") and head.endswith("!") == check:
            group, language = head.rstrip("!").split()
            frames.append((group, language, frame.replace("\\n", "\n").replace("\\\\", "\\")))
    return frames


def make_documents(seed: int, check: bool, copies: int) -> Iterator[Document]:
    """Yield the documents of all groups."""
    pools = {language: _Pool(language, seed) for language in LOCALES}
    for group, language, frame in read_frames(check):
        writings = _BREAKS if group == "plain" else {group: str}
        for writing, write in writings.items():
            for _ in range(copies):
                people: dict[str, Person] = {}

                for slot in _SLOT.finditer(frame):
                    number = slot[3]
                    if slot[1] and number not in people:
                        taken = {person.last for person in people.values()}
                        people[number] = pools[language].draw(writing, _find_sex(frame, number), taken)

                def draw(number: str, people: Any = people) -> Person:
                    return people[number]

                yield _fill(Document(writing, language), frame, draw, write)


def _fill(
    document: Document, frame: str, draw: Callable[[str], Person], write: Callable[[str], str]
) -> Document:
    last = 0
    for slot in _SLOT.finditer(frame):
        document.text += frame[last : slot.start()]
        last = slot.end()
        start = len(document.text)
        if slot[4]:
            document.text += slot[4]
            document.kept.append((start, len(document.text)))
            continue
        document.text += write(_render(draw(slot[3]), slot[1], slot[2], document.language))
        document.names.append((start, len(document.text), slot[3]))
    document.text += f"{frame[last:]}\n\n{CLOSINGS[document.language]}\n"
    return document


def _render(person: Person, form: str, case: str, language: str) -> str:
    first, last = person.first, person.last
    if case:
        # In Finnish, the last word alone has a case.
        if language != "fi":
            first = DECLENSIONS[language](first, person.female, case, True)
        last = DECLENSIONS[language](last, person.female, case, False)
    a, b = person.initials
    shown = {
        "n": f"{first} {last}",
        "s": last,
        "f": first,
        "l": f"{last.upper() if form == 'L' else last}, {first}",
        "i": f"{a}. {b}. {last}",
        "j": f"{a}.{b}. {last}",
        "m": f"{first} {b}. {last}",
        "t": f"{last} {a}.{b}.",
    }[form.lower()]
    if form.isupper() and form != "L":
        shown = shown.upper()
    return _to_cyrillic(shown) if language == "sr" else shown


def _to_cyrillic(name: str) -> str:
    for latin, cyrillic in (("lj", "љ"), ("nj", "њ"), ("dž", "џ"), ("Lj", "Љ"), ("Nj", "Њ"), ("Dž", "Џ")):
        name = name.replace(latin, cyrillic)
    return name.translate(dict(zip(map(ord, _LATIN), _CYRILLIC, strict=True)))


def _find_sex(frame: str, number: str) -> bool | None:
    """Return whether the titles before a person's names are a woman's; None if there are none."""
    titles = re.findall(rf"({_TITLES}) \{{[a-zA-Z]{number}\}}", frame)
    return None if not titles else any(re.fullmatch(_WOMEN, title) for title in titles)


class _Pool:
    """The people of a language."""

    def __init__(self, language: str, seed: int) -> None:
        from faker import Faker

        self._language = language
        self._rng = random.Random(seed + zlib.crc32(language.encode()))
        self._fakers: list[Any] = [Faker(locale) for locale in LOCALES[language]]
        for fake in self._fakers:
            fake.seed_instance(self._rng.randrange(1 << 30))

    def draw(self, way: str, female: bool | None, taken: Collection[str]) -> Person:
        """Return a person of a sex, with a surname that is not taken, whose name the way of writing changes."""
        for attempt in count():
            person = self._draw(way)
            if (person.last in taken and attempt < _MOST_ATTEMPTS) or (
                female is not None and person.female != female
            ):
                continue
            if way in _FITTING and not re.search(_FITTING[way], f"{person.first} {person.last}"):
                continue
            if way == "cases" and not self._declines(person):
                continue
            return person
        raise AssertionError

    def _draw(self, way: str) -> Person:
        rng = self._rng
        fake = rng.choice(self._fakers)
        female = rng.random() < 0.4
        ending = "female" if female else "male"
        first = str(getattr(fake, f"first_name_{ending}")())
        last = str((getattr(fake, f"last_name_{ending}", None) or fake.last_name)())
        lists = {"particle": PARTICLES, "office": OFFICES}.get(way)
        if lists:
            last = rng.choice(lists[self._language].split("|"))
        if way == "curly":
            last = rng.choice(("O'Brien", "D'Arcy", "O'Neill", "D'Souza", "O'Hara"))
        return Person(first, last, first[0] + rng.choice("ABCDEGHJKLMNPRST"), female)

    def _declines(self, person: Person) -> bool:
        try:
            for word, is_first in ((person.first, True), (person.last, False)):
                DECLENSIONS[self._language](word, person.female, "d", is_first)
        except ValueError:
            return False
        return True


# -- Declension, for names whose class is beyond doubt --------------------------------------------------------


def _choose(word: str, case: str, classes: dict[str, str]) -> str:
    """Return the word in a case: by ending, what is cut off and the three endings."""
    for ending, forms in classes.items():
        if re.search(f"(?:{ending})\\Z", word):
            if forms == "=":
                return word
            cut, *cases = forms.split()
            return word[: len(word) - int(cut)] + cases["gdi".index(case)].strip("-")
    raise ValueError(word)


_PL = {
    (False, True): {"(?<=[bcdfghjklmnprstwzł])ek": "2 ka kowi kiem", "weł": "2 ła łowi łem", "[kg]": "0 a owi iem", "[bdfhjmnprstwzł]": "0 a owi em"},
    (False, False): {"[sc]ki|dzki": "1 iego iemu im", "ek": "2 ka kowi kiem", "[aiouy]k": "0 a owi iem", "[bdfhjmnprstwz]": "0 a owi em"},
    (True, True): {"ka": "2 ki ce ką", "ga": "2 gi dze gą", "[ij]a": "1 i i ą", "la": "1 i i ą", "ta": "2 ty cie tą", "da": "2 dy dzie dą", "ra": "2 ry rze rą", "[nwbms]a": "1 y ie ą"},
    (True, False): {"ska|cka": "1 iej iej ą", "[bcdfghjkmnprstwz]": "="},
}  # fmt: skip
_CS = {
    (False, True): {"ek": "2 ka kovi kem", "[bdfhkmnprtv]": "0 a ovi em", "[šžřčj]": "0 e ovi em"},
    (False, False): {"ý": "1 ého ému ým", "ek": "2 ka kovi kem", "a": "1 y ovi ou", "[bdfhkmnprtv]": "0 a ovi em"},
    (True, True): {"ka": "2 ky ce kou", "ra": "2 ry ře rou", "[nvmtd]a": "1 y ě ou", "[lsz]a": "1 y e ou", "ie": "1 e i í"},
    (True, False): {"ová|á": "1 é é ou"},
}  # fmt: skip
_HR = {
    (False, True): {"ar": "2 ra ru rom", "[oe]": "1 a u om", "a": "1 e i om", "[ćčšžđj]": "0 a u em", "[bdfghklmnprstvz]": "0 a u om"},
    (False, False): {"ac": "2 ca cu cem", "[ćčšžđj]": "0 a u em", "a": "1 e i om", "[bdfghklmnprstvz]": "0 a u om"},
    (True, True): {"a": "1 e i om"},
    (True, False): {"": "="},
}  # fmt: skip


def _decline(table: dict[tuple[bool, bool], dict[str, str]]) -> Callable[[str, bool, str, bool], str]:
    return lambda word, female, case, first: _choose(word, case, table[female, first])


def _decline_finnish(word: str, female: bool, case: str, first: bool) -> str:
    del female
    back = re.search("[aouAOU]", word) is not None
    a = "a" if back else "ä"
    if word.endswith("nen"):
        stem = word[:-3]
        return {"g": f"{stem}sen", "d": f"{stem}selle", "i": f"{stem}st{a}"}[case]
    if word.endswith("s"):
        if not re.search("[uo]s$", word):
            raise ValueError(word)
        return {"g": f"{word[:-1]}ksen", "d": f"{word[:-1]}kselle", "i": f"{word}t{a}"}[case]
    if word[-1] not in "aäoöuyi":
        raise ValueError(word)
    strong = weak = word
    if word[-1] == "i" and not first:
        strong = weak = word[:-1] + "e"
    for full, reduced in (("kk", "k"), ("pp", "p"), ("tt", "t"), ("nk", "ng"), ("nt", "nn"), ("lt", "ll"), ("rt", "rr"), ("ht", "hd")):  # fmt: skip
        if weak[:-1].endswith(full) and (not first or full in ("kk", "pp", "tt")):
            weak = weak[:-1].removesuffix(full) + reduced + weak[-1]
            break
    partitive = f"{strong}{a}" if not strong.endswith("e") else f"{strong[:-1]}e{a}"
    return {"g": f"{weak}n", "d": f"{weak}lle", "i": partitive}[case]


DECLENSIONS: dict[str, Callable[[str, bool, str, bool], str]] = {
    "pl": _decline(_PL),
    "cs": _decline(_CS),
    "hr": _decline(_HR),
    "sr": _decline(_HR),
    "fi": _decline_finnish,
}


# -- Measurement ----------------------------------------------------------------------------------------------


def measure(arguments: argparse.Namespace) -> Outcome:
    """Mask all documents and compare the result with the names."""
    documents = list(make_documents(arguments.seed, arguments.check, arguments.copies))
    if arguments.only:
        documents = [d for d in documents if d.group in arguments.only or d.language in arguments.only]
    settings = MaskSettings(preset=arguments.preset, detector=arguments.detector)
    counts: dict[str, Counter[str]] = {}
    for document, checked in zip(
        documents, mask_texts([d.text for d in documents], settings, b"k" * 32), strict=True
    ):
        tally = counts.setdefault(f"{document.group} {document.language}", Counter())
        _compare(document, checked, tally, arguments.show)
    figures: dict[str, Figure] = {}
    n: dict[str, int] = {}
    total = Counter[str]()
    for name, tally in sorted(counts.items()):
        total.update(tally)
        n[f"{name}: name words"] = tally["words"]
        for key, of, target in (
            ("masked", "words", 0.95),
            ("one", "documents", 0.95),
            ("stay", "kept", 0.95),
        ):
            if tally[of] and not (key == "one" and name.startswith(("law", "file"))):
                figures[f"{name}: {key}"] = Figure(tally[key] / tally[of], target, "share", "higher")
    figures["masked words of people that are no names"] = Figure(
        total["false"] / max(1, total["false"] + total["masked"]), 0.02, "share", "lower"
    )
    figures["leaks with PASS"] = Figure(total["PASS"] / max(1, total["leaks"]), 0.1, "share", "lower")
    return Outcome(figures, n | {"documents": total["documents"], "leaks": total["leaks"]}, (arguments.seed,))


def _compare(document: Document, checked: Any, tally: Counter[str], show: bool) -> None:
    hidden = bytearray(len(document.text))
    named = bytearray(len(document.text))
    by_person: dict[str, set[int]] = {}
    for one in checked.masked.replacements:
        hidden[one.source_start : one.source_end] = b"\1" * (one.source_end - one.source_start)
    for start, end, number in document.names:
        named[start:end] = b"\1" * (end - start)
        entities = by_person.setdefault(number, set())
        entities |= {
            one.entity
            for one in checked.masked.replacements
            if one.type == "PERSON" and one.source_start < end and one.source_end > start
        }
    missed = [
        (a, b)
        for start, end, _ in document.names
        for a, b in _find_words(document.text, start, end)
        if not all(hidden[i] for i in range(a, b) if document.text[i].isalnum())
    ]
    words = sum(1 for start, end, _ in document.names for _ in _find_words(document.text, start, end))
    false = [
        word.group()
        for one in checked.masked.replacements
        if one.type == "PERSON"
        for word in _WORD.finditer(document.text, one.source_start, one.source_end)
        if word.group() not in _SMALL_WORDS and not any(named[word.start() : word.end()])
    ]
    split = [number for number, entities in by_person.items() if len(entities) != 1]
    damaged = [document.text[a:b] for a, b in document.kept if any(hidden[a:b])]
    tally["words"] += words
    tally["masked"] += words - len(missed)
    tally["documents"] += 1
    tally["one"] += not split
    tally["kept"] += len(document.kept)
    tally["stay"] += len(document.kept) - len(damaged)
    tally["false"] += len(false)
    if missed and "language" not in checked.reasons:
        tally["leaks"] += 1
        tally["PASS"] += checked.verdict == "PASS"
    if show and (missed or split or damaged or false):
        print(f"{document.group} {document.language} {dict(checked.reasons)}", *(
            f"{label}={value}" for label, value in (
                ("missed", [document.text[a:b] for a, b in missed]), ("split", split), ("damaged", damaged), ("false", false),
            ) if value
        ), repr(document.text), "->", repr(checked.text))  # fmt: skip


def _find_words(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the words of a name, without particles and initials; whatever is within a word belongs to it."""
    spaced = re.fullmatch(r"\w(?: +[\w-])*", text[start:end]) is not None
    for word in re.finditer(r"[^\s,]+", text[start:end]):
        letters = "".join(filter(str.isalpha, word.group()))
        if spaced or (len(letters) > 1 and letters not in _SMALL_WORDS and "." not in word.group()):
            yield start + word.start(), start + word.end()


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detector", default="default")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--copies", type=int, default=3, help="documents of each frame")
    parser.add_argument("--check", action="store_true", help="the frames that are not for development")
    parser.add_argument("--only", nargs="*", help="groups or languages")
    parser.add_argument("--show", action="store_true", help="print the documents with a fault")


if __name__ == "__main__":
    run(__doc__, measure, _options)
