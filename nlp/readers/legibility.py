"""Legibility of a text: a text layer may map the letters that a page shows to others, or to nothing.

The criteria are the share of characters without meaning, symbols within words, and how often letters follow
each other. A text whose characters are all shifted by the same number is recognized and decoded. Lists,
tables, names, capitals, formulas in a text, and text in any language, count as text; too short a text is not
judged.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache

import numpy as np

from lexveil.nlp.readers.charsets import list_frequent_words
from lexveil.nlp.readers.letter_pairs import ALPHABETS, PAIRS

_FOLD = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "þ": "th", "ħ": "h"}
    | dict(zip("ςґђѕқңғұүһәөҳӏҗҡҙҫӣӯҷҕӡ", "σгћзкнгуухаохіжкзсиучгз", strict=True))
)
_ACCENT = re.compile("[\u0300-\u036f\u0483-\u0489]")
_SCALE = -2.5  # of the digits of the tables
_FAR = 40.0  # for letters of two alphabets in one word
_USUAL = -4.45
"""Mean log2 probability of letter pairs above which a text is legible, without a closer look."""
_POOR = -4.75
"""The same, below which it is not. Of texts of 100 letters, 1 in 1000 is below it, of ciphers 98 %."""
_POOR_LINE = -5.0
_LINE_LETTERS = 20
_LINE_BROKEN = 3
_MIN_LETTERS = 60
_MIN_CHARACTERS = 20
_MEANINGLESS = 0.1  # share of characters
_FEW_SYMBOLS = 0.05
_SYMBOLS = 0.2
_BROKEN_WORDS = 0.45  # share of the words with a symbol in them, and twice the share of symbols
_SOME_BROKEN = 0.12
_MANY_BROKEN = 5
_BROKEN_CHARACTERS = 0.08
_MIN_TOKENS = 10
_ACCENTED = 0.6
_ALPHABETIC = 0.9  # share of the letters
_COMMON_HAN = 0.6
_SAMPLE = 20_000
_SHIFT_SAMPLE = 2_000
_NO_MEANING = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufffd\ufffe\uffff\ue000-\uf8ff\U000f0000-\U0010ffff]"
)
_SPACE = re.compile(r"\s+")
_CODE = re.compile(r"[\d@/\\_]|\w\.\w")
"""In numbers, addresses, paths and abbreviations, which are not words."""
_WORD = re.compile(r"[^\W\d_]+")
_ADDRESS = re.compile(r"://|www\.|@\w")
_BROKEN = re.compile(
    r"[^\W\d_][!\"#$%*+<=>?\[\\\]^{|}~;&()]\w|[a-z]\d+[A-Za-z]|\d[!\"#*+<=>?\[\\\]^{|}~;][a-z]"
)
_SYMBOL = re.compile(r"[!\"#&'*+;<=>?@\\^`{|}~¡-¢¤-§ª-±²-¿×÷\u2190-\u22ff]")
"""Characters that are rare in text, unlike points, brackets, currency signs and the symbols in numbers."""
_RUN = re.compile(r"([^\w\s])(?:\s*\1)+")
"""A rule, or what leads to a page number."""
_HAN = re.compile("[\u3400-\u9fff]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_MIN_HAN = 40
_SHIFTS = tuple(range(1, 96)) + tuple(range(-95, 0))
_SURE = -4.6
_TRIED = 24
_FEW_BROKEN = 0.08
_DISTINCT = 4
_FREQUENT = 0.15  # share of the words of a decoded text that are among a language's most frequent ones
_GLYPH_SHIFT = 29  # of the usual order of glyphs in a TrueType font, as the glyphs from 3 on are ASCII
_FIRST_BEYOND = 98


class Verdict(Enum):
    """The result of judging a text."""

    text = "text"
    no_text = "no_text"
    short = "short"
    """Too short to be judged."""


def judge(text: str) -> Verdict:
    """Return whether a text is legible.

    Args:
        text: Text of a document, a page, or of one font. Only its beginning is judged.
    """
    text = text[:_SAMPLE]
    solid = len(_SPACE.sub("", text))
    if solid < _MIN_CHARACTERS:
        return Verdict.short
    if len(_NO_MEANING.findall(text)) > _MEANINGLESS * solid:
        return Verdict.no_text
    score, pairs = measure(text)
    if score > _USUAL and 2 * pairs > solid and len(_SYMBOL.findall(text)) < _FEW_SYMBOLS * solid:
        return Verdict.text
    return _look_closer(text, solid)


def _look_closer(text: str, solid: int) -> Verdict:
    han = _HAN.findall(text)
    if len(han) >= _MIN_HAN and 2 * len(han) > solid:
        return Verdict.text if sum(map(_is_common, han)) >= _COMMON_HAN * len(han) else Verdict.no_text
    single = _RUN.sub("", text)
    symbols = len(_SYMBOL.findall(single)) / max(len(_SPACE.sub("", single)), 1)
    if symbols > _SYMBOLS:
        return Verdict.no_text
    tokens = len(text.split())
    broken = len(_BROKEN.findall(text))
    score, pairs = measure(text)
    if tokens >= _MIN_TOKENS and broken / tokens + 2 * symbols > _BROKEN_WORDS:
        return Verdict.no_text
    if broken >= _MANY_BROKEN and broken > _BROKEN_CHARACTERS * solid and _ADDRESS.search(text) is None:
        return Verdict.no_text
    if pairs >= _MIN_LETTERS and score < _POOR and broken > _SOME_BROKEN * tokens:
        return Verdict.no_text
    words = " ".join([token for token in text.split() if _CODE.search(token) is None])
    if sum(map(len, _WORD.findall(words))) < _MIN_LETTERS:
        return Verdict.short
    latin = _LATIN.findall(words)
    if sum(not letter.isascii() for letter in latin) > max(_ACCENTED * len(latin), _MIN_CHARACTERS):
        return Verdict.no_text
    score, _ = measure(words)
    return Verdict.no_text if score < _POOR and _is_alphabetic(words) else Verdict.text


def _is_alphabetic(text: str) -> bool:
    """Return True if nearly all letters are of an alphabet that there is a table for."""
    return int(np.count_nonzero(_encode(text))) > _ALPHABETIC * sum(map(str.isalpha, text))


def _is_common(character: str) -> bool:
    """Return True for a Chinese character among the more common half in any of the East Asian standards."""
    for codec, first, last in (("gb2312", 0xB0, 0xD7), ("big5", 0xA4, 0xC6), ("shift_jis", 0x88, 0x97)):
        code = character.encode(codec, "ignore")
        if code and first <= code[0] <= last:
            return True
    return False


def measure(text: str) -> tuple[float, int]:
    """Return the mean log2 probability of the pairs of letters of a text, and their number."""
    codes = _encode(text)
    pairs = codes[:-1] * _get_size() + codes[1:]
    used = pairs[pairs != 0]
    return (float(_get_table()[used].mean()) if len(used) else 0.0), len(used)


def measure_lines(lines: Sequence[str]) -> list[tuple[float, int]]:
    """Return for each line the mean log2 probability of its pairs of letters, and their number."""
    folded = _fold("\n".join(line.replace("\n", " ") for line in lines) + "\n")
    codes = _encode(folded, is_folded=True)
    pairs = codes[:-1] * _get_size() + codes[1:]
    starts = np.cumsum([0, *(len(line) + 1 for line in folded.split("\n")[:-2])])
    # The last line ends with the text: its pairs are those up to there.
    sums = np.add.reduceat(_get_table()[pairs], starts)
    counts = np.add.reduceat((pairs != 0).astype(np.int64), starts)
    return [
        (total / max(count, 1), count) for total, count in zip(sums.tolist(), counts.tolist(), strict=True)
    ]


def _fold(text: str) -> str:
    """Return small letters without accents."""
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFD", text.translate(_FOLD))
        text = _ACCENT.sub("", text)
    return text


def _encode(text: str, *, is_folded: bool = False) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the number of each letter of a folded text, and 0 for any other character."""
    folded = text if is_folded else _fold(f" {text} ")
    return np.frombuffer(folded.translate(_get_codes()).encode("latin-1"), np.uint8).astype(np.int64)


