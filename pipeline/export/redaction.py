"""Replacement of masked strings in files that keep their own format."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lexveil.nlp.masking.mask import Replacement

_UNDIVIDED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # scripts without spaces between words
_LETTER = re.compile(rf"[^\W_{_UNDIVIDED}]")
_DIVISION = r"(?:[-\xad\x02\ufffe]\s*)?"
_MASK = re.compile(r"\[[A-Z_]+_\d+\]")
_NAME = 4  # fewest letters of a name
_LEAST = 2  # fewest characters of an original that is searched for everywhere
_WORD = re.compile(r"[^\W_]+")
_LINE_DIVISION = re.compile(r"([^\W_]+)(?:[-\xad\x02\ufffe]\s*)([^\W_]+)")


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters [start, end) of a paragraph, and what replaces them."""

    start: int
    end: int
    text: str = field(repr=False)


class Redaction:
    """What masking replaced in one document.

    Args:
        original: the text of the document.
        masked: its masked text.
        replacements: what was replaced.

    Attributes:
        is_sure: False if what was replaced is unknown, or too short to search for: then no file in its own
            format may be written.
    """

    def __init__(self, original: str, masked: str, replacements: Sequence[Replacement]) -> None:
        self.masked = masked
        self._original = original
        self._replacements = sorted(replacements, key=lambda one: one.source_start)
        self._by_text = {one.original: one.text for one in replacements if len(one.original) >= _LEAST}
        words = sorted(self._by_text, key=len, reverse=True)
        self._by_letters = {_squeeze(word): text for word, text in self._by_text.items()}
        self._anywhere = _compile(words, re.escape) if words else None
        self._divided = _compile(words, _divide) if words else None
        self._places: dict[str, list[int]] = {}
        self._words = set(_WORD.findall(_fold(masked)))
        self._made_of = (original, masked, tuple(replacements))
        is_known = bool(replacements) or original == masked
        self.is_sure = is_known and all(len(one.original) >= _LEAST for one in replacements)

    def __reduce__(self) -> tuple[type[Redaction], tuple[str, str, tuple[Replacement, ...]]]:
        """Pickle the arguments: another process compiles the patterns again."""
        return Redaction, self._made_of

    def edit(self, paragraph: str) -> list[Edit]:
        """Return the edits of a paragraph, or of a cell: in order, without overlaps.

        Wherever the text contains this paragraph, what is masked there is masked here. A paragraph that the
        text does not contain is searched for everything that was masked anywhere.
        """
        needle = paragraph.strip()
        if not needle:
            return []
        shift = len(paragraph) - len(paragraph.lstrip())
        places = self._find(needle)
        if not places:
            return self.search(paragraph)
        edits = [
            Edit(
                shift + max(0, one.source_start - place),
                shift + min(len(needle), one.source_end - place),
                one.text if one.source_start >= place else "",  # its beginning is in the paragraph before
            )
            for place in places
            for one in self._replacements
            if one.source_start < place + len(needle) and one.source_end > place
        ]
        return _join(edits)

    def search(self, text: str, divided: bool = False) -> list[Edit]:
        """Return the edits that replace everything that was masked anywhere.

        Args:
            text: text to search.
            divided: words may be divided at the ends of lines, and any white space stands for a space.
        """
        pattern = self._divided if divided else self._anywhere
        if pattern is None:
            return []
        return [
            Edit(found.start(), found.end(), self._by_letters.get(_squeeze(found[0]), ""))
            for found in pattern.finditer(text)
        ]

    def leaks(self, text: str, names_only: bool = False) -> bool:
        """Return True if a masked string occurs more often in a text than in the masked text.

        Args:
            text: what would be written.
            names_only: ignore strings with few letters, since any layout contains numbers.
        """
        if self._anywhere is None:
            return False
        texts = (_MASK.sub(" ", one) for one in (text, self.masked))  # the numbers of masks identify nobody
        found, allowed = (Counter(self._anywhere.findall(one)) for one in texts)
        return any(
            count > allowed[original]
            for original, count in found.items()
            if not names_only or sum(map(str.isalpha, original)) >= _NAME
        )

    def knows(self, text: str) -> bool:
        """Return True if every word of a text is in the masked text. Words that masking never saw are not.

        Args:
            text: what would be written; its words may be divided at the ends of lines.
        """
        text = _LINE_DIVISION.sub(self._join_halves, _fold(text))
        return self._words.issuperset(_WORD.findall(text))

    def _join_halves(self, halves: re.Match[str]) -> str:
        joined = halves[1] + halves[2]
        return joined if joined in self._words else f"{halves[1]} {halves[2]}"

    def _find(self, needle: str) -> list[int]:
        """Return where the text contains a paragraph, between line ends or tabs."""
        if needle not in self._places:
            places: list[int] = []
            place = self._original.find(needle)
            while place >= 0:
                before = self._original[place - 1 : place] if place else "\n"
                after = self._original[place + len(needle) : place + len(needle) + 1] or "\n"
                if before.isspace() and after.isspace():
                    places.append(place)
                place = self._original.find(needle, place + 1)
            self._places[needle] = places
        return self._places[needle]


def apply(text: str, edits: Sequence[Edit]) -> str:
    """Return a text with its edits."""
    for edit in reversed(edits):
        text = f"{text[: edit.start]}{edit.text}{text[edit.end :]}"
    return text


def _compile(words: Sequence[str], write: Callable[[str], str]) -> re.Pattern[str]:
    """Return a pattern of whole words."""
    patterns = (
        (f"(?<!{_LETTER.pattern})" if _LETTER.match(word[0]) else "")
        + write(word)
        + (f"(?!{_LETTER.pattern})" if _LETTER.match(word[-1]) else "")
        for word in words
    )
    return re.compile("|".join(patterns))


def _divide(word: str) -> str:
    """Return a pattern of a word, or words, that may be divided at the end of a line."""
    pattern = ""
    for number, mark in enumerate(word):
        if mark.isspace():
            pattern += "" if number and word[number - 1].isspace() else r"\s+"
            continue
        if number and word[number - 1].isalnum() and mark.isalnum():
            is_divided = _LETTER.match(mark) and _LETTER.match(word[number - 1])
            pattern += _DIVISION if is_divided else r"\s*"
        pattern += re.escape(mark)
    return pattern


def _squeeze(text: str) -> str:
    """Return the letters and digits of a text, which line breaks do not change."""
    return "".join(filter(str.isalnum, text))


def _fold(text: str) -> str:
    """Return a text with one form for each letter: ligatures and accents are written in several ways."""
    return unicodedata.normalize("NFKC", text)


def _join(edits: list[Edit]) -> list[Edit]:
    joined: list[Edit] = []
    for edit in sorted(edits, key=lambda one: (one.start, -one.end)):
        if joined and edit.start < joined[-1].end:
            last = joined[-1]
            joined[-1] = Edit(last.start, max(last.end, edit.end), last.text)
        else:
            joined.append(edit)
    return joined
