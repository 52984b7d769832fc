r"""Classes of letters for regular expressions: each is the inside of a `[...]`.

`HAN` holds the CJK unified ideographs and their extensions: A, the basic block, and the supplementary and
tertiary ideographic planes (U+20000 to U+3FFFD), where rare characters of names are encoded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import groupby


def _join_letters(letters: Iterable[str]) -> str:
    """Return the inside of a class, with ranges: patterns with many classes are read at every start."""
    pieces: list[str] = []
    for _, run in groupby(enumerate(letters), key=lambda one: ord(one[1]) - one[0]):
        first, *rest = (letter for _, letter in run)
        pieces += (first, "-" if len(rest) > 1 else "", *rest[-1:])
    return "".join(pieces)


# Latin with its extensions, among them those of Vietnamese, Greek, Cyrillic and Armenian.
_CASED = tuple(map(chr, (*range(0x530), *range(0x1E00, 0x1F00))))

UPPER = _join_letters(c for c in _CASED if c.isupper())

# With the ligatures that a PDF leaves in a word.
LOWER = _join_letters((*(c for c in _CASED if c.islower()), *"ﬀﬁﬂﬃﬄﬅﬆ"))

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003fffd"

# A character of a word, except a Chinese one: a number or an address may be next to a Chinese character
# directly, as Chinese text has no spaces. A whole class, with its brackets.
SPACED_WORD = rf"[^\W{HAN}]"

_HAN = re.compile(f"[{HAN}]")
# Serbian is written in both alphabets. A letter of two Latin ones comes first in words as well as in names.
_LATIN = dict(
    zip(
        "абвгдђежзијклљмнњопрстћуфхцчџш",
        "a b v g d đ e ž z i j k l lj m n nj o p r s t ć u f h c č dž š".split(),  # noqa: SIM905
        strict=True,
    )
)
_TO_LATIN = str.maketrans(_LATIN | {letter.upper(): latin.capitalize() for letter, latin in _LATIN.items()})


def to_latin(text: str) -> str:
    """Return `text` with the Cyrillic letters of Serbian in Latin; other letters stay."""
    return text if text.isascii() else text.translate(_TO_LATIN)


def has_han(text: str) -> bool:
    """Return True if `text` contains a Chinese character."""
    return _HAN.search(text) is not None


@cache
def strip_accents(letter: str) -> str:
    """Return a character without accents, in its compatible form: one of several letters becomes several."""
    return "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
