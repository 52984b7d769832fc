"""Spans over a document, and a normalized copy of its text with exact offsets into the original.

Recognizers read `NormalizedText.text`, in which look-alike characters are folded and invisible ones removed,
so that a zero-width space inside a name cannot hide it. Traditional Chinese characters are folded to
Simplified ones: one set of rules reads both, and a person written both ways is one. All spans are converted
to offsets of the original text: only these are stored.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import unescape
from itertools import groupby
from pathlib import Path

CUT = "\x1f"
"""Character in place of each replacement, where what is left of a masked text is read."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters [start, end) of the original text, and their type.

    Attributes:
        start: Offset of the first character.
        end: Offset after the last character.
        type: Type of entity, one of `lexveil.nlp.entity_types.ENTITY_TYPES`.
        score: Confidence in [0, 1].
        recognizer: Name of the class that found the span, or `Propagation`.
    """

    start: int
    end: int
    type: str
    score: float
    recognizer: str


def find_uncovered(start: int, end: int, covers: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the parts of [start, end) that none of the sorted ranges `covers` covers."""
    for first, last in covers:
        if first >= end:
            break
        if first > start:
            yield start, first
        start = max(start, last)
    if start < end:
        yield start, end


def find_line(text: str, start: int, end: int) -> str:
    """Return the line of a text, or the lines, that [start, end) is in, without the last line end."""
    stop = text.find("\n", end)
    return text[text.rfind("\n", 0, start) + 1 : len(text) if stop < 0 else stop]


_SIMPLIFIED = Path(__file__).with_name("simplified.txt")
# Full-width characters, mathematical letters, digits and letters in circles, letters in superscript.
_COMPATIBLE = (
    *range(0xFF01, 0xFF5F),
    *range(0x1D400, 0x1D800),
    *range(0x2460, 0x2469),
    *range(0x24B6, 0x24EA),
    *range(0x1D2C, 0x1D63),
)
# They stand for capitals as often as for lower case: "Jᴏʜɴ".
_SMALL_CAPITALS = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ"


def _build_folding() -> dict[int, str]:
    table: dict[int, str] = {}
    for characters, folded in (
        ("\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))), " "),
        ("\r\x0b\x0c\x85\u2028\u2029", "\n"),
        ("\u2018\u2019\u201a\u201b\u2032\u02bc\u00b4`", "'"),
        ("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        ("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-"),
    ):
        table.update(dict.fromkeys(map(ord, characters), folded))
    for code in _COMPATIBLE:
        compatible = unicodedata.normalize("NFKC", chr(code))
        if len(compatible) == 1:
            table[code] = table.get(ord(compatible), compatible)  # a full-width grave accent is an apostrophe
    for line in _SIMPLIFIED.read_text(encoding="utf-8").splitlines()[1:]:
        table.update((ord(pair[0]), pair[1]) for pair in line.split())
    table.update(zip(map(ord, _SMALL_CAPITALS), "ABCDEFGHIJKLMNOPRSTUVWYZ", strict=True))
    return table


_FOLD = _build_folding()


def _build_class(codes: Iterable[int]) -> str:
    """Return a class of characters by its ranges: one of single characters is slow."""
    runs = groupby(enumerate(sorted(codes)), key=lambda one: one[1] - one[0])
    ranges = [[code for _, code in run] for _, run in runs]
    return "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in ranges)


_FOLDED = re.compile(f"[{_build_class(_FOLD)}]")
_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e01ef"
)
_COMBINING = r"\u0300-\u036f"
# A character of HTML, in a text that somebody has copied out of a page's source.
_ENTITY = re.compile(r"&(?:#\d{2,6}|#[xX][\da-fA-F]{2,5}|[A-Za-z]{3,8});")
# A base letter with its combining marks, which become one letter, or characters without width.
_SHRINK = re.compile(
    rf"\r(?=\n)|[{_INVISIBLE}]+|[^\W_][{_INVISIBLE}]*[{_COMBINING}][{_COMBINING}{_INVISIBLE}]*|{_ENTITY.pattern}"
)
_NEEDS_SHRINKING = re.compile(rf"[\r{_INVISIBLE}{_COMBINING}]")
_ONLY_INVISIBLE = re.compile(rf"[{_INVISIBLE}]+")
_HAN = r"\u3400-\u9fff"
_CHINESE = re.compile(f"[{_HAN}]")
_BROKEN = re.compile(rf"(?<=[{_HAN}])\r?\n(?=[{_HAN}\d])|(?<=\d)\r?\n(?=[{_HAN}])")
_NO_WIDTH = "\u200b"
# A line whose characters stand apart, as poor scans have it: 原 告 卢 俊 义 诉 称 ， 被 告
_APART = rf"[{_HAN}\d０-９，。、：；,:;（）()“”]"
_SPACED_OUT = re.compile(rf"[{_HAN}](?:[ \u3000](?:{_APART}|·)){{7,}}(?![^\W{_HAN}])")
_LEAST_HAN = 0.5
# Of a line that was broken, in halves of a Chinese character.
_MIN_WIDTH, _MAX_WIDTH, _TOLERANCE = 40, 200, 6
# What names consist of beside letters. Signs such as "&" would make another text of what is around them.
_IN_NAMES = " '-\u00a0\u00ad\u200b\u200c\u200d\u2010\u2011\u2018\u2019"


@dataclass(frozen=True, slots=True)
class NormalizedText:
    """Folded text, never longer than the original, with exact offsets into it. Use `NormalizedText.of`.

    Attributes:
        text: The folded text.
        original_length: Number of characters of the original.
    """

    text: str = field(repr=False)
    original_length: int
    _removed: tuple[int, ...] = field(default=(), repr=False)
    """For each removed character, the index in `text` of the character that followed it."""
    _marked: frozenset[int] = field(default=frozenset(), repr=False)
    """Indices in `_removed` where combining marks were removed, which belong to the letter before."""

    @classmethod
    def of(cls, original: str) -> NormalizedText:
        """Normalize a text."""
        plain = not _ENTITY.search(original)
        if plain and original.isascii() and "\r" not in original:
            return cls(original.translate({11: "\n", 12: "\n", 96: "'"}), len(original))
        if _CHINESE.search(original):
            original = _join_wrapped_lines(_join_spaced_characters(original))
        if plain and not _NEEDS_SHRINKING.search(original):
            return cls(_fold(original), len(original))
        pieces: list[str] = []
        removed: list[int] = []
        marked: list[int] = []
        length = last = 0
        for match in _SHRINK.finditer(original):
            kept = original[last : match.start()]
            composed = _compose(match.group())
            pieces += (kept, composed)
            length += len(kept) + len(composed)
            if composed and len(composed) < match.end() - match.start():
                marked.append(length)
            removed += [length] * (match.end() - match.start() - len(composed))
            last = match.end()
        pieces.append(original[last:])
        return cls(_fold("".join(pieces)), len(original), tuple(removed), frozenset(marked))

    def to_original(self, start: int, end: int) -> tuple[int, int]:
        """Convert offsets [start, end) in `text` to offsets in the original.

        Removed characters within the span belong to it, and so do combining marks of its last letter.

        Raises:
            ValueError: The span is not within `text`.
        """
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"span [{start}, {end}) outside of a text of {len(self.text)} characters")
        if not self._removed:
            return start, end
        first = start + bisect_right(self._removed, start)
        if start == end:
            return first, first
        before_end = bisect_right if end in self._marked else bisect_left
        return first, end + before_end(self._removed, end)