class _Codes(dict[int, int]):
    """The number of each letter; 0 for all other characters."""

    def __missing__(self, letter: int) -> int:
        return 0


@cache
def _get_codes() -> Mapping[int, int]:
    letters = "".join(ALPHABETS.values())
    return _Codes({ord(letter): number for number, letter in enumerate(letters, 1)})


@cache
def _get_size() -> int:
    return 1 + sum(map(len, ALPHABETS.values()))


@cache
def _get_table() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the log2 probability of each pair of numbers of letters, row by row; 0 for no letters."""
    size = _get_size()
    table = np.full((size, size), -_FAR / 2.5)
    start = 1
    for name, letters in ALPHABETS.items():
        count = len(letters) + 1
        digits = np.array([int(digit, 36) for digit in PAIRS[name]]).reshape(count, count) / _SCALE
        places = np.array([0, *range(start, start + len(letters))])
        table[np.ix_(places, places)] = digits
        start += len(letters)
    table[0, 0] = 0.0
    return table.ravel()


def find_shift(text: str) -> Mapping[int, int | str] | None:
    """Return the table (for `str.translate`) that decodes a text whose characters are shifted.

    It finds shifts of all characters by one number, and of the letters within the alphabet. None if no shift
    yields words of a language beyond doubt.

    Args:
        text: Illegible text of 60 letters or more.
    """
    sample = text[:_SHIFT_SAMPLE]
    found: list[tuple[float, int, Mapping[int, int | str]]] = []
    for table in (*map(_shift_all, _SHIFTS), *map(_rotate, range(1, 26))):
        score, pairs = measure(sample.translate(table))
        if score > _SURE and pairs >= _MIN_LETTERS:
            found.append((score, pairs, table))
    likely = sorted(found, key=lambda entry: -entry[1])[:_TRIED]
    shares = [
        (_count_frequent(sample.translate(table)), number) for number, (_, _, table) in enumerate(likely)
    ]
    share, number = max(shares, default=(0.0, 0))
    if share < _FREQUENT:
        return None
    table = likely[number][2]
    decoded = sample.translate(table)
    is_clean = len(_BROKEN.findall(decoded)) <= _FEW_BROKEN * len(decoded.split())
    return table if is_clean and judge(decoded) is Verdict.text else None


@cache
def _shift_all(number: int) -> Mapping[int, int | str]:
    """Return the table that adds a number to each code. White space that the text already has stays."""
    table: dict[int, int | str] = {}
    for code in range(0x180):
        shifted = code + number
        if not chr(code).isspace() and (0x20 <= shifted < 0x7F or 0xA0 <= shifted < 0x180):
            table[code] = shifted
    if number == _GLYPH_SHIFT:
        for glyph in range(_FIRST_BEYOND, 0x100):
            table[glyph] = bytes([0x80 + (glyph - _FIRST_BEYOND) % 0x80]).decode("mac_roman")
    return table


@cache
def _rotate(number: int) -> Mapping[int, int | str]:
    """Return the table that moves letters within the alphabet."""
    return {
        first + place: first + (place + number) % 26 for first in (ord("A"), ord("a")) for place in range(26)
    }


def _count_frequent(text: str) -> float:
    """Return the share of words that are among the most frequent ones of one language, if several are."""
    words = [word.casefold() for word in _WORD.findall(text)]
    best = 0
    for frequent in list_frequent_words():
        hits = [word for word in words if len(word) > 1 and word in frequent]
        if len(set(hits)) >= _DISTINCT:
            best = max(best, len(hits))
    return best / max(len(words), 1)


def is_plainly_text(lines: Sequence[str]) -> bool:
    """Return True if the lines of a page all look like text, together and each by itself.

    Args:
        lines: Lines of one page. A few implausible lines occur in any text, so False is not a verdict.
    """
    if not lines:
        return True
    measured = measure_lines(lines)
    pairs = sum(count for _, count in measured)
    score = sum(mean * count for mean, count in measured) / max(pairs, 1)
    if score < _USUAL or 2 * pairs < sum(map(len, lines)):
        return False
    if any(count >= _LINE_LETTERS and mean < _POOR_LINE for mean, count in measured):
        return False
    text = "\n".join(lines)
    if any(pattern.search(text) for pattern in (_NO_MEANING, _SYMBOL, _BROKEN)):
        return not any(map(_is_doubtful, lines))
    return True


def _is_doubtful(line: str) -> bool:
    symbols = len(_SYMBOL.findall(_RUN.sub("", line)))
    if symbols > _SYMBOLS * len(line) and len(line) >= _LINE_LETTERS:
        return True
    return _NO_MEANING.search(line) is not None or len(_BROKEN.findall(line)) >= _LINE_BROKEN