def _join_wrapped_lines(original: str) -> str:
    """Return the text with characters without width for the line ends within Chinese paragraphs.

    Chinese has no spaces, so a line may end anywhere, also within a name. Where at least three lines are
    about as wide as the widest, these were broken for want of space.
    """
    if not _BROKEN.search(original):
        return original
    lines = original.split("\n")
    widths = [_measure_width(line) for line in lines]
    widest = sorted((width for width in widths if width <= _MAX_WIDTH), reverse=True)
    full = next((a for a, b in zip(widest, widest[2:], strict=False) if a - b <= _TOLERANCE), 0)
    if full < _MIN_WIDTH:
        return original
    position = 0
    pieces: list[str] = []
    for line, width in zip(lines, widths, strict=True):
        pieces.append(line)
        position += len(line) + 1
        end = position - 2 if line.endswith("\r") else position - 1
        if full - _TOLERANCE <= width <= full and _BROKEN.match(original, end):
            pieces[-1] = line.removesuffix("\r") + _NO_WIDTH * (position - 1 - end)
            pieces.append(_NO_WIDTH)
        else:
            pieces.append("\n")
    return "".join(pieces[:-1])


def _join_spaced_characters(original: str) -> str:
    """Return the text with characters without width for the spaces in lines whose characters stand apart."""
    return _SPACED_OUT.sub(_join_run, original)


def _join_run(run: re.Match[str]) -> str:
    characters = run.group()[::2]
    han = sum(_CHINESE.match(character) is not None for character in characters)
    return _NO_WIDTH.join(characters) if han >= _LEAST_HAN * len(characters) else run.group()


def _measure_width(line: str) -> int:
    """Return the width of a line in halves of a Chinese character, which has three bytes."""
    return (len(line.encode("utf-8", "replace")) + len(line)) // 2


def _fold(text: str) -> str:
    # str.translate looks every character up.
    return _FOLDED.sub(lambda letter: _FOLD[ord(letter.group())], text)


def _compose(run: str) -> str:
    """Return one letter for a letter with combining marks or of HTML, nothing for invisible characters."""
    if run[0] == "&":
        character = unescape(run)
        name_like = len(character) == 1 and (character.isalpha() or character in _IN_NAMES)
        return run if not name_like else "" if _ONLY_INVISIBLE.fullmatch(character) else character
    if run == "\r" or _ONLY_INVISIBLE.fullmatch(run):
        return ""
    return unicodedata.normalize("NFC", _ONLY_INVISIBLE.sub("", run))[0]
